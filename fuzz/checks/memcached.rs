//! What must hold of any bytes that are read as requests of memcached's protocol.

use bytes::Bytes;
use ttguard::command::Command;
use ttguard::command::edit::Edit;
use ttguard::protocol::memcached::reply::{Asked, Form};
use ttguard::protocol::memcached::request::{Decoder, Fault, Incoming};
use ttguard::protocol::tyrant::limits::Limits;

use super::request::can_be_sent;
use super::small::{ARGUMENTS, LIMITS};
use super::{fed, pieces};

/// Checks one input: how its bytes are cut, as [`pieces::list`] reads it, and then the bytes.
///
/// # Panics
/// When the bytes give other requests in pieces than whole, when a request cannot be sent on as one whole frame, or when
/// it is another one once it is spelled anew.
pub fn check(mut input: &[u8]) {
    let lengths = pieces::list(&mut input);
    let (requests, end) = decode(LIMITS, &[input]);
    assert_eq!(decode(LIMITS, &pieces::cut(lengths, input)), (requests.clone(), end));
    let spelled: Vec<u8> = requests.iter().flat_map(spelled).collect();
    if let Incoming::Request { command, .. } = requests.last().unwrap_or(&Incoming::Quit) {
        can_be_sent(command);
    }
    assert_eq!(
        decode(ARGUMENTS, &[&spelled]),
        (requests, Ok(0)),
        "{}",
        spelled.escape_ascii()
    );
}

fn decode(limits: Limits, pieces: &[&[u8]]) -> (Vec<Incoming>, Result<usize, Fault>) {
    let mut decoder = Decoder::new(limits);
    fed::fed(pieces.iter().copied(), |input| decoder.decode(input))
}

/// A request as one would write it by hand.
fn spelled(request: &Incoming) -> Vec<u8> {
    let (command, edit, form) = match request {
        Incoming::Request { command, edit, form } => (command, edit, form),
        Incoming::Quit => return b"quit\r\n".to_vec(),
        Incoming::Unknown { silent: false } => return b"mn\r\n".to_vec(),
        Incoming::Unknown { silent: true } => return b"mn noreply\r\n".to_vec(),
    };
    let Form { asked, silent } = form;
    let noreply: &[u8] = if *silent { b" noreply" } else { b"" };
    let line = |words: &[&[u8]]| [&words.join(&b' '), noreply, b"\r\n"].concat();
    let block = |verb: &[u8], key: &Bytes, value: &Bytes| {
        let line = line(&[verb, key, b"0 0", value.len().to_string().as_bytes()]);
        [&line, &value[..], b"\r\n"].concat()
    };
    match (asked, command, edit) {
        (Asked::Set, Command::Put { key, value }, None) => block(b"set", key, value),
        (Asked::Add, Command::PutKeep { key, value }, None) => block(b"add", key, value),
        (Asked::Edit, Command::Put { key, value }, Some(Edit::IfPresent)) => block(b"replace", key, value),
        (Asked::Edit, Command::PutCat { key, value }, Some(Edit::IfPresent)) => block(b"append", key, value),
        (Asked::Edit, Command::PutCat { key, value }, Some(Edit::Prepend)) => block(b"prepend", key, value),
        (Asked::Values, Command::Mget { keys }, None) => {
            let words: Vec<&[u8]> = [&b"get"[..]]
                .into_iter()
                .chain(keys.iter().map(|key| &key[..]))
                .collect();
            line(&words)
        }
        (Asked::Delete, Command::Out { key }, None) => line(&[b"delete", key]),
        (Asked::Number, Command::AddInt { key, .. }, Some(Edit::Decimal(by))) => {
            line(&[b"incr", key, by.to_string().as_bytes()])
        }
        (Asked::Stats, Command::Stat, None) => line(&[b"stats"]),
        (Asked::Version, Command::Stat, None) => line(&[b"version"]),
        (Asked::Flush, Command::Vanish, None) => line(&[b"flush_all"]),
        other => panic!("nothing in memcached's protocol means {other:?}"),
    }
}
