//! What a client is told of each of the backend's answers, in each protocol: a failure is never a miss, and never "exists".

use crate::support::client::{Client, Ending, PATIENCE};
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::http;
use crate::support::memcached::store;
use crate::support::real::Real;
use crate::support::scripted::{Act, End, Request, Rule, Scripted};

/// What becomes of a request at the backend.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// Carried out, and answered.
    Done,
    /// Not carried out, and answered by this code.
    Failed(u8),
    /// Carried out, and never answered.
    Lost,
    /// Answered by a value that is over the limit.
    TooLarge,
}

const ONE: &str = "workers = 1\nlanes = 1\nshared_puts = \"off\"\n[limits]\nreply = \"64KiB\"\n\
    [guard]\nverify_reads = false\n[pairing]\nrequest_timeout = \"1s\"\n";

/// A question, the number of the command that it is to the backend, and what is answered, whether the record is there or
/// not, for each fate: to `Done`, and to code 1. All else is told alike by all.
struct Row {
    question: String,
    opcode: u8,
    there: [&'static str; 2],
    missing: [&'static str; 2],
}

fn row(question: String, opcode: u8, there: [&'static str; 2], missing: [&'static str; 2]) -> Row {
    Row {
        question,
        opcode,
        there,
        missing,
    }
}

/// What is answered in the protocol of a question, up to the end of its first line.
fn first_line(scripted: &Scripted, row: &Row, is_there: bool, fate: Fate, guarded: &Guarded) -> String {
    scripted.forget();
    if is_there {
        scripted.insert("k", b"5");
    }
    if fate == Fate::TooLarge {
        scripted.insert("k", &vec![b'5'; 100_000]);
    }
    let opcode = row.opcode;
    let act = match fate {
        Fate::Done | Fate::TooLarge => None,
        Fate::Failed(code) => Some(Act::Fail(code)),
        Fate::Lost => Some(Act::Lose(End::Fin)),
    };
    if let Some(act) = act {
        scripted.rule(Rule::once(act, move |request: &Request| {
            request.opcode == opcode && request.arguments.first().is_some_and(|key| key == b"k")
        }));
    }
    let mut client = guarded.client();
    client.send(row.question.as_bytes());
    let line = client.try_recv_until(b"\r\n").unwrap_or_default();
    scripted.clear_rules();
    String::from_utf8(line).expect("text").trim_end().to_owned()
}

fn expect_table(rows: &[Row], refusals: [&str; 4], unavailable: &str, other: &str) {
    let scripted = Scripted::start();
    let guarded = Guarded::before(scripted.address(), ONE);
    for row in rows {
        for is_there in [true, false] {
            let [done, failed] = if is_there { row.there } else { row.missing };
            let told = |fate| first_line(&scripted, row, is_there, fate, &guarded);
            let what = format!("{:?}, there: {is_there}", row.question);
            assert_eq!(told(Fate::Done), done, "{what}");
            assert_eq!(told(Fate::Failed(1)), failed, "{what}, code 1");
            // A wrong code in front of an mget is no answer at all.
            if row.opcode != frame::MGET {
                for (code, words) in (2..6).zip(refusals) {
                    assert_eq!(told(Fate::Failed(code)), words, "{what}, code {code}");
                }
                assert_eq!(told(Fate::Failed(6)), unavailable, "{what}, code 6");
                for code in [7, 255] {
                    assert_eq!(told(Fate::Failed(code)), other, "{what}, code {code}");
                }
            }
        }
        if matches!(row.opcode, frame::GET | frame::MGET) {
            let told = first_line(&scripted, row, true, Fate::TooLarge, &guarded);
            assert_eq!(told, unavailable, "{}", row.question);
        }
        // A lost read is asked again; what has no stamp is not stored twice.
        let is_read = matches!(row.opcode, frame::GET | frame::MGET | frame::VSIZ);
        let wanted = if is_read { row.there[0] } else { unavailable };
        let told = first_line(&scripted, row, true, Fate::Lost, &guarded);
        assert_eq!(told, wanted, "{}, lost", row.question);
    }
}

#[test]
fn each_answer_has_its_words_in_memcacheds_text() {
    const UNEXPECTED: &str = "SERVER_ERROR unexpected";
    const UNAVAILABLE: &str = "SERVER_ERROR unavailable";
    let line = |text: &str| format!("{text}\r\n");
    let rows = [
        row(
            store("set", "k", "x"),
            frame::PUT,
            ["STORED", UNEXPECTED],
            ["STORED", UNEXPECTED],
        ),
        row(
            store("add", "k", "x"),
            frame::PUTKEEP,
            ["NOT_STORED", "NOT_STORED"],
            ["STORED", UNAVAILABLE],
        ),
        row(
            line("delete k"),
            frame::OUT,
            ["DELETED", UNAVAILABLE],
            ["NOT_FOUND", "NOT_FOUND"],
        ),
        row(
            line("get k"),
            frame::MGET,
            ["VALUE k 0 1", UNEXPECTED],
            ["END", UNEXPECTED],
        ),
    ];
    let refusals = [
        "NOT_STORED",
        "CLIENT_ERROR future",
        "CLIENT_ERROR unstamped",
        "CLIENT_ERROR forbidden",
    ];
    expect_table(&rows, refusals, UNAVAILABLE, UNEXPECTED);
}

#[test]
fn each_answer_has_its_status_in_http() {
    const OK: &str = "HTTP/1.1 200 OK";
    const CREATED: &str = "HTTP/1.1 201 Created";
    const NOT_FOUND: &str = "HTTP/1.1 404 Not Found";
    const CONFLICT: &str = "HTTP/1.1 409 Conflict";
    const ERROR: &str = "HTTP/1.1 500 Internal Server Error";
    const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable";
    let ask = |method: &str, headers: &[&str], body: &str| http::request(method, "/k", headers, body);
    let rows = [
        row(
            ask("GET", &[], ""),
            frame::GET,
            [OK, UNAVAILABLE],
            [NOT_FOUND, NOT_FOUND],
        ),
        row(
            ask("HEAD", &[], ""),
            frame::VSIZ,
            [OK, UNAVAILABLE],
            [NOT_FOUND, NOT_FOUND],
        ),
        row(ask("PUT", &[], "x"), frame::PUT, [CREATED, ERROR], [CREATED, ERROR]),
        row(
            ask("PUT", &["X-TT-PDMODE: 1"], "x"),
            frame::PUTKEEP,
            [CONFLICT, CONFLICT],
            [CREATED, UNAVAILABLE],
        ),
        row(
            ask("PUT", &["X-TT-PDMODE: 2"], "x"),
            frame::PUTCAT,
            [CREATED, ERROR],
            [CREATED, ERROR],
        ),
        row(
            ask("DELETE", &[], ""),
            frame::OUT,
            [OK, UNAVAILABLE],
            [NOT_FOUND, NOT_FOUND],
        ),
    ];
    let refusals = [CONFLICT, CONFLICT, CONFLICT, "HTTP/1.1 403 Forbidden"];
    expect_table(&rows, refusals, UNAVAILABLE, ERROR);
}

/// Requests of the binary protocol that a code alone can answer.
fn binary() -> Vec<(u8, Vec<u8>)> {
    vec![
        (frame::PUT, frame::store(frame::PUT, "k", b"x")),
        (frame::PUTKEEP, frame::store(frame::PUTKEEP, "k", b"x")),
        (frame::PUTCAT, frame::store(frame::PUTCAT, "k", b"x")),
        (frame::OUT, frame::keyed(frame::OUT, "k")),
        (frame::VSIZ, frame::keyed(frame::VSIZ, "k")),
        (frame::GET, frame::keyed(frame::GET, "k")),
    ]
}

#[test]
fn binary_clients_are_told_the_servers_code_and_of_a_loss_nothing() {
    for dialect in ["tyrant", "pytyrant"] {
        let scripted = Scripted::start();
        let guarded = Guarded::before(scripted.address(), &format!("dialect = \"{dialect}\"\n{ONE}"));
        for (opcode, question) in binary() {
            let ask = |act| {
                scripted.forget();
                scripted.insert("k", b"5");
                scripted.rule(Rule::once(act, move |request: &Request| request.opcode == opcode));
                let mut client = guarded.client();
                client.send(&question);
                let told = client.ending(PATIENCE);
                scripted.clear_rules();
                told
            };
            for code in [1, 2, 3, 4, 5, 6, 7, 255] {
                assert_eq!(
                    ask(Act::Fail(code)),
                    Ending::Answered(vec![code]),
                    "{dialect} {opcode:x} {code}"
                );
            }
            // A lost read is asked again.
            if !matches!(opcode, frame::GET | frame::VSIZ) {
                assert_eq!(ask(Act::Lose(End::Fin)), Ending::Reset, "{dialect} {opcode:x}");
            }
        }
    }
}

#[test]
fn a_mask_of_the_real_server_makes_no_record_missing_and_none_there() {
    let options = ["-mask", "out,putkeep,get,vsiz"];
    let Some(real) = Real::start_with(
        &options,
        "*",
        "a_mask_of_the_real_server_makes_no_record_missing_and_none_there",
    ) else {
        return;
    };
    let guarded = Guarded::before(real.address(), "");
    let mut client = guarded.client();
    client.expect(&store("set", "k", "v"), "STORED\r\n");
    client.expect("delete k\r\n", "SERVER_ERROR unavailable\r\n");
    client.expect("delete none\r\n", "NOT_FOUND\r\n");
    client.expect(&store("add", "k", "x"), "NOT_STORED\r\n");
    client.expect(&store("add", "none", "x"), "SERVER_ERROR unavailable\r\n");
    client.expect(&store("replace", "k", "w"), "STORED\r\n");
    client.expect(&store("replace", "none", "w"), "NOT_STORED\r\n");
    let status = |client: &mut Client, method: &str, path: &str| {
        let answer = http::ask(client, &http::request(method, path, &[], ""));
        answer.0
    };
    assert_eq!(status(&mut client, "HEAD", "/k"), 503);
    assert_eq!(status(&mut client, "HEAD", "/none"), 404);
    assert_eq!(status(&mut client, "DELETE", "/k"), 503);
    assert_eq!(status(&mut client, "DELETE", "/none"), 404);
    assert_eq!(status(&mut client, "GET", "/k"), 200);
    let keep = http::request("PUT", "/none", &["X-TT-PDMODE: 1"], "x");
    assert_eq!(http::ask(&mut client, &keep).0, 503);
    assert_eq!(client.out("k"), 1, "a binary client is told what the server says");
}
