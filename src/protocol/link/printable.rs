//! Short texts that one side of a link shows and logs as the other has said them.

use std::fmt;
use std::sync::Arc;

use nom::bytes::complete::take;
use nom::combinator::verify;
use nom::number::complete::be_u16;
use nom::{IResult, Parser};

use crate::protocol::outgoing::Outgoing;

/// Most bytes of one.
pub const PRINTABLE_MAX: usize = 512;

/// A text of 1 to [`PRINTABLE_MAX`] bytes of printable ASCII: the name in a certificate, or that of a process. It shows on
/// one line as what it is, and cannot be taken for another.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Printable(Arc<str>);

impl Printable {
    /// This text; nothing where it is none.
    pub fn new(text: &str) -> Option<Self> {
        let is_printable = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        let is_one = is_printable && !text.is_empty() && text.len() <= PRINTABLE_MAX;
        is_one.then(|| Self(text.into()))
    }

    /// A text of our own, with a question mark for each character that cannot be shown, and no longer than may be.
    pub fn of(text: &str) -> Self {
        let is_shown = |each: &char| *each == ' ' || each.is_ascii_graphic();
        let shown = text.chars().map(|each| Some(each).filter(is_shown).unwrap_or('?'));
        let shown: String = shown.take(PRINTABLE_MAX).collect();
        Self(if shown.is_empty() { "?".into() } else { shown.into() })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Printable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for Printable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Adds one to `out`, or that there is none.
pub(super) fn put(text: Option<&Printable>, out: &mut Outgoing) {
    let text = text.map_or("", Printable::as_str);
    out.put_slice(&(text.len() as u16).to_be_bytes());
    out.put_slice(text.as_bytes());
}

/// Reads one, or that there is none. What is longer than one may be, or no such text, is none of either.
pub(super) fn printable(input: &[u8]) -> IResult<&[u8], Option<Printable>> {
    let (input, length) = verify(be_u16, |length| usize::from(*length) <= PRINTABLE_MAX).parse(input)?;
    take(length)
        .map_opt(|bytes: &[u8]| match bytes {
            [] => Some(None),
            bytes => Printable::new(std::str::from_utf8(bytes).ok()?).map(Some),
        })
        .parse(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_printable_or_none() {
        let longest = "x".repeat(PRINTABLE_MAX);
        for text in ["a", "process 7 on app-1", "spiffe://example/ns/app", &longest] {
            assert_eq!(Printable::new(text).as_ref().map(Printable::as_str), Some(text));
        }
        for text in [
            "",
            "a\n",
            "\u{7f}",
            "a\0",
            "é",
            "\u{202e}",
            "\x1b[2J",
            &format!("{longest}x"),
        ] {
            assert_eq!(Printable::new(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_we_are_called_is_made_one() {
        assert_eq!(Printable::of("process 7 on app-1").as_str(), "process 7 on app-1");
        assert_eq!(Printable::of("b\u{e9}\n").as_str(), "b??");
        assert_eq!(Printable::of("").as_str(), "?");
        assert_eq!(Printable::of(&"é".repeat(1000)).as_str().len(), PRINTABLE_MAX);
    }

    #[test]
    fn what_comes_is_checked_by_its_length_first_and_then_by_its_bytes() {
        let said = |length: u16, bytes: &[u8]| [&length.to_be_bytes()[..], bytes].concat();
        let read = |bytes: &[u8]| printable(bytes).map(|(rest, text)| (rest.len(), text)).ok();
        assert_eq!(read(&said(0, b"x")), Some((1, None)));
        assert_eq!(read(&said(1, b"xy")), Some((1, Printable::new("x"))));
        assert_eq!(read(&said(2, b"x")), None, "cut");
        for wrong in [&b"a\n"[..], b"\xff", b"\x00", b"\xc3\xa9", b"\x7f"] {
            assert_eq!(read(&said(wrong.len() as u16, wrong)), None, "{wrong:?}");
        }
        let long = [b'x'; PRINTABLE_MAX + 1];
        assert_eq!(read(&said(long.len() as u16, &long)), None);
        assert!(read(&said(PRINTABLE_MAX as u16, &long[1..])).is_some());
    }
}
