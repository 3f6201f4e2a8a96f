//! Ends and errors of streams, as the kernel tells them and as they are passed on.

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::Interest;

use super::memory::{self, Carrier, Connection, Deed, Side};
use super::{ReadHalf, Reader, Writer};
use crate::protocol::outgoing::Outgoing;

/// A connection, and its peer as the system has it.
fn connected() -> (Reader, Writer, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let stream = TcpStream::connect(listener.local_addr().expect("its address")).expect("connect");
    stream.set_nonblocking(true).expect("non-blocking");
    let (peer, _) = listener.accept().expect("accept");
    let (reader, writer) = super::tcp(tokio::net::TcpStream::from_std(stream).expect("a stream")).expect("halves");
    (reader, writer, peer)
}

/// Ends the peer's side with a reset, and waits until it has arrived.
async fn reset(reader: &Reader, peer: TcpStream) {
    SockRef::from(&peer).set_linger(Some(Duration::ZERO)).expect("linger");
    drop(peer);
    let ReadHalf::Tcp(half) = &reader.half else {
        unreachable!("it is a TCP connection");
    };
    loop {
        let ready = half.ready(Interest::READABLE).await.expect("the reset");
        if ready.is_read_closed() {
            return;
        }
    }
}

fn bytes(text: &str) -> Outgoing {
    let mut out = Outgoing::new();
    out.put_slice(text.as_bytes());
    out
}

async fn expect_no_end(reader: &mut Reader) {
    let mut input = BytesMut::new();
    for _ in 0..3 {
        let read = reader.read(&mut input).await;
        assert!(read.is_err(), "{read:?} is read behind an error");
    }
}

#[tokio::test]
async fn a_reset_that_a_read_met_is_no_end_afterwards() {
    let (mut reader, _writer, peer) = connected();
    reset(&reader, peer).await;
    expect_no_end(&mut reader).await;
}

#[tokio::test]
async fn a_reset_that_a_write_met_is_no_end_to_a_read() {
    let (mut reader, writer, peer) = connected();
    reset(&reader, peer).await;
    assert!(writer.write_ready(&mut bytes("question")).is_err());
    expect_no_end(&mut reader).await;
}

#[tokio::test]
async fn a_reset_that_a_look_met_is_no_end_to_a_read() {
    let (mut reader, writer, peer) = connected();
    reset(&reader, peer).await;
    assert!(!writer.has_unread());
    expect_no_end(&mut reader).await;
}

#[tokio::test]
async fn what_came_before_a_reset_is_still_read() {
    let (mut reader, writer, mut peer) = connected();
    peer.write_all(b"answer").expect("write");
    reset(&reader, peer).await;
    let _ = writer.write_ready(&mut bytes("question"));
    let mut input = BytesMut::new();
    assert_eq!(reader.read(&mut input).await.ok(), Some(6));
    assert_eq!(input, "answer");
    expect_no_end(&mut reader).await;
}

#[tokio::test]
async fn an_end_in_order_stays_one() {
    let (mut reader, writer, peer) = connected();
    drop(peer);
    let mut input = BytesMut::new();
    assert_eq!(reader.read(&mut input).await.ok(), Some(0));
    let _ = writer.shutdown_write();
    assert_eq!(reader.read(&mut input).await.ok(), Some(0));
}

/// Breaks the dialler's end as soon as it has written one byte.
#[derive(Debug, Default)]
struct Snapping(OnceLock<Connection>);

impl Carrier for Snapping {
    fn happened(&self, _: u64, side: Side, deed: Deed) {
        if let (Side::Dialler, Deed::Wrote(_), Some(connection)) = (side, deed, self.0.get()) {
            connection.outward.break_writes(false);
            connection.homeward.break_reads(false);
        }
    }

    fn takes(&self, _: u64, _: Side, _: usize) -> io::Result<usize> {
        Ok(1)
    }
}

#[tokio::test]
async fn a_reset_that_cut_a_write_short_is_no_end_to_a_read() {
    let carrier = Arc::new(Snapping::default());
    let told: Arc<dyn Carrier> = Arc::<Snapping>::clone(&carrier);
    let (connection, (mut reader, writer), _acceptor) = memory::connection(0, 64, 64, &told);
    carrier.0.set(connection).expect("the first one");
    // What left before the error counts, and so the error is not told here.
    assert_eq!(writer.write_ready(&mut bytes("question")).ok(), Some(1));
    expect_no_end(&mut reader).await;
}

/// Interrupts every other read and write, and lets one byte through in between.
#[derive(Debug, Default)]
struct Stuttering {
    connection: OnceLock<Connection>,
    calls: std::sync::atomic::AtomicUsize,
}

impl Stuttering {
    fn portion(&self) -> io::Result<usize> {
        match self.calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 2 {
            0 => Err(io::ErrorKind::Interrupted.into()),
            _ => Ok(1),
        }
    }
}

impl Carrier for Stuttering {
    fn happened(&self, _: u64, side: Side, deed: Deed) {
        if let (Deed::Wrote(count), Some(connection)) = (deed, self.connection.get()) {
            connection.written_by(side).arrive(count);
        }
    }

    fn gives(&self, _: u64, _: Side, _: usize) -> io::Result<usize> {
        self.portion()
    }

    fn takes(&self, _: u64, _: Side, _: usize) -> io::Result<usize> {
        self.portion()
    }
}

#[tokio::test]
async fn an_interrupted_call_is_made_again() {
    let carrier = Arc::new(Stuttering::default());
    let told: Arc<dyn Carrier> = Arc::<Stuttering>::clone(&carrier);
    let (connection, (_, writer), (mut reader, _)) = memory::connection(0, 64, 64, &told);
    carrier.connection.set(connection).expect("the first one");
    assert_eq!(writer.write_ready(&mut bytes("question")).ok(), Some(8));
    let mut input = BytesMut::new();
    while input.len() < 8 {
        assert_eq!(reader.read(&mut input).await.ok(), Some(1));
    }
    assert_eq!(input, "question");
}
