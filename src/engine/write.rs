//! A guarded write.

pub mod judging;
mod verdicts;
