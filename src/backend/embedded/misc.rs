//! The functions that `misc` calls by name, as `tcadbmisc` of Tokyo Cabinet 1.4.48 has them for an on-memory hash.
//!
//! Arguments beyond those that a function takes are ignored; too few are a failure, but for the lists,
//! which are content with none. `None` is a failure, which the caller answers with code 1 and no strings.

use bytes::Bytes;

use super::pattern::Pattern;
use super::store::Cursor;
use super::{Embedded, asks_for_bounds, number};
use crate::command::function::until_nul;

/// Calls the function called `name`: what it answers, if it succeeds.
pub fn call(store: &Embedded, name: &[u8], arguments: &[Bytes]) -> Option<Vec<Bytes>> {
    match until_nul(name) {
        b"put" => put(store, arguments),
        b"putkeep" => done(store.records.put_new(arguments.first()?, arguments.get(1)?)),
        b"putcat" => done(store.append(arguments.first()?, arguments.get(1)?)),
        b"out" => done(store.records.remove(arguments.first()?)),
        b"get" => Some(vec![store.records.get(arguments.first()?)?]),
        b"putlist" => put_list(store, arguments),
        b"outlist" => out_list(store, arguments),
        b"getlist" => Some(get_list(store, arguments)),
        b"getpart" => get_part(store, arguments),
        b"iterinit" => iterinit(store, arguments),
        b"iternext" => store.iternext().map(|(key, value)| vec![key, value]),
        b"sync" => Some(Vec::new()),
        b"optimize" => done(!arguments.first().is_some_and(|parameters| asks_for_bounds(parameters))),
        b"vanish" => {
            store.vanish();
            Some(Vec::new())
        }
        b"regex" => regex(store, arguments),
        _ => None,
    }
}

fn done(success: bool) -> Option<Vec<Bytes>> {
    success.then(Vec::new)
}

fn put(store: &Embedded, arguments: &[Bytes]) -> Option<Vec<Bytes>> {
    store.records.put(arguments.first()?, arguments.get(1)?);
    Some(Vec::new())
}

/// A key without a value at the end is ignored.
fn put_list(store: &Embedded, arguments: &[Bytes]) -> Option<Vec<Bytes>> {
    for pair in arguments.chunks_exact(2) {
        store.records.put(&pair[0], &pair[1]);
    }
    Some(Vec::new())
}

fn out_list(store: &Embedded, arguments: &[Bytes]) -> Option<Vec<Bytes>> {
    for key in arguments {
        store.records.remove(key);
    }
    Some(Vec::new())
}

fn get_list(store: &Embedded, arguments: &[Bytes]) -> Vec<Bytes> {
    let pair = |key: &Bytes| Some([key.clone(), store.records.get(key)?]);
    arguments.iter().filter_map(pair).flatten().collect()
}

/// Key, offset, length. An offset at or behind the end is a failure; a negative length means all.
fn get_part(store: &Embedded, arguments: &[Bytes]) -> Option<Vec<Bytes>> {
    let spelled = |at: usize, default: i32| arguments.get(at).map_or(default, |text| number::parse(text));
    let offset = usize::try_from(spelled(1, 0)).unwrap_or(0);
    let length = usize::try_from(spelled(2, -1)).unwrap_or(usize::MAX);
    let value = store.records.get(arguments.first()?)?;
    if offset >= value.len() {
        return None;
    }
    let end = offset.saturating_add(length).min(value.len());
    Some(vec![value.slice(offset..end)])
}

/// With a key, the iterator starts there; with one that is not there, it stays where it was.
fn iterinit(store: &Embedded, arguments: &[Bytes]) -> Option<Vec<Bytes>> {
    let cursor = match arguments.first() {
        Some(key) => store.records.cursor_at(key),
        None => Some(Cursor::START),
    };
    if let Some(cursor) = cursor {
        *store.iterator.lock() = cursor;
    }
    Some(Vec::new())
}

/// Pattern, greatest number of records. It leaves the shared iterator behind the last record that it looked at.
fn regex(store: &Embedded, arguments: &[Bytes]) -> Option<Vec<Bytes>> {
    let pattern = Pattern::new(until_nul(arguments.first()?))?;
    let max = arguments.get(1).map_or(0, |text| number::parse(text));
    let max = usize::try_from(max).ok().filter(|max| *max > 0).unwrap_or(usize::MAX);
    let (mut cursor, mut found, mut strings) = (Cursor::START, 0, Vec::new());
    while found < max {
        let Some((key, value)) = store.records.next(&mut cursor) else {
            break;
        };
        if pattern.matches(until_nul(&key)) {
            found += 1;
            strings.extend([key, value]);
        }
    }
    *store.iterator.lock() = cursor;
    Some(strings)
}
