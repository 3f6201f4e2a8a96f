//! How one who waits for a claim knows that it is free.

use std::time::{Duration, Instant};

use super::record::Record;

/// What one who waits has seen of a claim.
#[derive(Debug)]
pub struct Watch {
    patience: Duration,
    /// The record as it was seen first and as it has been since, and when that was.
    seen: Option<(Option<Record>, Instant)>,
    /// It has changed while it was watched.
    is_alive: bool,
}

/// What is known of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Free {
    /// Somebody holds it, or may.
    No,
    /// It was never held, or given back: nothing of a holder can be on its way.
    AtOnce,
    /// Its holder has shown no sign of life for so long that it can hold it no more. What it has sent may still be on its
    /// way.
    Silent,
}

impl Watch {
    /// Who shows no sign of life for so long holds nothing any more.
    pub fn new(patience: Duration) -> Self {
        Self {
            patience,
            seen: None,
            is_alive: false,
        }
    }

    /// The record was read, and the answer had come by `now`; nothing where there is none. What is seen for the first time
    /// counts from then.
    pub fn saw(&mut self, record: Option<Record>, now: Instant) -> Free {
        let free_at_once = record.as_ref().is_none_or(|record| record.left);
        match &self.seen {
            Some((before, since)) if *before == record => {
                if !free_at_once && now.saturating_duration_since(*since) >= self.patience {
                    return Free::Silent;
                }
            }
            before => {
                self.is_alive |= before.is_some();
                self.seen = Some((record, now));
            }
        }
        if free_at_once { Free::AtOnce } else { Free::No }
    }

    /// Whether it has changed while it was watched: its holder lives.
    pub fn is_alive(&self) -> bool {
        self.is_alive
    }

    /// Since when nothing has changed; nothing before the first look.
    pub fn unchanged_since(&self) -> Option<Instant> {
        self.seen.as_ref().map(|(_, since)| *since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(2);

    fn beat(beat: u64) -> Option<Record> {
        Some(Record {
            epoch: 1,
            beat,
            mark: None,
            instance: 1,
            holder: "a".to_owned(),
            left: false,
        })
    }

    #[test]
    fn who_shows_no_sign_of_life_for_all_of_the_time_has_lost_it() {
        let (start, mut watch) = (Instant::now(), Watch::new(PATIENCE));
        let mut saw = |millis, record| watch.saw(record, start + Duration::from_millis(millis));
        assert_eq!(saw(0, beat(1)), Free::No);
        assert_eq!(saw(1999, beat(1)), Free::No);
        assert_eq!(saw(1999, beat(2)), Free::No, "it lives");
        assert_eq!(saw(3998, beat(2)), Free::No);
        assert_eq!(saw(3999, beat(2)), Free::Silent);
        assert!(watch.is_alive());
    }

    #[test]
    fn what_nobody_holds_is_free_at_once() {
        let (start, mut watch) = (Instant::now(), Watch::new(PATIENCE));
        assert_eq!(watch.saw(None, start), Free::AtOnce);
        let left = beat(9).map(|record| Record { left: true, ..record });
        assert_eq!(watch.saw(left, start), Free::AtOnce);
        assert_eq!(watch.saw(beat(10), start), Free::No, "another was faster");
    }
}
