//! Answers to bytes.

use std::io::Write;

use bytes::Bytes;

use crate::command::{Answer, Reason, Reply};
use crate::protocol::outgoing::Outgoing;
use crate::protocol::text::stat;

/// How a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// What was asked.
    pub asked: Asked,
    /// `noreply`: nothing is said.
    pub silent: bool,
}

/// What was asked, as far as the answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the verbs are those of the protocol's own description
pub enum Asked {
    Set,
    Add,
    /// `replace`, `append`, `prepend`.
    Edit,
    /// `get`, `gets`.
    Values,
    Delete,
    /// `incr`, `decr`.
    Number,
    Stats,
    Version,
    /// `flush_all`.
    Flush,
}

const STORED: &[u8] = b"STORED\r\n";
const NOT_STORED: &[u8] = b"NOT_STORED\r\n";
const NOT_FOUND: &[u8] = b"NOT_FOUND\r\n";
const END: &[u8] = b"END\r\n";
const UNEXPECTED: &[u8] = b"SERVER_ERROR unexpected\r\n";
const UNAVAILABLE: &[u8] = b"SERVER_ERROR unavailable\r\n";

/// The code by which `putkeep` says that there is a record, and `out` that there is none.
const CONDITION: u8 = 1;

/// Adds an answer to `out`. Large values are not copied.
pub fn encode(asked: Asked, answer: &Answer, out: &mut Outgoing) {
    match answer {
        Answer::Reply(reply) => match Reason::of_code(reply.code()) {
            // A ttguard behind this one has refused it.
            Some(reason) => out.put_slice(refusal(reason)),
            None => encode_reply(asked, reply, out),
        },
        Answer::Refused { reason, .. } => out.put_slice(refusal(*reason)),
        Answer::NoRecord if asked == Asked::Number => out.put_slice(NOT_FOUND),
        Answer::NoRecord => out.put_slice(NOT_STORED),
        Answer::Unavailable => out.put_slice(UNAVAILABLE),
    }
}

/// `NOT_STORED` is what memcached says where the condition of a write does not hold; the rest is what a client did
/// wrong, in the words of the server where it has any.
fn refusal(reason: Reason) -> &'static [u8] {
    match reason {
        Reason::Stale | Reason::Tie => NOT_STORED,
        Reason::Future => b"CLIENT_ERROR future\r\n",
        Reason::Unstamped => b"CLIENT_ERROR unstamped\r\n",
        Reason::Denied => b"CLIENT_ERROR forbidden\r\n",
    }
}

fn encode_reply(asked: Asked, reply: &Reply, out: &mut Outgoing) {
    let said = match (asked, reply) {
        (Asked::Values, Reply::Records(records)) => {
            records.iter().for_each(|(key, value)| put_value(key, value, out));
            END
        }
        (Asked::Number, Reply::Count(number)) => return put(out, format_args!("{number}\r\n")),
        (Asked::Stats, Reply::Value(lines)) => {
            put_stats(lines, out);
            END
        }
        (Asked::Version, Reply::Value(lines)) => {
            let version = stat(lines, "version").unwrap_or_default();
            return put(out, format_args!("VERSION {version}\r\n"));
        }
        (Asked::Set | Asked::Add | Asked::Edit, Reply::Code(0)) => STORED,
        (Asked::Add, Reply::Code(CONDITION)) => NOT_STORED,
        (Asked::Delete, Reply::Code(0)) => b"DELETED\r\n",
        (Asked::Delete, Reply::Code(CONDITION)) => NOT_FOUND,
        (Asked::Flush, Reply::Code(0)) => b"OK\r\n",
        (_, reply) if reply.code() == Reply::UNAVAILABLE => UNAVAILABLE,
        _ => UNEXPECTED,
    };
    out.put_slice(said);
}

fn put_value(key: &Bytes, value: &Bytes, out: &mut Outgoing) {
    out.put_slice(b"VALUE ");
    out.put_bytes(key);
    put(out, format_args!(" 0 {}\r\n", value.len()));
    out.put_bytes(value);
    out.put_slice(b"\r\n");
}

/// The server's own lines, in its order, from those of `stat`; `threads` is a line that the caller adds.
fn put_stats(lines: &Bytes, out: &mut Outgoing) {
    let text = |name| stat(lines, name).unwrap_or("0");
    let whole = |name| text(name).split('.').next().unwrap_or("0");
    let count = |name: &'static str| text(name).parse::<u64>().unwrap_or(0);
    let sum = |names: &[&'static str]| names.iter().map(|name| count(name)).sum::<u64>();
    let mut line = |name: &str, value: &dyn std::fmt::Display| put(out, format_args!("STAT {name} {value}\r\n"));
    line("pid", &text("pid"));
    line("uptime", &whole("ru_real"));
    line("time", &whole("time"));
    line("version", &text("version"));
    line("pointer_size", &usize::BITS);
    line("rusage_user", &text("ru_user"));
    line("rusage_system", &text("ru_sys"));
    let asked: [(&str, &[&'static str], &'static str); 3] = [
        (
            "cmd_set",
            &["cnt_put", "cnt_putkeep", "cnt_putcat", "cnt_putshl", "cnt_putnr"],
            "cnt_put_miss",
        ),
        ("cmd_delete", &["cnt_out"], "cnt_out_miss"),
        ("cmd_get", &["cnt_get"], "cnt_get_miss"),
    ];
    for (name, counted, missed) in asked {
        let (all, misses) = (sum(counted), count(missed));
        line(name, &all);
        line(&format!("{name}_hits"), &all.saturating_sub(misses));
        line(&format!("{name}_misses"), &misses);
    }
    line("cmd_flush", &text("cnt_vanish"));
    line("curr_items", &text("rnum"));
    line("total_items", &text("rnum"));
    line("bytes", &text("size"));
    line("threads", &text("threads"));
}

/// Adds formatted text. Memory takes all of it.
fn put(out: &mut Outgoing, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(asked: Asked, answer: Answer) -> String {
        let mut out = Outgoing::new();
        encode(asked, &answer, &mut out);
        String::from_utf8(out.take().to_vec()).expect("text")
    }

    #[test]
    fn every_reason_has_its_words() {
        let refused = |reason| {
            let told = Reply::Code(2);
            said(Asked::Set, Answer::Refused { reason, told })
        };
        assert_eq!(refused(Reason::Stale), "NOT_STORED\r\n");
        assert_eq!(refused(Reason::Tie), "NOT_STORED\r\n");
        assert_eq!(refused(Reason::Future), "CLIENT_ERROR future\r\n");
        assert_eq!(refused(Reason::Unstamped), "CLIENT_ERROR unstamped\r\n");
        assert_eq!(refused(Reason::Denied), "CLIENT_ERROR forbidden\r\n");
    }
}
