//! Whether this guard serves, as its edges are told.

use super::Task;
use crate::clock::now;
use crate::engine::Engine;
use crate::front::link::Link;
use crate::front::link::end::End;
use crate::protocol::link::Kind;
use crate::protocol::link::hello::{Pong, Standing};

/// Whether a guard serves, and the epoch of its claim.
pub(super) type Told = (Standing, u64);

/// What an edge is told of the store, and of what it is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// Keys that a client names say which records it means.
    pub(super) keys: bool,
    /// Functions of `misc` do what their names say.
    pub(super) functions: bool,
    /// It is to give stamps.
    pub(super) gives: bool,
}

/// Whether it serves now, by the clock: one that goes on after it stood still may not have found out yet that it lost its
/// claim.
pub(super) fn standing(engine: &Engine) -> Told {
    let shared = &engine.shared;
    let standing = if engine.is_stopping() || shared.is_stopping() {
        Standing::Leaves
    } else if shared.tenure.holds(now) && engine.knows_backend() {
        Standing::Serves
    } else {
        Standing::Waits
    };
    (standing, shared.claim.borrow().epoch().unwrap_or(0))
}

/// What is known of the store.
pub(super) fn known(engine: &Engine) -> Known {
    let can = engine.capabilities();
    Known {
        keys: can.knows_keys(),
        functions: can.knows_functions,
        gives: engine.gives_stamps(),
    }
}

impl Task {
    /// The sign of life, with how this guard stands at this moment.
    pub(super) fn pong(&self) -> Pong {
        let engine = self.link.engine();
        let (standing, epoch) = standing(engine);
        Pong {
            clock: (engine.shared.clock)(),
            standing,
            epoch,
        }
    }

    /// Tells the edge whether this guard serves, where that is something new.
    pub(super) fn tell_standing(&mut self) -> Result<(), End> {
        let engine = self.link.engine();
        let told = standing(engine);
        if told != self.told {
            self.told = told;
            self.link.say(Kind::Standing, 0, |out| told.0.put(told.1, out));
        }
        // The edge judges by it what its clients may ask: it has to hear it anew.
        if engine.knows_backend() && known(engine) != self.known {
            return Err(End::Changed);
        }
        Ok(())
    }
}

impl Link {
    /// Whether its edge is to be told no more than that this guard is stopping.
    pub(super) fn is_stopping(&self) -> bool {
        self.engine().is_stopping()
    }
}
