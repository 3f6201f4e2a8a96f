//! What is shipped in `config` beside settings of its own: units, manifests and the image. It is valid, the roles in it find
//! each other, and the image is made of what is there.

mod image;
mod settings;
mod units;

use std::path::{Path, PathBuf};

use crate::manual::at;

/// Every file in the folders of `config`, by its place in the repository.
fn files() -> Vec<String> {
    let listed = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).expect("a folder");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    };
    let folders = listed(&at("config")).into_iter().filter(|path| path.is_dir());
    let mut files: Vec<String> = folders
        .flat_map(|folder| listed(&folder))
        .map(|path| path.strip_prefix(at("")).expect("a place").display().to_string())
        .collect();
    files.sort();
    assert!(files.len() > 10, "{files:?}");
    files
}
