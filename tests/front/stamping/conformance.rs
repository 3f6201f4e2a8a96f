//! What clients see is what they would see without stamps: the recorded exchanges, sizes and all, and text.

use super::GIVEN;
use crate::protocols::recorded;
use crate::protocols::same;
use crate::support::guarded::{Guarded, on_file};
use crate::support::real::Real;
use crate::support::replay;
use crate::support::transcripts;

fn settings() -> String {
    format!("{}{GIVEN}", recorded::SETTINGS)
}

fn play(start: impl Fn() -> Guarded) {
    for exchange in recorded::exchanges() {
        replay::play(start().address(), &exchange);
    }
}

#[test]
fn a_store_in_memory_is_seen_as_without_stamps() {
    play(|| Guarded::memory(&settings()));
}

#[test]
fn a_store_in_a_file_is_seen_as_without_stamps() {
    let folder = tempfile::tempdir().expect("a folder");
    // Its `stat` and its sizes are its own.
    for (at, exchange) in transcripts::load("binary.jsonl").into_iter().enumerate() {
        if exchange.db == "*" {
            let path = folder.path().join(at.to_string());
            replay::play(Guarded::start(&on_file(&path, GIVEN)).address(), &exchange);
        }
    }
}

#[test]
fn through_an_edge_nothing_is_seen_of_stamps() {
    for exchange in recorded::exchanges() {
        let guard = Guarded::memory(&settings());
        replay::play(Guarded::edge_of(&guard, recorded::SETTINGS).address(), &exchange);
    }
}

#[test]
fn a_real_server_is_seen_as_without_stamps() {
    for exchange in recorded::exchanges() {
        let Some(real) = Real::start("*", "a_real_server_is_seen_as_without_stamps") else {
            return;
        };
        replay::play(Guarded::before(real.address(), &settings()).address(), &exchange);
    }
}

#[test]
fn a_table_is_seen_as_without_the_column_of_stamps() {
    for exchange in transcripts::load("table.jsonl") {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("casket.tct");
        let test = "a_table_is_seen_as_without_the_column_of_stamps";
        let Some(real) = Real::start(path.to_str().expect("a path of text"), test) else {
            return;
        };
        replay::play(Guarded::before(real.address(), GIVEN).address(), &exchange);
    }
}

#[test]
fn text_is_answered_as_by_a_real_server() {
    let Some(real) = Real::start("*", "text_is_answered_as_by_a_real_server") else {
        return;
    };
    let names = "http_hosts = [\"h\"]\n";
    let guard = Guarded::memory(&format!("{names}{GIVEN}"));
    same::expect_same(real.address(), guard.address());
    same::expect_same(real.address(), Guarded::edge_of(&guard, names).address());
}
