//! Anything that can happen to the guard.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ttguard_fuzz::guard::check(input));
