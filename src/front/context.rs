//! What the sessions of one worker share.

use std::rc::Rc;

use super::fairness::Fairness;
use super::heartbeat::Heartbeat;
use crate::clock::now;
use crate::engine::Engine;

/// What the sessions of one worker share.
#[derive(Debug)]
pub struct Context {
    /// What carries their requests out.
    pub engine: Rc<Engine>,
    /// Has those who move many bytes let the others go first.
    pub fairness: Fairness,
    /// Knows how long the worker was kept from its sockets.
    pub heartbeat: Rc<Heartbeat>,
}

impl Context {
    /// Of a worker that has just begun.
    pub fn new(engine: Rc<Engine>) -> Rc<Self> {
        let request_timeout = engine.settings().pairing.request_timeout;
        Rc::new(Self {
            engine,
            fairness: Fairness::new(now()),
            heartbeat: Rc::new(Heartbeat::new(request_timeout, now())),
        })
    }
}
