//! The functions of `misc`, on the real server and through ttguard: the same answers, on each kind of database.

use crate::support::client::Client;
use crate::support::guarded::Guarded;
use crate::support::real::Real;

/// In this order, on an empty database: a function and what it is called with.
const CALLS: &[(&str, &[&str])] = &[
    ("put", &["a", "1"]),
    ("put", &["b", "2", "more"]),
    ("put\0x", &["c", "3"]),
    ("put", &["a"]),
    ("put", &[]),
    ("putkeep", &["a", "9"]),
    ("putkeep", &["d", "4"]),
    ("putkeep", &["e"]),
    ("putcat", &["a", "1"]),
    ("putcat", &["new", "n"]),
    ("putcat", &[]),
    ("putlist", &["f", "6", "g", "7"]),
    ("putlist", &["h", "8", "odd"]),
    ("putlist", &[]),
    ("putdup", &["dup", "1"]),
    ("putdupback", &["dup", "2"]),
    ("get", &["a"]),
    ("get", &["none"]),
    ("get", &[]),
    ("getlist", &["a", "none", "f"]),
    ("getlist", &[]),
    ("getpart", &["a", "1", "1"]),
    ("getpart", &["a", "9", "1"]),
    ("getpart", &["none"]),
    ("getpart", &[]),
    ("out", &["b"]),
    ("out", &["none"]),
    ("out", &[]),
    ("outlist", &["c", "none"]),
    ("outlist", &[]),
    (
        "getlist",
        &["a", "b", "c", "d", "e", "f", "g", "h", "odd", "new", "dup"],
    ),
    ("range", &["a", "3", "f"]),
    ("range", &[]),
    ("regex", &["^a"]),
    ("regex", &[]),
    ("regex", &["["]),
    ("iterinit", &["a"]),
    ("iternext", &[]),
    ("setindex", &["x", "LEXICAL"]),
    ("setindex", &["x", "nosuch"]),
    ("setindex", &[]),
    ("genuid", &[]),
    ("genuid", &["x"]),
    ("sync", &[]),
    ("defrag", &[]),
    ("cacheclear", &[]),
    ("optimize", &[]),
    ("error", &["x"]),
    ("nosuch", &["a", "1"]),
    ("", &[]),
    ("search", &["addcond\0x\0STREQ\x001"]),
    ("metasearch", &["addcond\0x\0STREQ\x001"]),
    ("search", &["count"]),
    ("search", &["addcond\0x\0STREQ\x001", "out"]),
    ("search", &["remove"]),
    ("put", &["again", "x"]),
    ("vanish", &[]),
    ("getlist", &["a", "again"]),
    ("iternext", &[]),
];

/// Whether the answer counts what the server has done so far, hidden records included.
fn tells_of_the_past(function: &str) -> bool {
    function == "error"
}

fn call(client: &mut Client, (function, arguments): (&str, &[&str])) -> (u8, Vec<String>) {
    let arguments: Vec<&[u8]> = arguments.iter().map(|argument| argument.as_bytes()).collect();
    let (code, strings) = client.misc(function, &arguments);
    let strings = strings.iter().map(|one| one.escape_ascii().to_string());
    (code, strings.collect())
}

fn the_same(database: &str, test: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let start = |name: &str| {
        let path = folder.path().join(format!("{name}.{database}"));
        let path = path.to_str().expect("text").to_owned();
        Real::start(if database.len() == 1 { database } else { &path }, test)
    };
    let (Some(alone), Some(behind)) = (start("alone"), start("behind")) else {
        return;
    };
    let guarded = Guarded::before(behind.address(), "");
    let (mut direct, mut through) = (alone.client(), guarded.client());
    for asked in CALLS {
        let (wanted, found) = (call(&mut direct, *asked), call(&mut through, *asked));
        if tells_of_the_past(asked.0) {
            assert_eq!(found.0, wanted.0, "{asked:?}");
        } else {
            assert_eq!(found, wanted, "{asked:?}");
        }
    }
    assert_eq!(through.rnum(), direct.rnum());
}

#[test]
fn misc_answers_as_a_hash_in_memory_does() {
    the_same("*", "misc_answers_as_a_hash_in_memory_does");
}

#[test]
fn misc_answers_as_a_tree_in_memory_does() {
    the_same("+", "misc_answers_as_a_tree_in_memory_does");
}

#[test]
fn misc_answers_as_a_hash_does() {
    the_same("tch", "misc_answers_as_a_hash_does");
}

#[test]
fn misc_answers_as_a_b_plus_tree_does() {
    the_same("tcb", "misc_answers_as_a_b_plus_tree_does");
}

#[test]
fn misc_answers_as_a_table_does() {
    the_same("tct", "misc_answers_as_a_table_does");
}

#[test]
fn misc_answers_as_a_fixed_length_database_does() {
    the_same("tcf", "misc_answers_as_a_fixed_length_database_does");
}

/// The embedded store answers as the server's `*` does.
#[test]
fn misc_of_the_embedded_store_answers_as_the_server_does() {
    let test = "misc_of_the_embedded_store_answers_as_the_server_does";
    let Some(real) = Real::start("*", test) else { return };
    let guarded = Guarded::memory("");
    let (mut direct, mut through) = (real.client(), guarded.client());
    for asked in CALLS {
        assert_eq!(call(&mut through, *asked), call(&mut direct, *asked), "{asked:?}");
    }
}
