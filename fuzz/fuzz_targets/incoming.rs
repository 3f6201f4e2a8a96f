//! Any bytes as the requests of a client, in whatever protocol.

#![no_main]

#[path = "../checks/incoming.rs"]
mod incoming;
#[path = "../checks/pieces.rs"]
mod pieces;

libfuzzer_sys::fuzz_target!(|input: &[u8]| incoming::check(input));
