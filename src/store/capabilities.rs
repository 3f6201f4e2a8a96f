//! What a store can do, as far as the engine has to know.

use std::borrow::Cow;

/// What a store can do. Known once it has been reached; the same for as long as it is the same store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// What its keys are.
    pub keys: Keys,
    /// It can hold a `timestamp.` record of a key.
    pub holds_records: bool,
    /// What a list of puts does.
    pub lists: Lists,
    /// Whether puts of several clients may be stored by one list.
    pub shared_puts: SharedPuts,
    /// Its records are rows of columns.
    pub has_columns: bool,
    /// A function of `misc` does what its name says.
    pub knows_functions: bool,
}

/// What the keys of a store are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Bytes.
    Bytes,
    /// The numbers that a fixed-length database makes of them.
    Numbers,
}

/// What a list of puts does to records that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lists {
    /// It replaces them.
    Replace,
    /// It adds to them: a B+ tree holds several values of one key.
    Add,
    /// Nobody knows, or there are none.
    Unknown,
}

/// Whether a list of puts is the same as the puts one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedPuts {
    /// It is.
    Same,
    /// Where the store is bounded, a put drops its oldest records and a list does not.
    SameIfUnbounded,
    /// It is not, or nobody knows.
    Other,
}

impl Capabilities {
    /// Those of a store of plain records, such as a hash in a file.
    pub const PLAIN: Self = Self {
        keys: Keys::Bytes,
        holds_records: true,
        lists: Lists::Replace,
        shared_puts: SharedPuts::Same,
        has_columns: false,
        knows_functions: true,
    };

    /// Those of the stores in this process, bounded or not.
    pub const EMBEDDED: Self = Self {
        shared_puts: SharedPuts::SameIfUnbounded,
        ..Self::PLAIN
    };

    /// Those of a store of which nothing is known: only the plain commands mean what they always mean.
    pub const UNKNOWN: Self = Self {
        lists: Lists::Unknown,
        shared_puts: SharedPuts::Other,
        knows_functions: false,
        ..Self::PLAIN
    };

    /// Whether a list of puts replaces what is stored, as the puts would one by one.
    pub fn lists_replace(self) -> bool {
        self.lists == Lists::Replace
    }

    /// Whether a key says by itself which record it names.
    pub fn knows_keys(self) -> bool {
        self.keys == Keys::Bytes
    }

    /// What all keys that name the same record have in common. A fixed-length database takes every digit of a key, and
    /// nothing else, for its number; nothing for a key that names another record each time.
    pub fn identity(self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        if self.keys == Keys::Bytes {
            return Some(Cow::Borrowed(key));
        }
        if matches!(key, b"min" | b"max" | b"prev" | b"next") {
            return None;
        }
        let digits = key.iter().filter(|byte| byte.is_ascii_digit());
        let number = digits.fold(0i64, |number, digit| {
            number.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'))
        });
        Some(Cow::Owned(number.to_string().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBERS: Capabilities = Capabilities {
        keys: Keys::Numbers,
        ..Capabilities::PLAIN
    };

    #[test]
    fn keys_of_a_fixed_length_database_are_their_digits() {
        let identity = |key: &'static str| {
            let identity = NUMBERS.identity(key.as_bytes())?;
            Some(String::from_utf8_lossy(&identity).into_owned())
        };
        for key in ["7", "007", " 7", "+7x"] {
            assert_eq!(identity(key).as_deref(), Some("7"), "{key}");
        }
        assert_eq!(identity("x").as_deref(), Some("0"));
        assert_eq!(identity("next"), None);
        assert_eq!(Capabilities::PLAIN.identity(b"007").as_deref(), Some(&b"007"[..]));
    }
}
