//! A settings file, for the sake of line numbers.

/// A settings file's text and the name it is called by in messages.
pub(crate) struct SourceFile {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl SourceFile {
    /// `name:line` of the byte at `offset`.
    pub(super) fn place(&self, offset: usize) -> String {
        let before = self.text.as_bytes().iter().take(offset);
        let line = 1 + before.filter(|byte| **byte == b'\n').count();
        format!("{}:{line}", self.name)
    }
}
