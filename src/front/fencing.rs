//! Which of an edge's connections may go on: in each of its places the newest alone, once those before it have ended.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

/// So many places whose links have all ended are remembered.
const PLACES: usize = 4096;

/// A place of an edge: its process, and which of that one's links it is.
type At = (u64, u32);

/// The places of all edges.
#[derive(Debug, Default)]
pub struct Fencing {
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    known: HashMap<At, watch::Sender<Place>>,
    /// Those whose links have all ended, the one that ended first at the front. A place may have come back meanwhile.
    ended: VecDeque<At>,
}

/// Who is in a place.
#[derive(Debug, Default)]
struct Place {
    /// The generation of the newest.
    newest: u64,
    /// The generations of all that have not ended.
    alive: BTreeSet<u64>,
}

/// The right of a link to its place, given back when it is dropped: by then nothing more is taken of its connection.
#[derive(Debug)]
pub struct Fenced {
    fencing: Arc<Fencing>,
    at: At,
    generation: u64,
    place: watch::Receiver<Place>,
}

/// A newer link, or the same, was seen in that place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overtaken;

impl Fencing {
    /// A link of this generation comes into a place. Those before it are told to end.
    ///
    /// # Errors
    /// When it is not newer than all that were there.
    pub fn enter(self: &Arc<Self>, instance: u64, slot: u32, generation: u64) -> Result<Fenced, Overtaken> {
        let at = (instance, slot);
        let mut places = self.places.lock();
        if let Some(place) = places.known.get(&at)
            && place.borrow().newest >= generation
        {
            return Err(Overtaken);
        }
        let place = places.known.entry(at).or_default();
        place.send_modify(|place| {
            place.newest = generation;
            place.alive.insert(generation);
        });
        let place = place.subscribe();
        Ok(Fenced {
            fencing: Arc::clone(self),
            at,
            generation,
            place,
        })
    }

    fn leave(&self, at: At, generation: u64) {
        let places = &mut *self.places.lock();
        let Some(place) = places.known.get(&at) else {
            return;
        };
        place.send_modify(|place| {
            place.alive.remove(&generation);
        });
        if !place.borrow().alive.is_empty() {
            return;
        }
        places.ended.retain(|ended| *ended != at);
        places.ended.push_back(at);
        while places.ended.len() > PLACES
            && let Some(oldest) = places.ended.pop_front()
        {
            let is_empty = |place: &watch::Sender<Place>| place.borrow().alive.is_empty();
            if places.known.get(&oldest).is_some_and(is_empty) {
                places.known.remove(&oldest);
            }
        }
    }
}

impl Fenced {
    /// Waits until all that came before it have ended.
    pub async fn alone(&mut self) {
        let generation = self.generation;
        let is_first = |place: &Place| place.alive.first() == Some(&generation);
        let _ = self.place.wait_for(is_first).await;
    }

    /// Waits until a newer one has come.
    pub async fn overtaken(&mut self) {
        let generation = self.generation;
        let _ = self.place.wait_for(|place| place.newest > generation).await;
    }
}

impl Drop for Fenced {
    fn drop(&mut self) {
        self.fencing.leave(self.at, self.generation);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn is_over(future: impl Future<Output = ()>) -> bool {
        pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn a_newer_one_is_alone_once_those_before_it_have_ended() {
        let fencing = Arc::new(Fencing::default());
        let mut first = fencing.enter(1, 0, 5).expect("the first");
        assert!(is_over(first.alone()) && !is_over(first.overtaken()));
        let mut second = fencing.enter(1, 0, 6).expect("a newer one");
        let mut third = fencing.enter(1, 0, 9).expect("a newer one");
        assert!(is_over(first.overtaken()) && is_over(second.overtaken()));
        drop(second);
        assert!(!is_over(third.alone()), "the first has not ended");
        drop(first);
        assert!(is_over(third.alone()) && !is_over(third.overtaken()));
        // Another place is none of its business.
        assert!(fencing.enter(1, 1, 1).is_ok() && fencing.enter(2, 0, 1).is_ok());
    }

    #[test]
    fn one_that_is_not_newer_stays_out_also_when_all_have_ended() {
        let fencing = Arc::new(Fencing::default());
        drop(fencing.enter(1, 0, 5).expect("the first"));
        for generation in [0, 4, 5] {
            assert_eq!(fencing.enter(1, 0, generation).err(), Some(Overtaken), "{generation}");
        }
        assert!(fencing.enter(1, 0, 6).is_ok());
    }

    #[test]
    fn places_that_ended_first_are_forgotten_first_and_those_in_use_never() {
        let fencing = Arc::new(Fencing::default());
        let kept = fencing.enter(0, 0, 5).expect("the first");
        for instance in 1..=PLACES as u64 + 1 {
            drop(fencing.enter(instance, 0, 5));
        }
        assert_eq!(fencing.places.lock().known.len(), PLACES + 1);
        assert!(fencing.enter(1, 0, 5).is_ok(), "it was forgotten");
        assert_eq!(fencing.enter(2 + 1, 0, 5).err(), Some(Overtaken));
        assert_eq!(fencing.enter(0, 0, 5).err(), Some(Overtaken));
        drop(kept);
    }
}
