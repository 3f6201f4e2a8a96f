//! What the page on edges has its reader type, typed.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use super::{between, page};
use crate::support::guarded::{BINARY, Guarded};
use crate::support::stamped::Clock;

/// The blocks of code in this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let begin = format!("```{language}\n");
    let rests = page("edges").split(&begin[..]).skip(1);
    rests.map(|rest| rest.split("```").next().expect("an end")).collect()
}

fn bash(script: &str, folder: &Path) -> Output {
    let output = Command::new("bash").args(["-euc", script]).current_dir(folder).output();
    output.expect("bash")
}

/// The text with ports that are free now for those that it names.
fn on_free_ports(text: &str, ports: &[&str]) -> String {
    let free: Vec<TcpListener> = ports
        .iter()
        .map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"))
        .collect();
    let mut text = text.to_owned();
    for (port, listener) in ports.iter().zip(&free) {
        let (named, other) = (format!("127.0.0.1:{port}"), listener.local_addr().expect("its address"));
        assert!(text.contains(&named), "{named}");
        // Not one that is replaced in its turn.
        text = text.replace(&named, &format!("localhost {}", other.port()));
    }
    text.replace("localhost ", "127.0.0.1:")
}

#[test]
fn a_guard_and_two_edges_go_as_the_page_says() {
    let [start, ask, _] = blocks("sh")[..] else {
        panic!("other blocks");
    };
    let wait = |port: &str| {
        format!("curl -sf --retry 300 --retry-all-errors --retry-delay 1 http://127.0.0.1:{port}/readyz >&2\n")
    };
    let waits: String = ["9178", "9179", "9180"].into_iter().map(wait).collect();
    // A terminal for each is a job for each.
    let start: String = start.lines().map(|line| format!("{line} &\n")).collect();
    let script = format!(
        "ttguard() {{ exec {BINARY} \"$@\" >&2; }}\ntrap 'kill $(jobs -p)' EXIT\n{start}{waits}\n{}",
        ask.replace("curl ", "curl -sS ")
    );
    let script = on_free_ports(&script, &["1978", "1979", "1980", "9178", "9179", "9180"]);
    let output = bash(&script, Path::new("/"));
    let (told, log) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    let now = told
        .strip_prefix("Created\nConflict: stale\n")
        .and_then(|rest| rest.strip_suffix("000 PC"));
    assert!(
        now.is_some_and(|now| now.parse::<u64>().is_ok()),
        "{told}\n{log}\n{script}"
    );
}

#[test]
fn certificates_and_settings_of_the_page_bring_guard_and_edge_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let [_, _, make] = blocks("sh")[..] else {
        panic!("other blocks");
    };
    let made = bash(make, folder.path());
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

    let [guard, edge] = blocks("toml")[..] else {
        panic!("other blocks");
    };
    let at = |text: &str| text.replace("/etc/ttguard", folder.path().to_str().expect("text"));
    let backend = between(guard, "backend = \"", "\"");
    let guard = Guarded::start(&at(&guard.replace(backend, "memory:")));
    let url = between(edge, "edge_of = [\"", "\"");
    let host = between(url, "://", ":");
    let named = format!("[backend_tls]\nserver_name = \"{host}\"\n");
    let edge = edge
        .replace(url, &format!("tyrants://{}", guard.address()))
        .replace("[backend_tls]\n", &named);
    let edge = Guarded::start(&at(&edge));
    let clock = Clock::start();
    assert_eq!(edge.client().put("packet", &clock.value(0)), 0);
    assert_eq!(edge.client().put("packet", &clock.value(-60_000)), 2);
    assert_eq!(guard.scrape("ttguard_edges", &[]), 1.0);
}
