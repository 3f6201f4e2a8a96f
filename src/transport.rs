//! Byte streams, TCP or unix, as the proxy needs them: read by one task, written by whoever has an answer.

mod broken;
pub mod memory;
pub mod tls;

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::path::Path;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, UnixStream, tcp, unix};

use self::broken::Broken;
use crate::protocol::outgoing::Outgoing;

/// Most slices that one write takes.
const SLICES: usize = 32;

/// Room that is made in a read buffer before each read.
pub const READ_ROOM: usize = 16 * 1024;

/// The reading side of a stream.
#[derive(Debug)]
pub struct Reader {
    half: ReadHalf,
    broken: Broken,
}

/// The writing side of a stream. All its methods take `&self`, so that a lane can write to a session's client.
#[derive(Debug)]
pub struct Writer {
    half: WriteHalf,
    broken: Broken,
}

#[derive(Debug)]
enum ReadHalf {
    Tcp(tcp::OwnedReadHalf),
    Unix(unix::OwnedReadHalf),
    Tls(tls::ReadHalf),
    Memory(memory::ReadHalf),
}

#[derive(Debug)]
enum WriteHalf {
    Tcp(tcp::OwnedWriteHalf),
    Unix(unix::OwnedWriteHalf),
    Tls(tls::WriteHalf),
    Memory(memory::WriteHalf),
}

/// Both sides of one stream.
fn halves(reader: ReadHalf, writer: WriteHalf) -> (Reader, Writer) {
    let broken = Broken::default();
    let reader = Reader {
        half: reader,
        broken: broken.clone(),
    };
    (reader, Writer { half: writer, broken })
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An address and its port.
    Tcp(SocketAddr),
    /// A process of this machine, by its user and, where the system tells it, its number.
    Unix(u32, Option<i32>),
    /// It cannot be told.
    Unknown,
}

/// Whose connections count as those of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// Those of one address.
    Address(IpAddr),
    /// Those of one process of this machine.
    Process(u32, Option<i32>),
    /// Those that nothing is known of.
    Unknown,
}

impl Peer {
    /// Whose connection it is.
    pub fn host(self) -> Host {
        match self {
            Self::Tcp(address) => Host::Address(address.ip().to_canonical()),
            Self::Unix(user, process) => Host::Process(user, process),
            Self::Unknown => Host::Unknown,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            other => write!(f, "{}", other.host()),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Process(user, Some(process)) => write!(f, "unix user {user} process {process}"),
            Self::Process(user, None) => write!(f, "unix user {user}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// Splits a TCP connection; small writes leave at once.
pub fn tcp(stream: TcpStream) -> io::Result<(Reader, Writer)> {
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_keepalive(true)?;
    let (reader, writer) = stream.into_split();
    Ok(halves(ReadHalf::Tcp(reader), WriteHalf::Tcp(writer)))
}

/// Whether an error of `accept` says nothing about the next client. Linux tells there what has befallen the connection
/// that would have been accepted.
pub fn concerns_one_client(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNABORTED
                | libc::ECONNRESET
                | libc::EINTR
                | libc::EPERM
                | libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::EOPNOTSUPP
                | libc::ETIMEDOUT
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
        )
    )
}

/// Makes a connection that was just accepted one that is encrypted.
///
/// # Errors
/// When it is no TCP connection.
pub fn encrypted(reader: Reader, writer: Writer, identity: &tls::Identity) -> io::Result<(Reader, Writer)> {
    match (reader.half, writer.half) {
        (ReadHalf::Tcp(reader), WriteHalf::Tcp(writer)) => {
            let (reader, writer) = tls::accept(reader, writer, identity)?;
            Ok(halves(ReadHalf::Tls(reader), WriteHalf::Tls(writer)))
        }
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Moves what is left in a buffer to one of its own size. The first one goes with the last piece that was cut from it.
pub fn let_go(input: &mut BytesMut) {
    *input = BytesMut::from(&input[..]);
}

/// Splits a unix connection.
pub fn unix(stream: UnixStream) -> (Reader, Writer) {
    let (reader, writer) = stream.into_split();
    halves(ReadHalf::Unix(reader), WriteHalf::Unix(writer))
}

/// Connects to an address. Not to a name: whoever opens several connections looks it up once for all of them.
pub async fn connect_tcp(address: SocketAddr) -> io::Result<(Reader, Writer)> {
    tcp(TcpStream::connect(address).await?)
}

/// Connects to a unix socket.
pub async fn connect_unix(path: &Path) -> io::Result<(Reader, Writer)> {
    Ok(unix(UnixStream::connect(path).await?))
}

impl Reader {
    /// Waits for bytes and appends them; 0 at the end of the stream. Nothing is lost when it is cancelled.
    ///
    /// # Errors
    /// When the stream is broken, and from then on whenever there is nothing more to read: an end that is seen after an
    /// error of either half is none that the peer has made.
    pub async fn read(&mut self, input: &mut BytesMut) -> io::Result<usize> {
        self.read_some(input, READ_ROOM).await
    }

    /// As [`Self::read`], with room made for so many bytes.
    pub async fn read_some(&mut self, input: &mut BytesMut, room: usize) -> io::Result<usize> {
        loop {
            match self.broken.judge(self.half.read(input, room).await) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    /// Waits until both sides have agreed on how to speak, where TLS is spoken.
    ///
    /// # Errors
    /// When the client shows no certificate, or a wrong one, where one is asked for; when it speaks no TLS, or goes.
    pub async fn shake_hands(&mut self) -> io::Result<()> {
        match &mut self.half {
            ReadHalf::Tls(half) => self.broken.note(half.shake_hands().await),
            ReadHalf::Tcp(_) | ReadHalf::Unix(_) | ReadHalf::Memory(_) => Ok(()),
        }
    }
}

impl ReadHalf {
    async fn read(&mut self, input: &mut BytesMut, room: usize) -> io::Result<usize> {
        poll_fn(|context| self.poll_ready(context)).await?;
        // Only now: while nothing comes, what was cut from the buffer is dropped, and its room is used again.
        input.reserve(room);
        match self {
            Self::Tcp(half) => half.read_buf(input).await,
            Self::Unix(half) => half.read_buf(input).await,
            Self::Tls(half) => half.read(input).await,
            Self::Memory(half) => half.read(input).await,
        }
    }

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(half) => half.as_ref().poll_read_ready(context),
            Self::Unix(half) => half.as_ref().poll_read_ready(context),
            // They wait by themselves.
            Self::Tls(_) | Self::Memory(_) => Poll::Ready(Ok(())),
        }
    }
}

impl Writer {
    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.broken.note(match &self.half {
            WriteHalf::Tcp(half) => half.try_write_vectored(slices),
            WriteHalf::Unix(half) => half.try_write_vectored(slices),
            WriteHalf::Tls(half) => half.try_write_vectored(slices),
            WriteHalf::Memory(half) => half.try_write_vectored(slices),
        })
    }

    /// Writes as much as the stream takes now; returns how many bytes that was.
    ///
    /// # Errors
    /// When the stream is broken. That it takes no more now is no error.
    pub fn write_ready(&self, out: &mut Outgoing) -> io::Result<usize> {
        self.write_some(out, usize::MAX)
    }

    /// As [`Self::write_ready`], but no more than so many bytes.
    pub fn write_some(&self, out: &mut Outgoing, most: usize) -> io::Result<usize> {
        let mut total = 0;
        while !out.is_empty() && total < most {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let filled = out.io_slices(&mut slices, most - total);
            match self.try_write_vectored(&slices[..filled]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    out.advance(written);
                    total += written;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What was written before counts as sent. The error is kept for whoever reads or writes next.
                Err(_) if total > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(total)
    }

    /// Waits until the stream takes bytes, or is broken.
    pub async fn writable(&self) -> io::Result<()> {
        self.broken.note(match &self.half {
            WriteHalf::Tcp(half) => half.writable().await,
            WriteHalf::Unix(half) => half.writable().await,
            WriteHalf::Tls(half) => half.half.writable().await,
            WriteHalf::Memory(half) => half.writable().await,
        })
    }

    /// Who is at the other end.
    pub fn peer(&self) -> Peer {
        match &self.half {
            WriteHalf::Tcp(half) | WriteHalf::Tls(tls::WriteHalf { half, .. }) => {
                half.peer_addr().map_or(Peer::Unknown, Peer::Tcp)
            }
            WriteHalf::Unix(half) => half
                .as_ref()
                .peer_cred()
                .map_or(Peer::Unknown, |peer| Peer::Unix(peer.uid(), peer.pid())),
            WriteHalf::Memory(_) => Peer::Unknown,
        }
    }

    /// The kernel's socket, where there is one.
    fn socket(&self) -> Result<SockRef<'_>, &memory::WriteHalf> {
        match &self.half {
            WriteHalf::Tcp(half) | WriteHalf::Tls(tls::WriteHalf { half, .. }) => Ok(SockRef::from(half.as_ref())),
            WriteHalf::Unix(half) => Ok(SockRef::from(half.as_ref())),
            WriteHalf::Memory(half) => Err(half),
        }
    }

    /// Says by TLS, where that is spoken, that nothing more will come: before an end in order, never before a reset.
    pub fn say_end(&self) {
        if let WriteHalf::Tls(half) = &self.half {
            half.say_end();
        }
    }

    /// Says that nothing more will be written (FIN), and goes on reading.
    pub fn shutdown_write(&self) -> io::Result<()> {
        self.say_end();
        self.broken.note(match self.socket() {
            Ok(socket) => socket.shutdown(Shutdown::Write),
            Err(half) => half.shutdown_write(),
        })
    }

    /// Whether bytes of the peer, or its end, lie unread in the kernel.
    pub fn has_unread(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
        match self.socket() {
            // An error that it meets is told to nobody else.
            Ok(socket) => self
                .broken
                .note(socket.recv_with_flags(&mut byte, flags))
                .is_ok_and(|read| read > 0),
            Err(half) => half.has_unread(),
        }
    }

    /// Bytes that were written and that the peer has not acknowledged yet.
    fn unacknowledged(&self) -> usize {
        match self.socket() {
            Ok(socket) => ttguard_descriptors::unacknowledged(socket.as_fd()).unwrap_or(0),
            Err(half) => half.unacknowledged(),
        }
    }

    /// Waits until the peer has acknowledged all that was written, for at most `patience`.
    pub async fn acknowledged(&self, patience: Duration) {
        let deadline = tokio::time::Instant::now() + patience;
        let mut pause = Duration::from_micros(200);
        while self.unacknowledged() > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// Whether the connection is to end with RST however it ends, the end of the process included.
    pub fn end_by_reset(&self, reset: bool) {
        if let Ok(socket) = self.socket() {
            let _ = socket.set_linger(reset.then_some(Duration::ZERO));
        }
    }

    /// Ends the connection with RST rather than FIN: a client that does not look for the end of the stream
    /// gets an error instead of waiting for ever. Unix sockets know no RST; they just end.
    pub fn reset(self) {
        self.end_by_reset(true);
        match self.half {
            // Dropped as it is, the half would send a FIN first.
            WriteHalf::Tcp(half) | WriteHalf::Tls(tls::WriteHalf { half, .. }) => half.forget(),
            WriteHalf::Unix(half) => half.forget(),
            WriteHalf::Memory(half) => half.reset(),
        }
    }
}

#[cfg(test)]
mod tests;
