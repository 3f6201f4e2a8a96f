//! The manual and README, held against the code,
//! the files and the tests that they name.

mod edges;
mod facts;
mod links;
mod readme;
mod reload;

use std::fs;
use std::path::{Path, PathBuf};

use ttguard::manual::Page;

/// The place of a file of the repository.
pub fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

pub fn text_of(path: &str) -> String {
    fs::read_to_string(at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The page on a topic.
fn page(topic: &str) -> &'static str {
    Page::on(topic)
        .unwrap_or_else(|| panic!("there is no page on {topic}"))
        .text
}

/// What stands between these marks.
pub fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(begin).unwrap_or_else(|| panic!("no {begin:?}"));
    rest.split_once(end).unwrap_or_else(|| panic!("no {end:?}")).0
}

/// What stands in code marks.
fn named(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The cells of each row of the first table from a heading on, be it one of its own, without its head.
fn rows<'a>(text: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let at = text.find(heading).unwrap_or_else(|| panic!("no {heading:?}"));
    let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
    text[line..]
        .lines()
        .skip_while(|line| !line.starts_with("| "))
        .take_while(|line| line.starts_with("| "))
        .skip(2)
        .map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect()
}
