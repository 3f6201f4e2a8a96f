//! Answers to bytes.

use std::io::Write;

use bytes::{BufMut, Bytes, BytesMut};

use super::escape;
use crate::command::{Answer, Reason, Reply};
use crate::protocol::outgoing::Outgoing;
use crate::protocol::text::stat;

/// How a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// What was asked.
    pub asked: Asked,
    /// The connection ends with the answer.
    pub close: bool,
    /// The client is told that the connection goes on, as it asked for that in HTTP/1.0.
    pub says_kept: bool,
}

/// What was asked, as far as the answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `PUT`
    Put,
    /// `PUT` of what is not there yet.
    PutKeep,
    /// `DELETE`
    Delete,
    /// `POST` to a script function.
    Script,
    /// `POST` to a `misc` function.
    Misc,
    /// `OPTIONS`
    Options,
}

const OK: &str = "200 OK";
const CREATED: &str = "201 Created";
const FORBIDDEN: &str = "403 Forbidden";
const NOT_FOUND: &str = "404 Not Found";
const CONFLICT: &str = "409 Conflict";
const SERVER_ERROR: &str = "500 Internal Server Error";
const UNAVAILABLE: &str = "503 Service Unavailable";

/// The code by which `putkeep` says that there is a record, and the others that there is none.
const CONDITION: u8 = 1;

/// The lines of `stat` that `OPTIONS` tells, in the server's order.
const TOLD: [&str; 23] = [
    "version", "libver", "protver", "os", "time", "pid", "sid", "type", "path", "rnum", "size", "bigend", "mhost",
    "mport", "rts", "delay", "fd", "loadavg", "memsize", "memrss", "ru_real", "ru_user", "ru_sys",
];

/// Adds an answer to `out`. Large values are not copied.
pub fn encode(form: Form, answer: &Answer, out: &mut Outgoing) {
    match answer {
        Answer::Reply(reply) => match Reason::of_code(reply.code()) {
            // A ttguard behind this one has refused it.
            Some(reason) => refused(form, reason, out),
            None => encode_reply(form, reply, out),
        },
        Answer::Refused { reason, .. } => refused(form, *reason, out),
        Answer::NoRecord => said(form, NOT_FOUND, None, out),
        Answer::Unavailable => said(form, UNAVAILABLE, None, out),
    }
}

fn refused(form: Form, reason: Reason, out: &mut Outgoing) {
    match reason {
        Reason::Denied => said(form, FORBIDDEN, None, out),
        reason => said(form, CONFLICT, Some(reason.name()), out),
    }
}

fn encode_reply(form: Form, reply: &Reply, out: &mut Outgoing) {
    match (form.asked, reply) {
        (Asked::Get | Asked::Script, Reply::Value(value)) => {
            head(form, OK, "application/octet-stream", value.len() as u64, out);
            out.put_bytes(value);
        }
        (Asked::Head, Reply::Number(size)) => {
            head(form, OK, "application/octet-stream", size.unsigned_abs().into(), out);
        }
        (Asked::Misc, Reply::Strings { code: 0, strings }) => {
            let body = results(strings);
            head(form, OK, "application/x-www-form-urlencoded", body.len() as u64, out);
            out.put_bytes(&body);
        }
        (Asked::Options, Reply::Value(lines)) => status(form, lines, out),
        (Asked::Get | Asked::Head | Asked::Delete, Reply::Code(CONDITION)) => said(form, NOT_FOUND, None, out),
        (Asked::Delete, Reply::Code(0)) => said(form, OK, None, out),
        (Asked::Put | Asked::PutKeep, Reply::Code(0)) => said(form, CREATED, None, out),
        (Asked::PutKeep, Reply::Code(CONDITION)) => said(form, CONFLICT, None, out),
        (_, reply) if reply.code() == Reply::UNAVAILABLE => said(form, UNAVAILABLE, None, out),
        _ => said(form, SERVER_ERROR, None, out),
    }
}

/// The line that tells a client of HTTP/1.0 that the connection goes on, as it asked. Without it such a client waits for
/// the end of the connection.
fn kept(form: Form) -> &'static str {
    if form.says_kept {
        "Connection: keep-alive\r\n"
    } else {
        ""
    }
}

fn head(form: Form, status: &str, kind: &str, length: u64, out: &mut Outgoing) {
    let kept = kept(form);
    // Memory takes all of it.
    let _ = write!(
        out,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{kept}\r\n"
    );
}

/// A status whose body repeats its phrase, and says more where there is more to say. `HEAD` is told the status alone.
fn said(form: Form, status: &str, more: Option<&str>, out: &mut Outgoing) {
    if form.asked == Asked::Head {
        let _ = write!(out, "HTTP/1.1 {status}\r\n{}\r\n", kept(form));
        return;
    }
    let phrase = status.split_once(' ').map_or(status, |(_, phrase)| phrase);
    let (between, more) = more.map_or(("", ""), |more| (": ", more));
    let length = phrase.len() + between.len() + more.len() + 1;
    head(form, status, "text/plain", length as u64, out);
    let _ = writeln!(out, "{phrase}{between}{more}");
}

/// What a `misc` function answered, as a form.
fn results(strings: &[Bytes]) -> Bytes {
    let mut body = BytesMut::new();
    for (at, string) in strings.iter().enumerate() {
        if at > 0 {
            body.put_u8(b'&');
        }
        body.put_slice(format!("res{}=", at + 1).as_bytes());
        escape::encode(string, &mut body);
    }
    body.freeze()
}

fn status(form: Form, lines: &Bytes, out: &mut Outgoing) {
    out.put_slice(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nAllow: OPTIONS, GET, HEAD, PUT, POST, DELETE\r\n");
    out.put_slice(kept(form).as_bytes());
    for name in TOLD {
        if let Some(value) = stat(lines, name) {
            let _ = write!(out, "X-TT-{}: {value}\r\n", name.to_ascii_uppercase());
        }
    }
    out.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(asked: Asked, answer: Answer) -> String {
        let mut out = Outgoing::new();
        let form = Form {
            asked,
            close: false,
            says_kept: false,
        };
        encode(form, &answer, &mut out);
        String::from_utf8(out.take().to_vec()).expect("text")
    }

    #[test]
    fn every_reason_is_named_and_head_has_no_body() {
        let refused = |asked, reason| {
            let told_in_binary = Reply::Code(2);
            let answer = Answer::Refused {
                reason,
                told: told_in_binary,
            };
            told(asked, answer)
        };
        for (reason, body) in [
            (Reason::Stale, "Conflict: stale\n"),
            (Reason::Tie, "Conflict: tie\n"),
            (Reason::Future, "Conflict: future\n"),
            (Reason::Unstamped, "Conflict: unstamped\n"),
        ] {
            let answer = refused(Asked::Put, reason);
            assert!(answer.starts_with("HTTP/1.1 409 Conflict\r\n"), "{answer}");
            let length = format!("Content-Length: {}\r\n\r\n{body}", body.len());
            assert!(answer.ends_with(&length), "{answer}");
        }
        assert!(refused(Asked::Delete, Reason::Denied).starts_with("HTTP/1.1 403 Forbidden\r\n"));
        let head = told(Asked::Head, Answer::Unavailable);
        assert_eq!(head, "HTTP/1.1 503 Service Unavailable\r\n\r\n");
    }

    #[test]
    fn what_misc_answers_is_a_form() {
        let strings = ["k 1", "\0\x7f/", "-_.!~*'()"].map(Bytes::from).to_vec();
        let answer = told(Asked::Misc, Answer::Reply(Reply::Strings { code: 0, strings }));
        assert!(
            answer.ends_with("\r\n\r\nres1=k%201&res2=%00%7F%2F&res3=-_.!~*'()"),
            "{answer}"
        );
        let failed = Reply::Strings {
            code: 1,
            strings: vec![],
        };
        assert!(told(Asked::Misc, Answer::Reply(failed)).starts_with("HTTP/1.1 500 "));
    }
}
