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
        let form = Form {
            asked,
            close: false,
            says_kept: false,
        };
        assert_eq!(accepted(text), (command, form), "{text}");
    }
}

#[test]
fn the_connection_goes_on_as_version_and_header_say() {
    let cases = [
        ("1.1", "", false, false),
        ("1.0", "", true, false),
        ("1.1", "Connection: Close\r\n", true, false),
        ("1.1", "connection: x, close\r\n", true, false),
        ("1.1", "Connection: keep-alive\r\n", false, false),
        ("1.0", "Connection: Keep-Alive\r\n", false, true),
    ];
    for (version, header, close, says_kept) in cases {
        let text = format!("GET /k HTTP/{version}\r\n{header}\r\n");
        let form = accepted(&text).1;
        assert_eq!((form.close, form.says_kept), (close, says_kept), "{text}");
    }
}

#[test]
fn every_mistake_has_its_name() {
    let put = |headers: &str| format!("PUT /k HTTP/1.1\r\n{headers}\r\n\r\nvv");
    let post = |headers: &str| format!("POST /k HTTP/1.1\r\n{headers}\r\n\r\n");
    let long_name = format!("X-TT-XNAME: {}", "x".repeat(300));
    let cases = [
        ("BREW / HTTP/1.1\r\n\r\n".to_owned(), "unknown_method"),
        ("PATCH /k HTTP/1.1\r\n".to_owned(), "unknown_method"),
        ("VERSION-CONTROL /k HTTP/1.0\r\n".to_owned(), "unknown_method"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), "bad_version"),
        ("BREW".repeat(9), "no_method"),
        ("GET\t/k HTTP/1.1\r\n\r\n".to_owned(), "no_method"),
        ("STATS\r\n".to_owned(), "no_method"),
        ("SET k 0 0 1\r\n".to_owned(), "bad_request_line"),
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
        (
            put("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
            "transfer_encoding",
        ),
        (put("Transfer-Encoding: gzip, chunked"), "transfer_encoding"),
        (put("Transfer-Encoding: xchunked"), "transfer_encoding"),
        (put("Transfer-Encoding:"), "transfer_encoding"),
        (
            put("Transfer-Encoding: chunked\r\nContent-Length: 2"),
            "bad_content_length",
        ),
        (
            put("Content-Length: 2\r\nTransfer-Encoding: chunked"),
            "bad_content_length",
        ),
        (
            "PUT /k HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
            "transfer_encoding",
        ),
        (
            "DELETE /k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
            "unexpected_body",
        ),
        (put("Expect: 200-ok"), "expectation"),
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

/// A `PUT` whose body is these bytes behind its head.
fn in_chunks(body: &str) -> String {
    format!("PUT /k HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n{body}")
}

#[test]
fn chunks_are_put_together() {
    for (body, value) in [
        ("0\r\n\r\n", ""),
        ("3\r\nabc\r\n0\r\n\r\n", "abc"),
        ("1\r\na\r\n0000000000000002\r\nbc\r\n000\r\n\r\n", "abc"),
        (
            "A\r\n0123456789\r\na\r\n0\r\n\r\n34567\r\n0\r\n\r\n",
            "01234567890\r\n\r\n34567",
        ),
        (
            "1;name=value\r\na\r\n1 ;x;y=\"z\"\r\nb\r\n0;end\r\nX: y\r\nContent-Length: 7\r\n\r\n",
            "ab",
        ),
    ] {
        let (command, _) = accepted(&in_chunks(body));
        let value = Bytes::copy_from_slice(value.as_bytes());
        assert_eq!(command, Command::Put { key: bytes("k"), value }, "{body}");
    }
    let (form, _) = accepted(
        "POST / HTTP/1.1\r\nX-TT-MNAME: putlist\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n0=k\r\n4\r\n&1=v\r\n0\r\n\r\n",
    );
    let Command::Misc { arguments, .. } = form else {
        panic!("{form:?}");
    };
    assert_eq!(arguments, ["k", "v"]);
    // What follows is the next request.
    let two = in_chunks("1\r\na\r\n0\r\n\r\n") + "GET /x HTTP/1.1\r\n\r\n";
    for step in [1, 7, two.len()] {
        let (requests, end) = fed(two.as_bytes(), step);
        assert_eq!((requests.len(), end), (2, Ok(0)));
        assert_eq!(requests[1].0, Command::Get { key: bytes("x") });
    }
}

#[test]
fn a_chunk_that_two_readers_could_see_end_in_two_places_is_refused() {
    let long = format!("1;{}\r\n", "x".repeat(1100));
    for (body, name) in [
        ("\r\n", "bad_chunk"),
        ("x\r\n", "bad_chunk"),
        ("-1\r\n", "bad_chunk"),
        ("+1\r\n", "bad_chunk"),
        ("0x1\r\n", "bad_chunk"),
        (" 1\r\n", "bad_chunk"),
        ("1 \r\n", "bad_chunk"),
        ("1 2\r\n", "bad_chunk"),
        ("1\n", "bad_chunk"),
        ("1\r", "bad_chunk"),
        ("1;a\nb\r\n", "bad_chunk"),
        ("1;a\rb\r\n", "bad_chunk"),
        ("1;a\0\r\n", "bad_chunk"),
        ("1\r\nab", "bad_chunk"),
        ("1\r\na\n", "bad_chunk"),
        ("00000000000000001\r\n", "bad_chunk"),
        (&long, "bad_chunk"),
        ("0\r\nX: y\n", "bad_chunk"),
        ("0\r\nX y\r\n", "bad_header"),
        ("0\r\nX : y\r\n", "bad_header"),
        ("41\r\n", "argument_too_large"),
        (
            "40\r\n0123456789012345678901234567890123456789012345678901234567890123\r\n1\r\n",
            "argument_too_large",
        ),
        ("ffffffffffffffff\r\n", "argument_too_large"),
    ] {
        // The last byte of "1\r" is judged with the next one.
        let text = in_chunks(body) + if body == "1\r" { "x" } else { "" };
        assert_eq!(refused(&text).name(), name, "{body:?}");
    }
}

#[test]
fn what_lies_between_chunks_is_bounded_and_takes_no_room() {
    let limits = Limits {
        argument_max: 1 << 20,
        value_max: 1 << 20,
        frame_max: 1 << 21,
        ..LIMITS
    };
    let mut decoder = Decoder::new(limits);
    let mut input = BytesMut::from(in_chunks("").as_bytes());
    let head = input.len();
    for sent in 1..=10_000 {
        input.extend_from_slice(b"1\r\nx\r\n");
        assert_eq!(decoder.decode(&mut input), Ok(None));
        assert_eq!(input.len(), head + sent, "only head and data are held");
    }
    let mut decoder = Decoder::new(limits);
    let mut input = BytesMut::from(in_chunks("").as_bytes());
    let chunk = format!("1;{}\r\nx\r\n", "e".repeat(900));
    let fault = (0..1000).find_map(|_| {
        input.extend_from_slice(chunk.as_bytes());
        decoder.decode(&mut input).err()
    });
    assert_eq!(fault, Some(Fault::BadChunk));
}

#[test]
fn whoever_waits_for_word_is_told_once_to_go_ahead() {
    let waiting = |headers: &str, body: &str| {
        let mut decoder = Decoder::new(LIMITS);
        let mut input = BytesMut::from(format!("PUT /k {headers}\r\n\r\n{body}").as_bytes());
        let decoded = decoder.decode(&mut input).expect("no fault").is_some();
        let told = decoder.go_ahead().is_some();
        assert_eq!(decoder.go_ahead(), None, "once");
        (decoded, told)
    };
    let sized = "HTTP/1.1\r\nContent-Length: 1\r\nExpect: 100-Continue";
    assert_eq!(waiting(sized, ""), (false, true));
    assert_eq!(waiting(sized, "x"), (true, false));
    let chunked = "HTTP/1.1\r\nTransfer-Encoding: chunked\r\nexpect: 100-continue";
    assert_eq!(waiting(chunked, ""), (false, true));
    assert_eq!(waiting(chunked, "1"), (false, false));
    assert_eq!(waiting("HTTP/1.1\r\nContent-Length: 1", ""), (false, false));
    assert_eq!(waiting("HTTP/1.1\r\nExpect: 100-continue", ""), (true, false));
    assert_eq!(
        waiting("HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue", ""),
        (false, false)
    );
}

#[test]
fn a_name_that_anyone_may_own_is_asked_in_vain() {
    let ask = |text: &str| {
        let mut decoder = Decoder::new(LIMITS).asked_by(vec!["Tyrant.example".to_owned()].into());
        decoder.decode(&mut BytesMut::from(text.as_bytes()))
    };
    let by = |host: &str| ask(&format!("GET /k HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    for ours in [
        "localhost",
        "LOCALHOST:1978",
        "127.0.0.1:1978",
        "[::1]:1",
        "10.1.2.3",
        "tyrant.EXAMPLE:1",
    ] {
        assert!(by(ours).is_ok(), "{ours}");
    }
    for theirs in [
        "evil.example",
        "localhost.evil.example:1978",
        "127.0.0.1.evil.example",
        "",
        "a b",
    ] {
        assert_eq!(by(theirs), Err(Fault::ForeignHost), "{theirs}");
    }
    assert!(ask("GET /k HTTP/1.0\r\n\r\n").is_ok());
    assert_eq!(by("localhost\r\nHost: evil.example"), Err(Fault::ForeignHost));
    assert!(ask("GET http://127.0.0.1:1/k HTTP/1.1\r\n\r\n").is_ok());
    assert_eq!(
        ask("GET http://evil.example HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        Err(Fault::ForeignHost)
    );
}

/// Requests that come near to being right.
fn requests() -> impl Strategy<Value = Vec<u8>> {
    let line = "(GET|PUT|POST|HEADS|) (/k|/%4|http://x/k|/k{20,90}) HTTP/1\\.(1|0|2)";
    let header = "(Content-Length: (0|3|3|70)|Transfer-Encoding: chunked|X-TT-MNAME: f|X-TT-PDMODE: 1|Connection: close|Host: x|no|)";
    let end = prop_oneof![3 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r")];
    let body = "([a-z&=%]{0,5}|([0-3];?\r\n[a-z]{0,3}\r\n){0,3}0?\r\n\r\n)";
    (line, vec(header, 0..4), end, body).prop_map(|(line, headers, end, body)| {
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
