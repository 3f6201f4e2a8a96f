//! What an operator asks a running ttguard, over its admin listener.

mod inspect;
mod page;
mod top;

pub use inspect::run as inspect;
pub use page::Unasked;
pub use top::run as top;
