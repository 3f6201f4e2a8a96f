//! Panics of tasks, which the runtime would swallow.

use std::cell::RefCell;
use std::sync::Once;

thread_local! {
    static FIRST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps every panic for the run of its thread.
pub fn watch() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if crate::world::current().is_none() {
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
