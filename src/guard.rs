//! Judges writes by their stamps. Pure: it never awaits and knows no socket; time comes in as an argument.

pub mod rules;
pub mod stamp;
