//! Any bytes as what comes on a link between an edge and a guard.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ttguard_fuzz::link::check(input));
