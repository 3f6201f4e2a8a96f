//! A backend whose every answer shows what it answers, and which fails as the input says.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::sleep;
use ttguard::client::route::{Dial, Dialling};
use ttguard::command::{Command, Reply, Shape};
use ttguard::protocol::outgoing::Outgoing;
use ttguard::protocol::tyrant::limits::Limits;
use ttguard::protocol::tyrant::opcode::Opcode;
use ttguard::protocol::tyrant::reply;
use ttguard::protocol::tyrant::request::RequestDecoder;
use ttguard::transport::{Reader, Writer};

use super::streams::Streams;

/// What befalls one answer, from one byte of the input.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It comes at once and whole.
    Whole,
    /// It comes in pieces of this size.
    Pieces(usize),
    /// It comes so much later.
    Late(Duration),
    /// The connection ends in order after so many bytes of it.
    Ends(usize),
    /// The connection breaks after so many bytes of it.
    Breaks(usize),
}

impl From<u8> for Fate {
    fn from(byte: u8) -> Self {
        let number = usize::from(byte & 63);
        match byte >> 6 {
            0 if number == 0 => Self::Whole,
            0 => Self::Pieces(number),
            1 => Self::Late(Duration::from_millis(number as u64 * 50)),
            2 => Self::Ends(number),
            _ => Self::Breaks(number),
        }
    }
}

/// The backend of one input.
pub struct Backend {
    /// What befalls its next answers, the last first.
    fates: RefCell<Vec<u8>>,
    failed: Cell<bool>,
    serving: RefCell<Vec<AbortHandle>>,
}

impl Backend {
    pub fn new(fates: &[u8]) -> Rc<Self> {
        Rc::new(Self {
            fates: RefCell::new(fates.iter().rev().copied().collect()),
            failed: Cell::new(false),
            serving: RefCell::default(),
        })
    }

    /// Whether any answer was late or lost.
    pub fn has_failed(&self) -> bool {
        self.failed.get()
    }

    pub fn end(&self) {
        self.serving.take().iter().for_each(AbortHandle::abort);
    }

    async fn serve(self: Rc<Self>, (mut reader, writer): (Reader, Writer)) {
        let mut decoder = RequestDecoder::new(Limits::REQUEST);
        let mut input = BytesMut::new();
        loop {
            while let Some(command) = decoder.decode(&mut input).expect("only valid requests are sent on") {
                if !self.answer(&command, &writer).await {
                    return;
                }
            }
            match reader.read(&mut input).await {
                Ok(1..) => {}
                end => {
                    assert!(end.is_err() || input.is_empty(), "a part of a request was sent on");
                    return;
                }
            }
        }
    }

    /// Answers one request; false when the connection ends with that.
    async fn answer(&self, command: &Command, writer: &Writer) -> bool {
        if let Command::Repl { .. } = command {
            return false;
        }
        let mut out = Outgoing::new();
        if let Some(reply) = answer_to(command) {
            reply::encode(&reply, &mut out);
        }
        let bytes = out.take();
        // The first questions of each connection are no client's.
        let fate = match command {
            Command::Stat => Fate::Whole,
            Command::Misc { function, .. } if function == "error" => Fate::Whole,
            _ => Fate::from(self.fates.borrow_mut().pop().unwrap_or(0)),
        };
        match fate {
            Fate::Whole => write(writer, &bytes),
            Fate::Pieces(size) => {
                for piece in bytes.chunks(size) {
                    write(writer, piece);
                    tokio::task::yield_now().await;
                }
            }
            Fate::Late(time) => {
                self.failed.set(true);
                sleep(time).await;
                write(writer, &bytes);
            }
            Fate::Ends(count) | Fate::Breaks(count) => {
                self.failed.set(true);
                write(writer, &bytes[..count.min(bytes.len())]);
                return false;
            }
        }
        true
    }
}

fn write(writer: &Writer, bytes: &[u8]) {
    let mut out = Outgoing::new();
    out.put_slice(bytes);
    // Whoever does not want it any more has gone.
    let _ = writer.write_ready(&mut out);
}

/// The way to the backend.
#[derive(Debug)]
pub struct Door {
    streams: Arc<Streams>,
    accepted: mpsc::UnboundedSender<(Reader, Writer)>,
}

impl Door {
    /// From now on the backend serves whoever connects; to be called within a `LocalSet`.
    pub fn new(streams: Arc<Streams>, backend: &Rc<Backend>) -> Self {
        let (accepted, mut connections) = mpsc::unbounded_channel();
        let serving = Rc::clone(backend);
        let accepting = spawn_local(async move {
            while let Some(connection) = connections.recv().await {
                let task = spawn_local(Rc::clone(&serving).serve(connection));
                serving.serving.borrow_mut().push(task.abort_handle());
            }
        });
        backend.serving.borrow_mut().push(accepting.abort_handle());
        Self { streams, accepted }
    }
}

impl Dial for Door {
    fn dial(&self) -> Dialling {
        let (dialler, acceptor) = self.streams.open();
        let _ = self.accepted.send(acceptor);
        Box::pin(std::future::ready(Ok(dialler)))
    }
}

/// What the backend answers; nothing where nothing is owed. Whatever is asked for a key shows the key.
fn answer_to(command: &Command) -> Option<Reply> {
    let shape = Opcode::of(command.verb()).shape;
    Some(match (command, shape) {
        (_, Shape::Nothing | Shape::Stream) => return None,
        (_, Shape::Code) => Reply::OK,
        (Command::Stat, _) => Reply::Value(Bytes::from_static(STAT)),
        (Command::Get { key }, _) => value_of(key).map_or(Reply::Code(1), Reply::Value),
        (Command::Vsiz { key }, _) => value_of(key).map_or(Reply::Code(1), |value| Reply::Number(value.len() as i32)),
        (Command::Mget { keys }, _) => {
            let found = keys.iter().filter_map(|key| Some((key.clone(), value_of(key)?)));
            Reply::Records(found.collect())
        }
        (Command::FwmKeys { prefix, max }, _) => {
            let keys = (0..3u8).map(|number| [&prefix[..], &[b'0' + number]].concat().into());
            Reply::Keys(keys.take(usize::try_from(*max).unwrap_or(usize::MAX)).collect())
        }
        (Command::AddInt { key, .. }, _) => Reply::Number(number_of(key)),
        (Command::AddDouble { key, .. }, _) => Reply::Double {
            integral: number_of(key).into(),
            fractional: 0,
        },
        (Command::Ext { key, .. }, _) => Reply::Value(key.clone()),
        (
            Command::Misc {
                function, arguments, ..
            },
            _,
        ) => misc(function, arguments),
        (_, Shape::Value) => Reply::Value(Bytes::from_static(b"next")),
        _ => Reply::Count(1000),
    })
}

const STAT: &[u8] =
    b"version\t1.1.41\ntime\t1700000000.000000\npid\t7\ntype\ton-memory hash\nrnum\t3\nru_real\t1.000000\n";

const FAILED: Reply = Reply::Strings {
    code: 1,
    strings: Vec::new(),
};

fn misc(function: &[u8], arguments: &[Bytes]) -> Reply {
    let first = || arguments.first().cloned().unwrap_or_default();
    let strings = match function {
        b"get" => match value_of(&first()) {
            Some(value) => vec![value],
            None => return FAILED,
        },
        // A hash in memory has none.
        b"error" => return FAILED,
        b"getlist" => {
            let found = arguments.iter().filter_map(|key| Some([key.clone(), value_of(key)?]));
            found.flatten().collect()
        }
        b"regex" | b"range" => vec![first(), first()],
        b"put" | b"putlist" | b"putkeep" | b"putcat" | b"out" | b"outlist" => vec![],
        _ => arguments.to_vec(),
    };
    Reply::Strings { code: 0, strings }
}

/// A number that tells keys apart as well as it can.
pub fn number_of(key: &[u8]) -> i32 {
    key.iter()
        .fold(7, |sum: i32, byte| sum.wrapping_mul(31).wrapping_add((*byte).into()))
}

/// What every record holds, ever: a stamp, and its own key. A quarter of all keys have none.
pub fn value_of(key: &[u8]) -> Option<Bytes> {
    let number = number_of(key).unsigned_abs();
    let stamp = format!("17000000000{:02}", number % 100);
    let keeps_a_stamp = key.starts_with(b"timestamp.");
    match number % 4 {
        0 => None,
        _ if keeps_a_stamp => Some(stamp.into()),
        _ => Some([stamp.as_bytes(), key].concat().into()),
    }
}
