//! What the sides of a link say, made up.

use std::net::SocketAddr;
use std::time::Duration;

use arbitrary::Arbitrary;
use bytes::Bytes;
use ttguard::command::edit::Edit;
use ttguard::command::{Answer, Command, Reason, Reply};
use ttguard::protocol::answer::Form;
use ttguard::protocol::link::Kind;
use ttguard::protocol::link::ask::Ask;
use ttguard::protocol::link::hello::{From, Hello, Opened, Pong, Standing, Welcome};
use ttguard::protocol::link::printable::{PRINTABLE_MAX, Printable};
use ttguard::protocol::link::told::{Failed, Told};
use ttguard::protocol::outgoing::Outgoing;
use ttguard::protocol::tyrant::dialect::Dialect;
use ttguard::protocol::tyrant::request;

/// What a side says.
#[derive(Arbitrary, Debug)]
pub enum Body<'a> {
    Hello(u64, u32, u64, &'a [u8]),
    Welcome(u64, u8, u64, &'a [u8]),
    Open(u8, [u8; 16], u16),
    Ask {
        left: u32,
        form: bool,
        edit: u8,
        key: &'a [u8],
        filled: u16,
    },
    Told {
        what: u8,
        number: i64,
        string: &'a [u8],
        filled: u16,
    },
    Standing(u8, u64),
    Pong(u64),
}

impl Body<'_> {
    /// Which frame it goes in.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Hello(..) => Kind::Hello,
            Self::Welcome(..) => Kind::Welcome,
            Self::Open(..) => Kind::Open,
            Self::Ask { .. } => Kind::Ask,
            Self::Told { .. } => Kind::Told,
            Self::Standing(..) => Kind::Standing,
            Self::Pong(..) => Kind::Pong,
        }
    }

    /// Adds the body to `out`.
    pub fn put(&self, out: &mut Outgoing) {
        match *self {
            Self::Hello(instance, slot, generation, release) => Hello {
                instance,
                slot,
                generation,
                name: name(slot),
                release: Bytes::copy_from_slice(release),
            }
            .put(out),
            Self::Welcome(number, small, time, release) => welcome(number, small, time, release).put(out),
            Self::Open(tag, ip, port) => Opened {
                from: from(tag, ip, port),
                certificate: name((tag / 5).into()),
            }
            .put(out),
            Self::Ask {
                left,
                form,
                edit,
                key,
                filled,
            } => {
                let dialect = if form { Dialect::PyTyrant } else { Dialect::Tyrant };
                let edit = match edit % 4 {
                    0 => None,
                    1 => Some(Edit::IfPresent),
                    2 => Some(Edit::Prepend),
                    _ => Some(Edit::Decimal(i64::from(left) - 9)),
                };
                let ask = Ask {
                    client: left,
                    left,
                    stamp: Some(u64::from(left)).filter(|stamp| *stamp != 0),
                    form: Form::Binary(dialect),
                    edit,
                };
                ask.put(out);
                request::encode(&command(key, filled), out);
            }
            Self::Told {
                what,
                number,
                string,
                filled,
            } => told(what, number, string, filled).put(out),
            Self::Standing(tag, epoch) => standing(tag).put(epoch, out),
            Self::Pong(micros) => Pong {
                clock: Duration::from_micros(micros),
                standing: standing(micros as u8),
                epoch: micros / 3,
            }
            .put(out),
        }
    }
}

fn standing(tag: u8) -> Standing {
    [Standing::Serves, Standing::Waits, Standing::Leaves][usize::from(tag % 3)]
}

fn welcome(number: u64, small: u8, time: u64, release: &[u8]) -> Welcome {
    Welcome {
        instance: number,
        standing: standing(small),
        epoch: number,
        digits: small,
        unit: time,
        given: small & 4 != 0,
        gives: small & 8 != 0,
        newest: time,
        knows_keys: small & 1 != 0,
        knows_functions: small & 2 != 0,
        asks_max: number as u32,
        request_max: time,
        clock: Duration::from_micros(time),
        release: Bytes::copy_from_slice(release),
    }
}

/// None, a short one, or the longest.
fn name(number: u32) -> Option<Printable> {
    match number % 3 {
        0 => None,
        1 => Printable::new(&format!("process {number} on app")),
        _ => Printable::new(&"x".repeat(PRINTABLE_MAX)),
    }
}

fn from(tag: u8, ip: [u8; 16], port: u16) -> From {
    let [a, b, c, d, ..] = ip;
    match tag % 5 {
        0 => From::Unknown,
        1 => From::Process(port.into(), None),
        2 => From::Process(port.into(), Some(u32::from_be_bytes([a, b, c, d]))),
        3 => From::Address(SocketAddr::from(([a, b, c, d], port))),
        _ => From::Address(SocketAddr::from((ip, port))),
    }
}

/// A put, or a get where it has no value.
fn command(key: &[u8], filled: u16) -> Command {
    let key = Bytes::copy_from_slice(key);
    match filled {
        0 => Command::Get { key },
        _ => Command::Put {
            key,
            value: vec![b'v'; filled.into()].into(),
        },
    }
}

fn told(what: u8, number: i64, string: &[u8], filled: u16) -> Told {
    let string = Bytes::copy_from_slice(string);
    let large = Bytes::from(vec![b'l'; filled.into()]);
    let code = number.unsigned_abs() as u8;
    let reply = match what % 12 {
        0 => Reply::Code(code),
        1 => Reply::Value(large),
        2 => Reply::Number(number as i32),
        3 => Reply::Double {
            integral: number,
            fractional: !number,
        },
        4 => Reply::Count(number as u64),
        5 => Reply::Records(vec![(string.clone(), large), (string, Bytes::new())]),
        6 => Reply::Keys(vec![large, string]),
        7 => Reply::Strings {
            code,
            strings: vec![string, large],
        },
        8 => return Told::Answer(Answer::NoRecord),
        9 => return Told::Answer(Answer::Unavailable),
        10 => return Told::Failed(if code < 9 { Failed::Waits } else { Failed::Deadline }),
        _ => {
            return Told::Answer(Answer::Refused {
                reason: if code < 9 { Reason::Stale } else { Reason::Denied },
                told: Reply::Code(code),
            });
        }
    };
    Told::Answer(Answer::Reply(reply))
}
