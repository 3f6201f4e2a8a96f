//! The manual: a page for each subject.

#[doc = include_str!("manual/security.md")]
pub mod security {}
