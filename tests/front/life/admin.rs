//! Who may see the admin pages, and change something.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use crate::support::guarded::Guarded;

const TOKEN: &str = "0123456789abcdef";

#[test]
fn with_a_token_only_health_is_for_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).expect("a token");
    let guarded = Guarded::launch(
        &format!("admin_token_file = \"{}\"", file.display()),
        &["--listen", "127.0.0.1:0", "--admin", "0.0.0.0:0"],
        |_| {},
    );
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    for path in ["/healthz", "/livez", "/readyz"] {
        assert_eq!(guarded.page(path).0, 200, "{path}");
    }
    assert_eq!(guarded.page("/metrics").0, 401);
    assert_eq!(guarded.ask_admin("GET", "/metrics", &bearer("0123456789abcdeF")).0, 401);
    assert_eq!(guarded.ask_admin("GET", "/metrics", &bearer(TOKEN)).0, 200);
    assert_eq!(guarded.ask_admin("POST", "/api/reload", "").0, 401);
    assert_eq!(guarded.ask_admin("POST", "/api/reload", &bearer(TOKEN)).0, 200);
    // It is read again with the settings.
    std::fs::write(&file, "fedcba9876543210").expect("a token");
    assert_eq!(guarded.ask_admin("POST", "/api/reload", &bearer(TOKEN)).0, 200);
    assert_eq!(guarded.ask_admin("GET", "/metrics", &bearer(TOKEN)).0, 401);
    assert_eq!(guarded.ask_admin("GET", "/metrics", &bearer("fedcba9876543210")).0, 200);
    assert!(!guarded.log().contains(TOKEN));
}

#[test]
fn a_page_in_a_browser_cannot_change_anything() {
    let guarded = Guarded::memory("");
    let origin = "Origin: http://evil.example\r\n";
    assert_eq!(guarded.ask_admin("POST", "/api/reload", origin).0, 403);
    assert_eq!(guarded.ask_admin("PUT", "/api/log?level=off", origin).0, 403);
    assert_eq!(
        guarded
            .ask_admin("POST", "/api/reload", "Origin: http://localhost\r\n")
            .0,
        200
    );
}

#[test]
fn a_page_that_has_its_own_name_point_here_reads_nothing() {
    let guarded = Guarded::memory("admin_hosts = [\"guard.example\"]");
    let status = |path: &str, host: &str| {
        let mut socket = TcpStream::connect(guarded.admin()).expect("admin");
        let question = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n");
        socket.write_all(question.as_bytes()).expect("a question");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("an answer");
        answer.split(' ').nth(1).map(str::to_owned)
    };
    let own = guarded.admin().to_string();
    for path in ["/", "/metrics", "/api/refusals", "/api/key?key=k"] {
        for host in ["localhost:1", "guard.example", &own] {
            assert_eq!(status(path, host).as_deref(), Some("200"), "{path} {host}");
        }
        assert_eq!(status(path, "evil.example").as_deref(), Some("403"), "{path}");
    }
    // Who looks after it may call it what they like.
    assert_eq!(status("/readyz", "evil.example").as_deref(), Some("200"));
}

#[test]
fn without_a_token_admin_is_for_this_machine_alone() {
    for (token, code, said) in [
        (None, 2, "can be reached from other machines"),
        (
            Some("short"),
            2,
            "TTGUARD_ADMIN_TOKEN: no such token; allowed: 16 to 512",
        ),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ttguard"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--admin", "0.0.0.0:0"]);
        command.envs(token.map(|token| ("TTGUARD_ADMIN_TOKEN", token)));
        let output = command.output().expect("ttguard");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(said) && text.lines().count() == 1, "{text}");
    }
}
