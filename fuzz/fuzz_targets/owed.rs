//! Anything that can happen to a lane's queue of owed replies.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ttguard_fuzz::owed::check(input));
