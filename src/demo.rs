//! The story of three packets, told live.

use std::io::Write;

/// Tells it.
pub fn run(_out: &mut impl Write) -> anyhow::Result<()> {
    Ok(())
}
