//! Who is at the two ends of a link, and whether the guard serves.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use nom::bytes::complete::take;
use nom::combinator::{all_consuming, verify};
use nom::multi::length_data;
use nom::number::complete::{be_u8, be_u16, be_u32, be_u64, be_u128};
use nom::{IResult, Parser};

use super::printable::{self, PRINTABLE_MAX, Printable, printable};
use super::{Fault, Kind, VERSION};
use crate::protocol::outgoing::Outgoing;

/// What an edge says first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The process that it is: another one after each start.
    pub instance: u64,
    /// Which of the process's links it is.
    pub slot: u32,
    /// Rises with each link in that place. The guard takes nothing more from one that came before, and says
    /// [`Welcome`] when it is done with it.
    pub generation: u64,
    /// What it calls itself, for people; the same for all links of a process.
    pub name: Option<Printable>,
    /// Its release.
    pub release: Bytes,
}

/// Whether a guard serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does: it holds its store's claim, or there is none.
    Serves,
    /// It waits for the claim, or has not reached its store.
    Waits,
    /// It is about to end: what was asked is answered, and nothing more is to be asked.
    Leaves,
}

/// What the guard says then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The process that it is.
    pub instance: u64,
    /// Whether it serves.
    pub standing: Standing,
    /// The epoch of its claim; 0 where it has none.
    pub epoch: u64,
    /// Digits of the stamps at the head of values.
    pub digits: u8,
    /// What they count, as the number of nanoseconds; 0 where they are no time.
    pub unit: u64,
    /// Whether ttguard gives the stamps of this store, and not its clients.
    pub given: bool,
    /// Whether the edge is to give each write its stamp now.
    pub gives: bool,
    /// The newest stamp that was let in, where edges give them: those of an edge that has just started are above it.
    pub newest: u64,
    /// Whether keys that a client names say which records it means.
    pub knows_keys: bool,
    /// Whether functions of `misc` do what their names say.
    pub knows_functions: bool,
    /// Requests that may be unanswered at once.
    pub asks_max: u32,
    /// Bytes that a request may have.
    pub request_max: u64,
    /// Its clock, as microseconds since the epoch.
    pub clock: Duration,
    /// Its release.
    pub release: Bytes,
}

/// A client of an edge's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// From where it has connected to the edge.
    pub from: From,
    /// The name in its certificate by which the edge has let it in, where it has shown one.
    pub certificate: Option<Printable>,
}

/// For whom an edge asks on a connection of its own, which is no link: an endless answer has one. Said as the one argument
/// of [`FUNCTION`](super::FUNCTION), before anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behalf {
    /// What the edge calls itself.
    pub edge: Option<Printable>,
    /// Its client.
    pub opened: Opened,
}

/// The guard's sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pong {
    /// Its clock, as microseconds since the epoch.
    pub clock: Duration,
    /// Whether it serves, looked at just then.
    pub standing: Standing,
    /// The epoch of its claim; 0 where it has none.
    pub epoch: u64,
}

/// From where a client has connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// An address and its port.
    Address(SocketAddr),
    /// A process of the edge's machine: its user, and its number where that is known.
    Process(u32, Option<u32>),
    /// It is not known.
    Unknown,
}

impl Hello {
    /// Adds the body to `out`.
    pub fn put(&self, out: &mut Outgoing) {
        out.put_slice(&VERSION.to_be_bytes());
        out.put_slice(&self.instance.to_be_bytes());
        out.put_slice(&self.slot.to_be_bytes());
        out.put_slice(&self.generation.to_be_bytes());
        printable::put(self.name.as_ref(), out);
        put_text(&self.release, out);
    }

    /// Reads the body.
    ///
    /// # Errors
    /// When it is none, or of another version.
    pub fn parse(body: &[u8]) -> Result<Self, Fault> {
        let read = (be_u64, be_u32, be_u64, printable, text).map(|(instance, slot, generation, name, release)| Self {
            instance,
            slot,
            generation,
            name,
            release,
        });
        whole(read, of_our_version(body, Kind::Hello)?, Kind::Hello)
    }
}

impl Welcome {
    /// Adds the body to `out`.
    pub fn put(&self, out: &mut Outgoing) {
        out.put_slice(&VERSION.to_be_bytes());
        out.put_slice(&self.instance.to_be_bytes());
        put_standing(self.standing, self.epoch, out);
        out.put_u8(self.digits);
        out.put_slice(&self.unit.to_be_bytes());
        let known = u8::from(self.knows_keys)
            | u8::from(self.knows_functions) << 1
            | u8::from(self.gives) << 2
            | u8::from(self.given) << 3;
        out.put_u8(known);
        out.put_slice(&self.newest.to_be_bytes());
        out.put_slice(&self.asks_max.to_be_bytes());
        out.put_slice(&self.request_max.to_be_bytes());
        out.put_slice(&micros(self.clock).to_be_bytes());
        put_text(&self.release, out);
    }

    /// Adds as much of a body as tells an edge of another version why there is no link.
    pub fn put_version(out: &mut Outgoing) {
        out.put_slice(&VERSION.to_be_bytes());
    }

    /// Reads the body.
    ///
    /// # Errors
    /// When it is none, or of another version.
    pub fn parse(body: &[u8]) -> Result<Self, Fault> {
        let known = verify(be_u8, |known| *known < 16);
        let read = (
            be_u64, standing, be_u8, be_u64, known, be_u64, be_u32, be_u64, be_u64, text,
        )
            .map(
                |(instance, (standing, epoch), digits, unit, known, newest, asks_max, request_max, clock, release)| {
                    Self {
                        instance,
                        standing,
                        epoch,
                        digits,
                        unit,
                        given: known & 8 != 0,
                        gives: known & 4 != 0,
                        newest,
                        knows_keys: known & 1 != 0,
                        knows_functions: known & 2 != 0,
                        asks_max,
                        request_max,
                        clock: Duration::from_micros(clock),
                        release,
                    }
                },
            );
        whole(read, of_our_version(body, Kind::Welcome)?, Kind::Welcome)
    }
}

impl Standing {
    /// Adds the body of a frame of its own to `out`, with the epoch of the claim.
    pub fn put(self, epoch: u64, out: &mut Outgoing) {
        put_standing(self, epoch, out);
    }

    /// Reads that body.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(body: &[u8]) -> Result<(Self, u64), Fault> {
        whole(standing, body, Kind::Standing)
    }
}

impl Opened {
    /// Most bytes of the body.
    pub(super) const MOST: usize = 1 + 16 + 2 + 2 + PRINTABLE_MAX;

    /// Adds the body to `out`.
    pub fn put(&self, out: &mut Outgoing) {
        match self.from {
            From::Unknown => out.put_u8(0),
            From::Address(address) => {
                let (tag, ip) = match address.ip() {
                    IpAddr::V4(ip) => (4, u128::from(u32::from(ip))),
                    IpAddr::V6(ip) => (6, u128::from(ip)),
                };
                out.put_u8(tag);
                out.put_slice(&ip.to_be_bytes());
                out.put_slice(&address.port().to_be_bytes());
            }
            From::Process(user, process) => {
                out.put_u8(1);
                out.put_slice(&user.to_be_bytes());
                out.put_slice(&process.map_or(u64::MAX, u64::from).to_be_bytes());
            }
        }
        printable::put(self.certificate.as_ref(), out);
    }

    /// Reads the body.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(body: &[u8]) -> Result<Self, Fault> {
        whole(opened, body, Kind::Open)
    }
}

impl Behalf {
    /// The argument that says it.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Outgoing::new();
        out.put_slice(&VERSION.to_be_bytes());
        printable::put(self.edge.as_ref(), &mut out);
        self.opened.put(&mut out);
        out.take()
    }

    /// Reads the argument.
    ///
    /// # Errors
    /// When it is none, or of another version.
    pub fn parse(argument: &[u8]) -> Result<Self, Fault> {
        let read = (printable, opened).map(|(edge, opened)| Self { edge, opened });
        whole(read, of_our_version(argument, Kind::Open)?, Kind::Open)
    }
}

impl Pong {
    /// Adds the body to `out`.
    pub fn put(&self, out: &mut Outgoing) {
        out.put_slice(&micros(self.clock).to_be_bytes());
        put_standing(self.standing, self.epoch, out);
    }

    /// Reads the body.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(body: &[u8]) -> Result<Self, Fault> {
        let read = (be_u64, standing).map(|(micros, (standing, epoch))| Self {
            clock: Duration::from_micros(micros),
            standing,
            epoch,
        });
        whole(read, body, Kind::Pong)
    }
}

/// Microseconds, as far as a u64 counts them.
fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn put_text(text: &[u8], out: &mut Outgoing) {
    let text = &text[..text.len().min(PRINTABLE_MAX)];
    out.put_slice(&(text.len() as u16).to_be_bytes());
    out.put_slice(text);
}

fn put_standing(standing: Standing, epoch: u64, out: &mut Outgoing) {
    out.put_u8(match standing {
        Standing::Serves => 0,
        Standing::Waits => 1,
        Standing::Leaves => 2,
    });
    out.put_slice(&epoch.to_be_bytes());
}

fn standing(input: &[u8]) -> IResult<&[u8], (Standing, u64)> {
    let standing = be_u8.map_opt(|number| match number {
        0 => Some(Standing::Serves),
        1 => Some(Standing::Waits),
        2 => Some(Standing::Leaves),
        _ => None,
    });
    (standing, be_u64).parse(input)
}

/// What is behind the version that a side says first.
fn of_our_version(body: &[u8], kind: Kind) -> Result<&[u8], Fault> {
    let read: IResult<&[u8], u16> = be_u16.parse(body);
    match read.map_err(|_| Fault::Body(kind))? {
        (rest, VERSION) => Ok(rest),
        (_, theirs) => Err(Fault::Version { theirs }),
    }
}

fn text(input: &[u8]) -> IResult<&[u8], Bytes> {
    let length = verify(be_u16, |length| usize::from(*length) <= PRINTABLE_MAX);
    length_data(length).map(Bytes::copy_from_slice).parse(input)
}

fn opened(input: &[u8]) -> IResult<&[u8], Opened> {
    (from, printable)
        .map(|(from, certificate)| Opened { from, certificate })
        .parse(input)
}

fn from(input: &[u8]) -> IResult<&[u8], From> {
    let (input, tag) = be_u8(input)?;
    match tag {
        1 => {
            let process = be_u64.map_opt(|number| match number {
                u64::MAX => Some(None),
                number => u32::try_from(number).ok().map(Some),
            });
            (be_u32, process)
                .map(|(user, process)| From::Process(user, process))
                .parse(input)
        }
        4 => {
            let ip = be_u128.map_opt(|ip| u32::try_from(ip).ok());
            let address = (ip, be_u16).map(|(ip, port)| SocketAddr::from((ip.to_be_bytes(), port)));
            address.map(From::Address).parse(input)
        }
        6 => {
            let address = (be_u128, be_u16).map(|(ip, port)| SocketAddr::from((ip.to_be_bytes(), port)));
            address.map(From::Address).parse(input)
        }
        _ => take(0usize)
            .map_opt(|_| (tag == 0).then_some(From::Unknown))
            .parse(input),
    }
}

/// What a body says, where nothing is left of it.
fn whole<'a, T>(
    read: impl Parser<&'a [u8], Output = T, Error = nom::error::Error<&'a [u8]>>,
    body: &'a [u8],
    kind: Kind,
) -> Result<T, Fault> {
    let read = all_consuming(read).parse(body);
    read.map(|(_, read)| read).map_err(|_| Fault::Body(kind))
}
