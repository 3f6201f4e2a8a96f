//! What operators ask of single keys, on its way to the worker that answers.

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::admin::key::KeyReport;

/// Inquiries that may wait for the one before; more are refused.
const QUEUE: usize = 32;

/// A key, and whom to tell.
pub(super) type Inquiry = (Bytes, oneshot::Sender<KeyReport>);

/// The way of inquiries to the worker that answers them.
#[derive(Debug)]
pub struct Inquiries {
    ask: mpsc::Sender<Inquiry>,
    /// Until a worker has taken it.
    pub(super) asked: Mutex<Option<mpsc::Receiver<Inquiry>>>,
}

impl Default for Inquiries {
    fn default() -> Self {
        let (ask, asked) = mpsc::channel(QUEUE);
        let asked = Mutex::new(Some(asked));
        Self { ask, asked }
    }
}

impl Inquiries {
    /// What there is to know of a key, or one line that says why that is not known.
    pub async fn ask(&self, key: Bytes) -> Result<KeyReport, String> {
        let (tell, told) = oneshot::channel();
        if self.ask.try_send((key, tell)).is_err() {
            return Err("too many inquiries at once, or ttguard is stopping".to_owned());
        }
        told.await.map_err(|_| "ttguard is stopping".to_owned())
    }
}
