//! A stand-in for a Tyrant server that is slow: it keeps the answer for one key to itself until it is told.

use std::io;
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

use super::background::Background;
use crate::command::{Command, Reply};
use crate::protocol::outgoing::Outgoing;
use crate::protocol::tyrant::limits::Limits;
use crate::protocol::tyrant::reply;
use crate::protocol::tyrant::request::RequestDecoder;

/// The key whose answer is late.
pub const LATE_KEY: &str = "A";

/// The server; it ends when it is dropped.
pub struct SlowServer {
    /// Where it listens.
    pub address: SocketAddr,
    released: watch::Sender<bool>,
    _server: Background,
}

impl SlowServer {
    /// Starts it on a free port.
    pub fn start() -> io::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (released, held) = watch::channel(false);
        let server = Background::start("demo-server", move |stop| serve(listener, &held, stop))?;
        Ok(Self {
            address,
            released,
            _server: server,
        })
    }

    /// Lets the late answer go.
    pub fn release(&self) {
        self.released.send_replace(true);
    }
}

/// The value that every key has.
pub fn value_of(key: &str) -> String {
    format!("the value of {key}")
}

fn serve(listener: std::net::TcpListener, held: &watch::Receiver<bool>, stop: oneshot::Receiver<()>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        tokio::select! {
            _ = stop => Ok(()),
            error = accept(listener, held) => error,
        }
    })
}

async fn accept(listener: TcpListener, held: &watch::Receiver<bool>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(converse(stream, held.clone()));
    }
}

/// Answers one connection's requests strictly in order, as the real server does.
async fn converse(mut stream: TcpStream, mut held: watch::Receiver<bool>) -> io::Result<()> {
    let mut decoder = RequestDecoder::new(Limits::REQUEST);
    let mut input = BytesMut::new();
    loop {
        while let Some(command) = decoder.decode(&mut input).map_err(io::Error::other)? {
            if matches!(&command, Command::Get { key } if key == LATE_KEY) {
                let _ = held.wait_for(|released| *released).await;
            }
            let mut out = Outgoing::new();
            reply::encode(&answer(&command), &mut out);
            stream.write_all(&out.take()).await?;
        }
        if stream.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
    }
}

fn answer(command: &Command) -> Reply {
    match command {
        Command::Get { key } => Reply::Value(Bytes::from(value_of(&String::from_utf8_lossy(key)))),
        // ttguard asks for both on every new connection.
        Command::Stat => Reply::Value(Bytes::from_static(b"type\thash\n")),
        Command::Misc { .. } => Reply::Strings {
            code: 1,
            strings: Vec::new(),
        },
        _ => Reply::Code(1),
    }
}
