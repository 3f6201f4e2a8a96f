//! Clients that move many bytes beside others that ask for little.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::frame;
use crate::support::guarded::Guarded;

/// Calls `during` while others ask small things without a pause.
fn beside_others(guarded: &Guarded, during: impl FnOnce()) {
    /// Also when `during` panics.
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let over = &AtomicBool::new(false);
    let asked = &AtomicUsize::new(0);
    thread::scope(|threads| {
        let _over = Over(over);
        for number in 0..8 {
            threads.spawn(move || {
                let mut client = guarded.client();
                let key = format!("light{number}");
                while !over.load(Ordering::Relaxed) {
                    assert_eq!(client.put(&key, b"v"), 0);
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // They are looked at for some time before they are known to be busy.
        while asked.load(Ordering::Relaxed) < 40_000 {
            thread::yield_now();
        }
        during();
    });
}

/// The time that others are given is not the client's: with these limits each of its requests would be late.
const IMPATIENT: &str = "[pairing]
    request_timeout = \"400ms\"
    frame_timeout = \"400ms\"
    frame_deadline = \"500ms\"
    [limits]
    heavy_rate = \"1MiB\"";

#[test]
fn who_moves_many_bytes_beside_others_goes_slower_and_has_all_answers() {
    const VALUE: usize = 96 * 1024;
    let guarded = Guarded::memory(IMPATIENT);
    beside_others(&guarded, || {
        let mut client = guarded.client();
        let start = Instant::now();
        let value = |number: usize| vec![u8::try_from(number).expect("few"); VALUE];
        let puts: Vec<u8> = (0..16)
            .flat_map(|number| frame::store(frame::PUT, &format!("heavy{number}"), &value(number)))
            .collect();
        client.send(&puts);
        assert_eq!(client.recv(16), [0; 16]);
        // Answers count as well, of requests that all came at once.
        let gets: Vec<u8> = (0..16)
            .flat_map(|number| frame::keyed(frame::GET, &format!("heavy{number}")))
            .collect();
        client.send(&gets);
        for number in 0..16 {
            assert_eq!(client.read_value().expect("an answer"), Some(value(number)));
        }
        // 3 MiB, of which some are free.
        assert!(start.elapsed() > Duration::from_secs(1), "{:?}", start.elapsed());
    });
    guarded.expect_metric("ttguard_heavy_pauses_total", &[], 10.0);
}

#[test]
fn one_value_that_takes_longer_than_a_request_may_is_taken_in_where_others_come_first() {
    let guarded = Guarded::memory(IMPATIENT);
    beside_others(&guarded, || {
        let mut client = guarded.client();
        let value = vec![b'v'; 3 << 20];
        assert_eq!(client.put("heavy", &value), 0);
        assert_eq!(client.get("heavy"), Some(value));
    });
    guarded.expect_metric("ttguard_heavy_pauses_total", &[], 2.0);
}
