//! Copies, and what comes back from them.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_copy_is_one_point_in_time_while_writes_go_on() {
    let place = Place::new();
    let store = place.open();
    let stop = AtomicBool::new(false);
    let target = place.beside("copy");
    std::thread::scope(|scope| {
        // However this ends.
        let _stop = Stop(&stop);
        scope.spawn(|| {
            // In each list both have the same value: never is there a copy in which they differ.
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                number += 1;
                let value = bytes(format!("{number}"));
                let arguments = vec![bytes("a"), value.clone(), bytes("z"), value];
                let function = bytes("putlist");
                code(
                    &store,
                    Command::Misc {
                        function,
                        options: 0,
                        arguments,
                    },
                );
            }
        });
        for _ in 0..5 {
            assert_eq!(copy(&store, "copy"), 0);
            let copied = open(&target);
            assert_eq!(get(&copied, "a"), get(&copied, "z"));
        }
    });
    let mode = std::fs::metadata(&target).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_copy_can_be_read_where_nothing_can_be_written() {
    let place = Place::new();
    let store = place.open();
    assert_eq!(put(&store, "k", "v"), 0);
    assert_eq!(copy(&store, "copy"), 0);
    let target = place.beside("copy");
    std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o400)).unwrap();
    let connection = connection::archive(&target).unwrap();
    assert_eq!(
        connection
            .pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0))
            .unwrap(),
        "delete"
    );
    assert_eq!(format::damage(&connection).unwrap(), None);
    assert_eq!(Table::new(&connection, &target).get(b"k").unwrap().unwrap(), "v");
    let entries = std::fs::read_dir(target.parent().unwrap()).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["copy", "store", "store-lock", "store-wal"]);
}

/// All that a client must not reach by asking for a copy, in the folder where the store itself lies.
#[test]
fn a_copy_touches_nothing_but_itself() {
    let place = Place::new();
    let store = place.open();
    assert_eq!(put(&store, "k", "v"), 0);
    assert_eq!(code(&store, Command::Optimize { parameters: bytes("") }), 0);
    assert_eq!(
        std::fs::metadata(place.beside("store-wal")).unwrap().len(),
        0,
        "an empty log"
    );
    std::fs::create_dir(place.beside("folder")).unwrap();
    let outside = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("text", "mine"),
        ("X-new", "mine"),
        ("X-new-journal", "mine"),
        ("X-new-wal", "mine"),
    ] {
        std::fs::write(place.beside(name), text).unwrap();
    }
    std::os::unix::fs::symlink(place.beside("text"), place.beside("link")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("new"), place.beside("dangling")).unwrap();
    std::fs::hard_link(&place.path, place.beside("second")).unwrap();
    mknodat(CWD, place.beside("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let other = open(&place.beside("other"));
    assert_eq!(put(&other, "k", "other"), 0);
    let long = "x".repeat(300);
    let before = listing(&place);
    for name in [
        "store",
        "store-wal",
        "store-lock",
        "store-journal",
        "store-shm",
        "store-new",
        "anything-wal",
        "text",
        "folder",
        "link",
        "dangling",
        "second",
        "fifo",
        "other",
        "",
        ".",
        "..",
        ".hidden",
        "../up",
        "folder/x",
        "/tmp/x",
        place.beside("absolute").to_str().unwrap(),
        "@/bin/true",
        "line\nforged",
        "\u{1b}[2J",
        &long,
    ] {
        assert_eq!(copy(&store, name), 1, "{name:?}");
        assert_eq!(restore(&store, name, 0), 1, "{name:?}");
        assert_eq!(listing(&place), before, "{name:?}");
    }
    assert_eq!(copy(&store, b"\xFF"), 1, "no text");
    assert!(outside.path().read_dir().unwrap().next().is_none());
    assert_eq!(copy(&store, "X"), 0);
    assert_eq!(get(&open(&place.beside("X")), "k").unwrap(), "v");
    for name in ["X-new", "X-new-journal", "X-new-wal"] {
        assert_eq!(std::fs::read(place.beside(name)).unwrap(), b"mine", "{name}");
    }
    // What was acknowledged is still there.
    assert_eq!(put(&store, "k", "later"), 0);
    assert_eq!(
        (get(&store, "k").unwrap(), get(&other, "k").unwrap()),
        ("later".into(), "other".into())
    );
    std::fs::remove_file(place.beside("second")).unwrap();
    drop(store);
    assert_eq!(get(&place.open(), "k").unwrap(), "later");
}

/// What lies in the folder, and what it says; not what may change while nobody does anything.
fn listing(place: &Place) -> Vec<(String, Option<Vec<u8>>)> {
    let entries = std::fs::read_dir(place.path.parent().unwrap()).unwrap();
    let mut found: Vec<_> = entries
        .map(|entry| {
            let entry = entry.unwrap();
            let content = entry
                .file_type()
                .unwrap()
                .is_file()
                .then(|| std::fs::read(entry.path()).unwrap());
            (entry.file_name().into_string().unwrap(), content)
        })
        .collect();
    found.sort();
    found
}

#[test]
fn without_a_folder_there_are_no_copies() {
    let place = Place::new();
    let store = FileStore::open(&place.path, StoreSettings::default()).unwrap();
    assert_eq!(copy(&store, "copy"), 1);
    assert_eq!(restore(&store, "store", 0), 1);
    assert!(!place.beside("copy").exists());
}

#[test]
fn what_a_copy_has_left_behind_is_cleared_and_nothing_else() {
    let place = Place::new();
    let store = place.open();
    assert_eq!(put(&store, "k", "v"), 0);
    let left = place.beside(".copy.ttguard-new");
    std::fs::write(&left, "half").unwrap();
    assert_eq!(copy(&store, "copy"), 0);
    assert!(!left.exists());
    // Another process is at it.
    let under_way = std::fs::File::create(&left).unwrap();
    under_way.lock().unwrap();
    assert_eq!(copy(&store, "copy"), 1);
    drop(under_way);
    assert_eq!(copy(&store, "copy"), 0);
    let journal = place.beside(".copy.ttguard-new-journal");
    std::fs::write(&journal, "mine").unwrap();
    assert_eq!(copy(&store, "copy"), 1);
    assert_eq!(std::fs::read(&journal).unwrap(), b"mine");
}

/// Files with our header that somebody else has written.
#[test]
fn nothing_is_restored_from_a_hostile_file() {
    let place = Place::new();
    let store = place.open();
    assert_eq!((put(&store, "k", "v"), copy(&store, "copy")), (0, 0));
    let craft = |name: &str, sql: &str| {
        std::fs::copy(place.beside("copy"), place.beside(name)).unwrap();
        let connection = Connection::open(place.beside(name)).unwrap();
        connection.execute_batch(sql).unwrap();
        connection.close().unwrap();
    };
    craft(
        "endless",
        "DROP TABLE records; CREATE VIEW records AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) \
         SELECT CAST(n AS BLOB) AS key, 0 AS checksum, x'00' AS value FROM c;",
    );
    craft("more", "CREATE TABLE more (x)");
    craft(
        "triggered",
        "CREATE TRIGGER t AFTER INSERT ON records BEGIN DELETE FROM records; END",
    );
    craft("checksum", "UPDATE records SET value = x'00'");
    let content = std::fs::read(place.beside("copy")).unwrap();
    std::fs::write(place.beside("cut"), &content[..content.len() - 4096]).unwrap();
    std::fs::write(place.beside("header"), &content[..100]).unwrap();
    let mut pages = content.clone();
    let end = pages.len();
    pages[end - 4096..].fill(0xFF);
    std::fs::write(place.beside("pages"), &pages).unwrap();
    std::fs::copy(place.beside("copy"), place.beside("logged")).unwrap();
    std::fs::write(place.beside("logged-wal"), "a log").unwrap();
    assert_eq!(code(&store, Command::Vanish), 0);
    for name in [
        "endless",
        "more",
        "triggered",
        "checksum",
        "cut",
        "header",
        "pages",
        "logged",
    ] {
        let path = super::bytes(name);
        let restored = store
            .execute(
                &Command::Restore {
                    path,
                    timestamp: 0,
                    options: 0,
                },
                NOW,
            )
            .unwrap();
        assert_ne!(restored.code(), 0, "{name}");
        assert_eq!(store.len().unwrap(), 0, "{name}");
    }
    assert_eq!((restore(&store, "copy", 0), store.len().unwrap()), (0, 1));
    for name in ["more", "endless"] {
        assert!(
            refusal(&place.beside(name)).contains("has other tables than a store"),
            "{name}"
        );
    }
}

#[test]
fn the_records_of_a_copy_come_back_over_what_has_their_keys() {
    let place = Place::new();
    let store = place.open();
    fill(&store, 3000, |number| number.to_string(), |_| b"old".to_vec());
    let target = "copy";
    assert_eq!(copy(&store, target), 0);
    assert_eq!(code(&store, Command::Vanish), 0);
    assert_eq!((put(&store, "7", "new"), put(&store, "more", "new")), (0, 0));
    assert_eq!(restore(&store, target, 1), 1);
    assert_eq!(restore(&store, "store", 0), 1);
    assert_eq!(restore(&store, "none", 0), 1);
    assert_eq!(store.len().unwrap(), 2);
    assert_eq!(restore(&store, target, 0), 0);
    assert_eq!(store.len().unwrap(), 3001);
    assert_eq!(get(&store, "7").unwrap(), "old");
    assert_eq!(get(&store, "more").unwrap(), "new");
}
