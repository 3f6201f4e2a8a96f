//! What only a file has to show: that it stays, that it is ours alone, and what happens when it cannot be written or read.

mod copies;
mod faults;
mod refusals;

use std::path::PathBuf;

use bytes::Bytes;
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

/// With copies in the folder of the store, the worst there can be.
fn open(path: &Path) -> FileStore {
    let settings = StoreSettings {
        copy_dir: Some(path.parent().unwrap().canonicalize().unwrap()),
        ..StoreSettings::default()
    };
    FileStore::open(path, settings).unwrap()
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

fn copy(store: &FileStore, name: impl AsRef<[u8]>) -> u8 {
    let path = bytes(name);
    code(store, Command::Copy { path })
}

fn restore(store: &FileStore, name: impl AsRef<[u8]>, timestamp: u64) -> u8 {
    let path = bytes(name);
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
            ..StoreSettings::default()
        };
        let store = FileStore::open(&place.path, settings.clone()).unwrap();
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

#[test]
fn what_is_large_is_not_read_by_a_thread_that_has_others_to_serve() {
    let place = Place::new();
    let store = place.open();
    let large = vec![b'v'; AT_ONCE / 2 + 1];
    for key in ["one", "other"] {
        assert_eq!(put(&store, key, &large), 0);
    }
    let get = |key| Command::Get { key: bytes(key) };
    let both = Command::Mget {
        keys: vec![bytes("one"), bytes("missing"), bytes("other")],
    };
    let at_once = |command: &Command| store.read_at_once(command, NOW).map(|outcome| outcome.unwrap());
    assert_eq!(at_once(&get("one")), Some(Reply::Value(bytes(&large))));
    assert_eq!(at_once(&get("missing")), Some(Reply::Code(1)));
    assert_eq!(at_once(&both), None, "together they are too large");
    match store.read(&both, NOW).unwrap() {
        Reply::Records(found) => assert_eq!(found.len(), 2),
        other => panic!("{other:?}"),
    }
}
