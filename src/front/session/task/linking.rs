//! A client that asks for a link, or for one of its own clients: whether it may, and what becomes of its connection.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::Task;
use crate::clock::now;
use crate::command::function::Function;
use crate::command::{Answer, Command, Reason, Reply};
use crate::config::Edges;
use crate::engine::state::Settled;
use crate::front::session::{End, Session};
use crate::logging::RateLimit;
use crate::metrics::Outcome;
use crate::protocol::link::hello::Behalf;
use crate::protocol::request::Request;
use crate::transport::{Peer, Reader, Who, Writer};

/// The code of what is denied.
const DENIED: u8 = 5;

/// The connection of an edge, once that has asked for its link, or for one of its clients, and nothing else.
#[derive(Debug)]
pub struct Edge {
    /// What it says.
    pub reader: Reader,
    /// What it is told; nothing where its session has lost that.
    pub writer: Option<Writer>,
    /// What it has said already.
    pub input: BytesMut,
    /// For whom it asks, where the connection is to be no link.
    pub behalf: Option<Behalf>,
}

/// Whether a request asks for a link.
pub(super) fn asks_for_link(request: &Request) -> bool {
    matches!(&request.command, Command::Misc { function, .. } if Function::named(function) == Function::Link)
}

impl Task {
    /// A client asks for a link, in so many bytes: the session ends for that, or the client is told why it gets none.
    pub(super) fn ask_for_link(&mut self, request: Request, size: usize) -> Result<(), End> {
        let why = match self.session.links_for(&request) {
            Ok(behalf) => {
                self.behalf = behalf;
                return Err(End::Link);
            }
            Err(why) => why,
        };
        note_denied(self.session.channel.who(), &why, &self.session);
        let admitted = self.admit(request, size);
        let told = Reply::Strings {
            code: DENIED,
            strings: vec![Bytes::from(why.into_owned())],
        };
        let (reason, asked) = (Reason::Denied, admitted.settled(Settled::Answered));
        let answer = Answer::Refused { reason, told };
        self.session.answer(asked, Outcome::Refused, answer, now());
        Ok(())
    }

    /// What is left of the session of an edge.
    pub(in crate::front::session) fn into_edge(self) -> Edge {
        let Self {
            reader,
            input,
            session,
            behalf,
            ..
        } = self;
        let writer = session.writer.take().and_then(|writer| Rc::try_unwrap(writer).ok());
        Edge {
            reader,
            writer,
            input,
            behalf,
        }
    }
}

impl Session {
    /// For which of its clients an edge asks, where it asks for no link.
    ///
    /// # Errors
    /// Why it gets neither.
    fn links_for(&self, request: &Request) -> Result<Option<Behalf>, Cow<'static, str>> {
        let listener = &self.channel.listener;
        let is_known = match self.channel.who().peer {
            Peer::Unix(..) => true,
            Peer::Tcp(address) if is_of_this_machine(address) => true,
            // Where authorities are named, nobody has come in without a certificate of theirs.
            _ => listener.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some()),
        };
        let may = match listener.edges {
            Edges::None => false,
            Edges::Known => is_known,
            Edges::Any => true,
        };
        if self.engine().settings().is_edge() {
            return Err("this is an edge itself".into());
        }
        if !may || self.channel.who().edge().is_some() {
            return Err("the listener's edges do not admit this client".into());
        }
        let arguments = match &request.command {
            Command::Misc { arguments, .. } => &arguments[..],
            _ => &[],
        };
        if request.form.is_binary() && !self.channel.has_asked() && !self.owes() {
            match arguments {
                [] => return Ok(None),
                [behalf] => {
                    let behalf = Behalf::parse(behalf);
                    return behalf.map(Some).map_err(|fault| fault.to_string().into());
                }
                _ => {}
            }
        }
        Err(
            "a link is asked for before anything else, by the binary protocol, and with no more than one argument"
                .into(),
        )
    }
}

fn is_of_this_machine(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// Says once in a while who gets no link.
fn note_denied(who: &Who, why: &str, session: &Session) {
    static LOG: RateLimit = RateLimit::new(Duration::from_secs(1));
    if let Some(suppressed) = LOG.admit(now()) {
        let (client, listener) = (who, &session.channel.listener.address);
        tracing::warn!(%client, %listener, why, suppressed, "an edge asked for a link and gets none");
    }
}
