//! Streams in memory whose bytes travel only when someone carries them. For simulations: the carrier decides when bytes
//! arrive, in what pieces, and whether the connection breaks on the way.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes, BytesMut};
use parking_lot::Mutex;

use super::{READ_ROOM, Reader, Writer, halves};

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

/// What broke an end, as Linux tells it: once, to whoever reads or writes next. From then on reads say end of stream,
/// and writes that the pipe is broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Broken {
    #[default]
    Not,
    Untold(io::ErrorKind),
    Told,
}

/// The state that both halves of an end share.
#[derive(Clone, Debug, Default)]
struct Fate(Arc<Mutex<Broken>>);

impl Fate {
    fn strike(&self, kind: io::ErrorKind) {
        let mut broken = self.0.lock();
        if *broken == Broken::Not {
            *broken = Broken::Untold(kind);
        }
    }

    fn tell(&self) -> Option<io::Error> {
        let mut broken = self.0.lock();
        match *broken {
            Broken::Untold(kind) => {
                *broken = Broken::Told;
                Some(kind.into())
            }
            Broken::Not | Broken::Told => None,
        }
    }

    fn is_struck(&self) -> bool {
        *self.0.lock() != Broken::Not
    }
}

/// What one direction of a connection holds.
#[derive(Debug, Default)]
struct Flow {
    /// Written, not yet arrived.
    transit: BytesMut,
    /// Arrived, not yet read.
    arrived: BytesMut,
    /// Most bytes of both together.
    room: usize,
    /// Bytes that were read so far.
    taken: u64,
    finished: bool,
    end_arrived: bool,
    /// The reader learns of a reset once it has read what has arrived.
    reads_broken: bool,
    writes_broken: bool,
    /// Of the end that reads, and of the one that writes.
    reader: Fate,
    writer: Fate,
    reading: Option<Waker>,
    writing: Option<Waker>,
}

impl Flow {
    fn free(&self) -> usize {
        self.room.saturating_sub(self.transit.len() + self.arrived.len())
    }
}

/// One direction of a connection, in the hands of the carrier.
#[derive(Clone, Debug)]
pub struct Pipe(Arc<Mutex<Flow>>);

impl Pipe {
    fn new(room: usize, writer: &Fate, reader: &Fate) -> Self {
        Self(Arc::new(Mutex::new(Flow {
            room,
            writer: writer.clone(),
            reader: reader.clone(),
            ..Flow::default()
        })))
    }

    /// Bytes that were written and have not arrived.
    pub fn in_transit(&self) -> usize {
        self.0.lock().transit.len()
    }

    /// Bytes that have arrived and have not been read.
    pub fn unread(&self) -> usize {
        self.0.lock().arrived.len()
    }

    /// Bytes that were read so far.
    pub fn taken(&self) -> u64 {
        self.0.lock().taken
    }

    /// The newest `count` bytes of those that were written and have not arrived.
    pub fn newest(&self, count: usize) -> Bytes {
        let flow = self.0.lock();
        Bytes::copy_from_slice(&flow.transit[flow.transit.len().saturating_sub(count)..])
    }

    /// The next `count` bytes arrive, or as many of them as are still on their way; returns how many those are.
    pub fn arrive(&self, count: usize) -> usize {
        self.change(|flow| {
            let count = count.min(flow.transit.len());
            let bytes = flow.transit.split_to(count);
            flow.arrived.extend_from_slice(&bytes);
            count
        })
    }

    /// What has not arrived yet never will.
    pub fn lose_transit(&self) {
        self.change(|flow| flow.transit.clear());
    }

    /// Bytes arrive that the other end never wrote.
    pub fn forge(&self, bytes: &[u8]) {
        self.change(|flow| flow.arrived.extend_from_slice(bytes));
    }

    /// What has arrived and was not read becomes something else of the same length.
    pub fn replace_unread(&self, bytes: &[u8]) {
        let mut flow = self.0.lock();
        if flow.arrived.len() == bytes.len() {
            flow.arrived.copy_from_slice(bytes);
        }
    }

    /// The end of the stream arrives.
    pub fn arrive_end(&self) {
        self.change(|flow| flow.end_arrived = true);
    }

    /// A reset arrives at the reader. What it has not read yet is lost or not, as the systems differ. Where the end of
    /// the stream has arrived before, reads still come to that end, and only writes learn of the reset.
    pub fn break_reads(&self, lose_unread: bool) {
        self.change(|flow| {
            flow.reads_broken = true;
            flow.reader.strike(if flow.end_arrived {
                io::ErrorKind::BrokenPipe
            } else {
                io::ErrorKind::ConnectionReset
            });
            if lose_unread {
                flow.arrived.clear();
            }
        });
    }

    /// A reset arrives at the writer. What has not arrived yet is lost or still on its way.
    pub fn break_writes(&self, lose_transit: bool) {
        self.change(|flow| {
            flow.writes_broken = true;
            flow.writer.strike(io::ErrorKind::ConnectionReset);
            if lose_transit {
                flow.transit.clear();
            }
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut Flow) -> T) -> T {
        let mut flow = self.0.lock();
        let result = change(&mut flow);
        let wakers = [flow.reading.take(), flow.writing.take()];
        drop(flow);
        wakers.into_iter().flatten().for_each(Waker::wake);
        result
    }

    /// Waits for bytes; tells how many there are, nothing at the end of the stream.
    fn poll_readable(&self, context: &Context<'_>) -> Poll<io::Result<usize>> {
        let mut flow = self.0.lock();
        if !flow.arrived.is_empty() {
            return Poll::Ready(Ok(flow.arrived.len().min(READ_ROOM)));
        }
        if flow.end_arrived {
            return Poll::Ready(Ok(0));
        }
        if flow.reads_broken {
            return Poll::Ready(flow.reader.tell().map_or(Ok(0), Err));
        }
        flow.reading = Some(context.waker().clone());
        Poll::Pending
    }

    fn read(&self, input: &mut BytesMut, most: usize) -> usize {
        let mut flow = self.0.lock();
        let count = flow.arrived.len().min(most);
        input.extend_from_slice(&flow.arrived[..count]);
        flow.arrived.advance(count);
        flow.taken += count as u64;
        let writing = flow.writing.take();
        drop(flow);
        writing.into_iter().for_each(Waker::wake);
        count
    }

    fn poll_writable(&self, context: &Context<'_>) -> Poll<io::Result<()>> {
        let mut flow = self.0.lock();
        if flow.free() > 0 || flow.writes_broken || flow.finished {
            return Poll::Ready(Ok(()));
        }
        flow.writing = Some(context.waker().clone());
        Poll::Pending
    }

    /// How many bytes there is room for.
    fn room(&self) -> io::Result<usize> {
        let flow = self.0.lock();
        if flow.writes_broken || flow.finished {
            return Err(flow.writer.tell().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into()));
        }
        match flow.free() {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            free => Ok(free),
        }
    }

    fn write(&self, slices: &[IoSlice<'_>], most: usize) -> usize {
        let mut flow = self.0.lock();
        let mut written = 0;
        for slice in slices {
            let count = slice.len().min(most - written);
            flow.transit.extend_from_slice(&slice[..count]);
            written += count;
        }
        written
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
        let mut flow = self.outgoing.0.lock();
        if !std::mem::replace(&mut flow.finished, true) {
            drop(flow);
            self.happened(Deed::Finished);
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let unread = !self.incoming.0.lock().arrived.is_empty();
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
