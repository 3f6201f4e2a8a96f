//! What an operator asks a running ttguard, over its admin listener.

mod inspect;
mod page;

pub use inspect::run as inspect;
pub use page::Unasked;
