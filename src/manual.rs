//! The manual: what an operator should know beyond the settings, a page for each subject.

#[doc = include_str!("manual/differences.md")]
pub mod differences {}
#[doc = include_str!("manual/in_front_of_a_server.md")]
pub mod in_front_of_a_server {}
#[doc = include_str!("manual/security.md")]
pub mod security {}
