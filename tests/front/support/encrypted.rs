//! Clients that speak by TLS.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::authority::{Authority, Signed};
use crate::support::client::PATIENCE;

/// How the other side ended an encrypted connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// By saying so, as TLS has it.
    Told,
    /// By an alert.
    Alert,
    /// By RST.
    Reset,
    /// By a plain end, as if it had been cut off.
    Cut,
}

impl Ended {
    fn by(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Self::Reset,
            ErrorKind::UnexpectedEof => Self::Cut,
            _ if error.to_string().contains("alert") => Self::Alert,
            _ => panic!("unexpected: {error}"),
        }
    }
}

/// A client of rustls.
pub struct Encrypted(StreamOwned<ClientConnection, TcpStream>);

impl Encrypted {
    /// Connects and shakes hands, with a certificate where there is one.
    pub fn connect(address: SocketAddr, authority: &Authority, own: Option<&Signed>) -> Result<Self, Ended> {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_file(authority.cert()).expect("the authority's certificate");
        roots.add(ca).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let cert = CertificateDer::from_pem_file(cert).expect("a certificate");
                let key = PrivateKeyDer::from_pem_file(key).expect("a key");
                builder.with_client_auth_cert(vec![cert], key).expect("a pair")
            }
        };
        let name = ServerName::try_from("localhost").expect("a name");
        let tls = ClientConnection::new(Arc::new(config), name).expect("a client");
        let stream = TcpStream::connect(address).expect("connect");
        stream.set_read_timeout(Some(PATIENCE)).expect("read timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("write timeout");
        let mut stream = StreamOwned::new(tls, stream);
        while stream.conn.is_handshaking() {
            stream
                .conn
                .complete_io(&mut stream.sock)
                .map_err(|error| Ended::by(&error))?;
        }
        Ok(Self(stream))
    }

    /// The certificate that the listener has shown.
    pub fn shown(&self) -> Vec<u8> {
        self.0.conn.peer_certificates().expect("a certificate")[0].to_vec()
    }

    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)?;
        self.0.flush()
    }

    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).expect("send");
    }

    #[track_caller]
    pub fn recv(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).expect("an answer");
        bytes
    }

    /// How it ends where so many bytes were owed; nothing where they come.
    pub fn ended_unanswered(&mut self, owed: usize) -> Option<Ended> {
        let mut bytes = vec![0; owed];
        self.0.read_exact(&mut bytes).err().map(|error| Ended::by(&error))
    }

    /// How it ends, when nothing more is said.
    #[track_caller]
    pub fn ended(&mut self) -> Ended {
        let mut byte = [0];
        match self.0.read(&mut byte) {
            Ok(0) => Ended::Told,
            Ok(_) => panic!("it said something: {byte:?}"),
            Err(error) => Ended::by(&error),
        }
    }
}

/// `openssl s_client`.
pub struct Openssl {
    child: Child,
    stdin: ChildStdin,
    answers: Receiver<Vec<u8>>,
    unread: Vec<u8>,
    said: Arc<Mutex<Vec<u8>>>,
}

impl Openssl {
    pub fn connect(address: SocketAddr, arguments: &[&str]) -> Self {
        let mut child = Command::new("openssl")
            .args([
                "s_client",
                "-quiet",
                "-servername",
                "localhost",
                "-connect",
                &address.to_string(),
            ])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("openssl, which tests/run installs");
        let (sender, answers) = mpsc::channel();
        let stdout = child.stdout.take().expect("stdout");
        follow(stdout, move |bytes| drop(sender.send(bytes.to_vec())));
        let said = Arc::new(Mutex::new(Vec::new()));
        let (stderr, kept) = (child.stderr.take().expect("stderr"), Arc::clone(&said));
        follow(stderr, move |bytes| {
            kept.lock().expect("what it said").extend_from_slice(bytes)
        });
        let stdin = child.stdin.take().expect("stdin");
        Self {
            child,
            stdin,
            answers,
            unread: Vec::new(),
            said,
        }
    }

    /// Sends what it may not take any more.
    pub fn try_send(&mut self, bytes: &[u8]) {
        let _ = self.stdin.write_all(bytes).and_then(|()| self.stdin.flush());
    }

    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) {
        self.stdin
            .write_all(bytes)
            .and_then(|()| self.stdin.flush())
            .expect("send");
    }

    #[track_caller]
    pub fn recv(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count {
            let Ok(bytes) = self.answers.recv_timeout(PATIENCE) else {
                panic!("no answer behind {:?}; it said:\n{}", self.unread, self.said());
            };
            self.unread.extend(bytes);
        }
        self.unread.drain(..count).collect()
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().expect("what it said")).into_owned()
    }

    /// Waits until it has said this on standard error.
    #[track_caller]
    pub fn expect_said(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.said().contains(text) {
            assert!(Instant::now() < deadline, "no {text:?} in:\n{}", self.said());
            thread::yield_now();
        }
    }
}

impl Drop for Openssl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Gives on what comes, as it comes.
fn follow(mut from: impl Read + Send + 'static, mut came: impl FnMut(&[u8]) + Send + 'static) {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            came(&buffer[..count]);
        }
    });
}

/// `openssl s_server`, which says what it is told and gives on what it hears.
pub struct Server {
    child: Child,
    address: SocketAddr,
    heard: Receiver<Vec<u8>>,
    unread: Vec<u8>,
}

impl Server {
    /// With this certificate. Whoever connects before it listens has to try again.
    pub fn start((cert, key): &Signed, arguments: &[&str]) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("its address");
        drop(free);
        let mut child = Command::new("openssl")
            .args([
                "s_server",
                "-quiet",
                "-accept",
                &address.to_string(),
                "-cert",
                cert,
                "-key",
                key,
            ])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl, which tests/run installs");
        let (sender, heard) = mpsc::channel();
        let stdout = child.stdout.take().expect("stdout");
        follow(stdout, move |bytes| drop(sender.send(bytes.to_vec())));
        Self {
            child,
            address,
            heard,
            unread: Vec::new(),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) {
        let stdin = self.child.stdin.as_mut().expect("stdin");
        stdin.write_all(bytes).and_then(|()| stdin.flush()).expect("send");
    }

    #[track_caller]
    pub fn recv(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count {
            self.unread
                .extend(self.heard.recv_timeout(PATIENCE).expect("a question"));
        }
        self.unread.drain(..count).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
