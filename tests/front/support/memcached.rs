//! Asks by memcached's text, and says what a record is answered with.

/// A line and the value behind it.
pub fn store(verb: &str, key: &str, value: &str) -> String {
    format!("{verb} {key} 0 0 {}\r\n{value}\r\n", value.len())
}

/// What a `get` of one key answers.
pub fn found(key: &str, value: &str) -> String {
    format!("VALUE {key} 0 {}\r\n{value}\r\nEND\r\n", value.len())
}
