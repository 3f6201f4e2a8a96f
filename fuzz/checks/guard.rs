//! The guard and its ledger against a world that forgets nothing: the same that its own tests put it in.

#[path = "../../src/guard/tests/bell.rs"]
mod bell;
#[path = "../../src/guard/tests/model/checks.rs"]
mod checks;
#[path = "../../src/guard/tests/model/world.rs"]
mod world;

use arbitrary::{Arbitrary, Unstructured};
use ttguard::guard::rules::{Mode, Tie};

use self::world::{Op, Setup, World};

const STEPS_MAX: usize = 250;

/// What the world is like at the beginning.
#[derive(Arbitrary, Debug)]
struct Given {
    keys: u8,
    lanes: bool,
    entries: u8,
    tie: u8,
    observes: bool,
    ghosts: bool,
    opaque: bool,
    held: [u8; 5],
}

/// Checks one input: what the world is like, and what happens in it.
///
/// # Panics
/// When the guard lets anything through out of order, or refuses anything for no reason.
pub fn check(input: &[u8]) {
    let mut input = Unstructured::new(input);
    let Ok(given) = Given::arbitrary(&mut input) else {
        return;
    };
    let setup = Setup {
        keys: usize::from(given.keys) % 5 + 1,
        lanes: if given.lanes { 3 } else { 2 },
        entries: usize::from(given.entries) % 64 + 1,
        tie: [Tie::Last, Tie::First, Tie::Greater][usize::from(given.tie) % 3],
        mode: if given.observes { Mode::Observe } else { Mode::Enforce },
        opaque: given.opaque,
        ghosts: given.ghosts && !given.observes,
        held: given.held.iter().map(|above| above % 101).collect(),
    };
    let mut steps = Vec::new();
    while !input.is_empty() && steps.len() < STEPS_MAX {
        let Ok(step) = Op::arbitrary(&mut input) else {
            break;
        };
        steps.push(step);
    }
    World::new(setup).run(&steps);
}
