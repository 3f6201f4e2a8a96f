//! What is not for us, or not for us now.

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

    std::fs::write(place.beside("empty"), "").unwrap();
    assert_eq!(put(&open(&place.beside("empty")), "k", "v"), 0);
}
