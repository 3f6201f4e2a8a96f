//! Anything that is remembered.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ttguard_fuzz::ledger::check(input));
