//! What the guard costs each write: judge and settle, by what is known of the key and by who else is there.
//!
//! `cargo bench --bench guard`

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use dashmap::DashMap;
use ttguard::guard::ledger::{HashSeed, KeyHash, Ledger};
use ttguard::guard::rules::Rules;
use ttguard::guard::verdict::{Outcome, Verdict, Waiter, Wake};
use ttguard::guard::{Guard, Origin};
use ttguard::pairing::LaneId;

/// Seconds since the epoch, in the year 2026.
const NOW: Duration = Duration::from_secs(1_795_000_000);

/// The stamps of all values are behind [`NOW`]; none is used twice.
const FIRST_STAMP: u64 = 1_790_000_000_000;

struct Nobody;

impl Waiter for Nobody {
    fn wake(self, _: Wake) -> bool {
        false
    }
}

/// A guard in front of an empty store, so that no key needs to be read.
fn guard(entries: usize) -> Guard<Nobody> {
    Guard::new(Rules::default(), HashSeed([1, 2]), Ledger::with_entries(entries, 0))
}

/// A write of this key, from its bytes to its outcome.
fn write(guard: &Guard<Nobody>, key: &[u8], value: &[u8], lane: u64) {
    judge_and_settle(guard, guard.key(key), value, lane);
}

fn judge_and_settle(guard: &Guard<Nobody>, key: KeyHash, value: &[u8], lane: u64) {
    let origin = Origin {
        lane: LaneId(lane),
        turn: false,
        alone: false,
    };
    if let Verdict::Go(ticket) = guard.judge(key, guard.change_of(value), origin, NOW, None, || Nobody) {
        guard.settle(ticket, Outcome::Stored);
    }
}

/// Values with ever newer stamps.
struct Values {
    stamp: u64,
    text: [u8; 16],
}

impl Values {
    fn new() -> Self {
        Self {
            stamp: FIRST_STAMP,
            text: *b"0000000000000val",
        }
    }

    fn next(&mut self) -> &[u8] {
        self.stamp += 1;
        let mut rest = self.stamp;
        for digit in self.text[..13].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        &self.text
    }
}

fn alone(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("judge and settle");
    let mut values = Values::new();

    let hot = guard(1 << 20);
    group.bench_function("hit: one hot key", |bencher| {
        bencher.iter(|| write(&hot, b"a hot key", values.next(), 1));
    });

    let many = guard(1 << 20);
    let keys: Vec<[u8; 8]> = (0..1_u64 << 17).map(u64::to_be_bytes).collect();
    for key in &keys {
        write(&many, key, values.next(), 1);
    }
    let mut turn = keys.iter().cycle();
    group.bench_function("hit: 131072 keys in turn", |bencher| {
        bencher.iter(|| write(&many, turn.next().expect("a cycle"), values.next(), 1));
    });

    let fresh = guard(1 << 22);
    let mut number = 0_u64;
    group.bench_function("miss: a key never seen", |bencher| {
        bencher.iter(|| {
            number += 1;
            write(&fresh, &number.to_be_bytes(), values.next(), 1);
        });
    });

    // What it cannot be below: the new slot lies in no cache, and the table grows.
    let map: DashMap<KeyHash, [u32; 2]> = DashMap::with_shard_amount(256);
    group.bench_function("of a miss: the insertion into a map alone", |bencher| {
        bencher.iter(|| {
            number += 1;
            map.insert(hot.key(&number.to_be_bytes()), [0, 0]);
        });
    });
    drop(map);

    let full = guard(1 << 12);
    group.bench_function("eviction: a key never seen, the ledger full", |bencher| {
        bencher.iter(|| {
            number += 1;
            write(&full, &number.to_be_bytes(), values.next(), 1);
        });
    });

    group.bench_function("refusal: a stale write", |bencher| {
        bencher.iter(|| write(&hot, b"a hot key", b"1000000000000old", 1));
    });

    let key = hot.key(b"a hot key");
    group.bench_function("hit, without hashing the key", |bencher| {
        bencher.iter(|| judge_and_settle(&hot, key, values.next(), 1));
    });
    group.bench_function("the hash of a key", |bencher| {
        bencher.iter(|| hot.key(black_box(b"a hot key")));
    });
}

/// Another thread writes all the time, the same keys or others.
fn beside_another(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("judge and settle beside another thread");
    for (name, prefix) in [("the same 64 keys", 0_u64), ("64 other keys", 1 << 32)] {
        let shared = Arc::new(guard(1 << 20));
        let is_over = Arc::new(AtomicBool::new(false));
        let other = {
            let (shared, is_over) = (Arc::clone(&shared), Arc::clone(&is_over));
            thread::spawn(move || {
                let mut values = Values::new();
                for number in (0..64_u64).cycle() {
                    if is_over.load(Ordering::Relaxed) {
                        return;
                    }
                    write(&shared, &(prefix + number).to_be_bytes(), values.next(), 2);
                }
            })
        };
        let (mut values, mut numbers) = (Values::new(), (0..64_u64).cycle());
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let key = numbers.next().expect("a cycle").to_be_bytes();
                write(&shared, &key, values.next(), 1);
            });
        });
        is_over.store(true, Ordering::Relaxed);
        other.join().expect("the other thread");
    }
}

criterion_group!(benches, alone, beside_another);
criterion_main!(benches);
