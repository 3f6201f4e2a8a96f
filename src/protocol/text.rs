//! What the two text protocols share: lines, words, numbers in decimal digits.

use bytes::Bytes;
use memchr::{memchr, memchr2};

use super::tyrant::limits::Limits;
use super::tyrant::sizes::SizeFault;
use crate::command::function::Part;

/// Looks for the ends of lines, and goes on where it stopped for want of bytes.
#[derive(Debug, Default)]
pub(super) struct Search {
    from: usize,
}

impl Search {
    /// Where the next line feed is; `None` when it is not there yet.
    pub fn line_feed(&mut self, input: &[u8]) -> Option<usize> {
        let rest = input.get(self.from..)?;
        let found = memchr(b'\n', rest).map(|at| self.from + at);
        // A line feed that was found is found again until bytes are cut from the input.
        self.from = found.unwrap_or(input.len());
        found
    }

    /// Goes on behind the line feed that was found last.
    pub fn pass(&mut self) {
        self.from += 1;
    }
}

/// A line without what ends it: CR LF, or LF alone.
pub(super) fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Whether a line without its end holds a byte that others take for the end of a line or of a string.
pub(super) fn has_breaks(line: &[u8]) -> bool {
    memchr2(b'\r', b'\0', line).is_some()
}

/// What stands between the blanks of a line.
pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let words = without_end(line).split(|byte| matches!(byte, b' ' | b'\t'));
    words.filter(|word| !word.is_empty())
}

/// A number in decimal digits, with a sign or without.
pub(super) fn number(word: &[u8]) -> Option<i128> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// The bytes of an argument of this kind that `size` announces.
pub(super) fn size(size: i128, part: Part, limits: &Limits) -> Result<usize, SizeFault> {
    if size < 0 {
        let size = size.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
        return Err(SizeFault::NegativeSize(size));
    }
    // Above what 32 bits hold it is above any limit too.
    limits.within(part, size.min(u32::MAX.into()) as u32)
}

/// A list as long as this.
pub(super) fn count(count: usize, limits: &Limits) -> Result<(), SizeFault> {
    if count > limits.arguments_max as usize {
        return Err(SizeFault::TooManyArguments {
            count: u32::try_from(count).unwrap_or(u32::MAX),
            max: limits.arguments_max,
        });
    }
    Ok(())
}

/// The value of a line of `stat`: a name, a tab, a value.
pub(super) fn stat<'a>(lines: &'a Bytes, name: &str) -> Option<&'a str> {
    let mut lines = lines.split(|byte| *byte == b'\n');
    let value = lines.find_map(|line| line.strip_prefix(name.as_bytes())?.strip_prefix(b"\t"))?;
    std::str::from_utf8(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits::SMALL;

    #[test]
    fn a_search_goes_on_where_it_stopped() {
        let mut search = Search::default();
        assert_eq!(search.line_feed(b"ab"), None);
        assert_eq!(search.from, 2);
        assert_eq!(search.line_feed(b"ab\nc\n"), Some(2));
        assert_eq!(search.line_feed(b"ab\nc\n"), Some(2));
        search.pass();
        assert_eq!(search.line_feed(b"ab\nc\n"), Some(4));
    }

    #[test]
    fn sizes_are_judged_whatever_their_number_of_digits() {
        assert_eq!(size(10, Part::Other, &LIMITS), Ok(10));
        assert_eq!(size(11, Part::Other, &LIMITS).unwrap_err().name(), "argument_too_large");
        assert_eq!(size(-1, Part::Other, &LIMITS), Err(SizeFault::NegativeSize(-1)));
        let long = number(b"99999999999999999999").expect("a number");
        assert_eq!(
            size(long, Part::Other, &LIMITS).unwrap_err().name(),
            "argument_too_large"
        );
        assert_eq!(
            size(-long, Part::Other, &LIMITS),
            Err(SizeFault::NegativeSize(i32::MIN))
        );
        assert_eq!((number(b"1x"), number(b""), number(b"\xff")), (None, None, None));
    }

    #[test]
    fn words_stand_between_blanks() {
        assert_eq!(words(b"a  b\tc \r\n").collect::<Vec<_>>(), [b"a", b"b", b"c"]);
        assert!(has_breaks(b"a\rb") && has_breaks(b"\0") && !has_breaks(b"a b"));
    }
}
