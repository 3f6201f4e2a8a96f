//! The tests that see ttguard from outside.

mod conformance;
mod corpora;
mod transcripts;
