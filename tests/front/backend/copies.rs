//! Copies of a store in a file: where they may lie, and what they must not touch.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::frame;
use crate::support::guarded::Guarded;

/// A guard on a file, whose copies are in the folder beside it.
fn with_copies(folder: &Path, more: &str) -> Guarded {
    let copies = folder.join("copies");
    std::fs::create_dir_all(&copies).expect("a folder");
    Guarded::file(
        &folder.join("store"),
        &format!("{more}\nstore.copy_dir = \"{}\"", copies.display()),
    )
}

#[test]
fn copies_are_denied_without_a_folder_and_stay_in_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let copied = folder.path().join("copies/daily");
    let ask = |guarded: &Guarded, request: &[u8]| guarded.client().ask_code(request);
    for allowed in [
        "",
        "allow = [\"copy\", \"restore\", \"copy_command\"]",
        "allow = [\"all\"]",
    ] {
        let guarded = Guarded::file(&folder.path().join("store"), allowed);
        for name in ["daily", "/tmp/daily", "store-wal", "@/bin/true"] {
            assert_eq!(ask(&guarded, &frame::copy(name)), 5, "{allowed} {name}");
            assert_eq!(ask(&guarded, &frame::restore(name, 0)), 5, "{allowed} {name}");
        }
        guarded.expect_log("store.copy_dir has to name a folder");
    }
    let guarded = with_copies(folder.path(), "");
    assert_eq!(guarded.client().put("k", b"v"), 0);
    assert_eq!(ask(&guarded, &frame::copy("daily")), 0);
    assert_eq!(
        ask(&guarded, &frame::restore("daily", 0)),
        5,
        "only where it is allowed"
    );
    assert_eq!(copied.metadata().expect("the copy").permissions().mode() & 0o777, 0o600);
    // Whatever is logged of a name stays on its line.
    assert_eq!(ask(&guarded, &frame::copy("x\nERROR forged\u{1b}[2J")), 1);
    guarded.expect_log("no copy was made");
    assert!(!guarded.log().contains("\nERROR forged") && !guarded.log().contains('\u{1b}'));
    // A store that somebody has open is no copy.
    let other = Guarded::file(&folder.path().join("copies/other"), "");
    assert_eq!(other.client().put("k", b"other"), 0);
    assert_eq!(ask(&guarded, &frame::copy("other")), 1);
    guarded.expect_log("is in use by another process");
    drop(guarded);
    assert_eq!(other.client().text("k").as_deref(), Some("other"));
    let guarded = with_copies(folder.path(), "deny = [\"copy\"]");
    assert_eq!(ask(&guarded, &frame::copy("daily")), 5);
}

#[test]
fn a_log_that_a_copy_must_not_touch_keeps_what_was_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store");
    let settings = format!("store.copy_dir = \"{}\"", folder.path().display());
    let mut guarded = Guarded::file(&path, &settings);
    let mut client = guarded.client();
    assert_eq!(client.put("k", b"v"), 0);
    // Now the log is empty.
    assert_eq!(client.ask_code(&frame::keyed(frame::OPTIMIZE, "")), 0);
    assert_eq!(client.ask_code(&frame::copy("store-wal")), 1);
    for number in 0..100 {
        assert_eq!(client.put(&format!("key {number}"), b"v"), 0);
    }
    guarded.kill();
    assert_eq!(Guarded::file(&path, &settings).client().rnum(), 101);
}
