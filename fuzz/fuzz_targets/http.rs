//! Any bytes as the requests of an HTTP client.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ttguard_fuzz::http::check(input));
