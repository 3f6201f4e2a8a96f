//! Endless answers: what a `repl` brings, passed on for as long as both sides want it.

use std::rc::Rc;
use std::sync::Arc;

use bytes::BytesMut;

use super::{End, Session};
use crate::engine::channel::Client;
use crate::engine::request::Request;
use crate::engine::sequence::dedicated::connect;
use crate::transport::Reader;

/// Passes an endless answer on until either side ends it. From then on the session is nothing else.
pub(super) async fn stream(session: &Rc<Session>, request: Request, reader: &mut Reader) -> End {
    let engine = session.engine();
    let Ok(_slot) = Arc::clone(&engine.slow).try_acquire_owned() else {
        return End::Deadline;
    };
    let behalf = engine
        .store
        .guards()
        .map(|guards| guards.behalf(session.channel.client));
    let (mut dedicated, mut runs) = match connect(engine, behalf.as_ref(), request.deadline).await {
        Ok(Some(reached)) => reached,
        Ok(None) => return End::LaneLost,
        Err(failure) => return failure.into(),
    };
    if dedicated.send(&request.command).await.is_err() {
        return End::LaneLost;
    }
    engine.shared.tally.asked(request.command.verb());
    let (mut input, mut ignored) = (BytesMut::new(), BytesMut::new());
    loop {
        // Answers to earlier requests go first, and a client that does not read holds up nothing but itself.
        let is_written = session.is_taken();
        tokio::select! {
            biased;
            () = engine.stopped() => return End::Drain,
            _ = runs.changed() => return End::LaneLost,
            read = reader.read(&mut ignored) => match read {
                Ok(0) | Err(_) => return End::Client,
                Ok(_) => ignored.clear(),
            },
            written = session.write_some(), if !is_written => if written.is_err() {
                return End::Client;
            },
            bytes = dedicated.next_bytes(&mut input), if is_written => match bytes {
                Ok(Some(bytes)) => session.queue(&bytes),
                Ok(None) | Err(_) => return End::LaneLost,
            },
        }
    }
}
