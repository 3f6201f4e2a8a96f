//! The writing side: what is written, how much of it has arrived, and how a connection ends.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::SockRef;

use super::{Peer, Who, WriteHalf, Writer, memory, tls};
use crate::protocol::link::printable::Printable;
use crate::protocol::outgoing::Outgoing;

/// Most slices that one write takes.
const SLICES: usize = 32;

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

    /// The name in the certificate of the peer by which that was let in: known once hands were shaken, of those who had to
    /// show one.
    pub fn certificate(&self) -> Option<Printable> {
        match &self.half {
            WriteHalf::Tls(half) => half.certificate(),
            WriteHalf::Tcp(_) | WriteHalf::Unix(_) | WriteHalf::Memory(_) => None,
        }
    }

    /// Who is at the other end, with all that is known of it.
    pub fn who(&self) -> Who {
        Who::here(self.peer(), self.certificate())
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

    /// As [`Self::shutdown_write`], but waits until TLS, where it is spoken, has had its last word taken: somebody has to
    /// read meanwhile, for the peer may take nothing before what it says is taken.
    pub async fn finish(&self) -> io::Result<()> {
        if let WriteHalf::Tls(half) = &self.half {
            self.broken.note(half.finish().await)?;
        }
        self.shutdown_write()
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
