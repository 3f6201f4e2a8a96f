//! A server on a thread of its own, stopped when its handle is dropped.

use std::io;
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

/// The handle of a server that runs in the background.
pub struct Background {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Background {
    /// Starts a thread that serves until what it is given resolves.
    pub fn start(
        name: &str,
        serve: impl FnOnce(oneshot::Receiver<()>) -> io::Result<()> + Send + 'static,
    ) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name(name.to_owned());
        let thread = thread.spawn(move || serve(stopped))?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The story has been told; how its servers end changes nothing about it.
            let _ = thread.join();
        }
    }
}
