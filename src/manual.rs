//! What an operator should know beyond the settings: a page for each subject.

#[doc = include_str!("manual/differences.md")]
pub mod differences {}
