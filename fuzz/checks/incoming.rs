//! What must hold of any bytes that are read as requests in whatever protocol.

use bytes::Bytes;
use ttguard::command::{Answer, Reason, Reply};
use ttguard::protocol::answer::{self, Form};
use ttguard::protocol::outgoing::Outgoing;
use ttguard::protocol::request::{Decoder, Fault, Incoming, Request};
use ttguard::protocol::tyrant::dialect::Dialect;
use ttguard::protocol::{Protocol, Protocols};

use super::request::can_be_sent;
use super::small::LIMITS;
use super::{fed, pieces};

/// Checks one input: how its bytes are cut, as [`pieces::list`] reads it, and then the bytes.
///
/// # Panics
/// When the bytes give other requests in pieces than whole, when a fault does not stay, when a request cannot be sent on
/// as one whole frame, when its protocol has no words for an answer, or when a request comes by a protocol that is not
/// served.
pub fn check(mut input: &[u8]) {
    let lengths = pieces::list(&mut input);
    let whole = decode(Protocols::ALL, &[input]);
    assert_eq!(decode(Protocols::ALL, &pieces::cut(lengths, input)), whole);
    let requests = || whole.0.iter().filter_map(of_incoming);
    for request in requests() {
        can_be_sent(&request.command);
        has_words(request.form);
    }
    for protocol in [Protocol::Binary, Protocol::Memcached, Protocol::Http] {
        let mut others = Protocols::ALL;
        others.remove(protocol);
        let (some, end) = decode(others, &[input]);
        assert_eq!(some, whole.0[..some.len()]);
        let ended = some.len();
        let mut some = some.iter().filter_map(of_incoming);
        assert!(some.all(|request| request.form.protocol() != protocol));
        // What is typed in capitals is no HTTP, and so nothing where memcached's lines are not served.
        let is_typed = matches!(whole.0.get(ended), Some(Incoming::Unknown { .. }));
        let is_refused = protocol == Protocol::Memcached && is_typed && matches!(end, Err(Fault::Http(_)));
        assert!(end == whole.1 || end == Err(Fault::NotServed(protocol)) || is_refused);
    }
}

fn of_incoming(incoming: &Incoming) -> Option<&Request> {
    match incoming {
        Incoming::Request(request) => Some(request),
        Incoming::Quit | Incoming::Unknown { .. } => None,
    }
}

/// A text protocol says something whatever the answer is.
fn has_words(form: Form) {
    if form.is_binary() {
        return;
    }
    let bytes = || Bytes::from_static(b"1700000000000\tx\r\n\0");
    let replies = [
        Reply::Code(1),
        Reply::OK,
        Reply::Code(Reply::UNAVAILABLE),
        Reply::Value(bytes()),
        Reply::Number(-1),
        Reply::Double {
            integral: -1,
            fractional: 1,
        },
        Reply::Count(u64::MAX),
        Reply::Records(vec![(bytes(), bytes())]),
        Reply::Keys(vec![bytes()]),
        Reply::Strings {
            code: 0,
            strings: vec![bytes()],
        },
    ];
    let reasons = [
        Reason::Stale,
        Reason::Tie,
        Reason::Future,
        Reason::Unstamped,
        Reason::Denied,
    ];
    let refused = reasons.into_iter().map(|reason| Answer::Refused {
        reason,
        told: Reply::Code(2),
    });
    let answers = replies.into_iter().map(Answer::Reply).chain(refused);
    for answer in answers.chain([Answer::NoRecord, Answer::Unavailable]) {
        let mut out = Outgoing::new();
        answer::encode(form, &answer, &mut out);
        assert!(!out.is_empty(), "{form:?} answers {answer:?} by nothing");
    }
}

/// The requests in `pieces`, and the fault or the bytes left over that end them.
fn decode(protocols: Protocols, pieces: &[&[u8]]) -> (Vec<Incoming>, Result<usize, Fault>) {
    let mut decoder = Decoder::new(LIMITS, protocols, Dialect::Tyrant);
    fed::fed(pieces.iter().copied(), |input| decoder.decode(input))
}
