//! How often clients gave each command, and how often in vain: what `stat` tells as `cnt_...`, whatever store is behind.
//!
//! A server counts what it is asked, which is not what clients ask: a `get` reaches it as an `mget`, some `put`s as a
//! `misc`, and the guard asks questions of its own. So it is counted here, when a request is answered; one that could not
//! be answered is counted nowhere.
//!
//! As with a server's own counters they begin at 0 with each run of it, or with this process where that began later.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;

use crate::command::{Answer, Reason, Reply, Verb};

/// Threads that count without disturbing one another; more than these share.
const STRIPES: usize = 16;

/// The verbs, by [`Verb`] in its order of declaration.
const VERBS: usize = Verb::Repl as usize + 1;

/// A command that found nothing to do, or could not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Miss {
    /// A `put`, `putkeep`, `putcat`, `putshl` or `putnr` that stored nothing.
    Put,
    /// An `out` of a record that is not there.
    Out,
    /// A `get` of a record that is not there.
    Get,
}

const CELLS: usize = VERBS + 3;

/// The names of the counts, in the server's order: those of the verbs, in their order of declaration, and of the misses.
const NAMES: [&str; CELLS] = [
    "put",
    "putkeep",
    "putcat",
    "putshl",
    "putnr",
    "out",
    "get",
    "mget",
    "vsiz",
    "iterinit",
    "iternext",
    "fwmkeys",
    "addint",
    "adddouble",
    "ext",
    "sync",
    "optimize",
    "vanish",
    "copy",
    "restore",
    "setmst",
    "rnum",
    "size",
    "stat",
    "misc",
    "repl",
    "put_miss",
    "out_miss",
    "get_miss",
];

/// What the names of all these lines begin with.
pub const PREFIX: &str = "cnt_";

/// A row of its own for each thread: one row for all cost more than the reads that it counted.
#[derive(Default)]
#[repr(align(128))]
struct Stripe([AtomicU64; CELLS]);

/// Counts since the backend was started, or this process.
pub struct Tally {
    stripes: [Stripe; STRIPES],
    /// What had been counted when the backend was started.
    before: Mutex<[u64; CELLS]>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            stripes: Default::default(),
            before: Mutex::new([0; CELLS]),
        }
    }
}

impl Tally {
    /// Counts a command that is not answered as others are.
    pub fn asked(&self, verb: Verb) {
        self.add(verb as usize, 1);
    }

    /// Counts a command with its answer. `keys` is how many a `get` of memcached's names, and counts for: 0 for all others.
    pub fn answered(&self, verb: Verb, keys: usize, answer: &Answer) {
        if *answer == Answer::Unavailable {
            return;
        }
        if keys > 0 {
            let found = match answer {
                Answer::Reply(Reply::Records(found)) => found.len(),
                Answer::Refused { .. } => keys,
                // The backend does not know the command.
                _ => return,
            };
            self.add(Verb::Get as usize, keys as u64);
            self.add(VERBS + Miss::Get as usize, keys.saturating_sub(found) as u64);
            return;
        }
        self.asked(verb);
        if let Some(miss) = miss(verb, answer) {
            self.add(VERBS + miss as usize, 1);
        }
    }

    /// Another run of the backend begins: what was counted before belongs to the former one.
    pub fn restart(&self) {
        *self.before.lock() = self.totals();
    }

    /// The lines of `stat`, for a client whose own `stat` is being answered.
    pub fn lines(&self) -> String {
        let (totals, before) = (self.totals(), *self.before.lock());
        let mut lines = String::with_capacity(CELLS * 20);
        for (cell, name) in NAMES.iter().enumerate() {
            let own = u64::from(cell == Verb::Stat as usize);
            let count = totals[cell].saturating_sub(before[cell]) + own;
            // Writing to a string cannot fail.
            let _ = writeln!(lines, "{PREFIX}{name}\t{count}");
        }
        lines
    }

    fn totals(&self) -> [u64; CELLS] {
        std::array::from_fn(|cell| self.stripes.iter().map(|stripe| stripe.0[cell].load(Relaxed)).sum())
    }

    fn add(&self, cell: usize, count: u64) {
        if count > 0 {
            self.stripes[stripe()].0[cell].fetch_add(count, Relaxed);
        }
    }
}

/// In what way a command was in vain. What is denied is not, as with the server's mask.
fn miss(verb: Verb, answer: &Answer) -> Option<Miss> {
    let code = match answer {
        Answer::Reply(reply) => reply.code(),
        Answer::NoRecord => 1,
        Answer::Refused { told, .. } => told.code(),
        Answer::Unavailable => return None,
    };
    match (verb, code) {
        (_, 0) => None,
        (_, code) if Reason::of_code(code) == Some(Reason::Denied) => None,
        (Verb::Put | Verb::PutKeep | Verb::PutCat | Verb::PutShl | Verb::PutNr, _) => Some(Miss::Put),
        (Verb::Out, 1) => Some(Miss::Out),
        (Verb::Get, 1) => Some(Miss::Get),
        _ => None,
    }
}

/// The row of this thread.
fn stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static STRIPE: usize = NEXT.fetch_add(1, Relaxed) % STRIPES);
    STRIPE.with(|stripe| *stripe)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn count(tally: &Tally, name: &str) -> u64 {
        let lines = tally.lines();
        let line = lines
            .lines()
            .find_map(|line| line.strip_prefix(&format!("cnt_{name}\t")));
        line.and_then(|count| count.parse().ok()).expect("a count")
    }

    #[test]
    fn counts_of_all_threads_add_up_and_begin_anew_with_the_backend() {
        let tally = Tally::default();
        let found = Answer::Reply(Reply::Value(Bytes::new()));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100).for_each(|_| tally.answered(Verb::Get, 0, &found)));
            }
        });
        tally.asked(Verb::Repl);
        assert_eq!(
            (count(&tally, "get"), count(&tally, "repl"), count(&tally, "get_miss")),
            (400, 1, 0)
        );
        assert_eq!(count(&tally, "stat"), 1, "its own");
        tally.restart();
        tally.answered(Verb::Get, 0, &Answer::Reply(Reply::Code(1)));
        assert_eq!(
            (count(&tally, "get"), count(&tally, "repl"), count(&tally, "get_miss")),
            (1, 0, 1)
        );
    }

    #[test]
    fn what_found_nothing_is_a_miss_and_what_was_not_answered_is_nothing() {
        let refused = |reason, code| Answer::Refused {
            reason,
            told: Reply::Code(code),
        };
        let code = |code| Answer::Reply(Reply::Code(code));
        for (verb, answer, counted, missed) in [
            (Verb::Put, code(0), 1, 0),
            (Verb::Put, code(1), 1, 1),
            (Verb::Put, code(6), 1, 1),
            (Verb::PutNr, refused(Reason::Stale, 2), 1, 1),
            (Verb::Put, refused(Reason::Denied, 5), 1, 0),
            (Verb::PutCat, Answer::NoRecord, 1, 1),
            (Verb::Put, Answer::Unavailable, 0, 0),
            (Verb::Out, code(1), 1, 1),
            (Verb::Out, code(6), 1, 0),
            (Verb::Vsiz, code(1), 1, 0),
            (Verb::Mget, Answer::Reply(Reply::Records(vec![])), 1, 0),
        ] {
            let tally = Tally::default();
            tally.answered(verb, 0, &answer);
            let misses: u64 = ["put_miss", "out_miss", "get_miss"]
                .iter()
                .map(|name| count(&tally, name))
                .sum();
            assert_eq!(
                (count(&tally, NAMES[verb as usize]), misses),
                (counted, missed),
                "{verb:?} {answer:?}"
            );
        }
    }

    #[test]
    fn each_key_of_a_get_of_memcacheds_counts() {
        let tally = Tally::default();
        let pair = || (Bytes::new(), Bytes::new());
        tally.answered(Verb::Mget, 3, &Answer::Reply(Reply::Records(vec![pair()])));
        tally.answered(
            Verb::Mget,
            2,
            &Answer::Reply(Reply::Records(vec![pair(), pair(), pair()])),
        );
        tally.answered(Verb::Mget, 2, &Answer::Reply(Reply::Code(1)));
        assert_eq!(
            (count(&tally, "get"), count(&tally, "mget"), count(&tally, "get_miss")),
            (5, 0, 2)
        );
    }
}
