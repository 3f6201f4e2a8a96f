//! The line that a request begins with: a verb, then words between blanks.

use memchr::memchr;
use nom::Parser;
use nom::bytes::streaming::take_while_m_n;
use nom::character::streaming::one_of;
use nom::combinator::peek;
use nom::sequence::terminated;

use super::Fault;
use crate::command::function::Part;
use crate::protocol::text;
use crate::protocol::tyrant::limits::Limits;

/// Bytes of the longest word that is taken for a verb, known or not.
const VERB_MAX: usize = 32;

/// Bytes of the longest line of a verb that is not known: as long as memcached takes one.
pub(super) const UNKNOWN_MAX: usize = 2048;

/// Verbs of memcached 1.6 that are not known here, and behind whose line no value follows, whatever it says.
const WITHOUT_VALUE: [&[u8]; 15] = [
    b"cache_memlimit",
    b"gat",
    b"gats",
    b"lru",
    b"lru_crawler",
    b"ma",
    b"md",
    b"me",
    b"mg",
    b"mn",
    b"shutdown",
    b"slabs",
    b"touch",
    b"verbosity",
    b"watch",
];

/// Verbs of memcached that are not known here, and behind whose line a value follows.
const WITH_VALUE: [&[u8]; 2] = [b"cas", b"ms"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Set,
    Add,
    Replace,
    Append,
    Prepend,
    /// `get` and `gets`, which the server answers alike.
    Get,
    Delete,
    Incr,
    Decr,
    Stats,
    FlushAll,
    Version,
    Quit,
    /// Any other word.
    Unknown,
}

impl Verb {
    fn named(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"set" => Self::Set,
            b"add" => Self::Add,
            b"replace" => Self::Replace,
            b"append" => Self::Append,
            b"prepend" => Self::Prepend,
            b"get" | b"gets" => Self::Get,
            b"delete" => Self::Delete,
            b"incr" => Self::Incr,
            b"decr" => Self::Decr,
            b"stats" => Self::Stats,
            b"flush_all" => Self::FlushAll,
            b"version" => Self::Version,
            b"quit" => Self::Quit,
            _ => return None,
        })
    }

    /// Words that a line of this verb has at least.
    fn words_min(self) -> usize {
        match self {
            Self::Set | Self::Add | Self::Replace | Self::Append | Self::Prepend => 5,
            Self::Incr | Self::Decr => 3,
            Self::Get | Self::Delete => 2,
            Self::Stats | Self::FlushAll | Self::Version | Self::Quit | Self::Unknown => 1,
        }
    }

    fn has_value(self) -> bool {
        self.words_min() == 5
    }
}

/// The verb that a line begins with; `None` until it is all there. What begins with no word is refused before its line
/// has an end.
pub(super) fn verb(input: &[u8]) -> Result<Option<Verb>, Fault> {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    let name = take_while_m_n::<_, _, ()>(1, VERB_MAX, is_letter);
    match terminated(name, peek(one_of(" \t\r\n"))).parse(input) {
        Ok((_, name)) => Ok(Some(Verb::named(name).unwrap_or(Verb::Unknown))),
        Err(nom::Err::Incomplete(_)) => Ok(None),
        Err(_) => Err(Fault::UnknownVerb),
    }
}

/// Checks a whole line; the size of the value that follows it, where one does.
pub(super) fn check(verb: Verb, line: &[u8], limits: &Limits) -> Result<Option<usize>, Fault> {
    if text::has_breaks(text::without_end(line)) {
        return Err(Fault::ControlByte);
    }
    let count = text::words(line).count();
    if count < verb.words_min() {
        return Err(Fault::MissingArgument);
    }
    match verb {
        Verb::Unknown if may_announce_value(line) => return Err(Fault::UnknownVerb),
        Verb::Get => {
            text::count(count - 1, limits)?;
            for key in text::words(line).skip(1) {
                text::size(key.len() as i128, Part::Key, limits)?;
            }
        }
        Verb::Incr | Verb::Decr => {
            let by = text::words(line).nth(2).unwrap_or_default();
            amount(by).ok_or(Fault::BadNumber)?;
        }
        _ => {}
    }
    if verb.words_min() > 1 {
        let key = text::words(line).nth(1).unwrap_or_default();
        text::size(key.len() as i128, Part::Key, limits)?;
    }
    if !verb.has_value() {
        return Ok(None);
    }
    let size = text::words(line).nth(4).unwrap_or_default();
    let size = text::number(size).ok_or(Fault::BadNumber)?;
    Ok(Some(text::size(size, Part::Value, limits)?))
}

/// Whether a value may follow a line of a verb that is not known. To announce one takes a size behind verb and key.
fn may_announce_value(line: &[u8]) -> bool {
    let mut words = text::words(line);
    let verb = words.next().unwrap_or_default();
    let has_number = || words.skip(1).any(|word| word.iter().any(u8::is_ascii_digit));
    WITH_VALUE.contains(&verb) || (!WITHOUT_VALUE.contains(&verb) && has_number())
}

/// What a line whose verb is in capital letters is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Capitals {
    /// A whole line of memcached's, of so many bytes, behind which no value follows.
    Line(usize),
    /// Too early to say.
    Undecided,
    /// Nothing of memcached's.
    Other,
}

/// Looks whether `input` begins with such a line. It does not where it may be meant as HTTP.
pub(super) fn in_capitals(input: &[u8]) -> Capitals {
    let is_letter = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
    let name = take_while_m_n::<_, _, ()>(1, VERB_MAX, is_letter);
    let verb = match terminated(name, peek(one_of(" \t\r\n"))).parse(input) {
        Ok((_, name)) => name.to_ascii_lowercase(),
        Err(nom::Err::Incomplete(_)) => return Capitals::Undecided,
        Err(_) => return Capitals::Other,
    };
    let is_known = Verb::named(&verb).is_some_and(|verb| !verb.has_value());
    if !is_known && !WITHOUT_VALUE.contains(&&verb[..]) {
        return Capitals::Other;
    }
    let line_feed = memchr(b'\n', &input[..input.len().min(UNKNOWN_MAX)]);
    let line = line_feed.map_or(input, |at| &input[..=at]);
    let mut words = text::words(line).skip(1).enumerate();
    if words.any(|(at, word)| word.starts_with(b"HTTP/") || (at == 0 && word.starts_with(b"/"))) {
        return Capitals::Other;
    }
    match line_feed {
        Some(at) if text::has_breaks(text::without_end(line)) => {
            debug_assert!(at < UNKNOWN_MAX);
            Capitals::Other
        }
        Some(at) => Capitals::Line(at + 1),
        None if input.len() < UNKNOWN_MAX => Capitals::Undecided,
        None => Capitals::Other,
    }
}

/// What is to be added or taken away.
pub(super) fn amount(word: &[u8]) -> Option<i64> {
    text::number(word)?.try_into().ok()
}
