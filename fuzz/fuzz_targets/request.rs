//! Any bytes as the requests of a client.

#![no_main]

#[path = "../checks/pieces.rs"]
mod pieces;
#[path = "../checks/requests.rs"]
mod requests;

libfuzzer_sys::fuzz_target!(|input: &[u8]| requests::check(input));
