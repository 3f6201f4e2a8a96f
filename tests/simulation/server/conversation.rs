//! One connection, as the backend serves it.

use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::sleep;
use ttguard::command::{Command, Reply, Shape, Verb};
use ttguard::protocol::outgoing::Outgoing;
use ttguard::protocol::tyrant::limits::Limits;
use ttguard::protocol::tyrant::opcode::Opcode;
use ttguard::protocol::tyrant::reply;
use ttguard::protocol::tyrant::request::RequestDecoder;
use ttguard::transport::memory::Side;
use ttguard::transport::{Reader, Writer};

use super::unit_of_log;
use crate::client::within;
use crate::faults::Fault;
use crate::plan::MAPPED;
use crate::tap::Said;
use crate::witness::Observer;
use crate::world::World;

/// A code that no guard uses, for answers that are wrong.
const NONSENSE: u8 = 0xFF;

/// Whether a conversation goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Sane,
    /// It has said nonsense: it carries nothing out any more, and ends when the guard does.
    Mad,
    /// It sends the update log, on and on.
    Streaming {
        tag: u64,
    },
    /// It is over.
    Over,
}

/// One connection, as the server sees it.
pub(super) struct Conversation {
    world: Rc<World>,
    id: u64,
    writer: Writer,
    decoder: RequestDecoder,
    input: BytesMut,
}

impl Conversation {
    pub(super) fn new(world: &Rc<World>, id: u64, writer: Writer) -> Self {
        Self {
            world: Rc::clone(world),
            id,
            writer,
            decoder: RequestDecoder::new(Limits::REQUEST),
            input: BytesMut::new(),
        }
    }

    pub(super) async fn serve(mut self, mut reader: Reader) {
        let world = Rc::clone(&self.world);
        let threads = Rc::clone(&world.server.threads.borrow());
        loop {
            let read = reader.read(&mut self.input).await;
            if !matches!(read, Ok(count) if count > 0) {
                return;
            }
            if !world.healed() {
                sleep_some(world.below(world.plan.server.scheduling + 1)).await;
            }
            let Ok(_thread) = threads.acquire().await else {
                return;
            };
            // A thread stays with a connection as long as a request is there in part.
            loop {
                match self.work().await {
                    Mood::Sane => {}
                    Mood::Mad => return self.rave(reader).await,
                    // It keeps its thread, as on the real server.
                    Mood::Streaming { tag } => return self.replicate(reader, tag).await,
                    Mood::Over => return,
                }
                if self.input.is_empty() {
                    break;
                }
                // What answers an endless request is no answer that a guard could look at.
                let is_endless = self.input.get(1) == Some(&Opcode::of(Verb::Repl).number);
                if !is_endless && world.strikes(world.plan.server.early) {
                    world.strike(Fault::EarlyAnswer);
                    self.say(&[NONSENSE], Said::Codes).await;
                    return self.rave(reader).await;
                }
                if !matches!(reader.read(&mut self.input).await, Ok(count) if count > 0) {
                    return;
                }
            }
            drop(_thread);
            if world.strikes(world.plan.server.close) {
                world.strike(Fault::ServerClosed);
                return;
            }
            if world.strikes(world.plan.server.unasked) && world.network.is_idle(self.id) {
                world.strike(Fault::Unasked);
                world.network.forge(self.id, &[NONSENSE; 2]);
                return self.rave(reader).await;
            }
        }
    }

    /// Sends the update log until the guard ends the connection.
    async fn replicate(mut self, mut reader: Reader, tag: u64) {
        for number in 0.. {
            let unit = unit_of_log(tag, number);
            if !self.say(unit.as_bytes(), Said::Nonsense).await {
                return;
            }
            match within(Duration::from_millis(7), reader.read(&mut self.input)).await {
                None => {}
                Some(Ok(count)) if count > 0 => {
                    let world = Rc::clone(&self.world);
                    return world.violated("I10", || format!("#{}: bytes behind an endless request", self.id));
                }
                Some(_) => return,
            }
        }
    }

    /// Reads without carrying anything out until the guard ends the connection.
    async fn rave(mut self, mut reader: Reader) {
        while !self.world.healed() {
            match within(Duration::from_millis(40), reader.read(&mut self.input)).await {
                None => {}
                Some(Ok(count)) if count > 0 => self.input.clear(),
                Some(_) => return,
            }
        }
    }

    /// Carries out every whole request that is there.
    async fn work(&mut self) -> Mood {
        let world = Rc::clone(&self.world);
        loop {
            if world.strikes(world.plan.server.slow) {
                world.strike(Fault::SlowRequest);
                sleep_some(world.plan.server.slow_for).await;
            }
            while world.now() < world.server.paused_until.get() {
                sleep_some(world.server.paused_until.get() - world.now()).await;
            }
            // In small worlds a server that has ended in the middle of an answer carries nothing out any more.
            if world.plan.wound.is_some_and(|wound| wound.side == Side::Acceptor) && world.network.is_cut(self.id) {
                return Mood::Over;
            }
            let command = match self.decoder.decode(&mut self.input) {
                Ok(Some(command)) => command,
                Ok(None) => return Mood::Sane,
                Err(fault) => {
                    world.violated("I10", || {
                        format!("#{}: the backend got what is no request: {fault}", self.id)
                    });
                    return Mood::Over;
                }
            };
            match self.answer(&command).await {
                Mood::Sane => {}
                other => return other,
            }
        }
    }

    async fn answer(&mut self, command: &Command) -> Mood {
        let world = Rc::clone(&self.world);
        let plan = &world.plan.server;
        let shape = Opcode::of(command.verb()).shape;
        if matches!(command, Command::Stat) && world.strikes(plan.not_tyrant) {
            world.strike(Fault::NotTyrant);
            self.say(b"HTTP/1.1 400 Bad Request\r\n\r\n", Said::Codes).await;
            return Mood::Mad;
        }
        if let Command::Repl { timestamp, .. } = command {
            return Mood::Streaming { tag: *timestamp };
        }
        if let Command::Ext { function, .. } = command
            && function == MAPPED
        {
            world.violated("mapped", || format!("#{}: {command:?} reached the backend", self.id));
        }
        let is_shared = match command {
            Command::Misc {
                function, arguments, ..
            } if function == "putlist" => {
                let values = arguments.iter().skip(1).step_by(2);
                world.history.borrow().are_shared(values)
            }
            _ => false,
        };
        if is_shared {
            world.strike(Fault::SharedPuts);
        }
        let mut reply = self.execute(command);
        if world.strikes(plan.garbled) && matches!(shape, Shape::Value | Shape::Records | Shape::Keys | Shape::Strings)
        {
            world.strike(Fault::Garbled);
            self.say(&[0, NONSENSE, NONSENSE, NONSENSE, NONSENSE], Said::Nonsense)
                .await;
            return Mood::Mad;
        }
        if is_write(command) && reply.code() == 0 && world.strikes(plan.stored_yet_failed) {
            world.strike(Fault::StoredYetFailed);
            reply = failure(shape, 1);
        } else if world.strikes(plan.wrong_code) && !matches!(command, Command::Stat) {
            world.strike(Fault::WrongCode);
            reply = failure(shape, NONSENSE);
        }
        if is_shared && reply.code() != 0 {
            world.strike(Fault::SharedPutsFailed);
        }
        if shape != Shape::Nothing {
            let mut out = Outgoing::new();
            reply::encode(&reply, &mut out);
            let bytes = out.take();
            if !self.say(&bytes, Said::Answer(&reply)).await && !plan.continues_after_reset {
                return Mood::Over;
            }
        }
        Mood::Sane
    }

    fn execute(&self, command: &Command) -> Reply {
        let world = &self.world;
        if matches!(command, Command::Stat) {
            if world.server.owners.borrow().get(&self.id) == Some(&world.generation()) {
                let first = world.server.first_answer.get().unwrap_or(world.now());
                world.server.first_answer.set(Some(first));
            }
            return world.server.stat(world);
        }
        let mut observer = Observer::new(world, self.id);
        let reply = world.server.records.borrow_mut().execute(command, &mut observer);
        world.trace(&[5, self.id, u64::from(reply.code())], || {
            format!("#{} carried out {command:?}: {reply:?}", self.id)
        });
        reply
    }

    /// Sends bytes; false when the connection is broken.
    async fn say(&self, bytes: &[u8], said: Said<'_>) -> bool {
        self.world.network.answering(self.id, bytes, said);
        let mut out = Outgoing::new();
        out.put_slice(bytes);
        while !out.is_empty() {
            if self.writer.writable().await.is_err() || self.writer.write_ready(&mut out).is_err() {
                return false;
            }
        }
        true
    }
}

/// Whether a failure says nothing about what is there.
fn is_write(command: &Command) -> bool {
    match command {
        Command::Misc { function, .. } => function.starts_with(b"put") || function.starts_with(b"out"),
        other => matches!(
            other.verb(),
            Verb::Put | Verb::PutKeep | Verb::PutCat | Verb::AddInt | Verb::Out | Verb::Ext
        ),
    }
}

fn failure(shape: Shape, code: u8) -> Reply {
    match shape {
        Shape::Strings => Reply::Strings {
            code,
            strings: Vec::new(),
        },
        _ => Reply::Code(code),
    }
}

async fn sleep_some(milliseconds: u64) {
    if milliseconds > 0 {
        sleep(Duration::from_millis(milliseconds)).await;
    }
}
