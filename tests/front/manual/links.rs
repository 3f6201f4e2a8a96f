//! What README and the manual point to is there: files, pages, and the tests that hold the differences.

use std::fs;
use std::path::Path;

use ttguard::manual::{PAGES, Page};

use super::{at, named, page, text_of};

/// Everything that is written for people.
fn documents() -> Vec<String> {
    let others = [
        "README.md",
        "fuzz/README.md",
        "tests/data/growth/README.md",
        "tests/data/transcripts/README.md",
    ];
    let pages = PAGES.iter().map(|page| page.file);
    pages.chain(others).map(str::to_owned).collect()
}

/// The text without its blocks of code.
fn prose(text: &str) -> String {
    let mut in_code = false;
    let outside = |line: &&str| {
        let is_fence = line.starts_with("```");
        in_code ^= is_fence;
        !in_code && !is_fence
    };
    text.lines().filter(outside).flat_map(|line| [line, "\n"]).collect()
}

/// Where the links of a text lead: those in the text, and those whose addresses are its last lines.
fn targets(text: &str) -> Vec<&str> {
    let inline = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let below = text.lines().filter(|line| line.starts_with('['));
    inline
        .map(|(target, _)| target)
        .chain(
            below
                .filter_map(|line| line.split_once("]: "))
                .map(|(_, target)| target),
        )
        .collect()
}

#[test]
fn every_link_leads_to_a_file_that_is_there() {
    let mut count = 0;
    for document in documents() {
        let folder = at(&document).parent().expect("its folder").to_owned();
        let text = prose(&text_of(&document));
        for target in targets(&text) {
            if target.starts_with("https://") {
                continue;
            }
            assert!(!target.contains('#'), "{document}: {target} is a place within a file");
            assert!(folder.join(target).exists(), "{document}: {target} is not there");
            count += 1;
        }
    }
    assert!(count > 50, "{count}");
}

#[test]
fn every_file_that_is_named_is_there() {
    let folders = ["src/", "tests/", "config/", "fuzz/", "benches/"];
    let mut count = 0;
    for document in documents() {
        for name in named(&prose(&text_of(&document))) {
            // A command has its arguments behind it, a command of the shell its variables in front.
            let word = name.split_whitespace().find(|word| !word.contains('='));
            let Some(path) = word.filter(|word| folders.iter().any(|folder| word.starts_with(folder))) else {
                continue;
            };
            // What fuzzing makes is in no repository.
            if path.starts_with("fuzz/artifacts") || path.starts_with("fuzz/target") {
                continue;
            }
            assert!(at(path).exists(), "{document}: {path} is not there");
            count += 1;
        }
    }
    assert!(count > 20, "{count}");
}

#[test]
fn every_topic_that_is_named_is_a_page() {
    for document in documents() {
        let text = text_of(&document);
        for line in text.lines() {
            // As one would type it.
            for rest in line.split("ttguard man ").skip(1) {
                let topic = rest.split(|c: char| !(c.is_ascii_lowercase() || c == '-')).next();
                let topic = topic.filter(|topic| !topic.is_empty() && !["serve", "ttguard"].contains(topic));
                assert!(
                    topic.is_none_or(|topic| Page::on(topic).is_some()),
                    "{document}: {line}"
                );
            }
        }
    }
    for page in PAGES {
        let (text, mut linked) = (prose(page.text), Vec::new());
        for (topic, file) in text
            .lines()
            .filter_map(|line| line.strip_prefix('[')?.split_once("]: "))
        {
            let other = Page::on(topic).unwrap_or_else(|| panic!("{}: {topic} is no page", page.topic));
            assert_eq!(format!("src/manual/{file}"), other.file, "{}", page.topic);
            linked.push(topic);
        }
        // Whatever is marked as a page has an address, and the other way round.
        for other in PAGES {
            let marked = text.contains(&format!("[{}]", other.topic));
            let mark = format!("[{}]:", other.topic);
            let is_used = text.matches(&format!("[{}]", other.topic)).count() > text.matches(&mark).count();
            assert_eq!(
                marked && is_used,
                linked.contains(&other.topic),
                "{}: the address of {}",
                page.topic,
                other.topic
            );
        }
    }
}

#[test]
fn every_page_is_in_the_table() {
    for entry in fs::read_dir(at("src/manual")).expect("the folder") {
        let name = entry.expect("an entry").file_name();
        let file = format!("src/manual/{}", name.to_str().expect("a name"));
        assert!(PAGES.iter().any(|page| page.file == file), "{file} is no page");
    }
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
