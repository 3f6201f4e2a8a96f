//! The guard held against its rules, against a model that forgets nothing, and against threads.

mod bell;
mod model;
pub(super) mod preempted;
mod rules;
mod support;
mod threads;
mod waiting;
