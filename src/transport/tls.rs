//! TLS on a connection, a client's or one to a server, behind the same two halves as any other: the task that reads
//! decrypts, and whoever has something to say encrypts it.
//!
//! # What an end proves
//!
//! TLS has a last word, `close_notify`. An end of the stream without it can be made by anybody between, so it tells
//! nothing of what the peer has done. From a client it is an end like any other: a request that was cut is not carried
//! out. From a server it is an error, as a reset is: its end is what [fences](crate::store::tyrant::fence) take for proof.

mod expiry;
mod fault;
mod files;
mod identity;
mod names;
mod trust;

use std::io::{self, BufRead, IoSlice, Read, Write};
use std::sync::Arc;

use bytes::BytesMut;
use parking_lot::Mutex;
use rustls::{ClientConnection, Connection, ServerConnection};
use tokio::net::{TcpStream, tcp};

use crate::protocol::link::printable::Printable;

pub use self::expiry::Expiry;
pub use self::fault::{Fault, fault_of};
pub use self::files::Mistake;
pub use self::identity::Identity;
pub use self::names::{Name, Names};
pub use self::trust::{SERVER_NAME, Trust, Trusted, is_server_name};

/// The most bytes that are encrypted before the socket has taken them.
const CHUNK: usize = 32 * 1024;

/// What both halves share. Held for no longer than a call of theirs: both are used by one thread.
struct State {
    tls: Connection,
    /// The peer's end counts only where it has said that it is one.
    wants_last_word: bool,
    /// By which of the names in its certificate a client is let in, until hands were shaken.
    names: Option<Arc<Names>>,
    /// That name, once hands were shaken.
    certificate: Option<Printable>,
    /// Bytes that are encrypted and not told as written, because the socket has not taken all of them: the caller offers
    /// them again, as it does with any stream that would block.
    unreported: usize,
}

/// The reading side.
#[derive(Debug)]
pub struct ReadHalf {
    half: tcp::OwnedReadHalf,
    state: Arc<Mutex<State>>,
}

/// The writing side.
#[derive(Debug)]
pub struct WriteHalf {
    pub(super) half: tcp::OwnedWriteHalf,
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("State");
        shown.field("unreported", &self.unreported).finish_non_exhaustive()
    }
}

/// Makes a connection whose client has not said anything yet one that is encrypted.
///
/// # Errors
/// When rustls refuses its settings, which [`Identity::read`] has checked.
pub fn accept(
    reader: tcp::OwnedReadHalf,
    writer: tcp::OwnedWriteHalf,
    identity: &Identity,
) -> io::Result<(ReadHalf, WriteHalf)> {
    let tls = ServerConnection::new(identity.config()).map_err(io::Error::other)?;
    Ok(halves(reader, writer, tls.into(), Some(identity.names())))
}

/// Makes a connection to a server that nothing was said on yet one that is encrypted.
///
/// # Errors
/// When rustls refuses its settings, which [`Trust::read`] has checked.
pub fn call(
    reader: tcp::OwnedReadHalf,
    writer: tcp::OwnedWriteHalf,
    trust: &Trust,
) -> io::Result<(ReadHalf, WriteHalf)> {
    let tls = ClientConnection::new(trust.config(), trust.server()).map_err(io::Error::other)?;
    Ok(halves(reader, writer, tls.into(), None))
}

/// With a client, whose certificate has one of these names; or with a server.
fn halves(
    reader: tcp::OwnedReadHalf,
    writer: tcp::OwnedWriteHalf,
    mut tls: Connection,
    client: Option<Arc<Names>>,
) -> (ReadHalf, WriteHalf) {
    // Bounded by `CHUNK`: no more is encrypted before that has been taken.
    tls.set_buffer_limit(None);
    let state = Arc::new(Mutex::new(State {
        tls,
        wants_last_word: client.is_none(),
        names: client,
        certificate: None,
        unreported: 0,
    }));
    let reader = ReadHalf {
        half: reader,
        state: Arc::clone(&state),
    };
    (reader, WriteHalf { half: writer, state })
}

/// A socket as rustls uses it; it never waits.
struct Socket<'a>(&'a TcpStream);

impl Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl State {
    /// Takes note of the name by which a client was let in. Its certificate has been found sound before.
    fn look_at_certificate(&mut self) {
        if let Some(names) = self.names.take() {
            let shown = self.tls.peer_certificates().and_then(|chain| chain.first());
            self.certificate = shown.and_then(|certificate| names.found_in(certificate));
        }
    }

    /// Gives the socket all that is encrypted.
    fn flush(&mut self, socket: &TcpStream) -> io::Result<()> {
        while self.tls.wants_write() {
            if self.tls.write_tls(&mut Socket(socket))? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    /// Takes what the socket has and decrypts it; false at its end.
    fn receive(&mut self, socket: &TcpStream) -> io::Result<bool> {
        match self.tls.read_tls(&mut Socket(socket)) {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error),
        }
        let processed = self.tls.process_new_packets();
        // An alert that says why, or an answer that TLS itself owes. What does not fit now goes with the next bytes.
        match self.flush(socket) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock && processed.is_ok() => return Err(error),
            _ => {}
        }
        match processed {
            Ok(_) => Ok(true),
            Err(error) => Err(Fault::Tls(error).into()),
        }
    }

    /// Appends what is decrypted; nothing when there is none now, 0 at the peer's last word.
    fn decrypted(&mut self, input: &mut BytesMut) -> io::Result<Option<usize>> {
        let mut count = 0;
        loop {
            let mut reader = self.tls.reader();
            match reader.fill_buf() {
                Ok([]) => return Ok(Some(count)),
                Ok(bytes) => {
                    let some = bytes.len();
                    input.extend_from_slice(bytes);
                    reader.consume(some);
                    count += some;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok((count > 0).then_some(count)),
                // What came before the end comes first. Then the same is asked again.
                Err(_) if count > 0 => return Ok(Some(count)),
                // Cut off without a last word.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && !self.wants_last_word => {
                    return Ok(Some(0));
                }
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(io::Error::new(
                        error.kind(),
                        "it was cut off without the last word of TLS",
                    ));
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl ReadHalf {
    /// Waits until both sides have agreed on how to speak.
    ///
    /// # Errors
    /// When the peer shows no certificate, or a wrong one, where one is asked for; when it speaks no TLS, or goes.
    pub async fn shake_hands(&mut self) -> io::Result<()> {
        let socket = self.half.as_ref();
        loop {
            // The guard must not outlive the step.
            let (blocked, done) = {
                let mut state = self.state.lock();
                let blocked = match state.flush(socket) {
                    Ok(()) => false,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => true,
                    Err(error) => return Err(error),
                };
                let done = !state.tls.is_handshaking();
                if done && !blocked {
                    state.look_at_certificate();
                }
                (blocked, done)
            };
            if blocked {
                socket.writable().await?;
            } else if done {
                return Ok(());
            } else {
                socket.readable().await?;
                if !self.state.lock().receive(socket)? {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
    }

    /// As [`Reader::read`](super::Reader::read).
    pub async fn read(&mut self, input: &mut BytesMut) -> io::Result<usize> {
        let socket = self.half.as_ref();
        loop {
            if let Some(count) = self.state.lock().decrypted(input)? {
                return Ok(count);
            }
            socket.readable().await?;
            let mut state = self.state.lock();
            // Where the last word is wanted, what is decrypted says whether it has come.
            if !state.receive(socket)? && !state.wants_last_word {
                return Ok(0);
            }
        }
    }
}

impl WriteHalf {
    /// As [`Writer::certificate`](super::Writer::certificate).
    pub fn certificate(&self) -> Option<Printable> {
        self.state.lock().certificate.clone()
    }

    /// Encrypts and writes; the bytes count as written once the socket has taken them whole.
    pub fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.state.lock();
        if state.unreported == 0 {
            let mut room = CHUNK;
            for slice in slices {
                let part = &slice[..slice.len().min(room)];
                state.tls.writer().write_all(part)?;
                room -= part.len();
            }
            state.unreported = CHUNK - room;
        }
        state.flush(self.half.as_ref())?;
        Ok(std::mem::take(&mut state.unreported))
    }

    /// Says that nothing more will come, so that the client can tell this end from one that was cut off. A client that
    /// does not take it now is not waited for.
    pub fn say_end(&self) {
        let mut state = self.state.lock();
        state.tls.send_close_notify();
        let _ = state.flush(self.half.as_ref());
    }

    /// As [`Self::say_end`], but waits until it has been taken, with all that was encrypted before it: what is cut off by
    /// the end of the stream says nothing, and is taken for an attack.
    pub async fn finish(&self) -> io::Result<()> {
        self.state.lock().tls.send_close_notify();
        loop {
            let flushed = self.state.lock().flush(self.half.as_ref());
            match flushed {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.half.writable().await?,
                flushed => return flushed,
            }
        }
    }
}
