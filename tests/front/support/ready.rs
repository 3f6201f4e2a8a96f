//! The line by which ttguard says where it listens.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::Child;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// What it says first; nothing where it ended before.
pub fn ready_line(child: &mut Child) -> Option<String> {
    let stdout = child.stdout.take().expect("stdout");
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        let _ = stdout.read_line(&mut line);
        let _ = sender.send((line, stdout.into_inner()));
    });
    let (line, stdout) = receiver.recv_timeout(Duration::from_secs(30)).ok()?;
    child.stdout = Some(stdout);
    (!line.is_empty()).then_some(line)
}

/// The ports in `ttguard: listening on A, B, backend URL, admin http://C, guard ...`
pub fn parse_ready(line: &str) -> (Vec<SocketAddr>, SocketAddr) {
    let between = |from: &str, to: &str| {
        let (_, rest) = line.split_once(from)?;
        Some(rest.split_once(to).map_or(rest, |(found, _)| found).trim())
    };
    let listen = between("listening on ", ", backend ").unwrap_or_else(|| panic!("no address in {line:?}"));
    let admin = between("admin http://", ",").unwrap_or_else(|| panic!("no admin in {line:?}"));
    let addresses = listen
        .split(", ")
        .filter(|address| !address.starts_with("unix:"))
        .map(|address| address.parse().unwrap_or_else(|_| panic!("bad address in {line:?}")))
        .collect();
    (addresses, admin.parse().expect("the admin address"))
}
