//! The guard against a world that forgets nothing: random clients, lanes, faults and a ledger that is always full.
//!
//! The world carries out each lane's queue in order and interleaves the lanes at random. It knows what the backend
//! holds at every moment, so that every verdict can be held against the truth.

mod checks;
mod strategies;
mod world;

use proptest::prelude::*;

use self::strategies::{ops, setup};
use self::world::World;
use super::bell;
use crate::guard::rules::Mode;

/// Cases of each run; more by hand with `TTGUARD_MODEL_CASES`.
fn cases(ordinary: u32) -> ProptestConfig {
    let cases = std::env::var("TTGUARD_MODEL_CASES")
        .ok()
        .and_then(|text| text.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(ordinary),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(1_500))]
    #[test]
    fn the_guard_is_exact_whatever_happens(setup in setup(Mode::Enforce, false), ops in ops()) {
        World::new(setup).run(&ops);
    }
}

proptest! {
    #![proptest_config(cases(250))]
    #[test]
    fn observing_lets_everything_through_and_knows_what_is_stored(setup in setup(Mode::Observe, false), ops in ops()) {
        World::new(setup).run(&ops);
    }

    /// The documented limit: what a lane still carries out after its fence has timed out can overwrite newer writes of
    /// the keys it had in flight. No other key suffers, and nobody waits for ever.
    #[test]
    fn ghosts_of_an_unfenced_lane_harm_only_the_keys_it_had_in_flight(
        setup in setup(Mode::Enforce, true),
        ops in ops(),
    ) {
        World::new(setup).run(&ops);
    }
}
