//! How a link begins: the edge says who it is, those before it in its place end, and the guard says who that is.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::Task;
use super::standing::{known, standing};
use crate::front::fencing::Fenced;
use crate::front::link::end::{End, Fault};
use crate::front::link::grant;
use crate::protocol::link::hello::{Hello, Welcome};
use crate::protocol::link::receiving::Received;
use crate::protocol::link::{self, Kind};

impl Task {
    /// Waits until the edge has said who it is, and those before it in its place have ended; then it is welcomed.
    pub(super) async fn greet(&mut self) -> Result<Fenced, End> {
        let patience = self.link.engine().settings().pairing.frame_timeout;
        let until = Instant::now() + patience;
        timeout_at(until, self.grant()).await.map_err(|_| End::HalfSaid)??;
        let hello = timeout_at(until, self.hello()).await.map_err(|_| End::HalfSaid)??;
        let place = self.gate.fencing.enter(hello.instance, hello.slot, hello.generation);
        let mut place = place.map_err(|_| Fault::Overtaken)?;
        self.wait_for(&mut place).await?;
        self.link.greeted(hello);
        self.welcome();
        Ok(place)
    }

    /// Says that the connection is a link from now on.
    async fn grant(&mut self) -> Result<(), End> {
        let writer = self.link.writer.borrow().clone();
        let writer = writer.ok_or(End::Edge)?;
        grant(&writer).await.map_err(|_| End::Edge)
    }

    async fn hello(&mut self) -> Result<Hello, End> {
        loop {
            match self.receiving.next(&mut self.input)? {
                Some(Received::Whole {
                    kind: Kind::Hello,
                    body,
                    ..
                }) => return self.understood(Hello::parse(&body)),
                Some(_) => return Err(Fault::Hello.into()),
                None => self.read_more().await?,
            }
        }
    }

    /// What the edge has said of itself. One of another version is told ours, so that it can say why it has no link.
    fn understood(&self, hello: Result<Hello, link::Fault>) -> Result<Hello, End> {
        if let Err(link::Fault::Version { .. }) = hello {
            self.link.say(Kind::Welcome, 0, Welcome::put_version);
            self.link.write_ready();
        }
        Ok(hello?)
    }

    /// Waits until those before it in its place have ended.
    async fn wait_for(&mut self, place: &mut Fenced) -> Result<(), End> {
        let fence_timeout = self.link.engine().settings().pairing.fence_timeout;
        let until = Instant::now() + fence_timeout;
        loop {
            tokio::select! {
                biased;
                () = self.link.wake.notified() => if let Some(end) = self.link.ended() {
                    return Err(end);
                },
                () = self.link.engine().stopped() => return Err(End::Drain),
                alone = timeout_at(until, place.alone()) => return alone.map_err(|_| End::Unfenced),
            }
        }
    }

    fn welcome(&mut self) {
        let engine = self.link.engine();
        (self.told, self.known) = (standing(engine), known(engine));
        let (shared, settings) = (&engine.shared, engine.settings());
        let stamp = shared.guard.stamp();
        let welcome = Welcome {
            instance: self.gate.instance,
            standing: self.told.0,
            epoch: self.told.1,
            digits: stamp.digits(),
            unit: stamp.unit().nanoseconds().unwrap_or(0),
            given: stamp.is_given(),
            gives: self.known.gives,
            newest: shared.giving.newest(),
            knows_keys: self.known.keys,
            knows_functions: self.known.functions,
            asks_max: u32::try_from(self.asks_max).unwrap_or(u32::MAX),
            request_max: settings.limits.request.frame_max as u64,
            clock: (shared.clock)(),
            release: Bytes::from_static(env!("CARGO_PKG_VERSION").as_bytes()),
        };
        self.link.say(Kind::Welcome, 0, |out| welcome.put(out));
    }
}

/// How often it is looked whether a guard that waits serves now.
pub(super) const LOOKS: Duration = Duration::from_millis(50);
