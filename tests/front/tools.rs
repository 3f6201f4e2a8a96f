//! The verbs beside `serve`, as a person runs them, each a client of a server:
//! demo, man, bench, import and export, inspect and top, verify and gc.

mod bench;
mod demo;
mod inspected;
mod maintenance;
mod man;
mod transfer;
