//! A waiter for tests.

use std::cell::RefCell;
use std::rc::Rc;

use ttguard::guard::verdict::{Stored, Waiter, Wake};

/// A waiter that keeps what it was told until somebody looks.
#[derive(Clone, Debug, Default)]
pub(super) struct Bell(Rc<RefCell<State>>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Silent,
    Rung(Rung),
    /// Nobody listens any more.
    Left,
}

/// What a waiter was told.
#[derive(Clone, Debug)]
pub(super) enum Rung {
    Again { turn: bool, stored: Option<Stored> },
    Unfenced,
}

impl Bell {
    pub(super) fn has_rung(&self) -> bool {
        matches!(*self.0.borrow(), State::Rung(_))
    }

    /// What was heard, if anything. A bell rings once.
    pub(super) fn take(&self) -> Option<Rung> {
        match &*self.0.borrow() {
            State::Rung(rung) => Some(rung.clone()),
            State::Silent | State::Left => None,
        }
    }

    pub(super) fn leave(&self) {
        *self.0.borrow_mut() = State::Left;
    }
}

impl Waiter for Bell {
    fn wake(self, wake: Wake) -> bool {
        let mut state = self.0.borrow_mut();
        assert!(!matches!(*state, State::Rung(_)), "woken twice");
        if matches!(*state, State::Left) {
            return false;
        }
        *state = State::Rung(match wake {
            Wake::Again { turn, stored } => Rung::Again { turn, stored },
            Wake::Unfenced => Rung::Unfenced,
        });
        true
    }
}
