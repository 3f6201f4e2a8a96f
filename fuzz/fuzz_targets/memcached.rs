//! Any bytes as the requests of a memcached client.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ttguard_fuzz::memcached::check(input));
