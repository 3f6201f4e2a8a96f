//! One action comes between two steps of another, at every [moment](crate::guard::moment) that there is: what two
//! threads do to each other, without the threads. Whatever was in between, no older write is let through, and no
//! refusal rests on what is not stored.
//!
//! An action that would wait for a lock there is left out: it cannot come in between.

mod actions;
mod desk;

use std::cell::{Cell, RefCell};

use self::actions::{Action, Start};
use self::desk::{Carriage, Desk};

/// What comes in between.
type Between = Box<dyn FnOnce()>;

thread_local! {
    static PASSED: Cell<usize> = const { Cell::new(0) };
    static BETWEEN: RefCell<Option<(usize, Between)>> = const { RefCell::new(None) };
}

/// A moment between two steps has come.
pub(in crate::guard) fn moment() {
    let number = PASSED.replace(PASSED.get() + 1);
    let due = BETWEEN.with_borrow_mut(|between| between.take_if(|(at, _)| *at == number));
    if let Some((_, act)) = due {
        act();
    }
}

/// Does something, and something else at the moment of this number; how many moments there were.
fn preempted(act: impl FnOnce(), at: usize, between: Between) -> usize {
    BETWEEN.set(Some((at, between)));
    PASSED.set(0);
    act();
    BETWEEN.set(None);
    PASSED.get()
}

/// Every action with every other one at every moment of it; how many cases that made.
fn every_case(carriage: Carriage, start: Start) -> usize {
    let mut cases = 0;
    for first in Action::ALL {
        for second in Action::ALL {
            for at in 0.. {
                let desk = Desk::start(carriage, start);
                let (other, came) = (desk.clone(), std::rc::Rc::new(Cell::new(false)));
                let between = {
                    let came = std::rc::Rc::clone(&came);
                    Box::new(move || came.set(other.act_if_free(*second)))
                };
                let story = format!("{carriage:?} {start:?}: {second:?} at moment {at} of {first:?}");
                desk.tell(&story);
                let moments = preempted(|| desk.act(*first), at, between);
                if at >= moments {
                    break;
                }
                if came.get() {
                    cases += 1;
                    desk.check();
                }
            }
        }
    }
    cases
}

#[test]
fn whatever_comes_in_between_no_promise_is_broken() {
    let mut cases = 0;
    for carriage in [Carriage::AtOnce, Carriage::AtItsSettling] {
        for start in Start::ALL {
            cases += every_case(carriage, *start);
        }
    }
    assert!(cases > 3_000, "only {cases} cases");
}
