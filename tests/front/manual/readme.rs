//! README says what the manual and the program say.

use std::process::Command;

use ttguard::manual::PAGES;

use super::{between, text_of};
use crate::support::guarded::Guarded;

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
