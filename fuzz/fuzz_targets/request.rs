//! Any bytes as the requests of a binary client.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ttguard_fuzz::request::check(input));
