//! A panic within a task is kept from whoever waits for the task. Here it is remembered, so that it fails the check.

use std::cell::Cell;
use std::panic;
use std::sync::Once;

thread_local! {
    static HAPPENED: Cell<bool> = const { Cell::new(false) };
}

/// From now on panics of this thread are remembered.
pub fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            HAPPENED.set(true);
            before(panic);
        }));
    });
    HAPPENED.set(false);
}

/// Whether one has happened on this thread.
pub fn happened() -> bool {
    HAPPENED.get()
}
