//! Every pair of a request and a code: what a client is told.

use bytes::Bytes;

use super::*;
use crate::command::{Reason, Reply};

fn told(form: Form, answer: Answer) -> String {
    let mut out = Outgoing::new();
    encode(form, &answer, &mut out);
    String::from_utf8(out.take().to_vec()).expect("text")
}

/// A failure in the shape that `misc` has, or that all others have.
fn failed(is_misc: bool, code: u8) -> Answer {
    Answer::Reply(match is_misc {
        true => Reply::Strings { code, strings: vec![] },
        false => Reply::Code(code),
    })
}

#[test]
fn memcached_is_told_of_a_miss_for_the_code_of_a_miss_alone() {
    use memcached::reply::Asked;
    const UNEXPECTED: &str = "SERVER_ERROR unexpected";
    // What is said to 0 and to 1.
    let table = [
        (Asked::Set, "STORED", UNEXPECTED),
        (Asked::Add, "STORED", "NOT_STORED"),
        (Asked::Edit, "STORED", UNEXPECTED),
        (Asked::Values, UNEXPECTED, UNEXPECTED),
        (Asked::Delete, "DELETED", "NOT_FOUND"),
        (Asked::Number, UNEXPECTED, UNEXPECTED),
        (Asked::Stats, UNEXPECTED, UNEXPECTED),
        (Asked::Version, UNEXPECTED, UNEXPECTED),
        (Asked::Flush, "OK", UNEXPECTED),
    ];
    for (asked, success, condition) in table {
        let form = Form::Memcached(memcached::reply::Form { asked, silent: false });
        for code in 0..=255 {
            let wanted = match code {
                0 => success,
                1 => condition,
                2 => "NOT_STORED",
                3 => "CLIENT_ERROR future",
                4 => "CLIENT_ERROR unstamped",
                5 => "CLIENT_ERROR forbidden",
                6 => "SERVER_ERROR unavailable",
                _ => UNEXPECTED,
            };
            assert_eq!(
                told(form, failed(false, code)),
                format!("{wanted}\r\n"),
                "{asked:?} {code}"
            );
        }
        assert_eq!(
            told(form, Answer::Unavailable),
            "SERVER_ERROR unavailable\r\n",
            "{asked:?}"
        );
        let no_record = if asked == Asked::Number {
            "NOT_FOUND\r\n"
        } else {
            "NOT_STORED\r\n"
        };
        assert_eq!(told(form, Answer::NoRecord), no_record, "{asked:?}");
    }
}

#[test]
fn http_is_told_of_a_miss_for_the_code_of_a_miss_alone() {
    use http::reply::Asked;
    // What is said to 0 and to 1.
    let table = [
        (Asked::Get, "500", "404"),
        (Asked::Head, "500", "404"),
        (Asked::Put, "201", "500"),
        (Asked::PutKeep, "201", "409"),
        (Asked::Delete, "200", "404"),
        (Asked::Script, "500", "500"),
        (Asked::Misc, "200", "500"),
        (Asked::Options, "500", "500"),
    ];
    for (asked, success, condition) in table {
        for says_kept in [false, true] {
            let form = Form::Http(http::reply::Form {
                asked,
                close: false,
                says_kept,
            });
            for code in 0..=255 {
                let (status, more) = match code {
                    0 => (success, ""),
                    1 => (condition, ""),
                    2 => ("409", ": stale"),
                    3 => ("409", ": future"),
                    4 => ("409", ": unstamped"),
                    5 => ("403", ""),
                    6 => ("503", ""),
                    _ => ("500", ""),
                };
                let told = told(form, failed(asked == Asked::Misc, code));
                assert!(
                    told.starts_with(&format!("HTTP/1.1 {status} ")),
                    "{asked:?} {code}: {told}"
                );
                assert!(
                    asked == Asked::Head || more.is_empty() || told.ends_with(&format!("{more}\n")),
                    "{told}"
                );
                assert_eq!(told.contains("\r\nConnection: keep-alive\r\n"), says_kept, "{told}");
            }
            assert!(
                told(form, Answer::Unavailable).starts_with("HTTP/1.1 503 "),
                "{asked:?}"
            );
        }
    }
}

#[test]
fn clients_of_the_binary_protocol_are_told_every_code_as_it_is() {
    for dialect in [Dialect::Tyrant, Dialect::PyTyrant] {
        let form = Form::Binary(dialect);
        for code in 0..=255 {
            let mut out = Outgoing::new();
            encode(form, &failed(false, code), &mut out);
            assert_eq!(out.take(), [code][..], "{dialect:?}");
            let refused = Answer::Refused {
                reason: Reason::Stale,
                told: Reply::Code(code),
            };
            encode(form, &refused, &mut out);
            assert_eq!(out.take(), [code][..], "{dialect:?}");
            // PyTyrant does not read the count behind a failure.
            encode(form, &failed(true, code), &mut out);
            let has_count = code == 0 || dialect == Dialect::Tyrant;
            let wanted = if has_count { vec![code, 0, 0, 0, 0] } else { vec![code] };
            assert_eq!(out.take(), wanted, "{dialect:?}");
        }
        assert!(!form.can_say_unavailable());
    }
}

#[test]
fn what_is_found_is_told_as_it_is() {
    let value = || Answer::Reply(Reply::Value(Bytes::from_static(b"v")));
    let http = |asked, says_kept| {
        Form::Http(http::reply::Form {
            asked,
            close: false,
            says_kept,
        })
    };
    assert_eq!(
        told(http(http::reply::Asked::Get, true), value()),
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nv"
    );
    let none = Answer::Reply(Reply::Records(vec![]));
    let values = memcached::reply::Form {
        asked: memcached::reply::Asked::Values,
        silent: false,
    };
    assert_eq!(told(Form::Memcached(values), none), "END\r\n");
}
