//! The ledger and its horizon against a memory that forgets nothing.

use arbitrary::{Arbitrary, Unstructured};
use ttguard::guard::ledger::{HashSeed, KeyHash, Known, Ledger};

/// Keys that there are. Few, so that all of them can be looked at after every step.
const KEYS: usize = 16;

/// Stamps have 19 digits at most.
const STAMPS: u64 = 10u64.pow(19);

const STEPS_MAX: usize = 64;

/// What a ledger is made with.
#[derive(Arbitrary, Debug)]
struct Made {
    seed: [u64; 2],
    entries_max: u8,
    horizon: u64,
}

/// What is done to it.
#[derive(Arbitrary, Debug)]
enum Step {
    Stamp {
        key: u8,
        stamp: u64,
    },
    /// A small stamp, so that many are alike.
    Low {
        key: u8,
        stamp: u8,
    },
    Unknown {
        key: u8,
        bound: u64,
    },
    /// The key has no stamp that its entry would say.
    Forget {
        key: u8,
    },
    Clear {
        horizon: u64,
    },
}

/// A ledger, and what each key was last said to be.
struct Book {
    ledger: Ledger,
    keys: [KeyHash; KEYS],
    said: [Known; KEYS],
}

/// Checks one input: how a ledger is made, and what is done to it.
///
/// # Panics
/// When the ledger knows anything else than it was told, or forgets anything above its horizon.
pub fn check(input: &[u8]) {
    let mut input = Unstructured::new(input);
    let Ok(made) = Made::arbitrary(&mut input) else {
        return;
    };
    let seed = HashSeed(made.seed);
    let mut book = Book {
        ledger: Ledger::with_entries(usize::from(made.entries_max) % KEYS + 1, made.horizon),
        keys: std::array::from_fn(|key| seed.hash(&[key as u8])),
        said: [Known::Absent; KEYS],
    };
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        let Ok(step) = Step::arbitrary(&mut input) else {
            break;
        };
        book.take(&step);
    }
}

impl Book {
    fn take(&mut self, step: &Step) {
        match *step {
            Step::Stamp { key, stamp } => self.put(key, Known::Stamp(stamp % STAMPS)),
            Step::Low { key, stamp } => self.put(key, Known::Stamp(stamp.into())),
            Step::Unknown { key, bound } => self.put(key, Known::Unknown { bound }),
            Step::Forget { key } => self.put(key, Known::Absent),
            Step::Clear { horizon } => {
                let before = self.ledger.horizon();
                let bounds = self.known().into_iter().map(bound);
                let newest = bounds.max().unwrap_or(0).max(before).max(horizon);
                self.ledger.clear(horizon);
                assert_eq!(self.ledger.horizon(), newest);
                assert!(self.ledger.is_empty());
                self.said = [Known::Absent; KEYS];
            }
        }
        self.check();
    }

    fn known(&self) -> [Known; KEYS] {
        self.keys.map(|key| self.ledger.get(key))
    }

    fn put(&mut self, key: u8, known: Known) {
        let key = usize::from(key) % KEYS;
        let (before, horizon, evicted) = (self.known(), self.ledger.horizon(), self.ledger.evicted());
        self.ledger.put(self.keys[key], known);
        self.said[key] = known;
        let after = self.known();
        let is_gone =
            |other: &usize| *other != key && before[*other] != Known::Absent && after[*other] == Known::Absent;
        let gone: Vec<usize> = (0..KEYS).filter(is_gone).collect();
        let newest = gone.iter().map(|other| bound(before[*other])).max();
        assert_eq!(
            self.ledger.horizon(),
            horizon.max(newest.unwrap_or(0)),
            "the horizon lies above what went"
        );
        assert_eq!(self.ledger.evicted(), evicted + gone.len() as u64);
        for other in gone {
            self.said[other] = Known::Absent;
        }
    }

    fn check(&self) {
        let known = self.known();
        for (known, said) in known.into_iter().zip(self.said) {
            match (known, said) {
                (Known::Unknown { bound }, Known::Unknown { bound: said }) => {
                    // Rounded up to even numbers, as far as there are codes for them: above every stamp there is.
                    let is_rounded = said.checked_add(said & 1) == Some(bound);
                    assert!(bound == said || is_rounded || (bound < said && bound >= STAMPS));
                }
                (known, said) => assert_eq!(known, said),
            }
        }
        let count = known.into_iter().filter(|known| *known != Known::Absent).count();
        assert_eq!(self.ledger.len(), count);
        assert!(count <= self.ledger.entries_max());
        assert!(self.ledger.bytes() <= self.ledger.bytes_max());
    }
}

/// The greatest stamp that a key may have.
fn bound(known: Known) -> u64 {
    match known {
        Known::Absent => 0,
        Known::Stamp(stamp) | Known::Record(stamp) => stamp,
        Known::Unknown { bound } => bound,
    }
}
