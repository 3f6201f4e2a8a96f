//! The backend: modelled after the real server, with its threads, its zombies and everything that can go wrong with it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::sleep;
use ttguard::backend::tyrant::connect::Dialling;
use ttguard::command::{Command, Reply, Shape, Verb};
use ttguard::protocol::outgoing::Outgoing;
use ttguard::protocol::tyrant::limits::Limits;
use ttguard::protocol::tyrant::opcode::Opcode;
use ttguard::protocol::tyrant::reply;
use ttguard::protocol::tyrant::request::RequestDecoder;
use ttguard::transport::memory::Side;
use ttguard::transport::{Reader, Writer};

use crate::client::within;
use crate::faults::Fault;
use crate::history::Bearer;
use crate::network::Between;
use crate::plan::{Database, MAPPED, Plan};
use crate::records::Records;
use crate::tap::Said;
use crate::witness::Observer;
use crate::world::World;

/// A code that no guard uses, for answers that are wrong.
const NONSENSE: u8 = 0xFF;

/// A connection that was accepted and is to be served.
pub type Accepted = (u64, Reader, Writer);

/// The state of the backend.
#[derive(Debug)]
pub struct Server {
    pub records: RefCell<Records>,
    /// An earlier state, for restarts with older records.
    snapshot: RefCell<Records>,
    is_up: Cell<bool>,
    pub refusing_until: Cell<u64>,
    pub paused_until: Cell<u64>,
    pid: Cell<u64>,
    started: Cell<u64>,
    threads: RefCell<Rc<Semaphore>>,
    serving: RefCell<Vec<AbortHandle>>,
    /// Which guard process each connection is of.
    owners: RefCell<BTreeMap<u64, u64>>,
    /// Connections that were accepted and are never served.
    ignored: RefCell<Vec<(Reader, Writer)>>,
    /// When the guard that runs now got its first answer.
    first_answer: Cell<Option<u64>>,
    /// When each former guard process got its first answer, if it did, and when it ended.
    former_guards: RefCell<Vec<(Option<u64>, u64)>>,
    database: Database,
    accepted: mpsc::UnboundedSender<Accepted>,
}

impl Server {
    /// An empty backend; whoever holds the other end of `accepted` serves its connections.
    pub fn new(plan: &Plan, accepted: mpsc::UnboundedSender<Accepted>) -> Self {
        let threads = plan.server.threads;
        Self {
            records: RefCell::new(Records::of(plan.database)),
            snapshot: RefCell::new(Records::of(plan.database)),
            database: plan.database,
            is_up: Cell::new(true),
            refusing_until: Cell::new(0),
            paused_until: Cell::new(0),
            pid: Cell::new(100),
            started: Cell::new(0),
            threads: RefCell::new(Rc::new(Semaphore::new(threads))),
            serving: RefCell::default(),
            owners: RefCell::default(),
            ignored: RefCell::default(),
            first_answer: Cell::new(None),
            former_guards: RefCell::default(),
            accepted,
        }
    }

    /// The guard opens a connection.
    pub fn dial(world: Rc<World>) -> Dialling {
        Box::pin(async move {
            sleep(Duration::from_millis(world.below(world.plan.network.latency + 1))).await;
            let server = &world.server;
            let refuses = world.now() < server.refusing_until.get();
            if refuses && !world.healed() {
                world.strike(Fault::Refused);
            }
            if refuses || !server.is_up.get() {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let (id, dialler, (reader, writer)) = world.network.open(&world, Between::GuardAndServer);
            server.owners.borrow_mut().insert(id, world.generation());
            if world.strikes(world.plan.server.silent) {
                world.strike(Fault::SilentAccept);
                server.ignored.borrow_mut().push((reader, writer));
            } else {
                let _ = server.accepted.send((id, reader, writer));
            }
            Ok(dialler)
        })
    }

    /// Takes note of what it holds now, for a restart with older records.
    pub fn take_snapshot(&self) {
        *self.snapshot.borrow_mut() = self.records.borrow().clone();
    }

    /// The process ends.
    pub fn stop(&self) {
        self.is_up.set(false);
        self.serving.take().iter().for_each(AbortHandle::abort);
        self.ignored.take();
    }

    /// The process is started again, with all its records, with none, or with those of the snapshot.
    pub fn start(&self, world: &World, records: Option<Records>) {
        if let Some(records) = records {
            world.history.borrow_mut().replaced(world.steps(), &records);
            *self.records.borrow_mut() = records;
        }
        self.pid.set(self.pid.get() + 1);
        self.started.set(world.now());
        *self.threads.borrow_mut() = Rc::new(Semaphore::new(world.plan.server.threads));
        self.is_up.set(true);
    }

    /// The records of the snapshot.
    pub fn older(&self) -> Records {
        self.snapshot.borrow().clone()
    }

    /// The guard process that ran until now has ended.
    pub fn guard_ended(&self, world: &World) {
        let first = self.first_answer.take();
        self.former_guards.borrow_mut().push((first, world.now()));
    }

    /// Closes what was accepted and never served.
    pub fn heal(&self) {
        self.ignored.take();
        self.refusing_until.set(0);
        self.paused_until.set(0);
    }

    /// By what comes what is carried out now on this connection.
    pub fn bearer(&self, world: &World, line: u64) -> Bearer {
        let owner = self.owners.borrow().get(&line).copied().unwrap_or(1);
        if owner < world.generation() {
            Bearer::FormerGuard
        } else if world.network.abandoned(line).is_some() {
            Bearer::LostLane
        } else {
            Bearer::Lane
        }
    }

    /// Whether a write that is carried out now, on this connection, is later than any fence is promised to hold.
    pub fn is_late(&self, world: &World, line: u64) -> bool {
        let owner = self.owners.borrow().get(&line).copied().unwrap_or(1);
        let pairing = &world.plan.settings.pairing;
        let slack = Duration::from_millis(3);
        let beyond = |since: u64, now: u64, patience: Duration| Duration::from_millis(now - since) + slack >= patience;
        let abandoned = world.network.abandoned(line);
        let former = self.former_guards.borrow();
        let until = former.get(owner as usize - 1).map_or(world.now(), |(_, ended)| *ended);
        if abandoned.is_some_and(|since| since < until && beyond(since, until, pairing.fence_timeout)) {
            return true;
        }
        // A guard holds writes back for `start_hold` after the first answer, for what a former one left behind.
        let running = (owner < world.generation()).then(|| (self.first_answer.get(), world.now()));
        let mut later = former.iter().skip(owner as usize).copied().chain(running);
        later.any(|(first, until)| first.is_some_and(|first| beyond(first, until, pairing.start_hold)))
    }

    /// Serves every connection, each in a task of its own, for ever.
    pub async fn accept(world: Rc<World>, mut accepted: mpsc::UnboundedReceiver<Accepted>) {
        while let Some((id, reader, writer)) = accepted.recv().await {
            let task = spawn_local(Conversation::new(&world, id, writer).serve(reader));
            world.server.serving.borrow_mut().push(task.abort_handle());
        }
    }

    fn stat(&self, world: &World) -> Reply {
        let real = (world.now() - self.started.get()) as f64 / 1000.0;
        let time = 1_700_000_000.0 + world.now() as f64 / 1000.0;
        let (pid, count) = (self.pid.get(), self.records.borrow().iter().count());
        let kind = self.database.name();
        Reply::Value(Bytes::from(format!(
            "version\t1.1.41\ntime\t{time:.6}\npid\t{pid}\ntype\t{kind}\nrnum\t{count}\nru_real\t{real:.6}\n"
        )))
    }
}

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

/// One unit of the update log that a request of this tag is sent. Both the backend and whoever asked can make it.
pub fn unit_of_log(tag: u64, number: u64) -> String {
    format!("<{tag}:{number}>")
}

/// One connection, as the server sees it.
struct Conversation {
    world: Rc<World>,
    id: u64,
    writer: Writer,
    decoder: RequestDecoder,
    input: BytesMut,
}

impl Conversation {
    fn new(world: &Rc<World>, id: u64, writer: Writer) -> Self {
        Self {
            world: Rc::clone(world),
            id,
            writer,
            decoder: RequestDecoder::new(Limits::REQUEST),
            input: BytesMut::new(),
        }
    }

    async fn serve(mut self, mut reader: Reader) {
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
