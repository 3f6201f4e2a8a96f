//! What the workers share of the client side.

use std::sync::Arc;

use tokio::sync::watch;

use super::admission::Admission;
use super::fencing::Fencing;
use super::listener::Listening;
use crate::engine::shared::Shared;

/// What the workers share of the client side: where clients connect, and how many may.
#[derive(Debug)]
pub struct Gate {
    /// What lies behind it.
    pub shared: Arc<Shared>,
    /// Where clients connect. One that is not there any more accepts nobody; its sessions stay.
    pub listening: watch::Sender<Vec<Arc<Listening>>>,
    /// Who has connected, and who may.
    pub admission: Arc<Admission>,
    /// Which of each edge's links may go on.
    pub fencing: Arc<Fencing>,
    /// What edges know this process by: another number after each start.
    pub instance: u64,
}

impl Gate {
    /// Nobody can connect yet.
    pub fn new(shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            shared,
            listening: watch::Sender::new(Vec::new()),
            admission: Arc::default(),
            fencing: Arc::default(),
            instance: fastrand::u64(..),
        })
    }

    /// Where clients connect now.
    pub fn listening(&self) -> Vec<Arc<Listening>> {
        self.listening.borrow().clone()
    }
}
