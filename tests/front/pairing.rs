//! The second guard: an answer reaches the one who asked, in the order in which it was asked, or nobody.
//! Servers that stop, workers that stand still, and clients that do not wait.

mod between;
mod late;
mod pipelining;
mod stalls;
mod stopped;
