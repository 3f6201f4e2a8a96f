//! Panics of tasks, which the runtime would swallow.

use std::cell::{Cell, RefCell};
use std::sync::Once;

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    static FIRST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps every panic for the run of its thread.
pub fn watch() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if crate::world::current().is_none() && !WATCHED.get() {
                return before(info);
            }
            FIRST.with(|first| {
                first.borrow_mut().get_or_insert_with(|| format!("I8: {info}"));
            });
        }));
    });
}

/// The first panic of this thread since it was last asked.
pub fn taken() -> Option<String> {
    FIRST.with(|first| first.borrow_mut().take())
}

/// Runs something, and says whether anything in it has panicked.
pub fn watched<T>(what: impl FnOnce() -> T) -> (T, Option<String>) {
    watch();
    WATCHED.set(true);
    let made = what();
    WATCHED.set(false);
    (made, taken())
}
