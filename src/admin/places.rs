//! Who may keep a connection of admin: how many half-sent requests there are, and how many answers.
//!
//! Everyone is accepted. When there are too many half-sent requests, the oldest one goes of the address that has most
//! of them; so whoever sends his request at once is answered, however many others never do. Answers that take room or
//! time have places, a share of them for each address; health needs none.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Half-sent requests at once.
pub const HALVES_MAX: usize = 32;

/// Answers at once, those of health aside.
pub const PAGES_MAX: usize = 32;

/// The same to one address.
pub const PAGES_PER_ADDRESS: usize = 16;

/// Connections that may be open at once, with some for health.
pub const CONNECTIONS_MAX: usize = HALVES_MAX + PAGES_MAX + 16;

/// How long an answer may take before it has to make room for another one, where none is left.
pub const PAGE_PATIENCE: Duration = Duration::from_secs(3);

/// All connections, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct Places(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    next: u64,
    open: BTreeMap<u64, Open>,
}

#[derive(Debug)]
struct Open {
    from: IpAddr,
    stage: Stage,
    leave: Arc<Notify>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its request has not come whole.
    Half,
    /// It is asked for health.
    Health,
    /// It is asked for something else, since then.
    Page(Instant),
    /// It was told to go.
    Leaving,
}

/// One connection's place, given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Places,
    number: u64,
    leave: Arc<Notify>,
}

impl Places {
    /// A place for a connection from this address. Where there are too many half-sent requests, another one is told to go;
    /// says whether that was so.
    pub fn enter(&self, from: IpAddr) -> (Place, bool) {
        let mut table = self.0.lock();
        let crowded = table.count(|open| open.stage == Stage::Half) >= HALVES_MAX;
        if crowded {
            table.dismiss_half();
        }
        let number = table.next;
        table.next += 1;
        let leave = Arc::new(Notify::new());
        let (stage, told) = (Stage::Half, Arc::clone(&leave));
        table.open.insert(
            number,
            Open {
                from,
                stage,
                leave: told,
            },
        );
        drop(table);
        let places = self.clone();
        let place = Place { places, number, leave };
        (place, crowded)
    }
}

impl Place {
    /// Its request has come, for health.
    pub fn health(&self) {
        self.places.0.lock().set(self.number, Stage::Health);
    }

    /// Its request has come, for something else. Says whether there is room for the answer.
    pub fn page(&self, now: Instant) -> bool {
        let mut table = self.places.0.lock();
        let Some(from) = table.open.get(&self.number).map(|open| open.from) else {
            return false;
        };
        let of_address = table.count(|open| open.from == from && matches!(open.stage, Stage::Page(_)));
        let of_all = table.count(|open| matches!(open.stage, Stage::Page(_)));
        let has_room = if of_address >= PAGES_PER_ADDRESS {
            table.dismiss_page(Some(from), now)
        } else {
            of_all < PAGES_MAX || table.dismiss_page(None, now)
        };
        let stage = if has_room { Stage::Page(now) } else { Stage::Health };
        table.set(self.number, stage);
        has_room
    }

    /// Resolves when it has to make room.
    pub async fn dismissed(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.0.lock().open.remove(&self.number);
    }
}

impl Table {
    fn count(&self, is_one: impl Fn(&Open) -> bool) -> usize {
        self.open.values().filter(|open| is_one(open)).count()
    }

    fn set(&mut self, number: u64, stage: Stage) {
        if let Some(open) = self.open.get_mut(&number)
            && open.stage != Stage::Leaving
        {
            open.stage = stage;
        }
    }

    /// The oldest half-sent request of the address that has most of them; of several such addresses the one whose is oldest.
    fn dismiss_half(&mut self) {
        let mut addresses: BTreeMap<IpAddr, (usize, u64)> = BTreeMap::new();
        for (number, open) in &self.open {
            if open.stage == Stage::Half {
                addresses.entry(open.from).or_insert((0, *number)).0 += 1;
            }
        }
        let most = addresses
            .values()
            .max_by_key(|(count, oldest)| (*count, u64::MAX - oldest));
        if let Some((_, oldest)) = most.copied() {
            self.dismiss(oldest);
        }
    }

    /// The answer that is longest under way, where it has had its time.
    fn dismiss_page(&mut self, from: Option<IpAddr>, now: Instant) -> bool {
        let pages = self
            .open
            .iter()
            .filter(|(_, open)| from.is_none_or(|from| open.from == from));
        let since = |(number, open): (&u64, &Open)| match open.stage {
            Stage::Page(since) => Some((since, *number)),
            _ => None,
        };
        let oldest = pages.filter_map(since).min();
        match oldest {
            Some((since, number)) if now.saturating_duration_since(since) >= PAGE_PATIENCE => {
                self.dismiss(number);
                true
            }
            _ => false,
        }
    }

    fn dismiss(&mut self, number: u64) {
        if let Some(open) = self.open.get_mut(&number) {
            open.stage = Stage::Leaving;
            open.leave.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([127, 0, 0, last])
    }

    fn is_dismissed(place: &Place) -> bool {
        let table = place.places.0.lock();
        table.open.get(&place.number).expect("open").stage == Stage::Leaving
    }

    #[test]
    fn the_oldest_half_goes_of_the_address_that_has_most() {
        let places = Places::default();
        let few: Vec<_> = (0..3).map(|_| places.enter(address(2)).0).collect();
        let many: Vec<_> = (3..HALVES_MAX).map(|_| places.enter(address(1)).0).collect();
        let (third, crowded) = places.enter(address(3));
        assert!(crowded);
        let gone = |held: &[Place]| held.iter().map(is_dismissed).collect::<Vec<_>>();
        assert_eq!(gone(&few), [false; 3]);
        assert!(is_dismissed(&many[0]) && !gone(&many[1..]).contains(&true));
        assert!(!is_dismissed(&third));
        // What has come whole is no half any more, and makes room.
        many[1].health();
        assert!(!places.enter(address(2)).1);
    }

    #[test]
    fn where_all_have_one_the_oldest_goes() {
        let places = Places::default();
        let held: Vec<_> = (0..HALVES_MAX)
            .map(|index| places.enter(address(index as u8)).0)
            .collect();
        let (_newest, crowded) = places.enter(address(200));
        assert!(crowded && is_dismissed(&held[0]) && !held[1..].iter().any(is_dismissed));
    }

    #[test]
    fn an_address_has_its_share_of_answers_and_a_slow_one_makes_room() {
        let places = Places::default();
        let start = Instant::now();
        let page = |last, at| {
            let (place, _) = places.enter(address(last));
            place.page(at).then_some(place)
        };
        let held: Vec<_> = (0..PAGES_PER_ADDRESS).map(|_| page(1, start).expect("room")).collect();
        assert!(page(1, start).is_none());
        let others = page(2, start);
        assert!(others.is_some());
        let late = page(1, start + PAGE_PATIENCE);
        assert!(late.is_some() && is_dismissed(&held[0]) && !is_dismissed(&held[1]));
        drop(held);
        assert!(page(1, start).is_some());
    }

    #[test]
    fn all_together_have_no_more_than_there_is() {
        let places = Places::default();
        let start = Instant::now();
        let enter = |last: u8| {
            let (place, _) = places.enter(address(last));
            place.page(start).then_some(place)
        };
        let held: Vec<_> = (0..PAGES_MAX).filter_map(|index| enter(index as u8)).collect();
        assert_eq!(held.len(), PAGES_MAX);
        assert!(enter(250).is_none());
    }
}
