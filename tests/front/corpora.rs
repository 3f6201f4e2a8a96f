//! The inputs that the fuzzers start from, played as ordinary tests.

use std::fs;
use std::path::Path;

#[path = "../../fuzz/checks/incoming.rs"]
mod incoming;
#[path = "../../fuzz/checks/pieces.rs"]
pub mod pieces;
#[path = "../../fuzz/checks/replies.rs"]
mod replies;
#[path = "../../fuzz/checks/requests.rs"]
mod requests;

/// Plays every input of a fuzz target, and each with its last byte missing.
fn play(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(!files.is_empty());
    for file in files {
        let input = fs::read(file).unwrap();
        check(&input);
        check(&input[..input.len() - 1]);
    }
}

#[test]
fn every_request_input_holds() {
    play("request", requests::check);
}

#[test]
fn every_incoming_input_holds() {
    play("incoming", incoming::check);
}

#[test]
fn every_reply_input_holds() {
    play("reply", replies::check);
}
