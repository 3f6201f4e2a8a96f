//! Copies, and what comes back from them.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

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
