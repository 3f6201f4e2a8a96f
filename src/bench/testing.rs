//! What the tests of this folder share.

use std::ffi::OsString;

use crate::cli::{self, Invocation};
use crate::config::Load;

/// The load that these flags ask for.
pub fn load(flags: &[&str]) -> Load {
    let args = ["ttguard", "bench"].iter().chain(flags).map(OsString::from);
    match cli::parse(args, |_| None) {
        Ok(Invocation::Bench(settings)) => settings.load,
        other => panic!("{other:?}"),
    }
}
