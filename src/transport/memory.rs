//! Streams in memory whose bytes travel only when someone carries them. For simulations: the carrier decides when bytes
//! arrive, in what pieces, and whether the connection breaks on the way.

mod pipe;

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::Poll;

use bytes::BytesMut;
use parking_lot::Mutex;

use self::pipe::Fate;
pub use self::pipe::Pipe;
use super::{Reader, Writer, halves};

/// The two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The end that asked for the connection.
    Dialler,
    /// The end that accepted it.
    Acceptor,
}

impl Side {
    /// The other end.
    pub fn other(self) -> Self {
        match self {
            Self::Dialler => Self::Acceptor,
            Self::Acceptor => Self::Dialler,
        }
    }
}

/// What one end did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It wrote so many bytes, which now wait to be carried.
    Wrote(usize),
    /// It will write nothing more (FIN).
    Finished,
    /// It closed with nothing left unread. Whatever arrives from now on is answered with a reset.
    Closed,
    /// It ended the connection with a reset.
    Reset,
}

/// Is told of everything that the ends do. Called with no lock held.
pub trait Carrier: Send + Sync + fmt::Debug {
    /// An end of this connection did something.
    fn happened(&self, connection: u64, side: Side, deed: Deed);

    /// How many of so many bytes a read gives at once: one or more, or an error that ends nothing.
    fn gives(&self, _connection: u64, _side: Side, most: usize) -> io::Result<usize> {
        Ok(most)
    }

    /// How many of so many bytes a write takes at once: one or more, or an error that ends nothing.
    fn takes(&self, _connection: u64, _side: Side, most: usize) -> io::Result<usize> {
        Ok(most)
    }
}

/// A connection in the hands of the carrier.
#[derive(Clone, Debug)]
pub struct Connection {
    /// From the dialler to the acceptor.
    pub outward: Pipe,
    /// From the acceptor to the dialler.
    pub homeward: Pipe,
}

impl Connection {
    /// The direction that this side writes.
    pub fn written_by(&self, side: Side) -> &Pipe {
        match side {
            Side::Dialler => &self.outward,
            Side::Acceptor => &self.homeward,
        }
    }
}

/// One end, shared by its two halves.
struct End {
    incoming: Pipe,
    outgoing: Pipe,
    connection: u64,
    side: Side,
    carrier: Arc<dyn Carrier>,
    fate: Fate,
    /// It ends with a reset rather than in order.
    abort: Mutex<bool>,
}

impl End {
    fn happened(&self, deed: Deed) {
        self.carrier.happened(self.connection, self.side, deed);
    }

    fn finish(&self) {
        if self.outgoing.finish() {
            self.happened(Deed::Finished);
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let unread = self.incoming.unread() > 0;
        let deed = if *self.abort.lock() || unread {
            Deed::Reset
        } else {
            Deed::Closed
        };
        self.happened(deed);
    }
}

impl fmt::Debug for End {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("End")
            .field("connection", &self.connection)
            .field("side", &self.side)
            .finish_non_exhaustive()
    }
}

/// The reading half of an end.
#[derive(Debug)]
pub struct ReadHalf(Arc<End>);

/// The writing half of an end. Dropping it finishes the stream.
#[derive(Debug)]
pub struct WriteHalf(Arc<End>);

impl ReadHalf {
    /// As [`Reader::read`].
    pub async fn read(&mut self, input: &mut BytesMut) -> io::Result<usize> {
        let end = &self.0;
        poll_fn(|context| {
            let most = match end.incoming.poll_readable(context) {
                Poll::Ready(Ok(most)) if most > 0 => most,
                other => return other,
            };
            let given = end.carrier.gives(end.connection, end.side, most);
            Poll::Ready(given.map(|most| end.incoming.read(input, most)))
        })
        .await
    }
}

impl WriteHalf {
    pub(super) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let end = &self.0;
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        let most = offered.min(end.outgoing.room()?);
        let written = end
            .outgoing
            .write(slices, end.carrier.takes(end.connection, end.side, most)?);
        end.happened(Deed::Wrote(written));
        Ok(written)
    }

    pub(super) async fn writable(&self) -> io::Result<()> {
        poll_fn(|context| self.0.outgoing.poll_writable(context)).await
    }

    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        self.0.finish();
        if self.0.fate.is_struck() {
            return Err(io::ErrorKind::NotConnected.into());
        }
        Ok(())
    }

    pub(super) fn has_unread(&self) -> bool {
        self.0.incoming.unread() > 0
    }

    pub(super) fn unacknowledged(&self) -> usize {
        self.0.outgoing.in_transit()
    }

    /// The connection ends with a reset when the other half is gone too.
    pub(super) fn reset(self) {
        *self.0.abort.lock() = true;
    }
}

impl Drop for WriteHalf {
    fn drop(&mut self) {
        if !*self.0.abort.lock() {
            self.0.finish();
        }
    }
}

/// Makes a connection with room for so many bytes in each direction: the carrier's handle, the dialler's end, the
/// acceptor's end.
pub fn connection(
    id: u64,
    outward_room: usize,
    homeward_room: usize,
    carrier: &Arc<dyn Carrier>,
) -> (Connection, (Reader, Writer), (Reader, Writer)) {
    let (dialler, acceptor) = (Fate::default(), Fate::default());
    let connection = Connection {
        outward: Pipe::new(outward_room, &dialler, &acceptor),
        homeward: Pipe::new(homeward_room, &acceptor, &dialler),
    };
    let end = |side: Side, fate: Fate| {
        let end = Arc::new(End {
            incoming: connection.written_by(side.other()).clone(),
            outgoing: connection.written_by(side).clone(),
            connection: id,
            side,
            carrier: Arc::clone(carrier),
            fate,
            abort: Mutex::new(false),
        });
        let reader = ReadHalf(Arc::clone(&end));
        halves(
            super::ReadHalf::Memory(reader),
            super::WriteHalf::Memory(WriteHalf(end)),
        )
    };
    let (dialler, acceptor) = (end(Side::Dialler, dialler), end(Side::Acceptor, acceptor));
    (connection, dialler, acceptor)
}
