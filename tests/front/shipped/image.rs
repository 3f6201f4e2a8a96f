//! The image: its steps as far as they can be gone without an engine that runs containers.

use std::path::Path;
use std::process::Command;

use super::files;
use crate::manual::{at, text_of};

const DOCKERFILE: &str = "config/docker/Dockerfile";

/// An instruction, and what stands behind it.
type Step = (String, String);

/// The instructions of each stage.
fn stages() -> Vec<Vec<Step>> {
    let text = text_of(DOCKERFILE).replace("\\\n", " ");
    let mut stages: Vec<Vec<Step>> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (step, rest) = line.split_once(' ').expect("an instruction");
        if step == "FROM" {
            stages.push(Vec::new());
        }
        let stage = stages.last_mut().expect("a stage");
        stage.push((step.to_owned(), rest.trim().to_owned()));
    }
    assert_eq!(stages.len(), 2, "one that builds, one that runs");
    stages
}

/// What stands behind the instructions of this name.
fn of<'a>(stage: &'a [Step], name: &'a str) -> Vec<&'a str> {
    let steps = stage.iter().filter(|(step, _)| step == name);
    steps.map(|(_, rest)| &rest[..]).collect()
}

/// The one instruction of this name.
fn only<'a>(stage: &'a [Step], name: &'a str) -> &'a str {
    let steps = of(stage, name);
    assert_eq!(steps.len(), 1, "{name}: {steps:?}");
    steps[0]
}

/// The strings of a list in JSON.
fn list(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir_all(to).expect("a folder");
        for entry in std::fs::read_dir(from).expect("a folder") {
            let entry = entry.expect("an entry");
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        std::fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    }
}

/// Copies what the build's stage copies; the folder that it has then.
fn copied(stage: &[Step], folder: &Path) {
    for step in of(stage, "COPY") {
        let words: Vec<&str> = step.split(' ').collect();
        let (to, sources) = words.split_last().expect("where to");
        for source in sources {
            assert!(at(source).exists(), "COPY {step}: there is no {source}");
            match *to {
                "./" => copy(&at(source), &folder.join(source)),
                to => copy(&at(source), &folder.join(to)),
            }
        }
    }
}

/// The programs that cargo would make by this command of what is in the folder.
fn programs(command: &str, folder: &Path) -> Vec<String> {
    let mut words = command.split(' ');
    assert_eq!(words.next(), Some("cargo"));
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    // What would be built is said by those who try out what is new, and nothing is built.
    let output = Command::new(cargo)
        .args(words)
        .args(["--offline", "-Z", "unstable-options", "--unit-graph"])
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("CARGO_TARGET_DIR")
        .current_dir(folder)
        .output()
        .expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let graph: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let roots = graph["roots"].as_array().expect("roots").iter();
    let units = roots.map(|root| &graph["units"][root.as_u64().expect("a number") as usize]);
    let made = units.filter(|unit| unit["target"]["kind"][0] == "bin");
    made.inspect(|unit| assert_eq!(unit["profile"]["name"], "release"))
        .map(|unit| unit["target"]["name"].as_str().expect("a name").to_owned())
        .collect()
}

#[test]
fn the_image_is_built_of_what_it_copies_and_runs_what_is_built() {
    let stages = stages();
    let (build, run) = (&stages[0], &stages[1]);
    let folder = tempfile::tempdir().expect("a folder");
    copied(build, folder.path());
    let steps = of(build, "RUN");
    let cargo: Vec<&str> = steps
        .iter()
        .copied()
        .filter(|step| step.starts_with("cargo "))
        .collect();
    assert_eq!(cargo, ["cargo build --release --locked"]);
    assert_eq!(programs(cargo[0], folder.path()), ["ttguard"]);
    // README asks for these.
    let installed = steps
        .iter()
        .find(|step| step.contains("apt-get install"))
        .expect("a step");
    assert!(
        installed.contains(" gcc ") && installed.contains(" make "),
        "{installed}"
    );

    let program = format!("{}/target/release/ttguard", only(build, "WORKDIR"));
    let entry = list(only(run, "ENTRYPOINT"));
    assert!(of(run, "COPY").contains(&&format!("--from=build {program} {}", entry[0])[..]));
    assert_eq!((entry.len(), list(only(run, "CMD"))), (1, vec!["serve".to_owned()]));
    // The system that it is linked for is the one that it runs on.
    let (built, runs) = (only(build, "FROM"), only(run, "FROM"));
    assert!(
        built.ends_with("-bookworm AS build") && runs.contains("debian12"),
        "{built}, {runs}"
    );
}

#[test]
fn the_compiler_of_the_image_is_new_enough() {
    let stages = stages();
    let image = only(&stages[0], "FROM")
        .strip_prefix("rust:")
        .expect("an image of Rust");
    let version = image.split('-').next().expect("a version");
    let (major, minor) = version.split_once('.').unwrap_or((version, ""));
    let wanted: Vec<&str> = env!("CARGO_PKG_RUST_VERSION").split('.').collect();
    let number = |text: &str| text.parse::<u32>().expect("a number");
    assert_eq!(major, wanted[0]);
    // Without a minor version it is the newest.
    assert!(minor.is_empty() || number(minor) >= number(wanted[1]), "{version}");
}

#[test]
fn nobody_runs_the_image_as_root() {
    let stages = stages();
    let run = &stages[1];
    let user = only(run, "USER");
    let number = user.split(':').next().expect("a number");
    assert!(number.parse::<u32>().expect("a number") > 0);
    // The last word on it, which manifests say too.
    assert!(
        run.iter()
            .skip_while(|(step, _)| step != "USER")
            .all(|(step, _)| step != "COPY")
    );
    for manifest in ["guard", "sidecar"] {
        let text = text_of(&format!("config/kubernetes/{manifest}.yaml"));
        assert!(text.contains(&format!("runAsUser: {number}\n")), "{manifest}");
    }
    // What is written to belongs to that user: where the volumes of Compose are mounted.
    let compose = text_of("config/docker/compose.yml");
    for folder in ["/data", "/run/ttguard"] {
        let owned = format!("--from=build --chown={user} /made{folder} {folder}");
        assert!(of(run, "COPY").contains(&&owned[..]), "{folder}");
        assert!(compose.contains(&format!(":{folder}\n")), "{folder}");
        let made = of(&stages[0], "RUN")
            .into_iter()
            .filter(|step| step.starts_with("mkdir -p "));
        assert!(
            made.flat_map(|step| step.split(' '))
                .any(|word| word == format!("/made{folder}"))
        );
    }
}

#[test]
fn every_file_names_the_image_of_this_version() {
    let image = concat!("ttguard:", env!("CARGO_PKG_VERSION"));
    let mut naming = Vec::new();
    for file in files() {
        let text = text_of(&file);
        for mark in ["image: ttguard", "-t ttguard"] {
            for rest in text.split(mark).skip(1) {
                let tag = rest.split_whitespace().next().expect("a tag");
                assert_eq!(format!("ttguard{tag}"), image, "{file}");
                naming.push(file.clone());
            }
        }
    }
    assert_eq!(
        naming,
        [
            DOCKERFILE,
            "config/docker/compose.yml",
            "config/kubernetes/guard.yaml",
            "config/kubernetes/sidecar.yaml"
        ]
    );
    let compose = text_of("config/docker/compose.yml");
    assert!(compose.contains(&format!("build: {{ context: ../.., dockerfile: {DOCKERFILE} }}")));
}
