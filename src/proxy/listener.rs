//! Where clients connect.

use std::io;
use std::net::ToSocketAddrs;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::sync::Arc;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use crate::config::{Address, ListenerSettings};
use crate::transport::{self, Reader, Writer};

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 1024;

/// A listening socket that workers share: each accepts when it is free.
#[derive(Debug)]
pub struct Listening {
    socket: Socket,
    /// Where it listens, with the port that the system chose.
    pub address: Address,
    /// How clients are served here.
    settings: Arc<ListenerSettings>,
}

impl Listening {
    /// Listens on an address.
    pub fn bind(settings: &ListenerSettings) -> io::Result<Self> {
        let (socket, address) = match &settings.address {
            Address::Tcp(host_port) => bind_tcp(host_port)?,
            Address::Unix(path) => (bind_unix(path)?, settings.address.clone()),
        };
        let settings = Arc::new(settings.clone());
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            address,
            settings,
        })
    }

    /// The same socket for one more worker.
    pub fn share(&self) -> io::Result<Self> {
        Ok(Self {
            socket: self.socket.try_clone()?,
            address: self.address.clone(),
            settings: Arc::clone(&self.settings),
        })
    }

    /// Makes it part of this thread's runtime.
    pub fn into_listener(self) -> io::Result<Listener> {
        let socket = match self.address {
            Address::Tcp(_) => Accepting::Tcp(TcpListener::from_std(self.socket.into())?),
            Address::Unix(_) => Accepting::Unix(UnixListener::from_std(self.socket.into())?),
        };
        Ok(Listener {
            socket,
            settings: self.settings,
        })
    }
}

/// A listening socket of this thread's runtime.
#[derive(Debug)]
pub struct Listener {
    socket: Accepting,
    /// How clients are served here.
    pub settings: Arc<ListenerSettings>,
}

#[derive(Debug)]
enum Accepting {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    pub async fn accept(&self) -> io::Result<(Reader, Writer)> {
        match &self.socket {
            Accepting::Tcp(listener) => transport::tcp(listener.accept().await?.0),
            Accepting::Unix(listener) => Ok(transport::unix(listener.accept().await?.0)),
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
