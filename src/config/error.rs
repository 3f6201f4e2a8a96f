//! What is said about a mistake in the settings: one line.

use std::fmt::Display;

/// Characters of a mistaken value that are repeated to the operator.
const QUOTED_MAX: usize = 80;

/// A mistake in a flag, a variable or a file: one line that says where, what, and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}")]
pub struct UsageError {
    line: String,
}

impl UsageError {
    /// The exit code of a process that was started with such a mistake.
    pub const EXIT_CODE: u8 = 2;

    /// The mistake `problem`, made at `place`, where only `allowed` would have been right.
    pub fn new(place: impl Display, problem: impl Display, allowed: impl Display) -> Self {
        Self {
            line: one_line(&format!("{place}: {problem}; allowed: {allowed}")),
        }
    }
}

/// The text with every control character written out, so that it stays on one line of any terminal.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

/// A value in quotes, shortened where it is long.
pub(crate) fn quoted(value: &str) -> String {
    match value.char_indices().nth(QUOTED_MAX) {
        Some((end, _)) => format!("\"{}...\"", &value[..end]),
        None => format!("\"{value}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_stays_on_one_line_and_short() {
        let value = format!("a\nb\r\x1b{}", "x".repeat(1000));
        let line = UsageError::new("--mode", quoted(&value), "enforce").to_string();
        assert!(line.starts_with(r#"--mode: "a\nb\r\u{1b}xxx"#), "{line}");
        assert!(line.ends_with(r#"x..."; allowed: enforce"#), "{line}");
        assert!(line.len() < 150, "{line}");
    }
}
