//! Any bytes of clients, by whole sessions and a backend that fails.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ttguard_fuzz::session::check(input));
