//! The functions that `misc` calls by name, as `tcadbmisc` of Tokyo Cabinet 1.4.48 has them for an on-memory hash.
//!
//! Arguments beyond those that a function takes are ignored; too few are a failure, but for the lists,
//! which are content with none. `None` is a failure, which the caller answers with code 1 and no strings; a [`Fault`] is
//! none of the function's own.

use bytes::Bytes;

use super::answering::Answering;
use super::bounds::asks_for_bounds;
use super::number;
use super::pattern::Pattern;
use super::records::{Cursor, Fault, Records};
use crate::command::function::until_nul;

/// What a function answers: its strings, or nothing on failure.
type Answer = Result<Option<Vec<Bytes>>, Fault>;

/// Success without strings.
const DONE: Option<Vec<Bytes>> = Some(Vec::new());

/// Calls the function called `name`: what it answers, if it succeeds.
pub fn call<R: Records>(at: &Answering<'_, R>, name: &[u8], arguments: &[Bytes]) -> Answer {
    let records = at.records;
    let (first, second) = (arguments.first(), arguments.get(1));
    let done = |success: bool| success.then(Vec::new);
    Ok(match (until_nul(name), first, second) {
        (b"put", Some(key), Some(value)) => {
            records.put(key, value)?;
            DONE
        }
        (b"putkeep", Some(key), Some(value)) => done(records.put_new(key, value)?),
        (b"putcat", Some(key), Some(value)) => done(at.append(key, value)?),
        (b"out", Some(key), _) => done(records.remove(key)?),
        (b"get", Some(key), _) => records.get(key)?.map(|value| vec![value]),
        (b"putlist", ..) => put_list(records, arguments)?,
        (b"outlist", ..) => out_list(records, arguments)?,
        (b"getlist", ..) => get_list(records, arguments)?,
        (b"getpart", Some(key), _) => get_part(records, key, arguments)?,
        (b"iterinit", ..) => iterinit(at, first)?,
        (b"iternext", ..) => at.iternext()?.map(|(key, value)| vec![key, value]),
        (b"sync", ..) => {
            records.sync()?;
            DONE
        }
        (b"optimize", ..) => done(!first.is_some_and(|parameters| asks_for_bounds(parameters))),
        (b"vanish", ..) => {
            at.vanish()?;
            DONE
        }
        (b"regex", Some(pattern), most) => regex(at, pattern, most)?,
        _ => None,
    })
}

/// A key without a value at the end is ignored.
fn put_list<R: Records>(records: &R, arguments: &[Bytes]) -> Answer {
    for pair in arguments.chunks_exact(2) {
        records.put(&pair[0], &pair[1])?;
    }
    Ok(DONE)
}

fn out_list<R: Records>(records: &R, arguments: &[Bytes]) -> Answer {
    for key in arguments {
        records.remove(key)?;
    }
    Ok(DONE)
}

fn get_list<R: Records>(records: &R, arguments: &[Bytes]) -> Answer {
    let mut strings = Vec::new();
    for key in arguments {
        if let Some(value) = records.get(key)? {
            strings.extend([key.clone(), value]);
        }
    }
    Ok(Some(strings))
}

fn get_part<R: Records>(records: &R, key: &[u8], arguments: &[Bytes]) -> Answer {
    Ok(records
        .get(key)?
        .and_then(|value| part(value, arguments))
        .map(|part| vec![part]))
}

/// From where on and how many bytes `getpart` asks for by its arguments: key, offset, length. A negative offset is the first
/// byte, and a negative length all there are.
pub fn asked_part(arguments: &[Bytes]) -> (usize, usize) {
    let spelled = |at: usize, default: i32| arguments.get(at).map_or(default, |text| number::parse(text));
    let offset = usize::try_from(spelled(1, 0)).unwrap_or(0);
    (offset, usize::try_from(spelled(2, -1)).unwrap_or(usize::MAX))
}

/// The part of a value that `getpart` asks for by its arguments. An offset at or behind the end is a failure, for which there
/// is none.
pub fn part(value: Bytes, arguments: &[Bytes]) -> Option<Bytes> {
    let (offset, length) = asked_part(arguments);
    (offset < value.len()).then(|| {
        let end = offset.saturating_add(length).min(value.len());
        value.slice(offset..end)
    })
}

/// With a key, the iterator starts there; with one that is not there, it stays where it was.
fn iterinit<R: Records>(at: &Answering<'_, R>, key: Option<&Bytes>) -> Answer {
    let cursor = match key {
        Some(key) => at.records.cursor_at(key)?,
        None => Some(Cursor::START),
    };
    if let Some(cursor) = cursor {
        *at.state.iterator.lock() = cursor;
    }
    Ok(DONE)
}

/// Pattern, greatest number of records. It leaves the shared iterator behind the last record that it looked at.
fn regex<R: Records>(at: &Answering<'_, R>, pattern: &[u8], most: Option<&Bytes>) -> Answer {
    let Some(pattern) = Pattern::new(until_nul(pattern)) else {
        return Ok(None);
    };
    let max = most.map_or(0, |text| number::parse(text));
    let max = usize::try_from(max).ok().filter(|max| *max > 0).unwrap_or(usize::MAX);
    let (mut cursor, mut strings) = (Cursor::START, Vec::new());
    at.records.walk(&mut cursor, |key, value| {
        if pattern.matches(until_nul(&key)) {
            strings.extend([key, value]);
        }
        strings.len() / 2 < max
    })?;
    *at.state.iterator.lock() = cursor;
    Ok(Some(strings))
}
