//! An edge's end of a link, by hand: it says what it is told to, right or wrong.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use ttguard::command::{Answer, Command, Reply};
use ttguard::protocol::answer::Form;
use ttguard::protocol::link::ask::Ask;
use ttguard::protocol::link::hello::{Behalf, From, Hello, Opened, Standing, Welcome};
use ttguard::protocol::link::printable::Printable;
use ttguard::protocol::link::receiving::{Bounds, Received, Receiving};
use ttguard::protocol::link::sending::Sending;
use ttguard::protocol::link::told::Told;
use ttguard::protocol::link::{FUNCTION, Kind};
use ttguard::protocol::outgoing::Outgoing;
use ttguard::protocol::tyrant::dialect::Dialect;
use ttguard::protocol::tyrant::limits::Limits;
use ttguard::protocol::tyrant::request;

use crate::support::client::{Client, PATIENCE};
use crate::support::frame;

/// Milliseconds that are left for a request.
pub const LEFT: u32 = 30_000;

pub struct Link {
    stream: TcpStream,
    sending: Sending<()>,
    receiving: Receiving,
    input: BytesMut,
    /// What the guard said, while something else was waited for.
    pub standings: Vec<Standing>,
}

impl Link {
    /// A connection that is for this client of the edge's, and no link.
    pub fn on_behalf(address: SocketAddr, from: From, certificate: &str) -> Client {
        let behalf = Behalf {
            edge: Printable::new("process 7 on app-1"),
            opened: Opened {
                from,
                certificate: Printable::new(certificate),
            },
        };
        let mut client = Client::connect(address);
        client.send(&frame::misc("ttguard_link", &[&behalf.to_bytes()]));
        client
    }

    /// A link that has not said who it is.
    #[track_caller]
    pub fn granted(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).expect("connect");
        stream.set_nodelay(true).expect("nodelay");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let function = std::str::from_utf8(FUNCTION).expect("text");
        stream.write_all(&frame::misc(function, &[])).expect("send");
        let mut told = [9; 5];
        stream.read_exact(&mut told).expect("an answer");
        assert_eq!(told, [0; 5]);
        Self {
            stream,
            sending: Sending::default(),
            receiving: Receiving::new(Bounds {
                body_max: 1 << 30,
                pieces_max: 1024,
            }),
            input: BytesMut::new(),
            standings: Vec::new(),
        }
    }

    /// A link in the first place of process 1.
    #[track_caller]
    pub fn open(address: SocketAddr) -> (Self, Welcome) {
        Self::in_place(address, 0, 1).expect("a welcome")
    }

    /// A link in this place of process 1; nothing where it is not welcome.
    #[track_caller]
    pub fn in_place(address: SocketAddr, slot: u32, generation: u64) -> Option<(Self, Welcome)> {
        let mut link = Self::granted(address);
        link.hello(slot, generation);
        let welcome = link.welcome()?;
        Some((link, welcome))
    }

    pub fn hello(&mut self, slot: u32, generation: u64) {
        let hello = Hello {
            instance: 1,
            slot,
            generation,
            name: Printable::new("process 7 on app-1"),
            release: Bytes::from_static(b"test"),
        };
        self.say(Kind::Hello, 0, |out| hello.put(out));
    }

    pub fn welcome(&mut self) -> Option<Welcome> {
        let (kind, _, body) = self.next()?;
        assert_eq!(kind, Kind::Welcome);
        Some(Welcome::parse(&body).expect("a welcome"))
    }

    /// Says something. What meets a connection that has ended is lost.
    pub fn say(&mut self, kind: Kind, id: u64, put: impl FnOnce(&mut Outgoing)) {
        self.sending.add(kind, id, (), put);
        self.write();
    }

    fn write(&mut self) {
        let stream = &mut self.stream;
        let _ = self.sending.write(|out| {
            let bytes = out.take();
            stream.write_all(&bytes)?;
            Ok(bytes.len())
        });
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("send");
    }

    /// What the guard says next; nothing at the end.
    pub fn next(&mut self) -> Option<(Kind, u64, BytesMut)> {
        loop {
            match self.receiving.next(&mut self.input).expect("no fault of the guard's") {
                Some(Received::Whole { kind, id, body }) => return Some((kind, id, body)),
                Some(_) => {}
                None => {
                    let mut bytes = [0; 65536];
                    match self.stream.read(&mut bytes) {
                        Ok(0) => return None,
                        Ok(count) => self.input.extend_from_slice(&bytes[..count]),
                        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                        Err(error) => panic!("nothing came: {error}"),
                    }
                }
            }
        }
    }

    /// A client has connected to the edge.
    pub fn client(&mut self, number: u32, from: From) {
        self.named_client(number, from, "");
    }

    /// A client has connected to the edge, with this name in its certificate; an empty one stands for none.
    pub fn named_client(&mut self, number: u32, from: From, certificate: &str) {
        let certificate = Printable::new(certificate);
        self.say(Kind::Open, number.into(), |out| Opened { from, certificate }.put(out));
    }

    /// A client asks something.
    pub fn ask(&mut self, client: u32, id: u64, command: &Command) {
        self.ask_at_once(client, id..id + 1, command);
    }

    /// A client asks the same many times, in one go.
    pub fn ask_at_once(&mut self, client: u32, ids: Range<u64>, command: &Command) {
        self.ask_as(&asked_by(client), ids, command);
    }

    /// The same, with what the edge says of it.
    pub fn ask_as(&mut self, ask: &Ask, ids: Range<u64>, command: &Command) {
        for id in ids {
            self.sending.add(Kind::Ask, id, (), |out| {
                ask.put(out);
                request::encode(command, out);
            });
        }
        self.write();
    }

    /// What became of a request that is told next, and its id; nothing at the end.
    pub fn told(&mut self) -> Option<(u64, Told)> {
        loop {
            let (kind, id, body) = self.next()?;
            match kind {
                Kind::Told => return Some((id, Told::parse(body, Limits::REPLY).expect("an outcome"))),
                Kind::Standing => self.standings.push(Standing::parse(&body).expect("a standing").0),
                kind => panic!("the guard said {kind:?}"),
            }
        }
    }

    /// Has a client ask something, and expects what became of that next.
    #[track_caller]
    pub fn outcome(&mut self, client: u32, id: u64, command: &Command) -> Told {
        self.ask(client, id, command);
        let (told, outcome) = self.told().expect("an outcome");
        assert_eq!(told, id);
        outcome
    }

    /// Expects that the guard ends the link, and says nothing more before.
    #[track_caller]
    pub fn expect_end(&mut self) {
        assert_eq!(self.next().map(|(kind, id, _)| (kind, id)), None);
    }
}

/// What an edge says of a request of this client's that it gave no stamp, and that has no difference from its command.
pub fn asked_by(client: u32) -> Ask {
    Ask {
        client,
        left: LEFT,
        stamp: None,
        form: Form::Binary(Dialect::Tyrant),
        edit: None,
    }
}

pub fn put(key: &str, value: &[u8]) -> Command {
    Command::Put {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Bytes::copy_from_slice(value),
    }
}

pub fn get(key: &str) -> Command {
    Command::Get {
        key: Bytes::copy_from_slice(key.as_bytes()),
    }
}

pub fn out(key: &str) -> Command {
    Command::Out {
        key: Bytes::copy_from_slice(key.as_bytes()),
    }
}

pub fn stored() -> Told {
    Told::Answer(Answer::Reply(Reply::Code(0)))
}

pub fn value(bytes: &[u8]) -> Told {
    Told::Answer(Answer::Reply(Reply::Value(Bytes::copy_from_slice(bytes))))
}
