//! By what a key is remembered.

use std::hash::{Hash, Hasher};

use siphasher::sip128::{Hasher128, SipHasher13};

/// The seeded 96-bit hash of a key. With 10^9 keys the chance that any two share one is below 10^-11.
///
/// In words of 32 bits: with one of 64 each slot of a table would be padded to a multiple of eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHash([u32; 3]);

impl KeyHash {
    /// A part of it, for people to tell keys apart by.
    pub fn short(self) -> u64 {
        wide(self.0[0], self.0[1])
    }
}

impl Hash for KeyHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(wide(self.0[0], self.0[1]));
    }
}

/// The number of these low and high halves.
pub(super) fn wide(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// The low and the high half of a number.
#[allow(clippy::cast_possible_truncation)] // the halves are what is wanted
pub(super) fn halves(number: u64) -> [u32; 2] {
    [number as u32, (number >> 32) as u32]
}

/// The seed of every [`KeyHash`]: secret, so that nobody can choose keys that share one.
#[derive(Clone, Copy, Debug)]
pub struct HashSeed(pub [u64; 2]);

impl HashSeed {
    /// The hash of a key under this seed.
    pub fn hash(self, key: &[u8]) -> KeyHash {
        let mut hasher = SipHasher13::new_with_keys(self.0[0], self.0[1]);
        hasher.write(key);
        let hash = hasher.finish128();
        let ([low, high], [more, _]) = (halves(hash.h1), halves(hash.h2));
        KeyHash([low, high, more])
    }
}
