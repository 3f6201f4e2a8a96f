//! How the guard tells who waits for a key.

use tokio::sync::oneshot;

use crate::guard::verdict::{Waiter, Wake};

/// The guard's end of a wait.
#[derive(Debug)]
pub struct Notice(oneshot::Sender<Wake>);

impl Notice {
    /// Both ends of it.
    pub fn new() -> (Self, oneshot::Receiver<Wake>) {
        let (sender, wake) = oneshot::channel();
        (Self(sender), wake)
    }
}

impl Waiter for Notice {
    fn wake(self, wake: Wake) -> bool {
        self.0.send(wake).is_ok()
    }
}
