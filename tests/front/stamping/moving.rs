//! A store of old data moves in, and out again.

use super::GIVEN;
use crate::support::guarded::Guarded;
use crate::support::real::Real;

const RECORDS: usize = 500;

/// What `ttguard` prints for these arguments, and its exit code.
fn ttguard(arguments: &[&str]) -> (Option<i32>, String) {
    let output = std::process::Command::new(crate::support::guarded::BINARY)
        .args(arguments)
        .output()
        .expect("ttguard");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

fn url(guard: &Guarded) -> String {
    format!("tyrant://{}", guard.address())
}

/// How many values have a stamp, and how many have none.
fn counted(guard: &Guarded) -> [usize; 2] {
    let (_, said) = ttguard(&["verify", &url(guard), "--stamp-source", "edge"]);
    ["values with a stamp", "values without a stamp"].map(|what| {
        let line = said.lines().find(|line| line.contains(what)).expect(what);
        line.split_whitespace()
            .next()
            .and_then(|count| count.parse().ok())
            .expect("a count")
    })
}

fn key(at: usize) -> String {
    format!("key-{at}")
}

#[test]
fn old_data_is_read_at_once_stamped_in_its_own_time_and_unstamped_again() {
    let test = "old_data_is_read_at_once_stamped_in_its_own_time_and_unstamped_again";
    let Some(real) = Real::start("*", test) else {
        return;
    };
    let mut old = real.client();
    for at in 0..RECORDS {
        assert_eq!(old.put(&key(at), format!("old {at}").as_bytes()), 0);
    }
    let guard = Guarded::before(real.address(), GIVEN);
    let mut client = guard.client();
    assert_eq!(client.text(&key(7)).as_deref(), Some("old 7"));
    assert_eq!(client.put(&key(7), b"new"), 0);
    assert_eq!(counted(&guard), [1, RECORDS - 1]);

    let (code, said) = ttguard(&["stamp", &url(&guard)]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("{} stamped", RECORDS - 1)), "{said}");
    assert_eq!(counted(&guard), [RECORDS, 0]);
    let (_, said) = ttguard(&["stamp", &url(&guard), "--rate", "100000"]);
    assert!(said.contains("0 stamped"), "once is enough: {said}");
    let [seen, as_stored] = [&[][..], &["--stored"]].map(|flags| {
        let url = url(&guard);
        ttguard(&[&["export", url.as_str(), "-"][..], flags].concat()).1
    });
    assert!(seen.contains("key-9\told 9\n"), "{seen}");
    assert!(as_stored.contains("key-9\t0000000000000001\x1eold 9\n"), "{as_stored}");
    assert_eq!(seen.lines().count(), as_stored.lines().count());
    // Their stamps are older than those of any write.
    assert_eq!(client.text(&key(8)).as_deref(), Some("old 8"));
    assert_eq!(client.put(&key(8), b"new"), 0);
    assert!(
        old.text(&key(9))
            .expect("a record")
            .starts_with("0000000000000001\x1eold")
    );

    let (code, said) = ttguard(&["unstamp", &url(&guard)]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("observe"), "writes would be stamped meanwhile: {said}");
    let toml = |mode: &str| {
        let server = real.address();
        format!("backend = \"tyrant://{server}\"\n{GIVEN}[guard]\nmode = \"{mode}\"\n")
    };
    guard.rewrite(&toml("observe"));
    guard.signal(libc::SIGHUP);
    guard.expect_log("settings were read again");
    let (code, said) = ttguard(&["unstamp", &url(&guard)]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("{RECORDS} unstamped")), "{said}");
    assert_eq!(counted(&guard), [0, RECORDS]);
    assert_eq!(old.text(&key(7)).as_deref(), Some("new"));
    assert_eq!(old.text(&key(9)).as_deref(), Some("old 9"));
}

#[test]
fn what_cannot_be_stamped_is_said_in_a_line() {
    let guard = Guarded::memory("");
    for command in ["stamp", "unstamp"] {
        let (code, said) = ttguard(&[command, &url(&guard)]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("stamp.source"), "{said}");
        let (code, said) = ttguard(&[command, "127.0.0.1:1"]);
        assert_eq!(code, Some(1), "{said}");
        let (code, said) = ttguard(&[command, &url(&guard), "--rate", "0"]);
        assert_eq!(code, Some(2), "{said}");
    }
}
