//! What is done with file descriptors that the compiler cannot check, and for which no well-kept crate has a safe
//! function: all of it, so that everything else forbids unsafe code.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::unix::AsyncFd;

/// Bytes that were written to a stream socket and that its peer has not acknowledged yet.
///
/// # Errors
/// When the kernel does not say, as with what is no socket.
pub fn unacknowledged(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open for as long as it is borrowed, and the kernel writes one int.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// The descriptors that whoever started the process has opened for it, by the protocol of `LISTEN_FDS`. They are handed
/// out once: from the second time on there are none.
///
/// # Errors
/// When the variables say nothing sensible, or name a descriptor that is not open.
pub fn handed_over() -> io::Result<Vec<OwnedFd>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    let descriptors = sd_notify::listen_fds()?;
    // SAFETY: by the protocol, checked against LISTEN_PID, they belong to this process; that each is open was seen when
    // it was set to close on exec; and nobody else owns one, since they are handed out once.
    Ok(descriptors
        .map(|descriptor| unsafe { OwnedFd::from_raw_fd(descriptor) })
        .collect())
}

/// A descriptor whose readiness can be awaited; to be called within a runtime. It must not block.
///
/// # Errors
/// When the system cannot watch it.
pub fn watched(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` names one open descriptor for as long as it lives, and nobody can reach it to put another in
    // its place.
    Ok(unsafe { AsyncFd::register(descriptor) }?)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_the_peer_has_got_is_acknowledged() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let mut client = TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
        let (mut server, _) = listener.accept().expect("a connection");
        client.write_all(b"question").expect("room");
        server.read_exact(&mut [0; 8]).expect("all bytes");
        while unacknowledged(client.as_fd()).expect("a socket") > 0 {
            std::thread::yield_now();
        }
        // More than both sides have room for stays with the writer.
        client.set_nonblocking(true).expect("a socket");
        while client.write(&[0; 65536]).is_ok() {}
        assert!(unacknowledged(client.as_fd()).expect("a socket") > 0);
        let file = std::fs::File::open("/dev/null").expect("a file");
        assert!(unacknowledged(file.as_fd()).is_err());
    }
}
