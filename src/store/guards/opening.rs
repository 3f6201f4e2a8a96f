//! From the URL of a guard to a link.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::fault::OpenFault;
use crate::client::Connection;
use crate::client::fault::Trouble;
use crate::client::route::Route;
use crate::clock::now;
use crate::command::{Command, Reply};
use crate::protocol::link::hello::{Hello, Welcome};
use crate::protocol::link::receiving::{Bounds, Received, Receiving};
use crate::protocol::link::sending::Sending;
use crate::protocol::link::{FUNCTION, Fault, Kind};
use crate::protocol::outgoing::Outgoing;
use crate::protocol::tyrant::limits::Limits;
use crate::store::tyrant::names::Names;
use crate::transport::tls::{Trusted, fault_of};
use crate::transport::{Reader, Writer};

/// Bounds of the answer to the question for a link.
const LIMITS: Limits = Limits {
    argument_max: 4096,
    arguments_max: 16,
    frame_max: 64 * 1024,
    ..Limits::REPLY
};

/// Bounds of what a guard sends. It is believed: how large an answer may be each request says by itself.
const BOUNDS: Bounds = Bounds {
    body_max: usize::MAX / 2,
    pieces_max: 1 << 20,
};

/// How a guard is reached.
#[derive(Clone, Debug)]
pub enum Way {
    /// By this route.
    Route(Route),
    /// At whatever addresses its `host:port` has when it is looked up, by TLS where there is something to trust.
    Name(String, Option<Arc<Trusted>>),
}

/// A guard that may be linked to.
#[derive(Clone, Debug)]
pub struct At {
    /// As it was written.
    pub url: String,
    /// How it is reached.
    pub way: Way,
    /// What looks names up.
    pub names: Option<Arc<Names>>,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl At {
    /// What is trusted there, where it is spoken to by TLS.
    pub fn trusted(&self) -> Option<&Arc<Trusted>> {
        match &self.way {
            Way::Name(_, trusted) => trusted.as_ref(),
            Way::Route(Route::Tls(_, trusted)) => Some(trusted),
            Way::Route(_) => None,
        }
    }

    /// Every route to it of this moment.
    async fn routes(&self) -> Result<Vec<Route>, OpenFault> {
        let (name, trusted) = match &self.way {
            Way::Route(route) => return Ok(vec![route.clone()]),
            Way::Name(name, trusted) => (name, trusted),
        };
        let Some(names) = &self.names else {
            return Err(OpenFault::Name("there is nobody to ask".to_owned()));
        };
        let found = names.look_up(name).await;
        let found = found.map_err(|fault| OpenFault::Name(fault.to_string()))?;
        Ok(found
            .into_iter()
            .map(|address| Route::to(address, trusted.as_ref()))
            .collect())
    }
}

/// A link on which nothing was asked yet.
pub(super) struct Opened {
    pub reader: Reader,
    pub writer: Writer,
    pub receiving: Receiving,
    pub input: BytesMut,
    pub welcome: Welcome,
    pub route: Route,
    /// Of the guard, as it was written.
    pub url: String,
    /// When the guard was asked for that.
    pub asked: Instant,
}

/// Opens a link to a guard, and says who we are. That has no end in time but the system's own.
pub(super) async fn open(at: &At, hello: &Hello) -> Result<Opened, OpenFault> {
    let mut fault = OpenFault::Timeout;
    for route in at.routes().await? {
        match open_by(at, route, hello).await {
            Ok(opened) => return Ok(opened),
            Err(one) => fault = one,
        }
    }
    Err(fault)
}

async fn open_by(at: &At, route: Route, hello: &Hello) -> Result<Opened, OpenFault> {
    let (mut reader, writer) = ask_for_link(&route).await?;
    let asked = now();
    let mut sending = Sending::default();
    sending.add(Kind::Hello, 0, (), |out| hello.put(out));
    while !sending.is_empty() {
        writer.writable().await.map_err(OpenFault::Connect)?;
        let write = |out: &mut Outgoing| writer.write_ready(out);
        sending.write(write).map_err(OpenFault::Connect)?;
    }
    let (mut receiving, mut input) = (Receiving::new(BOUNDS), BytesMut::new());
    loop {
        match receiving.next(&mut input).map_err(OpenFault::Frame)? {
            Some(Received::Whole {
                kind: Kind::Welcome,
                body,
                ..
            }) => {
                let welcome = Welcome::parse(&body).map_err(OpenFault::Frame)?;
                return Ok(Opened {
                    reader,
                    writer,
                    receiving,
                    input,
                    welcome,
                    route,
                    url: at.url.clone(),
                    asked,
                });
            }
            Some(Received::Whole { kind, .. } | Received::Begun { kind, .. } | Received::Dropped { kind, .. }) => {
                return Err(OpenFault::Frame(Fault::Unexpected(kind)));
            }
            None => {}
        }
        if reader.read(&mut input).await.map_err(OpenFault::Connect)? == 0 {
            return Err(OpenFault::Connect(io::ErrorKind::UnexpectedEof.into()));
        }
    }
}

async fn ask_who(at: &At, route: Route, given: Option<bool>) -> Result<(), OpenFault> {
    let Some(given) = given else {
        return ask_for_link(&route).await.map(drop);
    };
    let hello = Hello {
        instance: fastrand::u64(..),
        slot: 0,
        generation: 1,
        name: None,
        release: Bytes::from_static(env!("CARGO_PKG_VERSION").as_bytes()),
    };
    let opened = open_by(at, route, &hello).await?;
    if opened.welcome.given == given {
        Ok(())
    } else {
        Err(OpenFault::Source { given })
    }
}

/// Connects, and asks for a link: by a command of the protocol that any server understands, so that one which is no guard
/// is told nothing else.
async fn ask_for_link(route: &Route) -> Result<(Reader, Writer), OpenFault> {
    let mut connection = Connection::connect(route, LIMITS, None).await.map_err(of_trouble)?;
    let question = Command::Misc {
        function: Bytes::from_static(FUNCTION),
        options: 0,
        arguments: Vec::new(),
    };
    match connection.ask(&question, None).await.map_err(of_trouble)? {
        Reply::Strings { code: 0, strings } if strings.is_empty() => Ok(connection.into_halves()),
        Reply::Strings { code: 5, strings } => {
            let why = strings.first().map(|why| String::from_utf8_lossy(why).into_owned());
            Err(OpenFault::Denied(
                why.unwrap_or_else(|| "misc is denied there".to_owned()),
            ))
        }
        _ => Err(OpenFault::NoGuard),
    }
}

fn of_trouble(trouble: Trouble) -> OpenFault {
    match trouble {
        Trouble::Connect(error) | Trouble::Broken(error) if fault_of(&error).is_some() => OpenFault::Tls(error),
        Trouble::Connect(error) => OpenFault::Connect(error),
        Trouble::Broken(error) => OpenFault::Connect(error),
        Trouble::TimedOut => OpenFault::Timeout,
        // A memcached or web server, say, that ends what it does not understand.
        Trouble::Ended | Trouble::Unreadable(_) | Trouble::Unasked(_) | Trouble::Unfit(_) => OpenFault::NoGuard,
    }
}

/// What is at the URL of a guard.
#[derive(Debug)]
pub enum Probed {
    /// A ttguard that takes a link from here.
    Guard,
    /// It cannot be found out now.
    Unknown(OpenFault),
    /// No guard for us.
    None(OpenFault),
}

/// Asks once who is there, before anything else; where `given` says whether ttguard gives the stamps, that too. That has no
/// end in time but the system's own.
pub async fn probe(at: &At, given: Option<bool>) -> Probed {
    let routes = match at.routes().await {
        Ok(routes) => routes,
        Err(fault) => return Probed::Unknown(fault),
    };
    let mut probed = Probed::Unknown(OpenFault::Timeout);
    for route in routes {
        match ask_who(at, route, given).await {
            Ok(()) => return Probed::Guard,
            Err(fault @ (OpenFault::NoGuard | OpenFault::Denied(_) | OpenFault::Source { .. })) => {
                probed = Probed::None(fault)
            }
            Err(fault) => probed = Probed::Unknown(fault),
        }
    }
    probed
}
