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

#[test]
fn files_are_in_a_circle_only_where_a_parent_and_its_children_are_one_idea() {
    let circles: Vec<_> = GRAPH.circles().iter().map(|circle| GRAPH.told(circle)).collect();
    assert!(circles.is_empty(), "{}", circles.join("\n"));
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
    let code: Vec<_> = long.iter().filter(|name| !tables.contains(&name.as_str())).collect();
    assert!(
        code.is_empty(),
        "functions of more than {FUNCTION_LINES} lines: {code:#?}"
    );
    for table in tables {
        assert!(long.contains(table), "{table} is no long table any more: strike it off");
    }
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
