//! The recorded exchanges, through the proxy.

use crate::support::guarded::Guarded;
use crate::support::real::Real;
use crate::support::replay;
use crate::support::transcripts::{self, Exchange};

/// The names by which recorded requests of HTTP ask.
pub const SETTINGS: &str = "http_hosts = [\"x\", \"host\", \"other\"]\n";

/// By the three protocols of the server's port.
const FILES: [&str; 4] = ["binary.jsonl", "memcached.jsonl", "http.jsonl", "conformance.jsonl"];

/// What ttguard is to answer where the server did as recorded: a client of HTTP/1.0 that is kept is told so, as
/// [the manual](ttguard::manual::differences) says.
fn by_ttguard(mut exchange: Exchange) -> Exchange {
    const LENGTH: &[u8] = b"Content-Length: 1\r\n";
    for step in &mut exchange.steps {
        if step.doing == "HTTP/1.0, keep-alive" {
            let at = step.recv.windows(LENGTH.len()).position(|line| line == LENGTH);
            let behind = at.expect("a length") + LENGTH.len();
            step.recv.splice(behind..behind, *b"Connection: keep-alive\r\n");
        }
    }
    exchange
}

/// What was recorded of a store in memory, by all protocols, as ttguard is to answer it.
pub fn exchanges() -> impl Iterator<Item = Exchange> {
    let all = FILES.into_iter().flat_map(transcripts::load).map(by_ttguard);
    all.filter(|exchange| exchange.db == "*")
}

#[test]
fn the_table_has_cases_enough() {
    let cases = transcripts::load("conformance.jsonl")
        .iter()
        .map(|exchange| exchange.steps.len())
        .sum::<usize>();
    assert!(cases >= 400, "{cases}");
}

#[test]
fn the_real_server_still_answers_as_it_did() {
    for exchange in transcripts::load("conformance.jsonl") {
        let Some(real) = Real::start("*", "the_real_server_still_answers_as_it_did") else {
            return;
        };
        replay::play(real.address(), &exchange);
    }
}

#[test]
fn the_embedded_store_answers_as_the_real_server_did() {
    for exchange in exchanges() {
        replay::play(Guarded::memory(SETTINGS).address(), &exchange);
    }
}

#[test]
fn through_an_edge_the_embedded_store_answers_as_the_real_server_did() {
    for exchange in exchanges() {
        let guard = Guarded::memory(SETTINGS);
        replay::play(Guarded::edge_of(&guard, SETTINGS).address(), &exchange);
    }
}

#[test]
fn a_file_answers_as_the_real_server_did() {
    for exchange in transcripts::load("binary.jsonl") {
        if exchange.db == "*" {
            let folder = tempfile::tempdir().expect("a folder");
            replay::play(Guarded::file(&folder.path().join("store"), "").address(), &exchange);
        }
    }
}

#[test]
fn in_front_of_a_real_server_nothing_is_answered_otherwise() {
    for exchange in exchanges() {
        let Some(real) = Real::start("*", "in_front_of_a_real_server_nothing_is_answered_otherwise") else {
            return;
        };
        replay::play(Guarded::before(real.address(), SETTINGS).address(), &exchange);
    }
}
