//! The line that a request begins with: a verb, then words between blanks.

use nom::Parser;
use nom::bytes::streaming::take_while_m_n;
use nom::character::streaming::one_of;
use nom::combinator::peek;
use nom::sequence::terminated;

use super::Fault;
use crate::command::function::Part;
use crate::protocol::text;
use crate::protocol::tyrant::limits::Limits;

/// Bytes of the longest verb, `flush_all`.
const VERB_MAX: usize = 9;

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
            Self::Stats | Self::FlushAll | Self::Version | Self::Quit => 1,
        }
    }

    fn has_value(self) -> bool {
        self.words_min() == 5
    }
}

/// The verb that a line begins with; `None` until it is all there. What begins with none is refused before its line
/// has an end.
pub(super) fn verb(input: &[u8]) -> Result<Option<Verb>, Fault> {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    let name = take_while_m_n::<_, _, ()>(1, VERB_MAX, is_letter);
    match terminated(name, peek(one_of(" \t\r\n"))).parse(input) {
        Ok((_, name)) => Verb::named(name).map(Some).ok_or(Fault::UnknownVerb),
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

/// What is to be added or taken away.
pub(super) fn amount(word: &[u8]) -> Option<i64> {
    text::number(word)?.try_into().ok()
}
