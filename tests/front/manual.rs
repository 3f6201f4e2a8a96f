//! The manual, held against the tests that it names.

use std::fs;
use std::path::Path;

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
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    sources(&root.join("src"), &mut text);
    sources(&root.join("tests/front"), &mut text);
    let page = fs::read_to_string(root.join("src/manual/differences.md")).expect("the page");
    let rows = page.lines().filter(|line| line.starts_with("| ")).skip(2);
    let mut count = 0;
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 4, "{row}");
        let test = cells[3].trim_matches('`');
        assert!(text.contains(&format!("fn {test}()")), "there is no test {test}");
        count += 1;
    }
    assert!(count >= 20, "{count}");
}
