//! A client of a small world: sends bytes, and hears answers, an end, or nothing.

use bytes::{Bytes, BytesMut};
use tokio::time::{Duration, timeout};
use ttguard::command::{Command, Reply, Shape};
use ttguard::protocol::outgoing::Outgoing;
use ttguard::protocol::tyrant::limits::Limits;
use ttguard::protocol::tyrant::opcode::Opcode;
use ttguard::protocol::tyrant::reply::ReplyDecoder;
use ttguard::protocol::tyrant::request;
use ttguard::transport::{Reader, Writer};

use super::backend::Fault;

/// Longer than an answer may take, even where all deadlines were made to pass at once.
const LONG: Duration = Duration::from_millis(250);

/// What was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    Answer(Reply),
    End,
    Silence,
}

/// The bytes of a request.
pub fn bytes_of(command: &Command) -> Bytes {
    let mut out = Outgoing::new();
    request::encode(command, &mut out);
    out.take()
}

/// The shape of its answer; nothing where none is owed.
pub fn shape_of(command: &Command) -> Option<Shape> {
    let shape = Opcode::of(command.verb()).shape;
    (shape != Shape::Nothing).then_some(shape)
}

/// One connection.
pub struct Caller {
    pub id: u64,
    reader: Option<Reader>,
    writer: Option<Writer>,
    decoder: ReplyDecoder,
    input: BytesMut,
}

impl Caller {
    /// The dialler's end of a connection.
    pub fn new(id: u64, (reader, writer): (Reader, Writer)) -> Self {
        Self {
            id,
            reader: Some(reader),
            writer: Some(writer),
            decoder: ReplyDecoder::new(Limits::REPLY),
            input: BytesMut::new(),
        }
    }

    /// Sends bytes. Whether they arrive shows later.
    pub fn write(&mut self, bytes: &[u8]) {
        let mut out = Outgoing::new();
        out.put_slice(bytes);
        if let Some(writer) = &self.writer {
            let _ = writer.write_ready(&mut out);
        }
    }

    /// Ends its own side, or stops for good.
    pub fn strike(&mut self, fault: Fault) {
        match (fault, &self.writer) {
            (Fault::Fin, Some(writer)) => {
                let _ = writer.shutdown_write();
            }
            (Fault::Rst, _) => {
                self.reader = None;
                if let Some(writer) = self.writer.take() {
                    writer.reset();
                }
            }
            _ => {}
        }
    }

    /// Waits for an answer of this shape.
    pub async fn hear(&mut self, shape: Shape, patience: Duration) -> Heard {
        timeout(patience, self.next(shape)).await.unwrap_or(Heard::Silence)
    }

    async fn next(&mut self, shape: Shape) -> Heard {
        let Some(reader) = &mut self.reader else {
            return Heard::End;
        };
        loop {
            match self.decoder.decode(shape, &mut self.input) {
                Ok(Some(reply)) => return Heard::Answer(reply),
                Ok(None) => {}
                Err(_) => return Heard::Answer(Reply::Code(u8::MAX)),
            }
            if !matches!(reader.read(&mut self.input).await, Ok(count) if count > 0) {
                return Heard::End;
            }
        }
    }

    /// Waits for the end; whatever comes before it was not asked for.
    pub async fn hear_end(&mut self, patience: Duration) -> Heard {
        let Some(reader) = &mut self.reader else {
            return Heard::End;
        };
        loop {
            if !self.input.is_empty() {
                return Heard::Answer(Reply::Code(self.input[0]));
            }
            match timeout(patience, reader.read(&mut self.input)).await {
                Err(_) => return Heard::Silence,
                Ok(Ok(count)) if count > 0 => {}
                Ok(_) => return Heard::End,
            }
        }
    }

    /// Sends requests in one go.
    pub fn write_all(&mut self, commands: &[Command]) {
        let bytes: Vec<u8> = commands.iter().flat_map(|command| bytes_of(command).to_vec()).collect();
        self.write(&bytes);
    }

    /// Waits for the answer to a request for longer than it may take.
    pub async fn hear_answer(&mut self, command: &Command) -> Heard {
        match shape_of(command) {
            Some(shape) => self.hear(shape, LONG).await,
            None => Heard::Silence,
        }
    }

    /// Sends a request and waits for its answer.
    pub async fn ask(&mut self, command: &Command, patience: Duration) -> Heard {
        self.write(&bytes_of(command));
        match shape_of(command) {
            Some(shape) => self.hear(shape, patience).await,
            None => Heard::Silence,
        }
    }
}
