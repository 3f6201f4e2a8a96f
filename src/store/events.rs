//! What happens to a store, told to whoever sends requests to it.

use std::io;
use std::time::{Duration, Instant};

use crate::pairing::LaneId;
use crate::protocol::link::hello::Welcome;
use crate::store::guards::fault::{LinkFault, OpenFault};
use crate::store::tyrant::greeting::{Greeting, Run};
use crate::store::tyrant::lane::{HalfReceived, LaneFault};

/// Why a connection did not become a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectFault {
    /// Nobody listens, or the way is barred.
    Refused,
    /// No answer in time.
    Timeout,
    /// Something answers that is no Tyrant.
    NotTyrant,
    /// The server is not the one that is trusted, or does not trust this side.
    Tls,
    /// Another run of the server answers than the one that has the other lanes.
    OtherRun,
}

/// A connection has reached another run of the server than the lanes that are up: it must not be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the connection has reached another run of the server, {met}, while lanes of {known} are up")]
pub struct OtherRun {
    /// The run that has the lanes.
    pub known: Run,
    /// The one that was reached.
    pub met: Run,
}

/// What happens to a store, told to whoever sends requests to it.
pub trait Events: 'static {
    /// A lane is up, for the first time or `again`. Called before anything can be sent on it.
    ///
    /// # Errors
    /// When it has reached another run of the server than the lanes that are up. Then it is none.
    fn up(&self, greeting: &Greeting, again: bool) -> Result<(), OtherRun>;
    /// A guard that serves has welcomed this edge, which had been `asked` for then. Called before anything can be asked there.
    ///
    /// # Errors
    /// When it is another guard than the one that has the other links. Then there is no link.
    fn linked(&self, welcome: &Welcome, asked: Instant) -> Result<(), OpenFault>;
    /// A guard's clock said so at this instant, as far as can be told; and how far, in seconds, it is ahead of this machine's.
    fn told_time(&self, at: Instant, time: Duration, offset: f64);
    /// A client is about to be told of this stamp, which it has read, or that refused its write.
    fn saw(&self, stamp: u64);
    /// A guard has given the sign of life that it was `asked` for, and says that it serves, with this epoch. Whether it is
    /// to be asked anything more: not where another holds a later claim.
    fn heard(&self, guard: u64, epoch: u64, asked: Instant) -> bool;
    /// No guard could be linked to at this URL.
    fn link_failed(&self, url: &str, fault: &OpenFault);
    /// A link to this guard was taken out of service; whether it `has_place`, or had handed that over.
    fn unlinked(&self, guard: u64, link: LaneId, fault: &LinkFault, has_place: bool);
    /// The server of a lane has given the sign of life that was asked for.
    fn proved(&self);
    /// A try to connect has failed.
    fn connect_failed(&self, fault: ConnectFault, error: &io::Error);
    /// A lane was taken out of service; whether it `has_place`, or had handed that over.
    fn down(&self, lane: LaneId, fault: &LaneFault, has_place: bool);
    /// The lane's fence is over; `ended` says whether the server's end was seen.
    fn fenced(&self, lane: LaneId, ended: bool);
    /// A lane holds this for an answer that is not whole, and held that before.
    fn half_received(&self, before: HalfReceived, now: HalfReceived);
    /// Answers or losses have been handed over: what they made ready can be written.
    fn batch_done(&self);
    /// Another lane has taken the place of one on which something large holds up others.
    fn handed_over(&self);
    /// The link has parted with a server that is no longer the backend. Returns when all of them have.
    fn parted(&self) -> impl Future<Output = ()>;
    /// There may be a lane, or room on it, where there was none.
    fn changed(&self);
}
