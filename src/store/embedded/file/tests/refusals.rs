//! What is not for us, or not for us now.

use std::os::unix::fs::PermissionsExt;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;

#[test]
fn it_is_never_opened_twice() {
    let place = Place::new();
    let store = place.open();
    let line = refusal(&place.path);
    let pid = std::process::id();
    assert!(
        line.contains(&format!("in use by another process, pid {pid}; allowed")),
        "{line}"
    );
    std::os::unix::fs::symlink(&place.path, place.beside("link")).unwrap();
    assert!(refusal(&place.beside("link")).contains("in use"));
    drop(store);
    drop(open(&place.beside("link")));
}

#[test]
fn what_is_not_ours_is_refused_and_left_alone() {
    let place = Place::new();
    let text = place.beside("text");
    std::fs::write(&text, "key\tvalue\n").unwrap();
    assert!(refusal(&text).contains("is a file of something else"));
    assert_eq!(std::fs::read(&text).unwrap(), b"key\tvalue\n");
    assert!(!place.beside("text-lock").exists());

    let other = place.beside("other");
    let connection = Connection::open(&other).unwrap();
    connection.execute_batch("CREATE TABLE t(x)").unwrap();
    connection.close().unwrap();
    assert!(refusal(&other).contains("is a database of another program"));

    let later = place.beside("later");
    drop(open(&later));
    let connection = Connection::open(&later).unwrap();
    connection.pragma_update(None, "user_version", 7).unwrap();
    connection.close().unwrap();
    assert!(refusal(&later).contains("has format 7, and this release of ttguard knows format 1"));

    assert!(refusal(place.path.parent().unwrap()).contains("is a folder"));
    assert!(refusal(Path::new("/dev/null")).contains("is no ordinary file"));
    assert!(refusal(&place.beside("no/such")).contains("No such file"));

    mknodat(CWD, place.beside("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    assert!(refusal(&place.beside("fifo")).contains("is no ordinary file but a FIFO"));
    std::os::unix::fs::symlink(place.beside("none"), place.beside("dangling")).unwrap();
    assert!(refusal(&place.beside("dangling")).contains("is a link that leads nowhere"));
    assert!(place.beside("dangling").is_symlink());

    std::fs::write(place.beside("empty"), "").unwrap();
    assert_eq!(put(&open(&place.beside("empty")), "k", "v"), 0);
    let mode = std::fs::metadata(place.beside("empty")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "for this user alone");
}

/// What lies beside it is opened, made and cut as well.
#[test]
fn what_lies_beside_it_is_looked_at_too() {
    let place = Place::new();
    drop(place.open());
    let victim = place.beside("victim");
    std::fs::write(&victim, "of someone else").unwrap();
    for suffix in ["-lock", "-wal", "-shm", "-journal"] {
        let beside = place::beside(&place.path, suffix);
        let _ = std::fs::remove_file(&beside);
        std::os::unix::fs::symlink(&victim, &beside).unwrap();
        assert!(refusal(&place.path).contains("is a symbolic link"), "{suffix}");
        std::fs::remove_file(&beside).unwrap();
        std::fs::hard_link(&victim, &beside).unwrap();
        assert!(refusal(&place.path).contains("second name"), "{suffix}");
        std::fs::remove_file(&beside).unwrap();
        std::fs::create_dir(&beside).unwrap();
        assert!(refusal(&place.path).contains("is a folder"), "{suffix}");
        std::fs::remove_dir(&beside).unwrap();
    }
    assert_eq!(std::fs::read(&victim).unwrap(), b"of someone else");
    std::fs::copy(&victim, place.beside("store-lock")).unwrap();
    assert!(refusal(&place.path).contains("is a file of something else"));
    std::fs::remove_file(place.beside("store-lock")).unwrap();
    std::fs::hard_link(&place.path, place.beside("second")).unwrap();
    assert!(refusal(&place.path).contains("has a second name"));
    std::fs::remove_file(place.beside("second")).unwrap();
    std::fs::set_permissions(&place.path, std::fs::Permissions::from_mode(0o666)).unwrap();
    assert!(refusal(&place.path).contains("can be written to by all"));
    std::fs::set_permissions(&place.path, std::fs::Permissions::from_mode(0o600)).unwrap();
    drop(place.open());
}
