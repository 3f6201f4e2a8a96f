//! A blocking connection: one thread may write while another reads.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use bytes::BytesMut;

use super::Fault;
use crate::command::{Command, Reply, Shape};
use crate::config::Address;
use crate::protocol::outgoing::Outgoing;
use crate::protocol::tyrant::limits::Limits;
use crate::protocol::tyrant::opcode::Opcode;
use crate::protocol::tyrant::reply::ReplyDecoder;
use crate::protocol::tyrant::request;
use crate::transport;

/// How long the server may be silent while something is owed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes that are read, and written, in one go.
const PIECE: usize = 64 * 1024;

/// The one place that all connections of a run go to. A name is looked up once: it may lead to one server now and to
/// another in a moment, and what is found in the one would be held against the records of the other.
#[derive(Clone, Debug)]
pub struct Place {
    server: String,
    at: At,
}

#[derive(Clone, Debug)]
enum At {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Place {
    /// Where `address` leads now.
    pub fn of(address: &Address) -> Result<Self, Fault> {
        let server = address.to_string();
        let at = match address {
            Address::Tcp(host_port) => transport::one_address(host_port, PATIENCE).map(At::Tcp),
            Address::Unix(path) => Ok(At::Unix(path.clone())),
        };
        match at {
            Ok(at) => Ok(Self { server, at }),
            Err(error) => Err(cannot_connect(server, &error)),
        }
    }
}

fn cannot_connect(server: String, error: &io::Error) -> Fault {
    Fault::Server {
        server,
        problem: format!("cannot connect: {error}"),
    }
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    fn connect(at: &At) -> io::Result<Self> {
        let stream = match at {
            At::Tcp(address) => Self::Tcp(TcpStream::connect(address)?),
            At::Unix(path) => Self::Unix(UnixStream::connect(path)?),
        };
        match &stream {
            Self::Tcp(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
            }
            Self::Unix(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
            }
        }
        Ok(stream)
    }

    fn again(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(stream) => Self::Tcp(stream.try_clone()?),
            Self::Unix(stream) => Self::Unix(stream.try_clone()?),
        })
    }

    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(piece),
            Self::Unix(stream) => stream.read(piece),
        }
    }
}

/// Both sides of a connection to `place`.
pub fn connect(place: &Place) -> Result<(Questions, Answers), Fault> {
    let server = place.server.clone();
    let opened = Stream::connect(&place.at).and_then(|stream| Ok((stream.again()?, stream)));
    let (asking, answering) = opened.map_err(|error| cannot_connect(server.clone(), &error))?;
    let questions = Questions {
        stream: asking,
        out: Outgoing::new(),
    };
    let answers = Answers {
        stream: answering,
        server,
        decoder: ReplyDecoder::new(Limits::REPLY),
        input: BytesMut::new(),
        piece: vec![0; PIECE],
    };
    Ok((questions, answers))
}

/// What is asked.
pub struct Questions {
    stream: Stream,
    out: Outgoing,
}

impl Questions {
    /// Adds a question. It leaves when there are enough, or with [`Self::flush`].
    pub fn ask(&mut self, command: &Command) -> io::Result<()> {
        request::encode(command, &mut self.out);
        if self.out.len() >= PIECE { self.flush() } else { Ok(()) }
    }

    /// Sends what has been asked.
    pub fn flush(&mut self) -> io::Result<()> {
        let bytes = self.out.take();
        match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(&bytes),
            Stream::Unix(stream) => stream.write_all(&bytes),
        }
    }

    /// Wakes whoever still reads answers.
    pub fn abandon(&self) {
        let _ = match &self.stream {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

/// What is answered, in the order of the questions.
pub struct Answers {
    stream: Stream,
    server: String,
    decoder: ReplyDecoder,
    input: BytesMut,
    piece: Vec<u8>,
}

impl Answers {
    /// The next answer, to such a command.
    pub fn next(&mut self, command: &Command) -> Result<Reply, Fault> {
        self.next_of(Opcode::of(command.verb()).shape)
    }

    /// The next answer, of this shape.
    pub fn next_of(&mut self, shape: Shape) -> Result<Reply, Fault> {
        loop {
            match self.decoder.decode(shape, &mut self.input) {
                Ok(Some(reply)) => return Ok(reply),
                Ok(None) => {}
                Err(fault) => return Err(self.fault(format!("an answer does not parse: {fault}"))),
            }
            match self.stream.read(&mut self.piece) {
                Ok(0) => return Err(self.fault("the connection was ended".to_owned())),
                Ok(count) => self.input.extend_from_slice(&self.piece[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Err(self.fault(format!("no answer for {} seconds", PATIENCE.as_secs())));
                }
                Err(error) => return Err(self.fault(error.to_string())),
            }
        }
    }

    /// What went wrong with the server.
    pub fn fault(&self, problem: String) -> Fault {
        Fault::Server {
            server: self.server.clone(),
            problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_name_is_looked_up_once_for_all_connections() {
        let first = TcpListener::bind("localhost:0").unwrap();
        let (address, port) = (first.local_addr().unwrap(), first.local_addr().unwrap().port());
        let place = Place::of(&Address::Tcp(format!("localhost:{port}"))).unwrap();
        assert!(connect(&place).is_ok());
        drop(first);
        // Where the name has several addresses, another server takes connections at the others.
        let others: Vec<_> = ["127.0.0.1", "::1"]
            .into_iter()
            .filter(|host| address.ip().to_string() != **host)
            .filter_map(|host| TcpListener::bind((host, port)).ok())
            .collect();
        let fault = connect(&place).err().map(|fault| fault.to_string());
        assert!(
            fault.is_some_and(|fault| fault.starts_with("localhost:") && fault.contains("cannot connect")),
            "{others:?}"
        );
    }
}
