//! What the clients of an edge ask: taken off the link, and put to their streams.

use std::time::Instant;

use bytes::BytesMut;

use super::Task;
use crate::command::Command;
use crate::front::link::clients::Asker;
use crate::front::link::end::{End, Fault};
use crate::front::link::{Link, Owed};
use crate::protocol::link::ask::Ask;
use crate::protocol::link::hello::Standing;
use crate::protocol::link::told::{Failed, Told};
use crate::protocol::tyrant::request::RequestDecoder;

/// A request whose command is being taken apart.
#[derive(Debug)]
pub(super) struct Decoding {
    id: u64,
    ask: Ask,
    body: BytesMut,
    bytes: usize,
    received: Instant,
    decoder: RequestDecoder,
}

impl Task {
    /// A client asks something.
    pub(super) fn ask(&mut self, id: u64, mut body: BytesMut) -> Result<(), End> {
        let bytes = body.len();
        let ask = Ask::take(&mut body)?;
        let asker = self.clients.asker(ask.client)?;
        if self.link.owed() >= self.asks_max {
            return Err(Fault::Asks(self.asks_max).into());
        }
        self.asked = self.came;
        let stream = match &asker {
            Asker::Served(stream) => Some(stream.number()),
            Asker::Refused => None,
        };
        if !self.link.owes(id, Owed { stream, bytes }) {
            return Err(Fault::Asked(id).into());
        }
        let hindrance = match (self.told.0, stream) {
            _ if self.link.is_stopping() => Some(Failed::Stopping),
            (_, None) => Some(Failed::Refused),
            // The edge was told that before it asked, or hears of it before this.
            (Standing::Waits, _) => Some(Failed::Waits),
            (Standing::Serves | Standing::Leaves, Some(_)) => None,
        };
        match hindrance {
            Some(failed) => self.link.refuse(id, stream, failed),
            None => {
                let limits = self.link.engine().settings().limits.request;
                self.decoding = Some(Decoding {
                    id,
                    ask,
                    body,
                    bytes,
                    received: self.came,
                    decoder: RequestDecoder::new(limits),
                });
            }
        }
        Ok(())
    }

    /// Goes on with taking the command apart that has come last; false when there is more to do of that.
    pub(super) fn decode(&mut self) -> bool {
        let Some(mut decoding) = self.decoding.take() else {
            return true;
        };
        match decoding.decoder.decode_some(&mut decoding.body) {
            Ok(None) if decoding.decoder.is_busy() => {
                self.decoding = Some(decoding);
                return false;
            }
            Ok(Some(command)) if decoding.body.is_empty() => self.put(decoding, command),
            // Lengths keep what follows in step.
            Ok(_) | Err(_) => {
                let stream = self.clients.asker(decoding.ask.client).ok().and_then(Asker::number);
                self.link.refuse(decoding.id, stream, Failed::Refused);
            }
        }
        true
    }

    /// Puts a request to the stream of its client.
    fn put(&mut self, decoding: Decoding, command: Command) {
        let Decoding {
            id,
            ask,
            bytes,
            received,
            ..
        } = decoding;
        if let Ok(Asker::Served(stream)) = self.clients.asker(ask.client) {
            stream.ask(id, ask, command, bytes, received);
        }
    }
}

impl Asker {
    fn number(self) -> Option<u64> {
        match self {
            Self::Served(stream) => Some(stream.number()),
            Self::Refused => None,
        }
    }
}

impl Link {
    /// Tells that a request is not carried out.
    fn refuse(&self, id: u64, stream: Option<u64>, failed: Failed) {
        let told = Told::Failed(failed);
        self.tell(id, stream, None, |out| told.put(out));
    }
}
