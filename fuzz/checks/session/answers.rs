//! What a client may be told: whole answers to its own questions, in their order, and nothing else.

use std::sync::Arc;

use bytes::{Buf, BytesMut};
use memchr::memmem;
use ttguard::command::{Command, Reply, Verb};
use ttguard::protocol::Protocols;
use ttguard::protocol::answer::Form;
use ttguard::protocol::http;
use ttguard::protocol::memcached::reply::Asked;
use ttguard::protocol::request::{Decoder, Fault, Incoming, Request};
use ttguard::protocol::tyrant::dialect::Dialect;
use ttguard::protocol::tyrant::limits::Limits;
use ttguard::protocol::tyrant::opcode::Opcode;
use ttguard::protocol::tyrant::reply::ReplyDecoder;

use super::super::fed;
use super::super::small::LIMITS;
use super::backend::{number_of, value_of};

/// Checks what a client that has sent these bytes was told.
///
/// # Panics
/// When it is told anything but that, or when it is told less, unless its session may have failed.
pub fn check(sent: &[u8], told: &[u8], dialect: Dialect, may_fail: bool) {
    let mut decoder = Decoder::new(LIMITS, Protocols::ALL, dialect).asked_by(Arc::default());
    let (requests, end) = fed::fed([sent], |input| decoder.decode(input));
    let mut told = BytesMut::from(told);
    let mut may_fail = may_fail || dialect == Dialect::PyTyrant;
    let mut is_over = false;
    for incoming in &requests {
        let request = match incoming {
            Incoming::Request(request) => request,
            Incoming::Unknown { words: None } => continue,
            Incoming::Unknown { words: Some(words) } => {
                if told.is_empty() {
                    assert!(may_fail, "no answer to an unknown command");
                    return;
                }
                assert!(told.starts_with(words), "told {told:?} of an unknown command");
                told.advance(words.len());
                continue;
            }
            Incoming::Quit => {
                is_over = true;
                break;
            }
        };
        if matches!(request.form, Form::Http(_)) {
            pass_go_ahead(&mut told);
        }
        // Behind these a session may end, since nobody could tell what is next, or since nothing is.
        may_fail |= matches!(request.command.verb(), Verb::Repl | Verb::Vanish) || is_refused(request);
        if request.form.is_silent(&request.command) {
            continue;
        }
        if told.is_empty() {
            assert!(may_fail, "no answer to {request:?}");
            return;
        }
        let before = told.clone();
        let is_whole = take_answer(request, dialect, &mut told);
        assert!(is_whole, "told {:?} as the answer to {request:?}", before);
        if request.form.is_last() {
            is_over = true;
            break;
        }
    }
    pass_go_ahead(&mut told);
    let words = end
        .err()
        .filter(|_| !is_over)
        .and_then(|fault: Fault| fault.last_words());
    let words = words.unwrap_or_default();
    assert!(told.is_empty() || told == words.as_bytes(), "told {told:?} at last");
}

/// Takes the word that a body is wanted off the front: whether it is said depends on how the bytes came.
fn pass_go_ahead(told: &mut BytesMut) {
    const GO_AHEAD: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    if told.starts_with(GO_AHEAD) {
        told.advance(GO_AHEAD.len());
    }
}

/// What is refused here may end the session.
fn is_refused(request: &Request) -> bool {
    matches!(
        request.command.verb(),
        Verb::SetMst | Verb::Restore | Verb::Copy | Verb::Ext | Verb::Misc
    )
}

/// Takes an answer off the front; false when there is none that is whole and belongs to this request.
fn take_answer(request: &Request, dialect: Dialect, told: &mut BytesMut) -> bool {
    let command = &request.command;
    match request.form {
        Form::Binary(_) => {
            let is_failed = told.first().is_some_and(|code| *code != 0);
            if is_failed && command.verb() == Verb::Misc && dialect == Dialect::PyTyrant {
                told.advance(1);
                return true;
            }
            let shape = Opcode::of(command.verb()).shape;
            let reply = ReplyDecoder::new(Limits::REPLY).decode(shape, told);
            reply.is_ok_and(|reply| reply.is_some_and(|reply| belongs(command, &reply)))
        }
        Form::Memcached(form) => match form.asked {
            Asked::Values => take_values(command, told),
            Asked::Stats if told.starts_with(b"STAT ") => take_until(told, b"END\r\n").is_some(),
            _ => take_until(told, b"\r\n").is_some_and(|line| !line.is_empty()),
        },
        Form::Http(form) => take_page(command, form, told),
    }
}

/// Whether a binary answer is one to this question. A code alone says nothing of a record, unless there is none.
fn belongs(command: &Command, reply: &Reply) -> bool {
    let is_hidden = |key: &[u8]| key.starts_with(b"timestamp.");
    match (command, reply) {
        (Command::Get { key }, Reply::Value(value)) => value_of(key).as_ref() == Some(value),
        (Command::Get { key } | Command::Vsiz { key }, Reply::Code(1)) => value_of(key).is_none() || is_hidden(key),
        (Command::Get { .. } | Command::Vsiz { .. } | Command::Mget { .. }, Reply::Code(_)) => false,
        (Command::Vsiz { key }, Reply::Number(size)) => {
            value_of(key).is_some_and(|value| usize::try_from(*size) == Ok(value.len()))
        }
        (Command::Mget { keys }, Reply::Records(records)) => records
            .iter()
            .all(|(key, value)| keys.contains(key) && value_of(key).as_ref() == Some(value)),
        (Command::FwmKeys { prefix, .. }, Reply::Keys(found)) => found.iter().all(|key| key.starts_with(prefix)),
        (Command::AddInt { key, .. }, Reply::Number(number)) => *number == number_of(key),
        (Command::AddDouble { key, .. }, Reply::Double { integral, .. }) => *integral == i64::from(number_of(key)),
        (Command::Ext { key, .. }, Reply::Value(value)) => key == value,
        (
            Command::Misc {
                function, arguments, ..
            },
            Reply::Strings { code: 0, strings },
        ) if &function[..] == b"getlist" => strings
            .chunks(2)
            .all(|pair| arguments.contains(&pair[0]) && value_of(&pair[0]).as_ref() == pair.get(1)),
        _ => true,
    }
}

/// Takes what lies before `end` off the front, and `end` with it.
fn take_until(told: &mut BytesMut, end: &[u8]) -> Option<BytesMut> {
    let found = memmem::find(told, end)?;
    let before = told.split_to(found);
    told.advance(end.len());
    Some(before)
}

/// The lines of a memcached `get`.
fn take_values(command: &Command, told: &mut BytesMut) -> bool {
    let Command::Mget { keys } = command else {
        return false;
    };
    loop {
        let Some(line) = take_until(told, b"\r\n") else {
            return false;
        };
        let words: Vec<&[u8]> = line[..].split(|byte| *byte == b' ').collect();
        let [b"VALUE", key, b"0", size] = words[..] else {
            return line == b"END"[..] || line.starts_with(b"SERVER_ERROR ") || line.starts_with(b"CLIENT_ERROR ");
        };
        let size = std::str::from_utf8(size).ok().and_then(|size| size.parse().ok());
        let is_asked = keys.iter().any(|asked| asked == key);
        let Some((value, size)) = value_of(key).zip(size).filter(|_| is_asked) else {
            return false;
        };
        if told.len() < size || told.split_to(size) != value || !told.starts_with(b"\r\n") {
            return false;
        }
        told.advance(2);
    }
}

/// A page of HTTP.
fn take_page(command: &Command, form: http::reply::Form, told: &mut BytesMut) -> bool {
    let Some(head) = take_until(told, b"\r\n\r\n") else {
        return false;
    };
    let Ok(head) = std::str::from_utf8(&head) else {
        return false;
    };
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
    let length = lines.find_map(|line| line.strip_prefix("Content-Length: "));
    let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or(0);
    if let (Command::Vsiz { key }, Some("200 OK")) = (command, status) {
        return value_of(key).is_some_and(|value| value.len() == length);
    }
    if form.asked == http::reply::Asked::Head {
        return length == 0;
    }
    if told.len() < length {
        return false;
    }
    let body = told.split_to(length);
    match (command, status) {
        (Command::Get { key }, Some("200 OK")) => value_of(key).is_some_and(|value| value == body),
        (Command::Get { key }, Some("404 Not Found")) => value_of(key).is_none() || key.starts_with(b"timestamp."),
        _ => status.is_some(),
    }
}
