//! How the source is cut: no circles of files, layers that import downwards, small files and short functions.
//!
//! Read from the files themselves, by `use` and by paths in the code; what is for tests alone is not looked at.

mod graph;
mod layers;
mod source;

use std::collections::BTreeSet;

use graph::GRAPH;

/// Files of nine in ten have fewer lines.
const FILE_LINES: usize = 300;

/// No function has more lines.
const FUNCTION_LINES: usize = 60;

/// Longer functions that are one table, and read best as one: each row stands beside the next.
const TABLES: [(&str, &str); 1] = [(
    "protocol/tyrant/request/encode.rs encode_behind_magic",
    "every command, with what is written of it",
)];

/// What is still to be mended, in `engine` and `front` alone. Whatever is mended is to be struck off.
mod yet {
    /// Modules with files that are in a circle.
    pub const IN_CIRCLES: &[&str] = &["engine", "front"];

    /// Functions that are too long.
    pub const LONG: &[&str] = &[
        "engine/pipeline.rs Session::dispatch",
        "engine/sequence/edits.rs Steps::make",
        "engine/sequence/lists.rs Steps::send_list",
        "engine/sequence/tidy.rs Steps::tidy",
        "front/session/task.rs Task::next_item",
        "front/session/task.rs Task::run",
    ];
}

#[test]
fn files_are_in_a_circle_only_where_a_parent_and_its_children_are_one_idea() {
    let circles = GRAPH.circles();
    let is_known = |file: usize| {
        GRAPH.files[file]
            .module
            .first()
            .is_some_and(|module| yet::IN_CIRCLES.contains(&module.as_str()))
    };
    let new: Vec<_> = circles
        .iter()
        .filter(|circle| !circle.iter().all(|file| is_known(*file)))
        .map(|circle| GRAPH.told(circle))
        .collect();
    assert!(new.is_empty(), "{}", new.join("\n"));
    let found = circles
        .iter()
        .flatten()
        .filter_map(|file| GRAPH.files[*file].module.first().cloned());
    holds_for_these_alone("in no circle", yet::IN_CIRCLES, &found.collect());
}

#[test]
fn functions_fit_on_a_screen() {
    let long: BTreeSet<String> = GRAPH
        .files
        .iter()
        .flat_map(|file| {
            let long = file.functions.iter().filter(|function| function.lines > FUNCTION_LINES);
            long.map(|function| format!("{} {}", file.path, function.name))
        })
        .collect();
    let tables = TABLES.map(|(table, _)| table);
    let is_known = |name: &&String| tables.contains(&name.as_str()) || yet::LONG.contains(&name.as_str());
    let new: Vec<_> = long.iter().filter(|name| !is_known(name)).collect();
    assert!(
        new.is_empty(),
        "functions of more than {FUNCTION_LINES} lines: {new:#?}"
    );
    for table in tables {
        assert!(long.contains(table), "{table} is no long table any more: strike it off");
    }
    holds_for_these_alone("no longer too long", yet::LONG, &long);
}

#[test]
fn nine_files_in_ten_are_small() {
    let mut files: Vec<_> = GRAPH.files.iter().collect();
    files.sort_by_key(|file| file.lines);
    let small = files[files.len() * 9 / 10];
    let large = files.iter().filter(|file| file.lines >= FILE_LINES);
    let large: Vec<_> = large.map(|file| format!("{} {}", file.lines, file.path)).collect();
    assert!(small.lines < FILE_LINES, "too many files are large: {large:#?}");
}

/// A list of what is still to be mended holds what is, and nothing outside of `engine` and `front`.
fn holds_for_these_alone(mended: &str, listed: &[&str], found: &BTreeSet<String>) {
    for name in listed {
        assert!(
            name.starts_with("engine") || name.starts_with("front"),
            "{name} was mended: keep it so"
        );
        assert!(found.contains(*name), "{name} is {mended}: strike it off");
    }
}
