use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::protocol::fed;

const LIMITS: Limits = Limits {
    argument_max: 64,
    key_max: 64,
    value_max: 64,
    arguments_max: 4,
    frame_max: 400,
};

type Fed = (Vec<(Command, Form)>, Result<usize, Fault>);

/// What comes of `bytes` when they arrive `step` at a time: the requests, and the fault or the bytes left over.
fn fed(bytes: &[u8], step: usize) -> Fed {
    let mut decoder = Decoder::new(LIMITS);
    fed::fed(bytes.chunks(step), |input| decoder.decode(input))
}

fn accepted(text: &str) -> (Command, Form) {
    let whole = fed(text.as_bytes(), text.len());
    assert_eq!(fed(text.as_bytes(), 1), whole, "{text}");
    let (mut requests, end) = whole;
    assert_eq!((requests.len(), end), (1, Ok(0)), "{text}");
    requests.remove(0)
}

fn refused(text: &str) -> Fault {
    let whole = fed(text.as_bytes(), text.len());
    assert_eq!(fed(text.as_bytes(), 1), whole, "{text}");
    assert_eq!(whole.0, [], "{text}");
    whole.1.expect_err(text)
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from(text)
}

#[test]
fn every_method_is_understood() {
    let (key, value) = (bytes("a b"), bytes("v\r\n"));
    let cases = [
        (
            "GET /a+b HTTP/1.1\r\n\r\n",
            Command::Get { key: key.clone() },
            Asked::Get,
        ),
        (
            "HEAD /a%20b HTTP/1.1\nHost: x\n\n",
            Command::Vsiz { key: key.clone() },
            Asked::Head,
        ),
        (
            "DELETE a+b HTTP/1.1\r\n\r\n",
            Command::Out { key: key.clone() },
            Asked::Delete,
        ),
        ("OPTIONS * HTTP/1.1\r\n\r\n", Command::Stat, Asked::Options),
        (
            "PUT Http://host:1/a+b HTTP/1.1\r\ncontent-length:\t3 \r\n\r\nv\r\n",
            Command::Put {
                key: key.clone(),
                value: value.clone(),
            },
            Asked::Put,
        ),
        (
            "PUT /a+b HTTP/1.1\r\nX-TT-PDMODE: 1\r\nContent-Length: 3\r\n\r\nv\r\n",
            Command::PutKeep {
                key: key.clone(),
                value: value.clone(),
            },
            Asked::PutKeep,
        ),
        (
            "PUT /a+b HTTP/1.1\r\nX-TT-PDMODE: 2\r\nContent-Length: 3\r\n\r\nv\r\n",
            Command::PutCat {
                key: key.clone(),
                value: value.clone(),
            },
            Asked::Put,
        ),
        (
            "PUT / HTTP/1.1\r\n\r\n",
            Command::Put {
                key: bytes(""),
                value: bytes(""),
            },
            Asked::Put,
        ),
        (
            "POST /a+b HTTP/1.1\r\nX-TT-MNAME: no\r\nX-TT-XNAME: f\r\nX-TT-XOPTS: 2\r\nContent-Length: 3\r\n\r\nv\r\n",
            Command::Ext {
                function: bytes("f"),
                options: 2,
                key,
                value,
            },
            Asked::Script,
        ),
        (
            "POST / HTTP/1.1\r\nX-TT-MNAME: putlist\r\nX-TT-MOPTS: 1\r\nContent-Length: 11\r\n\r\n0=k1&1=v%31",
            Command::Misc {
                function: bytes("putlist"),
                options: 1,
                arguments: vec![bytes("k1"), bytes("v1")],
            },
            Asked::Misc,
        ),
    ];
    for (text, command, asked) in cases {
        assert_eq!(accepted(text), (command, Form { asked, close: false }), "{text}");
    }
}

#[test]
fn the_connection_goes_on_as_version_and_header_say() {
    let cases = [
        ("1.1", "", false),
        ("1.0", "", true),
        ("1.1", "Connection: Close\r\n", true),
        ("1.1", "connection: x, close\r\n", true),
        ("1.0", "Connection: keep-alive\r\n", false),
    ];
    for (version, header, close) in cases {
        let text = format!("GET /k HTTP/{version}\r\n{header}\r\n");
        assert_eq!(accepted(&text).1.close, close, "{text}");
    }
}

#[test]
fn every_mistake_has_its_name() {
    let put = |headers: &str| format!("PUT /k HTTP/1.1\r\n{headers}\r\n\r\nvv");
    let post = |headers: &str| format!("POST /k HTTP/1.1\r\n{headers}\r\n\r\n");
    let long_name = format!("X-TT-XNAME: {}", "x".repeat(300));
    let cases = [
        ("BREW / HTTP/1.1\r\n\r\n".to_owned(), "unknown_method"),
        ("ABCDEFGHIJ".to_owned(), "unknown_method"),
        ("GET\t/k HTTP/1.1\r\n\r\n".to_owned(), "unknown_method"),
        ("GET  /k HTTP/1.1\r\n\r\n".to_owned(), "bad_request_line"),
        ("GET /k\r\n\r\n".to_owned(), "bad_request_line"),
        ("GET /k HTTP/1.1 x\r\n\r\n".to_owned(), "bad_request_line"),
        ("GET /k\rx HTTP/1.1\r\n\r\n".to_owned(), "bad_request_line"),
        ("GET /k HTTP/2.0\r\n\r\n".to_owned(), "bad_version"),
        ("GET /k HTTP/1.10\r\n\r\n".to_owned(), "bad_version"),
        (put("no colon"), "bad_header"),
        (put("Host : x"), "bad_header"),
        (put("Host: x\r\n folded: y"), "bad_header"),
        (put("Host: x\ry"), "bad_header"),
        (put("Host: x\0"), "bad_header"),
        (put("Content-Length: 2\r\nContent-Length: 2"), "bad_content_length"),
        (put("Content-Length: 2, 2"), "bad_content_length"),
        (put("Content-Length: +2"), "bad_content_length"),
        (put("Content-Length: -1"), "bad_content_length"),
        (put("Content-Length: 0x2"), "bad_content_length"),
        (put("Content-Length:"), "bad_content_length"),
        (put("Content-Length: 65"), "argument_too_large"),
        (put("Content-Length: 99999999999999999999"), "argument_too_large"),
        (put("Transfer-Encoding: chunked"), "transfer_encoding"),
        (
            put("Content-Length: 2\r\ntransfer-encoding: identity"),
            "transfer_encoding",
        ),
        (put("X-TT-PDMODE: x"), "bad_number"),
        (
            "GET /k HTTP/1.1\r\nContent-Length: 1\r\n\r\nx".to_owned(),
            "unexpected_body",
        ),
        ("GET /k%4 HTTP/1.1\r\n\r\n".to_owned(), "bad_escape"),
        (post("Content-Length: 0"), "no_function"),
        (post("X-TT-XNAME: f\r\nX-TT-XOPTS: -1"), "bad_number"),
        (
            post("X-TT-MNAME: f\r\nContent-Type: Multipart/form-data; boundary=x"),
            "media_type",
        ),
        (
            post(&format!("{long_name}\r\nX-A: {}", "a".repeat(100))),
            "head_too_large",
        ),
    ];
    for (text, name) in cases {
        assert_eq!(refused(&text).name(), name, "{text}");
    }
    let body = "POST / HTTP/1.1\r\nX-TT-MNAME: f\r\nContent-Length: 9\r\n\r\n1&2&3&4&5";
    assert_eq!(refused(body).name(), "too_many_arguments");
}

/// Requests that come near to being right.
fn requests() -> impl Strategy<Value = Vec<u8>> {
    let line = "(GET|PUT|POST|HEADS|) (/k|/%4|http://x/k|/k{20,90}) HTTP/1\\.(1|0|2)";
    let header = "(Content-Length: (0|3|3|70)|X-TT-MNAME: f|X-TT-PDMODE: 1|Connection: close|Host: x|no|)";
    let end = prop_oneof![3 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r")];
    (line, vec(header, 0..4), end, "[a-z&=%]{0,5}").prop_map(|(line, headers, end, body)| {
        let headers: String = headers.iter().map(|header| format!("{header}{end}")).collect();
        format!("{line}{end}{headers}{end}{body}").into_bytes()
    })
}

proptest! {
    #[test]
    fn however_it_is_cut_the_same_comes_of_it(requests in vec(requests(), 1..4), step in 1usize..40) {
        let bytes = requests.concat();
        prop_assert_eq!(fed(&bytes, step), fed(&bytes, bytes.len()));
    }
}
