//! The first guard: which writes are let through by their stamps, and what is remembered of them.
//! No late packet takes the place of a newer one, whatever command brings it.

mod ahead;
mod batches;
mod claim;
mod concurrency;
mod digits;
mod every_write;
mod kept;
mod remembering;
mod table;
mod verdicts;
