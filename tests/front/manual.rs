//! The manual and README, held against the code, the files and the tests that they name.

mod facts;
mod links;
mod reload;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ttguard::manual::{PAGES, Page};

use crate::support::guarded::{BINARY, Guarded};

/// The place of a file of the repository.
fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text_of(path: &str) -> String {
    fs::read_to_string(at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The page on a topic.
fn page(topic: &str) -> &'static str {
    Page::on(topic)
        .unwrap_or_else(|| panic!("there is no page on {topic}"))
        .text
}

/// What stands between these marks.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
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

/// The source of every test and of what it stands beside.
fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(path).expect("source"));
        }
    }
}

#[test]
fn every_difference_is_held_by_a_test_that_is_there() {
    let mut text = String::new();
    sources(&at("src"), &mut text);
    sources(&at("tests/front"), &mut text);
    let mut count = 0;
    for row in page("differences")
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(2)
    {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 4, "{row}");
        let test = cells[3].trim_matches('`');
        assert!(text.contains(&format!("fn {test}()")), "there is no test {test}");
        count += 1;
    }
    assert!(count >= 20, "{count}");
}

#[test]
fn readme_is_read_in_one_sitting_and_lists_the_manual() {
    let readme = text_of("README.md");
    assert!(readme.len() <= 8192, "README.md has {} bytes", readme.len());
    let table: Vec<String> = PAGES
        .iter()
        .map(|page| format!("| [{}]({}) | {} |\n", page.topic, page.file, page.title()))
        .collect();
    let table = table.concat();
    assert!(readme.contains(&table), "README's table should be:\n{table}");
}

#[test]
fn the_story_of_readme_goes_as_readme_says() {
    let guarded = Guarded::memory("");
    let story =
        between(&text_of("README.md"), "```python\n", "```").replace("1978", &guarded.address().port().to_string());
    let output = Command::new("python3").args(["-c", &story]).output().expect("python3");
    let (told, faults) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{told}{faults}");
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(
        lines[..3],
        [
            "PB is answered with code 0",
            "PC is answered with code 0",
            "PA is answered with code 2"
        ]
    );
    assert!(
        lines.len() == 4 && lines[3].starts_with("stored: b'") && lines[3].ends_with(" PC'"),
        "{told}"
    );
}

#[test]
fn a_page_is_printed_and_a_topic_that_there_is_not_ends_in_one_line() {
    let run = |topic| Command::new(BINARY).args(["man", topic]).output().expect("run ttguard");
    let output = run("limits");
    assert!(output.status.success());
    assert!(output.stdout.starts_with(b"# Limits: "));
    let output = run("woman");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(output.stdout, b"");
    let line = String::from_utf8(output.stderr).expect("text");
    assert_eq!(line.lines().count(), 1, "{line}");
    for page in PAGES {
        assert!(line.contains(page.topic), "{line}");
    }
}

#[test]
fn a_reader_who_has_seen_enough_of_a_page_is_no_failure() {
    // Larger than what a pipe holds, so that it is cut off while it is written.
    let mut child = Command::new(BINARY)
        .args(["man", "settings"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("run ttguard");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("its end");
    assert!(output.status.success(), "{}", output.status);
    assert_eq!(output.stderr, b"");
}
