//! A guarded write: judged, sent with what keeps its stamp, settled, and repeated where it was lost.
//!
//! Every write goes this way, whatever it comes in: [`judging`] asks the guard, by the lane of whoever asks; [`companion`]
//! says which record keeps the stamp, and sends it first where it has to be; [`settlement`] tells the guard what became of
//! it. [`refusal`] is what a client is told, and [`verdicts`] what is counted.

pub mod companion;
pub mod judging;
pub mod refusal;
pub mod settlement;
mod verdicts;
