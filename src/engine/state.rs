//! The states of a request, from admission to settlement. This is the file to read first.
//!
//! ```text
//! Admitted --> Waiting --> InFlight --> Settled
//!     |        ^  |  |        |            ^
//!     |        |  |  +-----> InSequence ---+
//!     |        +--+           |            |
//!     +-----------------------+------------+
//! ```
//!
//! A request comes back from its lane to waiting when it may be sent again: nothing of it was done, or to do it twice does
//! no harm. A *sequence* is a command that takes several exchanges, alone among its client's requests.

use std::time::Instant;

use super::failure::Failure;

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It has its number, its place among the answers, and its deadline.
    Admitted,
    /// It cannot go yet.
    Waiting(Cause),
    /// It is on its way to the store, or to its answer.
    InFlight,
    /// It is carried out in several exchanges.
    InSequence,
    /// It has its outcome.
    Settled(Settled),
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The store has answered, or the guard has refused.
    Answered,
    /// There is no answer.
    Failed,
}

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its key: a change of it is in flight, it is looked up, or the end of a lane that carried one is waited for.
    Key,
    /// A lane, or room on it.
    Lane,
    /// The end of the hold after a start.
    Hold(Instant),
    /// More bytes of its client, or until then the certainty that none follow at once.
    Grace(Instant),
    /// The outcome of everything that its client asked before.
    Earlier,
    /// That its client takes what it has been answered.
    Taken,
    /// Room for its answer.
    Room,
}

/// What there is to see for those who wait.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// This instant.
    pub now: Instant,
    /// Requests of the same client that are in flight.
    pub in_flight: usize,
    /// The client has taken all that it was answered.
    pub is_taken: bool,
    /// The client has sent something behind this request, or will send nothing more.
    pub is_followed: bool,
}

impl State {
    /// Whether a request may go on from this state to that one.
    pub fn may_become(self, next: Self) -> bool {
        match (self, next) {
            (Self::Settled(_), _) | (_, Self::Admitted) => false,
            // What several exchanges have begun is repeated within them.
            (Self::InSequence, next) => matches!(next, Self::Settled(_)),
            // It goes again by way of its client's order, or in a sequence that finds out what its answer means.
            (Self::InFlight, Self::InFlight) => false,
            (Self::Admitted | Self::Waiting(_) | Self::InFlight, _) => true,
        }
    }
}

impl Cause {
    /// Whether the wait is over. Of a key and of room the waiter is told, and for a lane it finds out by trying.
    pub fn is_over(self, seen: Seen) -> bool {
        match self {
            Self::Key | Self::Room => false,
            Self::Lane => true,
            Self::Hold(until) => until <= seen.now,
            Self::Grace(until) => until <= seen.now || seen.is_followed,
            Self::Earlier => seen.in_flight == 0,
            Self::Taken => seen.is_taken,
        }
    }

    /// Until when a request with this deadline waits, and why it fails then. A lane that is down is given up at
    /// `gives_up_at`. For a client that takes its time there is no end.
    pub fn until(self, deadline: Instant, gives_up_at: Option<Instant>) -> Option<(Instant, Failure)> {
        match (self, gives_up_at) {
            (Self::Taken, _) => None,
            (Self::Lane, Some(at)) if at < deadline => Some((at, Failure::BackendDown)),
            _ => Some((deadline, Failure::Deadline)),
        }
    }

    /// When it is worth a look again, at the latest.
    pub fn looks_at(self, deadline: Instant, gives_up_at: Option<Instant>) -> Option<Instant> {
        let until = self.until(deadline, gives_up_at).map(|(until, _)| until);
        match self {
            Self::Hold(at) | Self::Grace(at) => Some(until.map_or(at, |until| until.min(at))),
            _ => until,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn all(now: Instant) -> Vec<State> {
        let causes = [
            Cause::Key,
            Cause::Lane,
            Cause::Hold(now),
            Cause::Grace(now),
            Cause::Earlier,
            Cause::Taken,
            Cause::Room,
        ];
        let mut all = vec![State::Admitted, State::InFlight, State::InSequence];
        all.extend(causes.map(State::Waiting));
        all.extend([Settled::Answered, Settled::Failed].map(State::Settled));
        all
    }

    #[test]
    fn every_state_but_the_last_leads_to_a_settlement_and_the_last_leads_nowhere() {
        let states = all(Instant::now());
        for state in &states {
            let is_settled = matches!(state, State::Settled(_));
            let settles = states
                .iter()
                .filter(|next| matches!(next, State::Settled(_)) && state.may_become(**next));
            assert_eq!(settles.count(), if is_settled { 0 } else { 2 }, "{state:?}");
            assert!(!state.may_become(State::Admitted), "{state:?}");
            let goes_on = states.iter().any(|next| state.may_become(*next));
            assert_ne!(goes_on, is_settled, "{state:?}");
        }
    }

    #[test]
    fn what_was_lost_waits_again_and_what_is_in_a_sequence_does_not() {
        assert!(State::InFlight.may_become(State::Waiting(Cause::Lane)));
        assert!(!State::InFlight.may_become(State::InFlight));
        assert!(!State::InSequence.may_become(State::Waiting(Cause::Lane)));
        assert!(!State::InSequence.may_become(State::InFlight));
    }

    #[test]
    fn a_wait_is_over_when_there_is_what_was_waited_for() {
        let now = Instant::now();
        let seen = Seen {
            now,
            in_flight: 1,
            is_taken: false,
            is_followed: false,
        };
        let later = now + Duration::from_millis(1);
        assert!(!Cause::Hold(later).is_over(seen) && Cause::Hold(now).is_over(seen));
        assert!(!Cause::Grace(later).is_over(seen) && Cause::Grace(now).is_over(seen));
        assert!(Cause::Grace(later).is_over(Seen {
            is_followed: true,
            ..seen
        }));
        assert!(!Cause::Earlier.is_over(seen) && Cause::Earlier.is_over(Seen { in_flight: 0, ..seen }));
        assert!(!Cause::Taken.is_over(seen) && Cause::Taken.is_over(Seen { is_taken: true, ..seen }));
        assert!(!Cause::Key.is_over(seen) && !Cause::Room.is_over(seen) && Cause::Lane.is_over(seen));
    }

    #[test]
    fn who_waits_for_a_lane_that_is_down_is_told_before_its_deadline() {
        let deadline = Instant::now() + Duration::from_secs(2);
        let (before, behind) = (deadline - Duration::from_secs(1), deadline + Duration::from_secs(1));
        let down = |at| Cause::Lane.until(deadline, at);
        assert_eq!(down(Some(before)), Some((before, Failure::BackendDown)));
        assert_eq!(down(Some(behind)), Some((deadline, Failure::Deadline)));
        assert_eq!(down(None), Some((deadline, Failure::Deadline)));
        assert_eq!(
            Cause::Key.until(deadline, Some(before)),
            Some((deadline, Failure::Deadline))
        );
        assert_eq!(Cause::Taken.until(deadline, None), None);
        assert_eq!(Cause::Hold(before).looks_at(deadline, None), Some(before));
        assert_eq!(Cause::Grace(behind).looks_at(deadline, None), Some(deadline));
        assert_eq!(Cause::Key.looks_at(deadline, None), Some(deadline));
    }
}
