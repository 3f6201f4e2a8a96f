//! The `timestamp.` records that keep a stamp where a value cannot, and hiding them from clients.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use bytes::{BufMut, Bytes, BytesMut};

use crate::command::function::until_nul;
pub use crate::guard::stamp::RECORD_PREFIX as PREFIX;

/// The name of the record that keeps the stamp of `key`.
pub fn name_of(key: &[u8]) -> Bytes {
    let mut name = BytesMut::with_capacity(PREFIX.len() + key.len());
    name.put_slice(PREFIX);
    name.put_slice(key);
    name.freeze()
}

/// Whether a key is the name of such a record, and so hidden.
pub fn is_hidden(key: &[u8]) -> bool {
    key.starts_with(PREFIX)
}

/// Leaves out the hidden ones of a list of keys.
pub fn visible_keys(keys: Vec<Bytes>) -> Vec<Bytes> {
    keys.into_iter().filter(|key| !is_hidden(key)).collect()
}

/// Leaves out the hidden ones of keys and values in turn.
pub fn visible_pairs(strings: Vec<Bytes>) -> Vec<Bytes> {
    if strings.iter().step_by(2).all(|key| !is_hidden(key)) {
        return strings;
    }
    let pairs = strings.chunks(2).filter(|pair| !is_hidden(&pair[0]));
    pairs.flatten().cloned().collect()
}

/// One condition more for each query of a table's `search` or `metasearch`: that it is no hidden record. So the table
/// itself leaves them out: of counts, of a most, and of what is deleted too.
pub fn visible_rows(arguments: Vec<Bytes>) -> Vec<Bytes> {
    // The key begins with the prefix, negated, and without an index, of which there is none.
    let operator = 2 | 1 << 24 | 1 << 25;
    let condition = Bytes::from([format!("addcond\0\0{operator}\0").as_bytes(), PREFIX].concat());
    let mut with = Vec::with_capacity(arguments.len() + 1);
    for argument in arguments {
        if until_nul(&argument) == b"next" {
            with.push(condition.clone());
        }
        with.push(argument);
    }
    with.push(condition);
    with
}

/// How many hidden records the backend holds, so that `rnum` can leave them out.
///
/// Counted once, when it is first asked for; from then on kept up to date, because every write of such a record first
/// asks whether it was there. Until then nobody asks: many backends are never asked for `rnum`. Whatever makes the
/// count uncertain has it counted again.
#[derive(Debug)]
pub struct HiddenCount {
    watched: AtomicBool,
    count: AtomicI64,
    /// Rises with every change; a count that was taken across a change is not to be trusted.
    changes: AtomicU64,
    certain: AtomicBool,
}

/// Whether a hidden record was there just before it is written, where that is asked.
#[derive(Clone, Debug, Default)]
pub struct Probe(Option<Rc<Cell<bool>>>);

impl Probe {
    /// It is asked; until the answer comes the record counts as one that was there.
    pub fn asked() -> Self {
        Self(Some(Rc::default()))
    }

    /// The answer has come.
    pub fn found(&self, is_new: bool) {
        if let Some(answer) = &self.0 {
            answer.set(is_new);
        }
    }

    fn is_new(&self) -> Option<bool> {
        self.0.as_ref().map(|answer| answer.get())
    }
}

impl HiddenCount {
    /// The count of an empty store.
    pub fn zero() -> Self {
        Self {
            watched: true.into(),
            count: AtomicI64::new(0),
            changes: AtomicU64::new(0),
            certain: true.into(),
        }
    }

    /// Not counted yet.
    pub fn uncertain() -> Self {
        Self {
            watched: false.into(),
            certain: false.into(),
            ..Self::zero()
        }
    }

    /// Someone wants to know the count: from now on writes ask beforehand whether their record is there.
    pub fn watch(&self) {
        self.watched.store(true, Ordering::Release);
    }

    /// Whether a write is to ask beforehand whether its record is there.
    pub fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Acquire)
    }

    /// The count, if it is certain.
    pub fn get(&self) -> Option<u64> {
        let certain = self.certain.load(Ordering::Acquire);
        certain.then(|| u64::try_from(self.count.load(Ordering::Acquire)).unwrap_or(0))
    }

    /// A record was written, with this code in the answer.
    pub fn written(&self, code: u8, probe: &Probe) {
        match probe.is_new() {
            Some(false) if code == 0 => {}
            Some(true) if code == 0 => self.added(),
            _ => self.doubt(),
        }
    }

    fn added(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    /// A record that was there was deleted.
    pub fn removed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.count.fetch_sub(1, Ordering::AcqRel);
    }

    /// Nobody knows how many there are.
    pub fn doubt(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.certain.store(false, Ordering::Release);
    }

    /// Everything was deleted.
    pub fn reset(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.count.store(0, Ordering::Release);
        self.certain.store(true, Ordering::Release);
    }

    /// To be taken before counting and given to [`Self::counted`].
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// So many were counted; true when nothing changed meanwhile, so that the count holds.
    pub fn counted(&self, count: u64, changes_before: u64) -> bool {
        if self.changes() != changes_before {
            return false;
        }
        self.count
            .store(i64::try_from(count).unwrap_or(i64::MAX), Ordering::Release);
        self.certain.store(true, Ordering::Release);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_records_are_left_out_of_keys_and_of_pairs() {
        let strings = |texts: &[&'static str]| texts.iter().map(|text| Bytes::from(*text)).collect::<Vec<_>>();
        assert_eq!(visible_keys(strings(&["a", "timestamp.a", "b"])), strings(&["a", "b"]));
        assert_eq!(
            visible_pairs(strings(&["a", "timestamp.x", "timestamp.a", "1"])),
            strings(&["a", "timestamp.x"])
        );
        assert_eq!(visible_pairs(strings(&["a", "1", "odd"])), strings(&["a", "1", "odd"]));
        assert_eq!(name_of(b"k"), "timestamp.k");
    }

    #[test]
    fn a_write_that_did_not_ask_makes_the_count_doubtful_once_it_is_wanted() {
        let hidden = HiddenCount::uncertain();
        assert!(!hidden.is_watched());
        hidden.watch();
        let before = hidden.changes();
        hidden.written(0, &Probe::default());
        assert!(!hidden.counted(1, before), "a write from before came between");
        assert!(hidden.counted(1, hidden.changes()));
        let (new, old) = (Probe::asked(), Probe::asked());
        new.found(true);
        old.found(false);
        hidden.written(0, &new);
        hidden.written(0, &old);
        assert_eq!(hidden.get(), Some(2));
        hidden.written(1, &old);
        assert_eq!(hidden.get(), None, "a failed write may have stored it");
    }

    #[test]
    fn a_count_taken_across_a_change_does_not_hold() {
        let hidden = HiddenCount::uncertain();
        let before = hidden.changes();
        hidden.added();
        assert!(!hidden.counted(7, before));
        assert_eq!(hidden.get(), None);
        assert!(hidden.counted(8, hidden.changes()));
        hidden.added();
        assert_eq!(hidden.get(), Some(9));
        hidden.reset();
        assert_eq!(hidden.get(), Some(0));
    }
}
