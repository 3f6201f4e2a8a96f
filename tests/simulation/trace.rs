//! What happened, in order: a hash of all of it, and the text when someone wants to read it.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

/// The record of one run.
#[derive(Debug)]
pub struct Trace {
    hasher: SipHasher13,
    lines: Option<Vec<String>>,
    writes: bool,
    /// Steps so far: the order of everything that the checker compares.
    steps: u64,
}

impl Trace {
    /// An empty record, which keeps text if it `speaks`.
    pub fn new(speaks: bool) -> Self {
        Self {
            hasher: SipHasher13::new(),
            lines: speaks.then(Vec::new),
            writes: true,
            steps: 0,
        }
    }

    /// Takes note of a step.
    pub fn note(&mut self, at: u64, facts: &[u64], text: impl FnOnce() -> String) {
        self.steps += 1;
        self.hasher.write_u64(at);
        facts.iter().for_each(|fact| self.hasher.write_u64(*fact));
        if let (Some(lines), true) = (&mut self.lines, self.writes) {
            lines.push(format!("{at:>7} {}", text()));
        }
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The hash of everything so far.
    pub fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    /// What comes after a broken promise explains nothing: no more text.
    pub fn stop_writing(&mut self) {
        self.writes = false;
    }

    /// All lines.
    pub fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}
