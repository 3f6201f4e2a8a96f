//! Bracket expressions: `[a-z]`, `[^]x]`, `[[:alpha:]_-]`.

use std::fmt::Write;

/// Reads a bracket expression whose `[` has been read, and writes the class that it stands for. None if it is none.
pub fn class(input: &mut &[u8]) -> Option<String> {
    let negated = skip(input, b"^");
    let mut members = [false; 256];
    let mut first = true;
    while first || !skip(input, b"]") {
        element(input, first, &mut members)?;
        first = false;
    }
    Some(written(negated, &members))
}

/// One member: a byte, a range or a named class.
fn element(input: &mut &[u8], first: bool, members: &mut [bool; 256]) -> Option<()> {
    if skip(input, b"[:") {
        let name = named(input, b":]")?;
        for byte in 0..=255 {
            members[usize::from(byte)] |= holds(name, byte)?;
        }
        // A class cannot begin a range.
        return (!begins_range(input)).then_some(());
    }
    // A hyphen means itself only at either end, or as the end of a range.
    if !first && input.starts_with(b"-") && !input.starts_with(b"-]") {
        return None;
    }
    let (low, symbol) = byte(input)?;
    let mut high = low;
    if begins_range(input) {
        *input = &input[1..];
        if symbol == Symbol::Equivalent || input.starts_with(b"[:") || input.starts_with(b"[=") {
            return None;
        }
        high = byte(input)?.0;
    }
    if low > high {
        return None;
    }
    members[usize::from(low)..=usize::from(high)].fill(true);
    Some(())
}

fn begins_range(input: &[u8]) -> bool {
    input.starts_with(b"-") && !input.starts_with(b"-]")
}

#[derive(PartialEq, Eq)]
enum Symbol {
    Plain,
    Equivalent,
}

/// A byte as it is, or in `[.x.]` or `[=x=]`. Longer names are those of a locale, and the C locale has none.
fn byte(input: &mut &[u8]) -> Option<(u8, Symbol)> {
    let (name, symbol) = if skip(input, b"[.") {
        (named(input, b".]")?, Symbol::Plain)
    } else if skip(input, b"[=") {
        (named(input, b"=]")?, Symbol::Equivalent)
    } else {
        let (first, rest) = input.split_first()?;
        *input = rest;
        return Some((*first, Symbol::Plain));
    };
    match name {
        [byte] => Some((*byte, symbol)),
        _ => None,
    }
}

/// What stands before `end`.
fn named<'a>(input: &mut &'a [u8], end: &[u8]) -> Option<&'a [u8]> {
    let at = input.windows(2).position(|pair| pair == end)?;
    let (name, rest) = input.split_at(at);
    *input = &rest[2..];
    Some(name)
}

fn skip(input: &mut &[u8], text: &[u8]) -> bool {
    let rest = input.strip_prefix(text);
    *input = rest.unwrap_or(input);
    rest.is_some()
}

/// Whether a class of the C locale holds a byte; none if there is no such class.
fn holds(class: &[u8], byte: u8) -> Option<bool> {
    Some(match class {
        b"alpha" => byte.is_ascii_alphabetic(),
        b"digit" => byte.is_ascii_digit(),
        b"alnum" => byte.is_ascii_alphanumeric(),
        b"upper" => byte.is_ascii_uppercase(),
        b"lower" => byte.is_ascii_lowercase(),
        b"space" => byte.is_ascii_whitespace() || byte == 0x0B,
        b"blank" => byte == b' ' || byte == b'\t',
        b"punct" => byte.is_ascii_punctuation(),
        b"print" => byte.is_ascii_graphic() || byte == b' ',
        b"graph" => byte.is_ascii_graphic(),
        b"cntrl" => byte.is_ascii_control(),
        b"xdigit" => byte.is_ascii_hexdigit(),
        _ => return None,
    })
}

/// Negation is left to the engine, which must fold cases before it negates.
fn written(negated: bool, members: &[bool; 256]) -> String {
    let mut class = String::from(if negated { "[^" } else { "[" });
    let mut byte = 0;
    while byte < 256 {
        let run = members[byte..].iter().take_while(|member| **member).count();
        if run > 0 {
            // Writing to a string cannot fail.
            let _ = write!(class, r"\x{byte:02X}-\x{:02X}", byte + run - 1);
        }
        byte += run + 1;
    }
    class.push(']');
    class
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_those_of_the_server() {
        for (text, written) in [
            (&b"a]"[..], Some(r"[\x61-\x61]")),
            (b"^ac-b]", None),
            (b"]a]", Some(r"[\x5D-\x5D\x61-\x61]")),
            (b"^]]", Some(r"[^\x5D-\x5D]")),
            (b"-a]", Some(r"[\x2D-\x2D\x61-\x61]")),
            (b"a-]", Some(r"[\x2D-\x2D\x61-\x61]")),
            (b"%--]", Some(r"[\x25-\x2D]")),
            (b"a-c-e]", None),
            (br"\d]", Some(r"[\x5C-\x5C\x64-\x64]")),
            (b"[:digit:]_]", Some(r"[\x30-\x39\x5F-\x5F]")),
            (b"[.-.]-/]", Some(r"[\x2D-\x2F]")),
            (b"[=a=]]", Some(r"[\x61-\x61]")),
            (b"[:digit:]-z]", None),
            (b"[:digit]", None),
            (b"[.space.]]", None),
            (b"a", None),
        ] {
            let mut input = text;
            let class = class(&mut input);
            assert_eq!(class.as_deref(), written, "{text:?}");
            assert!(written.is_none() || input.is_empty(), "{text:?}");
        }
    }
}
