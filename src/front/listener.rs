//! Where clients connect.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::config::{Address, ListenerSettings};
use crate::files;
use crate::transport::tls::Identity;
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
    pub settings: Arc<ListenerSettings>,
    /// Who it is to clients, where they speak by TLS.
    pub identity: Option<Arc<Identity>>,
}

impl Listening {
    /// Listens on an address; `shared` lets another process listen there too.
    pub fn bind(settings: &ListenerSettings, identity: Option<Arc<Identity>>, shared: bool) -> io::Result<Self> {
        let (socket, address) = match &settings.address {
            Address::Tcp(host_port) => bind_tcp(host_port, shared)?,
            Address::Unix(path) if shared => (bind_unix_beside(path)?, settings.address.clone()),
            Address::Unix(path) => (bind_unix(path)?, settings.address.clone()),
        };
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            address,
            settings: Arc::new(settings.clone()),
            identity,
        })
    }

    /// Uses one of the sockets that whoever started the process has opened for it, where one is at this address. It is
    /// taken from among them.
    pub fn inherit(
        settings: &ListenerSettings,
        identity: Option<&Arc<Identity>>,
        sockets: &mut Vec<Socket>,
    ) -> io::Result<Option<Self>> {
        let wanted: Vec<SocketAddr> = match &settings.address {
            Address::Tcp(host_port) => host_port.to_socket_addrs()?.collect(),
            Address::Unix(_) => Vec::new(),
        };
        let is_it = |socket: &Socket| {
            let bound = socket.local_addr().ok();
            match (&settings.address, bound) {
                (Address::Tcp(_), Some(bound)) => bound.as_socket().is_some_and(|bound| wanted.contains(&bound)),
                (Address::Unix(path), Some(bound)) => bound.as_pathname() == Some(path),
                (_, None) => false,
            }
        };
        let Some(index) = sockets.iter().position(is_it) else {
            return Ok(None);
        };
        let socket = sockets.swap_remove(index);
        socket.set_nonblocking(true)?;
        Ok(Some(Self {
            socket,
            address: settings.address.clone(),
            settings: Arc::new(settings.clone()),
            identity: identity.cloned(),
        }))
    }

    /// The same socket with other settings and files, which hold for those who connect from now on.
    pub fn with_settings(&self, settings: &ListenerSettings, identity: Option<Arc<Identity>>) -> io::Result<Self> {
        Ok(Self {
            socket: self.socket.try_clone()?,
            address: self.address.clone(),
            settings: Arc::new(settings.clone()),
            identity,
        })
    }

    /// The same socket as part of this thread's runtime.
    pub fn listener(&self) -> io::Result<Listener> {
        let socket = self.socket.try_clone()?;
        let socket = match self.address {
            Address::Tcp(_) => Accepting::Tcp(TcpListener::from_std(socket.into())?),
            Address::Unix(_) => Accepting::Unix(UnixListener::from_std(socket.into())?),
        };
        Ok(Listener {
            socket,
            address: self.address.clone(),
            settings: Arc::clone(&self.settings),
            identity: self.identity.clone(),
        })
    }
}

/// A listening socket of this thread's runtime.
#[derive(Debug)]
pub struct Listener {
    socket: Accepting,
    /// Where it listens.
    pub address: Address,
    /// How clients are served here.
    pub settings: Arc<ListenerSettings>,
    /// Who it is to clients, where they speak by TLS.
    pub identity: Option<Arc<Identity>>,
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

    /// Stops listening; whoever has connected already is still taken in, since closing the socket would reset them.
    pub fn take_last(self) -> Vec<(Reader, Writer)> {
        let mut taken = Vec::new();
        match self.socket {
            Accepting::Tcp(listener) => {
                let Ok(listener) = listener.into_std() else {
                    return taken;
                };
                for stream in last(|| listener.accept()) {
                    let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
                    taken.extend(stream.and_then(transport::tcp));
                }
            }
            Accepting::Unix(listener) => {
                let Ok(listener) = listener.into_std() else {
                    return taken;
                };
                for stream in last(|| listener.accept()) {
                    let stream = stream.set_nonblocking(true).and_then(|()| UnixStream::from_std(stream));
                    taken.extend(stream.map(transport::unix));
                }
            }
        }
        taken
    }
}

/// Those who wait to be accepted. One that is gone by now does not stand in the way of those behind it.
fn last<S, A>(mut accept: impl FnMut() -> io::Result<(S, A)>) -> impl Iterator<Item = S> {
    std::iter::from_fn(move || {
        loop {
            match accept() {
                Ok((stream, _)) => return Some(stream),
                Err(error) if transport::concerns_one_client(&error) => {}
                Err(_) => return None,
            }
        }
    })
}

/// Sockets that whoever started the process has opened for it, as systemd does.
pub fn inherited(descriptors: Vec<OwnedFd>) -> Vec<Socket> {
    descriptors.into_iter().map(Socket::from).collect()
}

fn bind_tcp(host_port: &str, shared: bool) -> io::Result<(Socket, Address)> {
    let (socket, bound) = bind_first(host_port, shared)?;
    Ok((socket, Address::Tcp(bound.to_string())))
}

/// Binds the first address of a name that can be bound.
pub fn bind_first(host_port: &str, shared: bool) -> io::Result<(Socket, SocketAddr)> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in host_port.to_socket_addrs()? {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(shared)?;
        match socket.bind(&address.into()) {
            Ok(()) => {
                let bound = socket.local_addr()?.as_socket().unwrap_or(address);
                return Ok((socket, bound));
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
            files::clear_socket(path)?;
            socket.bind(&address)?;
        }
        other => other?,
    }
    Ok(socket)
}

/// Unix sockets cannot be shared: the new one takes the old one's name, from one moment to the next. Nothing but a socket
/// loses its name so.
fn bind_unix_beside(path: &Path) -> io::Result<Socket> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = Path::new(&beside);
    files::only_socket(path)?;
    files::clear_socket(beside)?; // left over from a process of this number
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(beside)?)?;
    // Before it can be found: whoever connects to a socket that does not listen yet is refused.
    socket.listen(BACKLOG)?;
    std::fs::rename(beside, path)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_is_gone_does_not_hide_those_behind_it() {
        let gone = |number| Err(io::Error::from_raw_os_error(number));
        let queue = [
            Ok((1, ())),
            gone(libc::ECONNABORTED),
            gone(libc::EINTR),
            gone(libc::EPROTO),
            Ok((2, ())),
            gone(libc::EAGAIN),
            Ok((3, ())),
        ];
        let mut queue = queue.into_iter();
        let accept = || queue.next().expect("nobody asks behind the end");
        assert_eq!(last(accept).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn without_descriptors_nobody_is_asked_again_at_once() {
        let mut calls = 0;
        let accept = || -> io::Result<((), ())> {
            calls += 1;
            Err(io::Error::from_raw_os_error(libc::EMFILE))
        };
        assert_eq!(last(accept).count(), 0);
        assert_eq!(calls, 1);
    }
}
