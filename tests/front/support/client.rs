//! A small blocking Tyrant client. It says exactly what came back, and how a connection ended.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::support::frame;

/// How long an answer may take before a test gives up: far above what a busy machine needs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How the other side ended a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Ending {
    /// RST: the kernel says that the connection was reset.
    Reset,
    /// FIN: the end of the stream.
    Finished,
    /// Not at all, within the time given.
    Open,
    /// It said something instead.
    Answered(Vec<u8>),
}

pub struct Client {
    stream: TcpStream,
    /// An RST that a send met. The kernel says so once: a later read would see a plain end.
    reset: bool,
}

impl Client {
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).expect("connect"))
    }

    /// Connects from an address of this machine.
    #[track_caller]
    pub fn connect_from(source: IpAddr, address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::new(source, 0).into()).expect("bind");
        socket.connect(&address.into()).expect("connect");
        Self::of(socket.into())
    }

    /// Connects as one for whom the kernel takes next to nothing: what it does not read stays with who sends.
    #[track_caller]
    pub fn connect_narrow(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        socket.connect(&address.into()).expect("connect");
        Self::of(socket.into())
    }

    fn of(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("nodelay");
        stream.set_read_timeout(Some(PATIENCE)).expect("read timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("write timeout");
        Self { stream, reset: false }
    }

    /// Another handle of the same connection, for who writes while this one reads.
    #[track_caller]
    pub fn twin(&self) -> Self {
        let stream = self.stream.try_clone().expect("another handle");
        Self { stream, reset: false }
    }

    // Raw bytes.

    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).expect("send");
    }

    /// Sends what may meet a connection that has already been reset.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let outcome = self.stream.write_all(bytes);
        if let Err(fault) = &outcome {
            self.reset = matches!(fault.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
        }
        outcome
    }

    pub fn try_recv(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    #[track_caller]
    pub fn recv(&mut self, count: usize) -> Vec<u8> {
        self.try_recv(count).expect("an answer")
    }

    /// Everything up to these bytes, and they.
    #[track_caller]
    pub fn recv_until(&mut self, end: &[u8]) -> Vec<u8> {
        self.try_recv_until(end).expect("an answer")
    }

    /// As [`Self::recv_until`], of a connection that may end; what came before that is told.
    pub fn try_recv_until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(end) {
            let behind = |fault: io::Error| {
                let text = String::from_utf8_lossy(&bytes);
                io::Error::new(fault.kind(), format!("{fault} behind {text:?}"))
            };
            let byte = self.try_recv(1).map_err(behind)?;
            bytes.extend(byte);
        }
        Ok(bytes)
    }

    /// Sends text and expects this answer to it.
    #[track_caller]
    pub fn expect(&mut self, text: &str, answer: &str) {
        self.send(text.as_bytes());
        let came = self.try_recv(answer.len()).unwrap_or_default();
        assert_eq!(String::from_utf8_lossy(&came), answer, "to {text:?}");
    }

    /// What happens on this connection within `time`, if anything.
    pub fn ending(&mut self, time: Duration) -> Ending {
        let deadline = Instant::now() + time;
        let mut buffer = [0; 4096];
        if self.reset {
            return Ending::Reset;
        }
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ending::Open;
            }
            self.stream.set_read_timeout(Some(left)).expect("read timeout");
            let outcome = self.stream.read(&mut buffer);
            self.stream.set_read_timeout(Some(PATIENCE)).expect("read timeout");
            match outcome {
                Ok(0) => return Ending::Finished,
                Ok(count) => return Ending::Answered(buffer[..count].to_vec()),
                Err(fault) => match fault.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return Ending::Open,
                    ErrorKind::Interrupted => {}
                    ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => return Ending::Reset,
                    _ => panic!("unexpected: {fault}"),
                },
            }
        }
    }

    /// PyTyrant spins for ever after a FIN: only an RST tells it anything.
    #[track_caller]
    pub fn expect_reset(&mut self, within: Duration) {
        assert_eq!(self.ending(within), Ending::Reset, "the connection must end in RST");
    }

    /// The connection says nothing for this long.
    #[track_caller]
    pub fn expect_quiet(&mut self, time: Duration) {
        assert_eq!(self.ending(time), Ending::Open, "nothing may come yet");
    }

    // Pieces of answers.

    pub fn code(&mut self) -> io::Result<u8> {
        Ok(self.try_recv(1)?[0])
    }

    pub fn count(&mut self) -> io::Result<usize> {
        let bytes: [u8; 4] = self.try_recv(4)?.try_into().expect("four bytes");
        Ok(u32::from_be_bytes(bytes) as usize)
    }

    pub fn sized(&mut self) -> io::Result<Vec<u8>> {
        let count = self.count()?;
        self.try_recv(count)
    }

    pub fn strings(&mut self) -> io::Result<Vec<Vec<u8>>> {
        (0..self.count()?).map(|_| self.sized()).collect()
    }

    /// The answer of a `get`: nothing for code 1; no other code is ever a fair answer.
    pub fn read_value(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self.code()? {
            0 => self.sized().map(Some),
            1 => Ok(None),
            code => panic!("a get was answered with code {code}"),
        }
    }

    // Whole exchanges.

    #[track_caller]
    pub fn ask_code(&mut self, request: &[u8]) -> u8 {
        self.send(request);
        self.code().expect("a code")
    }

    #[track_caller]
    pub fn put(&mut self, key: &str, value: &[u8]) -> u8 {
        self.ask_code(&frame::store(frame::PUT, key, value))
    }

    #[track_caller]
    pub fn out(&mut self, key: &str) -> u8 {
        self.ask_code(&frame::keyed(frame::OUT, key))
    }

    /// The caller waits for nothing, as nothing is owed.
    #[track_caller]
    pub fn putnr(&mut self, key: &str, value: &[u8]) {
        self.send(&frame::store(frame::PUTNR, key, value));
    }

    pub fn try_get(&mut self, key: &str) -> io::Result<Option<Vec<u8>>> {
        self.try_send(&frame::keyed(frame::GET, key))?;
        self.read_value()
    }

    #[track_caller]
    pub fn get(&mut self, key: &str) -> Option<Vec<u8>> {
        self.try_get(key).expect("an answer to get")
    }

    /// A value as text, for readable assertions.
    #[track_caller]
    pub fn text(&mut self, key: &str) -> Option<String> {
        self.get(key).map(|value| String::from_utf8(value).expect("text"))
    }

    #[track_caller]
    pub fn mget(&mut self, keys: &[&str]) -> Vec<(Vec<u8>, Vec<u8>)> {
        assert_eq!(self.ask_code(&frame::mget(keys)), 0);
        let count = self.count().expect("a count");
        (0..count).map(|_| self.record().expect("a record")).collect()
    }

    fn record(&mut self) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let (key, value) = (self.count()?, self.count()?);
        Ok((self.try_recv(key)?, self.try_recv(value)?))
    }

    /// `misc` sends its count whatever the code.
    #[track_caller]
    pub fn misc(&mut self, function: &str, arguments: &[&[u8]]) -> (u8, Vec<Vec<u8>>) {
        let code = self.ask_code(&frame::misc(function, arguments));
        (code, self.strings().expect("the strings of misc"))
    }

    /// `ext`: the code, and the result where the code is 0.
    #[track_caller]
    pub fn ext(&mut self, function: &str, key: &str, value: &[u8]) -> (u8, Option<Vec<u8>>) {
        let code = self.ask_code(&frame::ext(function, key, value));
        (code, (code == 0).then(|| self.sized().expect("a result")))
    }

    #[track_caller]
    pub fn rnum(&mut self) -> u64 {
        assert_eq!(self.ask_code(&frame::bare(frame::RNUM)), 0);
        u64::from_be_bytes(self.recv(8).try_into().expect("eight bytes"))
    }

    #[track_caller]
    pub fn fwmkeys(&mut self, prefix: &str) -> Vec<String> {
        assert_eq!(self.ask_code(&frame::fwmkeys(prefix, -1)), 0);
        sorted(self.strings().expect("keys"))
    }

    /// Every key that the iterator gives.
    #[track_caller]
    pub fn iterate(&mut self) -> Vec<String> {
        assert_eq!(self.ask_code(&frame::bare(frame::ITERINIT)), 0);
        let mut keys = Vec::new();
        while self.ask_code(&frame::bare(frame::ITERNEXT)) == 0 {
            keys.push(self.sized().expect("a key"));
        }
        sorted(keys)
    }

    #[track_caller]
    pub fn stat(&mut self) -> String {
        assert_eq!(self.ask_code(&frame::bare(frame::STAT)), 0);
        String::from_utf8(self.sized().expect("the status")).expect("text")
    }
}

fn sorted(keys: Vec<Vec<u8>>) -> Vec<String> {
    let mut keys: Vec<String> = keys
        .into_iter()
        .map(|key| String::from_utf8(key).expect("text"))
        .collect();
    keys.sort();
    keys
}
