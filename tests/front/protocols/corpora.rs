//! The inputs that the fuzzers start from, played as ordinary tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "../../../fuzz/checks/lib.rs"]
mod checks;

fn within(folder: impl AsRef<Path>) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(folder);
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn names(paths: &[PathBuf]) -> BTreeSet<&str> {
    paths
        .iter()
        .map(|path| path.file_stem().unwrap().to_str().unwrap())
        .collect()
}

/// Plays every input, each with its last byte missing too.
#[test]
fn every_input_of_every_corpus_holds() {
    for (target, check) in checks::TARGETS {
        let files = within(Path::new("corpus").join(target));
        assert!(!files.is_empty(), "{target}");
        for file in files {
            let input = fs::read(&file).unwrap();
            println!("{}", file.display());
            check(&input);
            check(&input[..input.len().saturating_sub(1)]);
        }
    }
}

#[test]
fn every_target_is_played() {
    let played: BTreeSet<_> = checks::TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names(&within("fuzz_targets")), played);
    assert_eq!(names(&within("corpus")), played);
}
