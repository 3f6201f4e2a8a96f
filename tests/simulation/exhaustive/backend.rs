//! The backend of a small world: quick and faultless, but for the one fault that it is told of.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{Duration, Instant, sleep, sleep_until};
use ttguard::command::{Command, Reply, Shape};
use ttguard::protocol::outgoing::Outgoing;
use ttguard::protocol::tyrant::limits::Limits;
use ttguard::protocol::tyrant::opcode::Opcode;
use ttguard::protocol::tyrant::reply;
use ttguard::protocol::tyrant::request::RequestDecoder;
use ttguard::transport::{Reader, Writer};

use super::book::Book;
use super::wires::Wires;
use crate::records::Records;
use crate::tap::is_first_byte;

/// How long a backend goes on with what it had buffered after its connection has broken. A fence and the hold after a
/// start last longer.
pub const ZOMBIE: Duration = Duration::from_millis(60);

/// How long a stall lasts: past the deadline of a request, within the time of a fence.
pub const STALL: Duration = Duration::from_millis(250);

/// What befalls a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Fin,
    Rst,
    Stall,
}

/// Every fault.
pub const FAULTS: [Fault; 3] = [Fault::Fin, Fault::Rst, Fault::Stall];

/// Which bytes of the backend are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Requests,
    Replies,
}

/// A fault that strikes once so many bytes have come or gone, over all connections.
#[derive(Clone, Copy, Debug)]
pub struct Trap {
    pub way: Way,
    pub after: usize,
    pub fault: Fault,
    /// It strikes only when one byte more is to come or go: between two answers, that is when the second request has been
    /// carried out.
    pub is_inside: bool,
}

/// A connection that was accepted.
pub type Accepted = (u64, Reader, Writer);

/// The state of the backend.
pub struct Backend {
    pub records: RefCell<Records>,
    pub book: RefCell<Book>,
    pub wires: Arc<Wires>,
    trap: Cell<Option<Trap>>,
    /// Bytes of requests and of replies since the trap was set.
    counted: Cell<[usize; 2]>,
    pid: Cell<u64>,
    started: Cell<Instant>,
    serving: RefCell<BTreeMap<u64, AbortHandle>>,
    resting: RefCell<BTreeMap<u64, Instant>>,
    /// A connection was cut by force: what it leaves behind may be a part of a frame.
    cut: Cell<bool>,
}

impl Backend {
    /// An empty one.
    pub fn new(wires: Arc<Wires>, book: Book) -> Rc<Self> {
        Rc::new(Self {
            records: RefCell::default(),
            book: RefCell::new(book),
            wires,
            trap: Cell::new(None),
            counted: Cell::new([0; 2]),
            pid: Cell::new(100),
            started: Cell::new(Instant::now()),
            serving: RefCell::default(),
            resting: RefCell::default(),
            cut: Cell::new(false),
        })
    }

    /// Counts bytes anew, and strikes once there are as many as the trap says.
    pub fn set(&self, trap: Option<Trap>) {
        self.trap.set(trap);
        self.counted.set([0; 2]);
    }

    /// Bytes of requests and of replies since the trap was set.
    pub fn counted(&self) -> [usize; 2] {
        self.counted.get()
    }

    /// Serves a connection.
    pub fn serve(self: &Rc<Self>, (id, reader, writer): Accepted) {
        let talk = Talk {
            backend: Rc::clone(self),
            id,
            writer,
            input: BytesMut::new(),
            decoder: RequestDecoder::new(Limits::REQUEST),
        };
        let task = spawn_local(talk.serve(reader));
        self.serving.borrow_mut().insert(id, task.abort_handle());
    }

    /// Ends one connection in order: it is done with all that it has carried out.
    pub fn close(&self, id: u64) {
        self.cut.set(true);
        if let Some(task) = self.serving.borrow_mut().remove(&id) {
            task.abort();
        }
    }

    /// Every connection waits a while before it goes on with what it has or gets.
    pub fn rest(&self, ids: &[u64]) {
        let until = Instant::now() + ZOMBIE;
        self.resting.borrow_mut().extend(ids.iter().map(|id| (*id, until)));
    }

    /// The process ends and is started again with all its records.
    pub fn restart(&self) {
        self.cut.set(true);
        let serving = self.serving.take();
        for (id, task) in serving {
            task.abort();
            self.wires.reset(id);
        }
        self.pid.set(self.pid.get() + 1);
        self.started.set(Instant::now());
    }

    /// A connection breaks, while the backend goes on with what it was sent.
    pub fn sever(&self, id: u64) {
        self.cut.set(true);
        self.rest(&[id]);
        self.wires.sever(id);
    }

    /// Counts bytes; the number of those before the trap strikes, and how it does.
    fn count(&self, way: Way, count: usize) -> (usize, Option<Fault>) {
        let mut counted = self.counted.get();
        let slot = usize::from(way == Way::Replies);
        let before = counted[slot];
        counted[slot] += count;
        self.counted.set(counted);
        match self.trap.get() {
            Some(trap) if trap.way == way && before + count >= trap.after + usize::from(trap.is_inside) => {
                self.trap.set(None);
                self.cut.set(true);
                (trap.after - before, Some(trap.fault))
            }
            _ => (count, None),
        }
    }

    fn stat(&self) -> Reply {
        let real = self.started.get().elapsed().as_secs_f64();
        let (pid, time) = (self.pid.get(), 1_700_000_000.0 + real + self.pid.get() as f64);
        Reply::Value(Bytes::from(format!(
            "version\t1.1.41\ntime\t{time:.6}\npid\t{pid}\ntype\ton-memory hash\nru_real\t{real:.6}\n"
        )))
    }
}

/// One connection, as the backend sees it.
struct Talk {
    backend: Rc<Backend>,
    id: u64,
    writer: Writer,
    input: BytesMut,
    decoder: RequestDecoder,
}

/// Whether a connection goes on.
type Goes = Result<(), Over>;

/// It does not.
enum Over {
    /// It has said all that it will say; what still comes is not looked at.
    Finished,
    Gone,
}

impl Talk {
    async fn serve(mut self, mut reader: Reader) {
        if let Err(Over::Finished) = self.talk(&mut reader).await {
            let _ = self.writer.shutdown_write();
            let mut ignored = BytesMut::new();
            while matches!(reader.read(&mut ignored).await, Ok(count) if count > 0) {
                ignored.clear();
            }
        }
    }

    async fn talk(&mut self, reader: &mut Reader) -> Goes {
        let backend = Rc::clone(&self.backend);
        let mut chunk = BytesMut::new();
        loop {
            let read = reader.read(&mut chunk).await;
            self.rest().await;
            if !matches!(read, Ok(count) if count > 0) {
                if !self.input.is_empty() && !is_first_byte(&self.input) && !backend.cut.get() {
                    backend.book.borrow_mut().broken("the backend got a part of a frame");
                }
                return Err(Over::Gone);
            }
            let (whole, fault) = backend.count(Way::Requests, chunk.len());
            self.input.extend_from_slice(&chunk.split_to(whole));
            match fault {
                None => self.work().await?,
                Some(Fault::Fin) => {
                    self.work().await?;
                    return Err(Over::Finished);
                }
                Some(Fault::Rst) => {
                    backend.wires.sever(self.id);
                    sleep(ZOMBIE).await;
                    self.work().await?;
                    return Err(Over::Gone);
                }
                Some(Fault::Stall) => {
                    sleep(STALL).await;
                    self.input.extend_from_slice(&chunk.split());
                    self.work().await?;
                }
            }
        }
    }

    async fn rest(&self) {
        let until = self.backend.resting.borrow_mut().remove(&self.id);
        if let Some(until) = until {
            sleep_until(until).await;
        }
    }

    /// Carries out every whole request that is there.
    async fn work(&mut self) -> Goes {
        loop {
            self.rest().await;
            let command = match self.decoder.decode(&mut self.input) {
                Ok(Some(command)) => command,
                Ok(None) => return Ok(()),
                Err(fault) => {
                    let how = format!("the backend got what is no request: {fault}");
                    self.backend.book.borrow_mut().broken(&how);
                    return Err(Over::Gone);
                }
            };
            let reply = self.execute(&command);
            if Opcode::of(command.verb()).shape != Shape::Nothing {
                let mut out = Outgoing::new();
                reply::encode(&reply, &mut out);
                self.say(&out.take()).await?;
            }
        }
    }

    fn execute(&self, command: &Command) -> Reply {
        let backend = &self.backend;
        if matches!(command, Command::Stat) {
            return backend.stat();
        }
        let mut book = backend.book.borrow_mut();
        book.carried_out(command);
        backend.records.borrow_mut().execute(command, &mut *book)
    }

    async fn say(&mut self, bytes: &[u8]) -> Goes {
        let (whole, fault) = self.backend.count(Way::Replies, bytes.len());
        self.write(&bytes[..whole]);
        match fault {
            None => Ok(()),
            Some(Fault::Fin) => Err(Over::Finished),
            Some(Fault::Rst) => {
                // What it said arrives before the break does; it goes on with what it has.
                sleep(Duration::from_millis(5)).await;
                self.backend.wires.sever(self.id);
                sleep(ZOMBIE).await;
                Ok(())
            }
            Some(Fault::Stall) => {
                sleep(STALL).await;
                self.write(&bytes[whole..]);
                Ok(())
            }
        }
    }

    /// Nobody may be there to read it any more: the backend goes on all the same.
    fn write(&self, bytes: &[u8]) {
        let mut out = Outgoing::new();
        out.put_slice(bytes);
        let _ = self.writer.write_ready(&mut out);
    }
}
