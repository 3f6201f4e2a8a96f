//! What only a file has to show: that it stays, that it is ours alone, and what happens when it cannot be written or read.

use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

const NOW: Duration = Duration::from_secs(1_795_000_000);

struct Place {
    _folder: TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        Self { _folder: folder, path }
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.path.with_file_name(name)
    }

    fn open(&self) -> FileStore {
        open(&self.path)
    }
}

fn open(path: &Path) -> FileStore {
    FileStore::open(path, StoreSettings::default()).unwrap()
}

fn refusal(path: &Path) -> String {
    match FileStore::open(path, StoreSettings::default()) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => {
            let line = error.to_string();
            assert!(
                line.starts_with(&path.display().to_string()) && !line.contains('\n'),
                "{line}"
            );
            line
        }
    }
}

fn bytes(text: impl AsRef<[u8]>) -> Bytes {
    Bytes::copy_from_slice(text.as_ref())
}

fn put(store: &FileStore, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> u8 {
    let (key, value) = (bytes(key), bytes(value));
    store.execute(&Command::Put { key, value }, NOW).unwrap().code()
}

fn get(store: &FileStore, key: impl AsRef<[u8]>) -> Option<Bytes> {
    match store.execute(&Command::Get { key: bytes(key) }, NOW).unwrap() {
        Reply::Value(value) => Some(value),
        reply => {
            assert_eq!(reply, Reply::Code(1));
            None
        }
    }
}

fn code(store: &FileStore, command: Command) -> u8 {
    store.execute(&command, NOW).unwrap().code()
}

fn copy(store: &FileStore, path: &Path) -> u8 {
    let path = bytes(path.to_str().unwrap());
    code(store, Command::Copy { path })
}

fn restore(store: &FileStore, path: &Path, timestamp: u64) -> u8 {
    let path = bytes(path.to_str().unwrap());
    let options = 0;
    code(
        store,
        Command::Restore {
            path,
            timestamp,
            options,
        },
    )
}

/// Stores so many records in one go.
fn fill(store: &FileStore, count: usize, key: impl Fn(usize) -> String, value: impl Fn(usize) -> Vec<u8>) {
    let pairs = (0..count).flat_map(|number| [bytes(key(number)), Bytes::from(value(number))]);
    let command = Command::Misc {
        function: bytes("putlist"),
        options: 0,
        arguments: pairs.collect(),
    };
    assert_eq!(code(store, command), 0);
}

fn size(store: &FileStore) -> u64 {
    match store.execute(&Command::Size, NOW).unwrap() {
        Reply::Count(size) => size,
        reply => panic!("{reply:?}"),
    }
}

#[test]
fn records_of_all_kinds_stay_when_it_is_opened_again() {
    let place = Place::new();
    let (long, large) = (vec![b'k'; 300_000], vec![b'v'; 20 << 20]);
    let records: [(&[u8], &[u8]); 5] = [
        (b"", b"empty key"),
        (b"empty value", b""),
        (b"\0\xFF\n", b"\0\xFF\t"),
        (&long, b"long"),
        (b"large", &large),
    ];
    let store = place.open();
    for (key, value) in records {
        assert_eq!(put(&store, key, value), 0);
    }
    drop(store);
    let store = place.open();
    for (key, value) in records {
        assert!(get(&store, key).unwrap() == value);
    }
    assert_eq!(store.len().unwrap(), 5);
    assert_eq!(code(&store, Command::Out { key: bytes("") }), 0);
    assert_eq!(code(&store, Command::Vanish), 0);
    assert_eq!(put(&store, "a", "b"), 0);
    drop(store);
    assert_eq!(place.open().len().unwrap(), 1);
}

#[test]
fn what_came_together_is_committed_together_and_answered_in_order() {
    let place = Place::new();
    let store = place.open();
    let (line, mut outcomes) = tokio::sync::mpsc::unbounded_channel();
    for number in 0..3000_i32 {
        let key = bytes("counter");
        store.submit(Command::AddInt { key, number: 1 }, NOW, &line);
        if number == 1000 {
            store.submit(Command::Get { key: bytes("counter") }, NOW, &line);
        }
    }
    let mut sums = 0;
    for number in 0..3001 {
        match outcomes.blocking_recv().unwrap().unwrap() {
            Reply::Number(sum) => {
                sums += 1;
                assert_eq!(sum, sums);
            }
            Reply::Value(value) => {
                assert_eq!((number, &value[..]), (1001, &1001_i32.to_ne_bytes()[..]));
            }
            reply => panic!("{reply:?}"),
        }
    }
}

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
    let connection = format::writer(&place.path, true).unwrap();
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
fn a_copy_is_one_point_in_time_while_writes_go_on() {
    let place = Place::new();
    let store = place.open();
    let stop = AtomicBool::new(false);
    let target = place.beside("copy");
    std::thread::scope(|scope| {
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
            assert_eq!(copy(&store, &target), 0);
            let copied = open(&target);
            assert_eq!(get(&copied, "a"), get(&copied, "z"));
        }
        stop.store(true, Ordering::Relaxed);
    });
    let text = place.beside("text");
    std::fs::write(&text, "mine").unwrap();
    for path in [
        &text,
        &place.path,
        &place.beside("store-wal"),
        &place.beside("no/such"),
        Path::new("@/bin/true"),
    ] {
        assert_eq!(copy(&store, path), 1, "{}", path.display());
    }
    assert_eq!(std::fs::read(&text).unwrap(), b"mine");
    assert!(!place.beside("copy-new").exists());
}

#[test]
fn the_records_of_a_copy_come_back_over_what_has_their_keys() {
    let place = Place::new();
    let store = place.open();
    fill(&store, 3000, |number| number.to_string(), |_| b"old".to_vec());
    let target = place.beside("copy");
    assert_eq!(copy(&store, &target), 0);
    assert_eq!(code(&store, Command::Vanish), 0);
    assert_eq!((put(&store, "7", "new"), put(&store, "more", "new")), (0, 0));
    assert_eq!(restore(&store, &target, 1), 1);
    assert_eq!(restore(&store, &place.path, 0), 1);
    assert_eq!(restore(&store, &place.beside("none"), 0), 1);
    assert_eq!(store.len().unwrap(), 2);
    assert_eq!(restore(&store, &target, 0), 0);
    assert_eq!(store.len().unwrap(), 3001);
    assert_eq!(get(&store, "7").unwrap(), "old");
    assert_eq!(get(&store, "more").unwrap(), "new");
}

#[test]
fn optimize_gives_back_what_deleted_records_took() {
    let place = Place::new();
    let store = place.open();
    fill(&store, 300, |number| number.to_string(), |_| vec![b'v'; 20_000]);
    let full = size(&store);
    assert!(full > 6_000_000, "{full}");
    for number in 50..300 {
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
    let parameters = Bytes::from_static(b"capnum=5");
    assert_eq!(code(&store, Command::Optimize { parameters }), 1);
    let parameters = Bytes::new();
    assert_eq!(code(&store, Command::Optimize { parameters }), 0);
    let after = size(&store);
    assert!(after < 1_500_000, "{after}");
    assert_eq!(get(&store, "0").unwrap().len(), 20_000);
}

#[test]
fn every_setting_of_sync_keeps_what_was_answered() {
    for sync in [Sync::Always, Sync::Interval, Sync::Os] {
        let place = Place::new();
        let settings = StoreSettings {
            sync,
            sync_interval: Duration::from_millis(1),
        };
        let store = FileStore::open(&place.path, settings).unwrap();
        for number in 0..50 {
            assert_eq!(put(&store, format!("{number}"), "v"), 0);
            assert_eq!(code(&store, Command::Sync), 0);
        }
        let stat = match store.execute(&Command::Stat, NOW).unwrap() {
            Reply::Value(lines) => String::from_utf8(lines.to_vec()).unwrap(),
            reply => panic!("{reply:?}"),
        };
        assert!(
            stat.contains(&format!("\ntype\thash\npath\t{}\nrnum\t50\n", place.path.display())),
            "{stat}"
        );
        drop(store);
        assert_eq!(FileStore::open(&place.path, settings).unwrap().len().unwrap(), 50);
    }
}
