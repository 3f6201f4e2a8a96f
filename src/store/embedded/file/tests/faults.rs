//! What cannot be written or read.

use std::os::unix::fs::FileExt;

use super::*;

/// Overwrites every fifth byte of a page somewhere; the engine or the checksums must see it.
fn damage(path: &Path, at: u64) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    for place in (at..at + 4096).step_by(5) {
        file.write_at(b"~", place).unwrap();
    }
}

#[test]
fn damage_is_found_and_never_served() {
    let place = Place::new();
    let store = place.open();
    fill(
        &store,
        2000,
        |number| format!("key {number:04}"),
        |number| format!("value {number}").into_bytes(),
    );
    drop(store);
    let pages = std::fs::metadata(&place.path).unwrap().len() / 4096;
    assert!(pages > 10, "{pages}");
    let whole = std::fs::read(&place.path).unwrap();
    let (mut refused, mut unreadable) = (0, 0);
    for page in 0..pages {
        std::fs::write(&place.path, &whole).unwrap();
        damage(&place.path, page * 4096);
        let Ok(store) = FileStore::open(&place.path, StoreSettings::default()) else {
            refused += 1;
            continue;
        };
        for number in 0..2000 {
            let key = bytes(format!("key {number:04}"));
            match store.execute(&Command::Get { key }, NOW) {
                Ok(Reply::Value(value)) => assert_eq!(value, format!("value {number}")),
                Ok(reply) => panic!("page {page}: {reply:?}"),
                Err(_) => unreadable += 1,
            }
        }
    }
    assert!(refused > 0 && unreadable > 1000, "{refused} {unreadable}");
}

#[test]
fn a_changed_bit_of_a_value_is_found_and_the_record_can_be_replaced() {
    let place = Place::new();
    let store = place.open();
    assert_eq!(put(&store, "k", "a value that is easily found"), 0);
    assert_eq!(put(&store, "other", "fine"), 0);
    drop(store);
    let mut file = std::fs::read(&place.path).unwrap();
    let at = file.windows(10).position(|window| window == b"a value th").unwrap();
    file[at] ^= 1;
    std::fs::write(&place.path, file).unwrap();
    let store = place.open();
    let asked = store.execute(&Command::Get { key: bytes("k") }, NOW);
    assert!(matches!(asked, Err(Fault::Damaged)), "{asked:?}");
    let (key, value) = (bytes("k"), bytes("+"));
    assert_eq!(code(&store, Command::PutCat { key, value }), 6);
    assert_eq!(get(&store, "other").unwrap(), "fine");
    assert_eq!(put(&store, "k", "new"), 0);
    assert_eq!(get(&store, "k").unwrap(), "new");
}

#[test]
fn a_full_file_fails_writes_alone_and_recovers() {
    let place = Place::new();
    drop(place.open());
    let settings = StoreSettings::default();
    let connection = connection::writer(&place.path, true).unwrap();
    // The engine says the same of a full disk.
    connection.pragma_update(None, "max_page_count", 200).unwrap();
    let state = Arc::new(State::new(Origin::memory()));
    let queue = Arc::new(Queue::default());
    let committer = Committer::new(
        connection,
        place.path.clone(),
        Arc::clone(&state),
        Arc::clone(&queue),
        settings,
    );
    let store = FileStore {
        path: place.path.clone(),
        state,
        queue,
        committer: Some(std::thread::spawn(move || committer.run())),
        readers: Mutex::default(),
        copy_dir: None,
        copying: Mutex::default(),
        _lock: Lock::take(&place.path).unwrap(),
    };
    let value = vec![b'v'; 10_000];
    let stored = (0..1000)
        .take_while(|number| put(&store, format!("{number}"), &value) == 0)
        .count();
    assert!((20..200).contains(&stored), "{stored}");
    assert_eq!(store.len().unwrap(), stored as u64);
    assert!(get(&store, "3").unwrap() == value);
    // Of those that come together, those that fit are stored.
    let (line, mut outcomes) = tokio::sync::mpsc::unbounded_channel();
    for number in 0..10 {
        let value = if number % 5 == 2 {
            vec![b'w'; 100_000]
        } else {
            b"w".to_vec()
        };
        let (key, value) = (bytes(format!("small {number}")), Bytes::from(value));
        store.submit(Command::Put { key, value }, NOW, &line);
    }
    let codes: Vec<_> = (0..10)
        .map(|_| outcomes.blocking_recv().unwrap().unwrap().code())
        .collect();
    assert_eq!(codes, [0, 0, 6, 0, 0, 0, 0, 6, 0, 0]);
    assert_eq!(store.len().unwrap(), stored as u64 + 8);
    // Of one change nothing, where a part of it does not fit.
    let large = vec![b'w'; 100_000];
    let command = Command::Misc {
        function: bytes("putlist"),
        options: 0,
        arguments: vec![bytes("half"), bytes("w"), bytes("too large"), Bytes::from(large)],
    };
    assert_eq!(code(&store, command), 6);
    assert_eq!(get(&store, "half"), None);
    // Never a code that says something of the record.
    let (key, value) = (bytes("new"), Bytes::from(value));
    assert_eq!(
        code(
            &store,
            Command::PutKeep {
                key,
                value: value.clone()
            }
        ),
        6
    );
    let arguments = vec![bytes("new"), value.clone()];
    let function = bytes("putkeep");
    let reply = store.execute(
        &Command::Misc {
            function,
            options: 0,
            arguments,
        },
        NOW,
    );
    assert_eq!(
        reply.unwrap(),
        Reply::Strings {
            code: 6,
            strings: vec![]
        }
    );
    for number in 0..10 {
        assert_eq!(
            code(
                &store,
                Command::Out {
                    key: bytes(format!("{number}"))
                }
            ),
            0
        );
    }
    assert_eq!(put(&store, "again", &value), 0);
}

#[test]
fn a_reader_that_has_the_writers_lock_for_a_moment_makes_no_write_fail() {
    let place = Place::new();
    let store = place.open();
    let other = connection::writer(&place.path, false).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.unwrap().block_on(async {
        let (line, mut outcomes) = tokio::sync::mpsc::unbounded_channel();
        // As the engine does when a reader meets a commit half way.
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let key = bytes("k");
        store.submit(Command::Vsiz { key: key.clone() }, NOW, &line);
        store.submit(
            Command::Put {
                key: key.clone(),
                value: bytes("v"),
            },
            NOW,
            &line,
        );
        store.submit(Command::Out { key }, NOW, &line);
        let early = tokio::time::timeout(Duration::from_millis(100), outcomes.recv()).await;
        assert!(early.is_err(), "{early:?}");
        other.execute_batch("ROLLBACK").unwrap();
        for code in [1, 0, 0] {
            assert_eq!(outcomes.recv().await.unwrap().unwrap().code(), code);
        }
    });
}
