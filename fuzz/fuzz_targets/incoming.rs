//! Any bytes as the requests of a client, in whatever protocol.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ttguard_fuzz::incoming::check(input));
