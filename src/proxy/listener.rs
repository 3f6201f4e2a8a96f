//! Where clients connect.

use std::io;
use std::net::ToSocketAddrs;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use crate::config::Address;
use crate::transport::{self, Reader, Writer};

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 1024;

/// A listening socket that workers share: each accepts when it is free.
#[derive(Debug)]
pub struct Listening {
    socket: Socket,
    /// Where it listens, with the port that the system chose.
    pub address: Address,
}

impl Listening {
    /// Listens on an address.
    pub fn bind(address: &Address) -> io::Result<Self> {
        let (socket, address) = match address {
            Address::Tcp(host_port) => bind_tcp(host_port)?,
            Address::Unix(path) => (bind_unix(path)?, address.clone()),
        };
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, address })
    }

    /// The same socket for one more worker.
    pub fn share(&self) -> io::Result<Self> {
        Ok(Self {
            socket: self.socket.try_clone()?,
            address: self.address.clone(),
        })
    }

    /// Makes it part of this thread's runtime.
    pub fn into_listener(self) -> io::Result<Listener> {
        match self.address {
            Address::Tcp(_) => Ok(Listener::Tcp(TcpListener::from_std(self.socket.into())?)),
            Address::Unix(_) => Ok(Listener::Unix(UnixListener::from_std(self.socket.into())?)),
        }
    }
}

/// A listening socket of this thread's runtime.
#[derive(Debug)]
pub enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    pub async fn accept(&self) -> io::Result<(Reader, Writer)> {
        match self {
            Self::Tcp(listener) => transport::tcp(listener.accept().await?.0),
            Self::Unix(listener) => Ok(transport::unix(listener.accept().await?.0)),
        }
    }
}

fn bind_tcp(host_port: &str) -> io::Result<(Socket, Address)> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in host_port.to_socket_addrs()? {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        match socket.bind(&address.into()) {
            Ok(()) => {
                let bound = socket.local_addr()?.as_socket().unwrap_or(address);
                return Ok((socket, Address::Tcp(bound.to_string())));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A socket file that nobody listens on is left over from a process that was killed: it is replaced.
fn bind_unix(path: &Path) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    let address = SockAddr::unix(path)?;
    match socket.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let refused = StdUnixStream::connect(path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused);
            if !refused {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            socket.bind(&address)?;
        }
        other => other?,
    }
    Ok(socket)
}
