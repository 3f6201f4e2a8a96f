//! The least that a proxy can cost one client: a relay of one connection at a time that looks at nothing.
//!
//! `tests/scripts/compare` puts it beside ttguard: what the two have in common is the price of a process in between,
//! whatever it does. `--primed` sends the first byte of the next request ahead, as a lane does; `--busy` never sleeps.
//! It takes whatever one read brings for one whole request, or one whole answer: right for small requests only.
//!
//! `relay LISTEN BACKEND [--primed] [--busy]`; without addresses it does nothing, as `cargo bench` calls it.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

/// The first byte of every request.
const MAGIC: u8 = 0xC8;

const ROOM: usize = 64 * 1024;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_set = |flag| arguments.iter().any(|argument| argument == flag);
    let addresses: Vec<&String> = arguments.iter().filter(|argument| argument.contains(':')).collect();
    let [listen, backend] = addresses[..] else {
        return Ok(());
    };
    let listener = TcpListener::bind(listen)?;
    println!("relay: listening on {listen}");
    loop {
        let (client, _) = listener.accept()?;
        // A broken connection is the end of that client, and of nothing else.
        let _ = relay(
            client,
            TcpStream::connect(backend)?,
            is_set("--primed"),
            is_set("--busy"),
        );
    }
}

fn relay(mut client: TcpStream, mut backend: TcpStream, primed: bool, busy: bool) -> io::Result<()> {
    for stream in [&client, &backend] {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(busy)?;
    }
    let mut buffer = vec![0; ROOM + 1];
    let mut begun = 0;
    loop {
        let read = receive(&mut client, &mut buffer[..ROOM])?;
        buffer[read] = MAGIC;
        backend.write_all(&buffer[begun..read + usize::from(primed)])?;
        begun = usize::from(primed);
        let read = receive(&mut backend, &mut buffer[..ROOM])?;
        client.write_all(&buffer[..read])?;
    }
}

/// What there is, once there is something.
fn receive(stream: &mut TcpStream, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(into) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => return other,
        }
    }
}
