//! The server's own test programs, which stand beside it, through the proxy and unchanged.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::client::Client;
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::real::Real;

/// The programs append random digits to one another, and some of that reads as a time of the far future.
const NO_CLOCK: &str = "[stamp]\nunit = \"opaque\"\n";

/// Program, what it does, its options, and the number of records where it takes one. In this order:
/// what is written is read and then removed.
const RUNS: &[(&str, &str, &[&str], Option<&str>)] = &[
    ("tcrtest", "write", &[], Some("2000")),
    ("tcrtest", "read", &[], None),
    ("tcrtest", "read", &["-mul", "50"], None),
    ("tcrtest", "remove", &[], None),
    ("tcrtest", "write", &["-nr", "-rnd"], Some("2000")),
    ("tcrtest", "rcat", &[], Some("1000")),
    ("tcrtest", "rcat", &["-shl", "16"], Some("1000")),
    ("tcrtest", "rcat", &["-dai"], Some("1000")),
    ("tcrtest", "rcat", &["-dad"], Some("1000")),
    ("tcrtest", "misc", &[], Some("500")),
    ("tcrtest", "wicked", &[], Some("2000")),
    ("tcrmttest", "write", &["-tnum", "8"], Some("500")),
    ("tcrmttest", "read", &["-tnum", "8"], None),
    ("tcrmttest", "remove", &["-tnum", "8"], None),
    ("tcrmttest", "write", &["-tnum", "64"], Some("100")),
    ("tcrmttest", "read", &["-tnum", "64"], None),
    ("tcrmttest", "remove", &["-tnum", "64"], None),
    ("tcrmttest", "typical", &["-tnum", "8"], Some("500")),
];

fn run_all(address: SocketAddr) {
    for (program, what, options, records) in RUNS {
        if *what == "rcat" {
            // It adds to what is there, and a number cannot be added to the text of the run before.
            let code = Client::connect(address).ask_code(&frame::bare(frame::VANISH));
            assert_eq!(code, 0);
        }
        run(address, program, what, options, *records);
    }
}

fn run(address: SocketAddr, program: &str, what: &str, options: &[&str], records: Option<&str>) {
    let folder = folder();
    let output = Command::new(folder.join(program))
        .env("LD_LIBRARY_PATH", &folder)
        .arg(what)
        .args(["-port", &address.port().to_string()])
        .args(options)
        .arg(address.ip().to_string())
        .args(records)
        .output()
        .expect("start a program that stands beside the server");
    assert!(
        output.status.success(),
        "{program} {what} {options:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Where the programs are: these tests only come here when TTSERVER is set.
fn folder() -> PathBuf {
    let server = std::env::var_os("TTSERVER").expect("TTSERVER");
    Path::new(&server)
        .parent()
        .expect("the folder of the server")
        .to_owned()
}

#[test]
fn the_programs_pass_on_the_embedded_store() {
    // No server is needed but for its programs.
    if Real::start("*", "the_programs_pass_on_the_embedded_store").is_some() {
        run_all(Guarded::memory(NO_CLOCK).address());
    }
}

#[test]
fn the_programs_pass_on_a_file() {
    if Real::start("*", "the_programs_pass_on_a_file").is_some() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = format!("[store]\nsync = \"os\"\n{NO_CLOCK}");
        run_all(Guarded::file(&folder.path().join("store"), &settings).address());
    }
}

#[test]
fn the_programs_pass_in_front_of_a_real_server() {
    if let Some(real) = Real::start("*", "the_programs_pass_in_front_of_a_real_server") {
        run_all(Guarded::before(real.address(), NO_CLOCK).address());
    }
}

#[test]
fn tcrmgr_reads_by_http() {
    if Real::start("*", "tcrmgr_reads_by_http").is_none() {
        return;
    }
    let guarded = Guarded::memory("");
    assert_eq!(guarded.client().put("a key", b"its value"), 0);
    let url = format!("http://{}/a%20key", guarded.address());
    let mut tcrmgr = Command::new(folder().join("tcrmgr"));
    tcrmgr.env("LD_LIBRARY_PATH", folder()).args(["http", &url]);
    let output = tcrmgr.output().expect("start tcrmgr");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "its value");
}

#[test]
fn the_table_programs_pass_in_front_of_a_table_database() {
    let folder = tempfile::tempdir().expect("a folder for the database");
    let database = folder.path().join("casket.tct");
    let database = database.to_str().expect("a path of text");
    if let Some(real) = Real::start(database, "the_table_programs_pass_in_front_of_a_table_database") {
        // A search for everything must not find what the guard keeps there.
        let guarded = Guarded::before(real.address(), "claim = true\n");
        guarded.expect_ready();
        run(guarded.address(), "tcrtest", "table", &[], Some("500"));
        run(guarded.address(), "tcrmttest", "table", &["-tnum", "8"], Some("100"));
    }
}

#[test]
fn the_programs_pass_on_the_real_server_alone() {
    if let Some(real) = Real::start("*", "the_programs_pass_on_the_real_server_alone") {
        run_all(real.address());
    }
}
