//! `ttguard import` and `ttguard export`, as a person runs them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::client::Client;
use crate::support::frame;
use crate::support::guarded::{BINARY, Guarded};
use crate::support::real::Real;
use crate::support::scripted::Scripted;
use crate::support::stamped::Clock;

fn ttguard(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).output().expect("run ttguard")
}

/// What it said, in one line, and its exit code.
fn said(output: &Output) -> (Option<i32>, String) {
    let text = String::from_utf8(output.stderr.clone()).expect("text");
    assert_eq!(text.lines().count(), 1, "{text}");
    (output.status.code(), text.trim_end().to_owned())
}

fn moves(verb: &str, server: SocketAddr, file: &Path, more: &[&str]) -> (Option<i32>, String) {
    let (server, file) = (server.to_string(), file.to_str().expect("text"));
    let arguments = [&[verb, &server, file], more].concat();
    said(&ttguard(&arguments))
}

fn file(folder: &tempfile::TempDir, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("a file");
    path
}

fn sorted_lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("a file");
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn records_of_every_byte_come_back_exactly_when_they_are_escaped() {
    let folder = tempfile::tempdir().expect("a folder");
    let (from, to) = (Guarded::memory(""), Guarded::file(&folder.path().join("store"), ""));
    let bytes: Vec<u8> = (0..=255).collect();
    let mut client = from.client();
    let records: [(&[u8], &[u8]); 5] = [
        (b"", b"empty"),
        (b"e", b""),
        (&bytes, &bytes),
        (b"\\n", b"\\"),
        (b"\t", b"\n"),
    ];
    for (key, value) in records {
        assert_eq!(client.misc("put", &[key, value]).0, 0);
    }
    let lines = folder.path().join("lines");
    let (code, line) = moves("export", from.address(), &lines, &["--escape"]);
    assert_eq!((code, line.as_str()), (Some(0), "ttguard: 5 records are written"));
    let (code, line) = moves("import", to.address(), &lines, &["--escape"]);
    assert_eq!((code, line.as_str()), (Some(0), "ttguard: 5 records are stored"));
    let mut client = to.client();
    for (key, value) in records {
        assert_eq!(client.misc("get", &[key]), (0, vec![value.to_vec()]));
    }
    assert_eq!(client.rnum(), 5);

    let (code, line) = moves("export", from.address(), &lines, &[]);
    assert_eq!(code, Some(2));
    assert!(
        line.contains("ttguard: the record of \"") && line.contains("or --escape ("),
        "{line}"
    );
}

#[test]
fn many_plain_records_go_in_and_out_pipelined() {
    let folder = tempfile::tempdir().expect("a folder");
    let text: String = (0..20_000)
        .map(|number| format!("key {number}\tvalue\twith tab {number}\n"))
        .collect();
    let lines = file(&folder, "lines", text);
    let guarded = Guarded::file(&folder.path().join("store"), "");
    assert_eq!(moves("import", guarded.address(), &lines, &[]).0, Some(0));
    assert_eq!(guarded.client().rnum(), 20_000);
    let back = folder.path().join("back");
    assert_eq!(moves("export", guarded.address(), &back, &[]).0, Some(0));
    assert_eq!(sorted_lines(&back), sorted_lines(&lines));
}

#[test]
fn a_line_that_is_none_is_named_and_ends_the_import() {
    let folder = tempfile::tempdir().expect("a folder");
    let guarded = Guarded::memory("");
    let lines = file(&folder, "lines", "a\t1\nb\t2\nno tab\nc\t3\n");
    let (code, line) = moves("import", guarded.address(), &lines, &[]);
    assert_eq!(code, Some(2));
    let start = format!(
        "ttguard: {}:3: has no tab between a key and a value; allowed: ",
        lines.display()
    );
    assert!(
        line.starts_with(&start) && line.ends_with("(2 records before it were stored)"),
        "{line}"
    );
    let mut client = guarded.client();
    assert_eq!((client.text("b").as_deref(), client.text("c")), (Some("2"), None));
}

#[test]
fn what_the_guard_refuses_is_counted_and_the_rest_is_stored() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Clock::start();
    let guarded = Guarded::memory("");
    assert_eq!(guarded.client().put("k", &clock.value(0)), 0);
    let text = format!("a\t1\nk\t{}\ntimestamp.x\t1\nk\t{}\n", clock.text(-5), clock.text(5));
    let lines = file(&folder, "lines", text);
    let (code, line) = moves("import", guarded.address(), &lines, &[]);
    assert_eq!(code, Some(1));
    assert_eq!(
        line,
        "ttguard: 2 records are stored; the server refused 1 with code 2 (stale), the first in line 2; 1 with code 5 \
         (denied), the first in line 3"
    );
    assert_eq!(guarded.client().text("k"), Some(clock.text(5)));
}

#[test]
fn a_server_that_goes_away_or_is_not_there_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let text: String = (0..100).map(|number| format!("{number}\tv\n")).collect();
    let lines = file(&folder, "lines", text);
    let scripted = Scripted::start();
    scripted.rule(crate::support::scripted::Rule::nth(
        0,
        50,
        crate::support::scripted::Act::Refuse(crate::support::scripted::End::Fin),
    ));
    let (code, line) = moves("import", scripted.address(), &lines, &[]);
    assert_eq!(code, Some(1));
    assert!(
        line.ends_with("lines up to 50 were answered, whether later ones are stored is not known"),
        "{line}"
    );
    for verb in ["import", "export"] {
        let nowhere = folder.path().join("no/such/file");
        let (code, line) = moves(verb, scripted.address(), &nowhere, &[]);
        assert!(
            line.contains("No such file or directory (os error 2); allowed: "),
            "{line}"
        );
        assert_eq!(code, Some(2), "{line}");
        let (code, line) = said(&ttguard(&[verb, "tyrant:/no/such.sock", lines.to_str().expect("text")]));
        assert_eq!(code, Some(1));
        assert!(
            line.starts_with("ttguard: unix:/no/such.sock: cannot connect: "),
            "{line}"
        );
        let (code, line) = said(&ttguard(&[verb, "memory:", "-"]));
        assert_eq!(
            (code, line.starts_with("ttguard: URL: memory: is no server; allowed: ")),
            (Some(2), true),
            "{line}"
        );
    }
}

#[test]
fn records_move_from_a_real_server_into_a_file_and_out_again_as_tcrmgr_has_them() {
    let test = "records_move_from_a_real_server_into_a_file_and_out_again_as_tcrmgr_has_them";
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("casket.tch");
    let Some(real) = Real::start(database.to_str().expect("text"), test) else {
        return;
    };
    let mut client = Client::connect(real.address());
    for number in 0..3000 {
        assert_eq!(
            client.put(&format!("key {number}"), format!("value\t{number}").as_bytes()),
            0
        );
    }
    let lines = folder.path().join("lines");
    assert_eq!(moves("export", real.address(), &lines, &[]).0, Some(0));
    let by_tcrmgr = real.tcrmgr(&["list", "-pv"]);
    assert_eq!(sorted_lines(&lines), sorted_lines(&file(&folder, "tcrmgr", by_tcrmgr)));

    let guarded = Guarded::file(&folder.path().join("store"), "");
    assert_eq!(moves("import", guarded.address(), &lines, &[]).0, Some(0));
    let back = folder.path().join("back");
    assert_eq!(moves("export", guarded.address(), &back, &[]).0, Some(0));
    assert_eq!(client.ask_code(&frame::bare(frame::VANISH)), 0);
    assert_eq!(moves("import", real.address(), &back, &[]).0, Some(0));
    assert_eq!(client.rnum(), 3000);
    assert_eq!(client.text("key 7").as_deref(), Some("value\t7"));
}
