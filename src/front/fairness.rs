//! A client that moves many bytes leaves the others their time.
//!
//! To read, pass on and store a megabyte takes as long as hundreds of small requests, and where processors are short the
//! system gives it to the megabytes in slices of milliseconds. So sessions are told apart by what they move: while many
//! light ones are served, the heavy ones of a worker share a rate.
//!
//! A pause takes no time from a request that nobody could have answered before, and gives none to one that could: what
//! lies unread in the kernel counts as having come when it is read; what was read before a pause counts from when it
//! came, or from when the client had the answer before it, if that is later. A client that asks one thing at a time is
//! never answered later than its deadline, pause or not; one that asks ahead is taking answers until then. So a pause
//! may be no longer than a small part of the time that a request has. What a session has moved beyond that is made up
//! for by its next pauses.
//!
//! The rate is the operator's. How busy the worker is says nothing of it: where the server has no time left, the worker
//! waits.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// For so long sessions are compared.
const WINDOW: Duration = Duration::from_millis(100);

/// A session that moves no more than this in a window is light.
const LIGHT: u64 = 256 * 1024;

/// A heavy one moves so many times what light ones did, or all are alike.
const TIMES: u64 = 8;

/// With fewer moves of light sessions in a window hardly anybody is kept waiting.
const BUSY_MOVES: u64 = 128;

/// What is still to be paid for is no more than this, however much a session has moved at once.
const DEBT_MAX: Duration = Duration::from_secs(1);

/// The part of a request's time that a pause may take.
const PART: u32 = 8;

/// What heavy sessions did not use of their rate is kept for so long: one large value now and then is not held up.
const CREDIT: Duration = Duration::from_millis(250);

/// What light sessions did in a window.
#[derive(Clone, Copy, Debug, Default)]
struct Light {
    sessions: u64,
    moves: u64,
    bytes: u64,
}

/// Tells the heavy sessions of one worker from the light ones, and how long the heavy ones pause.
#[derive(Debug)]
pub struct Fairness {
    window: Cell<u64>,
    begun: Cell<Instant>,
    now: Cell<Light>,
    before: Cell<Light>,
    /// When what heavy sessions have moved is paid for.
    paid: Cell<Instant>,
}

/// How heavy sessions may move.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// Bytes per second of all of them; at zero nobody pauses.
    pub rate: u64,
    /// How long a request may take.
    pub request: Duration,
}

/// What one session moved.
#[derive(Debug, Default)]
pub struct Share {
    window: Cell<u64>,
    moves: Cell<u64>,
    bytes: Cell<u64>,
    is_heavy: Cell<bool>,
    /// Until when it was told to pause last, if that was in this window or the one before.
    held_until: Cell<Option<Instant>>,
    is_paused: Cell<bool>,
    /// When its client was last given an answer.
    answered: Cell<Option<Instant>>,
}

impl Share {
    /// Whether the session reads nothing and takes up no request, for the sake of others.
    pub fn is_paused(&self) -> bool {
        self.is_paused.get()
    }

    /// When its pause ends, or should have.
    pub fn paused_until(&self) -> Option<Instant> {
        self.held_until.get().filter(|_| self.is_paused())
    }

    /// The pause is over. What was read before it could not be answered before this, where anything was answered.
    pub fn goes_on(&self) -> Option<Instant> {
        self.is_paused.set(false);
        self.answered.get()
    }

    /// Its client is given an answer.
    pub fn answered(&self, now: Instant) {
        self.answered.set(Some(now));
    }

    /// Whether one more request may be under way beside so many. How large an answer will be is not known, so those of a
    /// session that is held up are taken to be as large as what it moved before.
    pub fn has_room_beside(&self, requests: usize) -> bool {
        let each = self.bytes.get() / self.moves.get().max(1);
        self.held_until.get().is_none() || requests as u64 * each <= LIGHT
    }
}

impl Fairness {
    /// Nobody has moved anything.
    pub fn new(now: Instant) -> Self {
        Self {
            window: Cell::new(1),
            begun: Cell::new(now),
            now: Cell::default(),
            before: Cell::default(),
            paid: Cell::new(now),
        }
    }

    /// A session has read or written so many bytes; heavy sessions move as they [may](Allowance), all together. True when
    /// the session is to pause.
    pub fn moved(&self, share: &Share, bytes: usize, allowance: Allowance, now: Instant) -> bool {
        if allowance.rate == 0 {
            share.held_until.set(None);
            return false;
        }
        self.turn_window(now);
        let mut light = self.now.get();
        if share.window.get() != self.window.get() {
            let stays = share.is_heavy.get() && self.was_heavy(share);
            share.is_heavy.set(stays);
            let was_held_up = |until: &Instant| stays && *until + WINDOW > self.begun.get();
            share.held_until.set(share.held_until.get().filter(was_held_up));
            share.window.set(self.window.get());
            share.moves.set(0);
            share.bytes.set(0);
            light.sessions += u64::from(!stays);
        }
        let bytes = bytes as u64;
        share.bytes.set(share.bytes.get() + bytes);
        share.moves.set(share.moves.get() + 1);
        if !share.is_heavy.get() {
            light.moves += 1;
            light.bytes += bytes;
            if share.bytes.get() > self.most_of_a_light_one() {
                share.is_heavy.set(true);
                light.sessions -= 1;
                light.moves -= share.moves.get();
                light.bytes -= share.bytes.get();
            }
        }
        self.now.set(light);
        share.is_heavy.get() && self.before.get().moves >= BUSY_MOVES && self.pause(share, bytes, allowance, now)
    }

    /// Whether a session that was heavy when it last moved anything still is at the beginning of a window.
    fn was_heavy(&self, share: &Share) -> bool {
        let just_now = share.window.get() + 1 == self.window.get();
        let was_held_up = share.held_until.get() > Some(self.begun.get());
        was_held_up || (just_now && share.bytes.get() > LIGHT / 4)
    }

    fn most_of_a_light_one(&self) -> u64 {
        let before = self.before.get();
        LIGHT.max(before.bytes * TIMES / before.sessions.max(1))
    }

    fn pause(&self, share: &Share, bytes: u64, Allowance { rate, request }: Allowance, now: Instant) -> bool {
        let from = self.paid.get().max(now.checked_sub(CREDIT).unwrap_or(now));
        let paid = from + Duration::from_micros(bytes * 1_000_000 / rate);
        let paid = paid.min(now + DEBT_MAX);
        self.paid.set(paid);
        let until = paid.min(now + request / PART);
        if until <= now {
            return false;
        }
        share.held_until.set(Some(until));
        share.is_paused.set(true);
        true
    }

    fn turn_window(&self, now: Instant) {
        let passed = now.saturating_duration_since(self.begun.get());
        if passed < WINDOW {
            return;
        }
        let light = self.now.take();
        // What was done in a longer time, with nothing at its end, says little of the present.
        self.before
            .set(if passed < 2 * WINDOW { light } else { Light::default() });
        self.window.set(self.window.get() + 1);
        self.begun.set(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u64 = 8 << 20;
    const ALLOWED: Allowance = Allowance {
        rate: RATE,
        request: Duration::from_secs(8),
    };
    const UNBOUND: Allowance = Allowance { rate: 0, ..ALLOWED };
    const PIECE: usize = 64 * 1024;

    /// A worker in time that is made up, and `others` light sessions.
    struct World {
        fairness: Fairness,
        start: Instant,
        passed: Duration,
        others: Vec<Share>,
    }

    /// As a session's task does when the time has come.
    fn end_pause(share: &Share, now: Instant) {
        if share.paused_until().is_some_and(|until| until <= now) {
            share.goes_on();
        }
    }

    impl World {
        fn with_others(others: usize) -> Self {
            let start = Instant::now();
            Self {
                fairness: Fairness::new(start),
                start,
                passed: Duration::ZERO,
                others: std::iter::repeat_with(Share::default).take(others).collect(),
            }
        }

        /// 63 others that have been busy for some windows.
        fn beside_busy() -> Self {
            let mut world = Self::with_others(63);
            world.go_on(300, 100, |_, _| {});
            world
        }

        fn now(&self) -> Instant {
            self.start + self.passed
        }

        /// For each millisecond each of the others moves so many bytes; then `each` has its turn.
        fn go_on(&mut self, milliseconds: u64, bytes_of_others: usize, mut each: impl FnMut(&Fairness, Instant)) {
            for _ in 0..milliseconds {
                self.passed += Duration::from_millis(1);
                for share in &self.others {
                    assert!(!self.fairness.moved(share, bytes_of_others, ALLOWED, self.now()));
                }
                each(&self.fairness, self.now());
            }
        }

        /// A client that moves as much as it is let, for so long; how many bytes that is.
        fn heavy(&mut self, share: &Share, milliseconds: u64, bytes_of_others: usize) -> usize {
            let mut sum = 0;
            self.go_on(milliseconds, bytes_of_others, |fairness, now| {
                end_pause(share, now);
                while !share.is_paused() && sum < 1 << 30 {
                    fairness.moved(share, PIECE, ALLOWED, now);
                    sum += PIECE;
                }
            });
            sum
        }
    }

    #[test]
    fn who_moves_many_bytes_beside_busy_others_has_its_rate() {
        let mut world = World::beside_busy();
        let share = Share::default();
        // What was saved up before, and what makes it heavy, is gone soon.
        world.heavy(&share, 1000, 100);
        let moved = world.heavy(&share, 2000, 100) as u64;
        assert!(moved > RATE * 2 * 9 / 10 && moved < RATE * 2 * 11 / 10, "{moved}");
    }

    #[test]
    fn several_of_them_share_it() {
        let mut world = World::beside_busy();
        let shares: Vec<Share> = std::iter::repeat_with(Share::default).take(5).collect();
        let mut sum = 0;
        world.go_on(5000, 100, |fairness, now| {
            for share in &shares {
                end_pause(share, now);
                while !share.is_paused() {
                    fairness.moved(share, PIECE, ALLOWED, now);
                    sum += PIECE as u64;
                }
            }
        });
        assert!(sum < RATE * 5 * 13 / 10, "{sum}");
    }

    #[test]
    fn one_large_value_now_and_then_is_not_held_up() {
        let mut world = World::beside_busy();
        let share = Share::default();
        for _ in 0..10 {
            for _ in 0..16 {
                assert!(!world.fairness.moved(&share, PIECE, ALLOWED, world.now()));
            }
            world.go_on(200, 100, |_, _| {});
        }
    }

    #[test]
    fn nobody_pauses_where_all_move_alike_or_nobody_else_moves() {
        // 64 KiB a millisecond: all of them move many bytes.
        let mut world = World::with_others(63);
        world.go_on(1000, PIECE, |_, _| {});
        // At the edge of what makes a session heavy, some above and some below.
        let mut world = World::with_others(63);
        world.go_on(1000, 2600, |fairness, now| {
            for share in (0..3).map(|_| Share::default()) {
                assert!(!fairness.moved(&share, 2700, ALLOWED, now));
            }
        });
        let mut world = World::with_others(1);
        assert!(world.heavy(&Share::default(), 100, 100) >= 1 << 30);
    }

    #[test]
    fn who_was_held_up_goes_on_as_before_once_the_others_rest() {
        let mut world = World::beside_busy();
        let share = Share::default();
        world.heavy(&share, 500, 100);
        assert!(!share.has_room_beside(1000));
        world.others.clear();
        // Its last pause may take a second.
        world.go_on(1500, 0, |fairness, now| {
            end_pause(&share, now);
            if !share.is_paused() {
                fairness.moved(&share, PIECE, ALLOWED, now);
            }
        });
        assert!(share.has_room_beside(1000) && !share.is_paused());
    }

    #[test]
    fn a_reload_without_a_rate_lets_everybody_go_on() {
        let mut world = World::beside_busy();
        let share = Share::default();
        world.heavy(&share, 500, 100);
        share.goes_on();
        assert!(!world.fairness.moved(&share, PIECE, UNBOUND, world.now()));
        assert!(share.has_room_beside(1000));
    }

    #[test]
    fn a_pause_leaves_a_request_most_of_its_time_and_what_is_left_to_pay_is_not_forgotten() {
        let mut world = World::beside_busy();
        let share = Share::default();
        let allowance = Allowance {
            request: Duration::from_millis(400),
            ..ALLOWED
        };
        world.fairness.moved(&share, 64 << 20, allowance, world.now());
        for _ in 0..10 {
            assert_eq!(share.paused_until(), Some(world.now() + Duration::from_millis(50)));
            world.go_on(50, 100, |_, _| {});
            share.goes_on();
            world.fairness.moved(&share, PIECE, allowance, world.now());
        }
    }

    #[test]
    fn a_pause_is_no_time_of_a_request_that_could_be_answered_before_it() {
        let start = Instant::now();
        let share = Share::default();
        assert_eq!(share.goes_on(), None, "whatever was asked has not been answered late");
        share.answered(start);
        assert_eq!(share.goes_on(), Some(start));
    }

    #[test]
    fn without_a_rate_nobody_pauses() {
        let world = World::with_others(0);
        for _ in 0..10_000 {
            assert!(!world.fairness.moved(&Share::default(), PIECE, UNBOUND, world.now()));
        }
    }

    #[test]
    fn who_is_held_up_has_few_large_requests_under_way() {
        let mut world = World::beside_busy();
        let share = Share::default();
        assert!(share.has_room_beside(1000));
        world.fairness.moved(&share, 4 << 20, ALLOWED, world.now());
        assert!(share.is_paused() && share.has_room_beside(0) && !share.has_room_beside(1));
        // Others are served for a second, without a word of it: then it is as any other.
        share.goes_on();
        world.go_on(1500, 100, |_, _| {});
        assert!(!world.fairness.moved(&share, 100, ALLOWED, world.now()));
        assert!(share.has_room_beside(1000));
    }
}
