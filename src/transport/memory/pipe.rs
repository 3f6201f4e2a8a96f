//! One direction of a connection in memory.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes, BytesMut};
use parking_lot::Mutex;

use crate::transport::READ_ROOM;

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
pub(super) struct Fate(Arc<Mutex<Broken>>);

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

    pub(super) fn is_struck(&self) -> bool {
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
    pub(super) fn new(room: usize, writer: &Fate, reader: &Fate) -> Self {
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
    pub(super) fn poll_readable(&self, context: &Context<'_>) -> Poll<io::Result<usize>> {
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

    pub(super) fn read(&self, input: &mut BytesMut, most: usize) -> usize {
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

    pub(super) fn poll_writable(&self, context: &Context<'_>) -> Poll<io::Result<()>> {
        let mut flow = self.0.lock();
        if flow.free() > 0 || flow.writes_broken || flow.finished {
            return Poll::Ready(Ok(()));
        }
        flow.writing = Some(context.waker().clone());
        Poll::Pending
    }

    /// Nothing more will be written; whether that is new.
    pub(super) fn finish(&self) -> bool {
        !std::mem::replace(&mut self.0.lock().finished, true)
    }

    /// How many bytes there is room for.
    pub(super) fn room(&self) -> io::Result<usize> {
        let flow = self.0.lock();
        if flow.writes_broken || flow.finished {
            return Err(flow.writer.tell().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into()));
        }
        match flow.free() {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            free => Ok(free),
        }
    }

    pub(super) fn write(&self, slices: &[IoSlice<'_>], most: usize) -> usize {
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
