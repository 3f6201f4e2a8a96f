//! Any bytes as the replies of a server.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ttguard_fuzz::reply::check(input));
