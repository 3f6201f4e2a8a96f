//! Units for systemd.

use std::io::Write;
use std::process::Command;

use super::files;
use crate::manual::text_of;
use crate::support::guarded::BINARY;

#[test]
fn systemd_finds_no_fault_with_the_units() {
    let folder = tempfile::tempdir().expect("a folder");
    let units: Vec<String> = files()
        .into_iter()
        .filter(|file| file.starts_with("config/systemd/"))
        .collect();
    assert_eq!(units.len(), 4, "{units:?}");
    let paths = units.iter().map(|unit| {
        let path = folder.path().join(unit.rsplit('/').next().expect("a name"));
        let text = text_of(unit).replace("/usr/bin/ttguard", BINARY);
        std::fs::write(&path, text).expect("write a unit");
        path
    });
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no"]).args(paths);
    let Ok(output) = verify.output() else {
        let _ = writeln!(std::io::stderr(), "\nSKIPPED: systemd-analyze is missing: {units:?}");
        return;
    };
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.is_empty(), "{told}");
}

/// An edge is a process like a guard: what holds one back and keeps it alive is the same.
#[test]
fn the_unit_of_an_edge_differs_from_a_guards_in_its_names_alone() {
    for kind in ["service", "socket"] {
        let lines = |name: &str| -> Vec<String> {
            let text = text_of(&format!("config/systemd/{name}.{kind}"));
            let is_meant = |line: &&str| !line.starts_with('#') && !line.starts_with("Description=");
            let meant = text.lines().filter(is_meant);
            meant
                .map(|line| line.replace("ttguard/edge", "ttguard/ttguard"))
                .map(|line| line.replace("Directory=ttguard-edge", "Directory=ttguard"))
                .collect()
        };
        assert_eq!(lines("ttguard-edge"), lines("ttguard"), "{kind}");
    }
    let edge = text_of("config/systemd/ttguard-edge.service");
    for folder in ["RuntimeDirectory", "StateDirectory", "LogsDirectory"] {
        assert!(edge.contains(&format!("\n{folder}=ttguard-edge\n")), "{folder}");
    }
}
