//! Streams in memory whose bytes travel only when someone carries them. For simulations: the carrier decides when bytes
//! arrive, in what pieces, and whether the connection breaks on the way.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes, BytesMut};
use parking_lot::Mutex;

use super::{READ_ROOM, Reader, Writer};

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

/// Is told of everything that the ends do.
pub trait Carrier: Send + Sync + fmt::Debug {
    /// An end of this connection did something. Called with no lock held.
    fn happened(&self, connection: u64, side: Side, deed: Deed);
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
    fn new(room: usize) -> Self {
        Self(Arc::new(Mutex::new(Flow {
            room,
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

    /// The next `count` bytes arrive.
    pub fn arrive(&self, count: usize) {
        self.change(|flow| {
            let count = count.min(flow.transit.len());
            let bytes = flow.transit.split_to(count);
            flow.arrived.extend_from_slice(&bytes);
        });
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

    /// A reset arrives at the reader. What it has not read yet is lost or not, as the systems differ.
    pub fn break_reads(&self, lose_unread: bool) {
        self.change(|flow| {
            flow.reads_broken = true;
            if lose_unread {
                flow.arrived.clear();
            }
        });
    }

    /// A reset arrives at the writer. What has not arrived yet is lost or still on its way.
    pub fn break_writes(&self, lose_transit: bool) {
        self.change(|flow| {
            flow.writes_broken = true;
            if lose_transit {
                flow.transit.clear();
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Flow)) {
        let mut flow = self.0.lock();
        change(&mut flow);
        let wakers = [flow.reading.take(), flow.writing.take()];
        drop(flow);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    fn poll_read(&self, input: &mut BytesMut, context: &Context<'_>) -> Poll<io::Result<usize>> {
        let mut flow = self.0.lock();
        if flow.arrived.is_empty() {
            if flow.reads_broken {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            if flow.end_arrived {
                return Poll::Ready(Ok(0));
            }
            flow.reading = Some(context.waker().clone());
            return Poll::Pending;
        }
        let count = flow.arrived.len().min(READ_ROOM);
        input.extend_from_slice(&flow.arrived[..count]);
        flow.arrived.advance(count);
        flow.taken += count as u64;
        let writing = flow.writing.take();
        drop(flow);
        writing.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(count))
    }

    fn poll_writable(&self, context: &Context<'_>) -> Poll<io::Result<()>> {
        let mut flow = self.0.lock();
        if flow.free() > 0 || flow.writes_broken || flow.finished {
            return Poll::Ready(Ok(()));
        }
        flow.writing = Some(context.waker().clone());
        Poll::Pending
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut flow = self.0.lock();
        if flow.writes_broken {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if flow.finished {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let free = flow.free();
        if free == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut written = 0;
        for slice in slices {
            let count = slice.len().min(free - written);
            flow.transit.extend_from_slice(&slice[..count]);
            written += count;
        }
        Ok(written)
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
        poll_fn(|context| self.0.incoming.poll_read(input, context)).await
    }
}

impl WriteHalf {
    pub(super) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let written = self.0.outgoing.write(slices)?;
        self.0.happened(Deed::Wrote(written));
        Ok(written)
    }

    pub(super) async fn writable(&self) -> io::Result<()> {
        poll_fn(|context| self.0.outgoing.poll_writable(context)).await
    }

    pub(super) fn shutdown_write(&self) {
        self.0.finish();
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
    let connection = Connection {
        outward: Pipe::new(outward_room),
        homeward: Pipe::new(homeward_room),
    };
    let end = |side: Side| {
        let end = Arc::new(End {
            incoming: connection.written_by(side.other()).clone(),
            outgoing: connection.written_by(side).clone(),
            connection: id,
            side,
            carrier: Arc::clone(carrier),
            abort: Mutex::new(false),
        });
        let reader = ReadHalf(Arc::clone(&end));
        (Reader::Memory(reader), Writer::Memory(WriteHalf(end)))
    };
    let (dialler, acceptor) = (end(Side::Dialler), end(Side::Acceptor));
    (connection, dialler, acceptor)
}
