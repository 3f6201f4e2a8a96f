//! What must hold of any bytes that are read as requests of HTTP.

use ttguard::command::Command;
use ttguard::protocol::http::reply::{Asked, Form};
use ttguard::protocol::http::request::{Decoder, Fault};
use ttguard::protocol::tyrant::limits::Limits;

use super::request::can_be_sent;
use super::small::{ARGUMENTS, LIMITS};
use super::{fed, pieces};

type Decoded = (Vec<(Command, Form)>, Result<usize, Fault>);

/// Checks one input: how its bytes are cut, as [`pieces::list`] reads it, and then the bytes.
///
/// # Panics
/// When the bytes give other requests in pieces than whole, when a request cannot be sent on as one whole frame, or when
/// it is another one once it is spelled anew.
pub fn check(mut input: &[u8]) {
    let lengths = pieces::list(&mut input);
    let (requests, end) = decode(LIMITS, &[input]);
    assert_eq!(decode(LIMITS, &pieces::cut(lengths, input)), (requests.clone(), end));
    requests.iter().for_each(|(command, _)| can_be_sent(command));
    let spelled: Vec<u8> = requests.iter().flat_map(spelled).collect();
    assert_eq!(
        decode(ARGUMENTS, &[&spelled]),
        (requests, Ok(0)),
        "{}",
        spelled.escape_ascii()
    );
}

fn decode(limits: Limits, pieces: &[&[u8]]) -> Decoded {
    let mut decoder = Decoder::new(limits);
    fed::fed(pieces.iter().copied(), |input| decoder.decode(input))
}

/// A request as one would write it by hand.
fn spelled((command, form): &(Command, Form)) -> Vec<u8> {
    let connection = if form.close { "close" } else { "keep-alive" };
    let version = if form.says_kept { "1.0" } else { "1.1" };
    let head = |method: &str, key: &[u8], headers: &[u8], body: &[u8]| {
        let line = format!(
            "{method} /{} HTTP/{version}\r\nConnection: {connection}\r\n",
            escaped(key)
        );
        [line.as_bytes(), headers, b"\r\n", body].concat()
    };
    let with_body = |method: &str, key: &[u8], headers: &[u8], body: &[u8]| {
        let length = format!("Content-Length: {}\r\n", body.len());
        head(method, key, &[headers, length.as_bytes()].concat(), body)
    };
    match (form.asked, command) {
        (Asked::Get, Command::Get { key }) => head("GET", key, b"", b""),
        (Asked::Head, Command::Vsiz { key }) => head("HEAD", key, b"", b""),
        (Asked::Delete, Command::Out { key }) => head("DELETE", key, b"", b""),
        (Asked::Options, Command::Stat) => head("OPTIONS", b"", b"", b""),
        (Asked::Put, Command::Put { key, value }) => with_body("PUT", key, b"", value),
        (Asked::Put, Command::PutCat { key, value }) => with_body("PUT", key, b"X-TT-PDMODE: 2\r\n", value),
        (Asked::PutKeep, Command::PutKeep { key, value }) => with_body("PUT", key, b"X-TT-PDMODE: 1\r\n", value),
        (
            Asked::Script,
            Command::Ext {
                function,
                options,
                key,
                value,
            },
        ) => with_body(
            "POST",
            key,
            &called("X-TT-XNAME", function, "X-TT-XOPTS", *options),
            value,
        ),
        (
            Asked::Misc,
            Command::Misc {
                function,
                options,
                arguments,
            },
        ) => {
            let field = |(at, argument): (usize, &bytes::Bytes)| format!("{at}={}", escaped(argument));
            let fields: Vec<_> = arguments.iter().enumerate().map(field).collect();
            let headers = called("X-TT-MNAME", function, "X-TT-MOPTS", *options);
            with_body("POST", b"", &headers, fields.join("&").as_bytes())
        }
        other => panic!("nothing in HTTP means {other:?}"),
    }
}

/// The headers that name a function and its options.
fn called(name: &str, function: &[u8], options: &str, number: u32) -> Vec<u8> {
    let name = [name.as_bytes(), b": ", function, b"\r\n"].concat();
    [name, format!("{options}: {number}\r\n").into_bytes()].concat()
}

/// Every byte as an escape.
fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02x}")).collect()
}
