//! Any bytes as the replies of a server.

#![no_main]

#[path = "../checks/pieces.rs"]
mod pieces;
#[path = "../checks/replies.rs"]
mod replies;

libfuzzer_sys::fuzz_target!(|input: &[u8]| replies::check(input));
