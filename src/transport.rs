//! Byte streams, TCP or unix, as the proxy needs them: read by one task, written by whoever has an answer.

mod broken;
pub mod memory;
mod peer;
pub mod tls;
mod who;
mod writer;

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::task::{Context, Poll};

use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, UnixStream, tcp, unix};

use self::broken::Broken;
pub use self::peer::{Host, Peer};
pub use self::who::{Account, Edge, Who};

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

/// Splits a TCP connection; small writes leave at once.
pub fn tcp(stream: TcpStream) -> io::Result<(Reader, Writer)> {
    let (reader, writer) = prepared(stream)?.into_split();
    Ok(halves(ReadHalf::Tcp(reader), WriteHalf::Tcp(writer)))
}

fn prepared(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_keepalive(true)?;
    Ok(stream)
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

/// Connects to a server that is spoken to by TLS, and shakes hands with it.
///
/// # Errors
/// A [fault of TLS](tls::fault_of) when the server is not the one that is trusted, or does not take us for the one that
/// it trusts; else what the system says.
pub async fn connect_tls(address: SocketAddr, trust: &tls::Trust) -> io::Result<(Reader, Writer)> {
    let (reader, writer) = prepared(TcpStream::connect(address).await?)?.into_split();
    let (reader, writer) = tls::call(reader, writer, trust)?;
    let (mut reader, writer) = halves(ReadHalf::Tls(reader), WriteHalf::Tls(writer));
    reader.shake_hands().await.map_err(tls::Fault::in_handshake)?;
    Ok((reader, writer))
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
    /// When the peer shows no certificate, or a wrong one, where one is asked for; when it speaks no TLS, or goes.
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

#[cfg(test)]
mod tests;
