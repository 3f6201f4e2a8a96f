//! What is written for people about each setting, held against its row: the annotated file, which the manual prints.

use std::collections::BTreeMap;

use super::super::row::Setting;
use super::super::schema::settings;
use super::*;

/// Keys whose default is that of another, or which have none but what stands in their table.
const NO_DEFAULT: [&str; 4] = ["limits.key", "limits.value", "listener", "guard.ext"];

/// The comment over each key of the annotated file and what stands over its table, as one line.
fn comments() -> BTreeMap<String, String> {
    let (mut table, mut of_table, mut block, mut open) = (String::new(), String::new(), String::new(), false);
    let mut comments = BTreeMap::new();
    for line in include_str!("../../../config/ttguard.toml").lines() {
        if let Some(text) = line.strip_prefix("# ") {
            if !open {
                block.clear();
            }
            open = true;
            block.push_str(text);
            block.push(' ');
            continue;
        }
        open = false;
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            table = format!("{name}.");
            of_table = std::mem::take(&mut block);
        } else if let Some((name, _)) = line.trim_start_matches('#').split_once(" = ") {
            comments.insert(format!("{table}{name}"), format!("{of_table}{block}"));
        }
    }
    comments
}

/// What is said to be allowed where a key has a value that none takes.
fn allowed(key: &str) -> String {
    let line = load(&format!("{key} = 1979-05-27")).expect_err(key).to_string();
    line.split_once("; allowed: ").expect(&line).1.to_owned()
}

/// The default as a file has it, and as people may be told it.
fn defaults(setting: &Setting) -> (String, Vec<String>) {
    let value = Settings::default().values()[setting.key].clone();
    let bare = value.trim_matches(['[', ']', '"']);
    let bare = if bare.is_empty() { "none" } else { bare };
    let words = setting.flag.as_ref().and_then(|flag| flag.default);
    let words = words.filter(|words| !words.is_empty());
    let said = [bare].into_iter().chain(words).map(str::to_owned).collect();
    (value, said)
}

#[test]
fn the_annotated_file_says_of_each_key_what_its_row_says() {
    let comments = comments();
    for setting in settings().filter(|setting| !["listener", "guard.ext"].contains(&setting.key)) {
        let key = setting.key;
        let comment = comments.get(key).unwrap_or_else(|| panic!("{key} is not in the file"));
        match &setting.flag {
            Some(flag) => assert!(
                comment
                    .split([' ', '.', ',', ';'])
                    .any(|word| word == format!("--{}", flag.name)),
                "{key}: no flag --{} in {comment:?}",
                flag.name
            ),
            None => assert!(!comment.contains("Flag"), "{key} has no flag, but {comment:?}"),
        }
        let (value, said) = defaults(setting);
        let mut said = said.iter().chain([&value]);
        assert!(
            NO_DEFAULT.contains(&key) || said.any(|default| comment.contains(&format!("Default: {default}"))),
            "{key}: no \"Default: {value}\" in {comment:?}"
        );
        let allowed = allowed(key);
        if let Some((_, range)) = allowed.split_once(" from ") {
            let bare = range.replacen("B to ", " to ", 1);
            assert!(
                comment.contains(range) || comment.contains(&bare),
                "{key}: no \"{range}\" in {comment:?}"
            );
        }
        let words: Vec<_> = allowed.split(", ").collect();
        if allowed != "true, false"
            && words
                .iter()
                .all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()))
        {
            for word in words {
                assert!(
                    comment.contains(&format!("\"{word}\"")),
                    "{key}: no {word:?} in {comment:?}"
                );
            }
        }
    }
}
