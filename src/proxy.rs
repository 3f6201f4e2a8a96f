//! The client side: listeners, sessions, and the dispatch between guard and backend.

mod account;
mod crew;
mod dispatch;
mod listener;
mod passenger;
mod records;
mod session;
mod shared;
mod slow;
mod steps;
mod store;
mod waiting;
mod worker;

pub mod instance;
pub mod server;
