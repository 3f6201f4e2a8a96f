//! Which module imports which: the list in the crate's documentation, and what is said there of single modules.

use std::collections::HashMap;
use std::fs;

use crate::graph::{GRAPH, is_below};

/// What a module uses, of all that it could. Of `main` and of itself nothing is said.
const ONLY: [(&str, &str, &[&str]); 2] = [
    ("bench", "", &["client", "config", "protocol", "command"]),
    ("maintenance", "engine", &["engine::records"]),
];

/// Who knows nothing of whom, though it stands above it or beside it.
const STRANGERS: [(&str, &str); 4] = [
    ("engine", "front"),
    ("front", "store"),
    ("store", "engine"),
    ("store", "guard"),
];

/// The names that each line of the list begins with, the highest line first.
fn lines() -> Vec<Vec<String>> {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs")).expect("the crate's root");
    let (_, list) = text
        .split_once("Each line imports from those below it only:")
        .expect("the list of layers");
    list.lines()
        .skip(2)
        .map(|line| line.trim_start_matches("//!").trim_start())
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("- "))
        .map(begins_with)
        .collect()
}

/// The names at the head of a line: links, with commas and `and` between them.
fn begins_with(line: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = line;
    while let Some((name, behind)) = quoted(rest) {
        names.push(name.trim_start_matches("mod@").to_owned());
        rest = [", ", " and "]
            .iter()
            .find_map(|between| behind.strip_prefix(between))
            .unwrap_or("");
    }
    names
}

/// The name that a text begins with, a link or, where the module is private, none.
fn quoted(text: &str) -> Option<(&str, &str)> {
    match text.strip_prefix("[`") {
        Some(link) => link.split_once("`]"),
        None => text.strip_prefix('`')?.split_once('`'),
    }
}

fn path(of: &str) -> Vec<String> {
    of.split("::")
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Every import that `is_wrong` for the modules of its two files, in words.
fn wrong(is_wrong: impl Fn(&[String], &[String]) -> bool) -> String {
    let mut told = String::new();
    for ((from, to), names) in &GRAPH.imports {
        let (from, to) = (&GRAPH.files[*from], &GRAPH.files[*to]);
        if is_wrong(&from.module, &to.module) {
            told += &format!("\n  {} -> {}: {names:?}", from.path, to.path);
        }
    }
    told
}

#[test]
fn each_line_of_the_list_imports_from_those_below_it_only() {
    let mut places = HashMap::new();
    for (place, line) in lines().into_iter().enumerate() {
        for name in line {
            assert!(
                places.insert(name.clone(), place + 1).is_none(),
                "{name} is on two lines"
            );
        }
    }
    assert!(places.insert("main".to_owned(), 0).is_none());
    let mut known: Vec<&String> = GRAPH.files.iter().filter_map(|file| file.module.first()).collect();
    known.sort();
    known.dedup();
    for module in &known {
        assert!(places.contains_key(*module), "no line of the list begins with {module}");
    }
    assert_eq!(places.len(), known.len(), "the list names what there is not");
    let found = wrong(|from, to| match (from.first(), to.first()) {
        (Some(from), Some(to)) => from != to && places[from] >= places[to],
        _ => false,
    });
    assert!(found.is_empty(), "imports from above:{found}");
}

#[test]
fn some_use_no_more_than_they_say() {
    for (who, of, what) in ONLY {
        let (who, of) = (path(who), path(of));
        let may = |to: &[String]| is_below(to, &who) || what.iter().any(|may| is_below(to, &path(may)));
        let found = wrong(|from, to| is_below(from, &who) && is_below(to, &of) && !may(to));
        assert!(found.is_empty(), "{who:?} is to use nothing but {what:?}:{found}");
    }
}

#[test]
fn some_know_nothing_of_each_other() {
    for (who, whom) in STRANGERS {
        let found = wrong(|from, to| is_below(from, &path(who)) && is_below(to, &path(whom)));
        assert!(found.is_empty(), "{who} is to know nothing of {whom}:{found}");
    }
}
