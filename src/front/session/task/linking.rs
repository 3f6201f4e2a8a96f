//! A client that asks for a link: whether it may have one, and what becomes of its connection.

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
use crate::protocol::request::Request;
use crate::transport::{Peer, Reader, Who, Writer};

/// The code of what is denied.
const DENIED: u8 = 5;

/// The connection of an edge, once that has asked for its link and nothing else.
#[derive(Debug)]
pub struct Edge {
    /// What it says.
    pub reader: Reader,
    /// What it is told; nothing where its session has lost that.
    pub writer: Option<Writer>,
    /// What it has said already.
    pub input: BytesMut,
}

/// Whether a request asks for a link.
pub(super) fn asks_for_link(request: &Request) -> bool {
    matches!(&request.command, Command::Misc { function, .. } if Function::named(function) == Function::Link)
}

impl Task {
    /// A client asks for a link, in so many bytes: the session ends for that, or the client is told why it gets none.
    pub(super) fn ask_for_link(&mut self, request: Request, size: usize) -> Result<(), End> {
        let hindrance = self.session.hinders_link(&request);
        let Some(why) = hindrance else {
            return Err(End::Link);
        };
        note_denied(self.session.channel.who(), why, &self.session);
        let admitted = self.admit(request, size);
        let told = Reply::Strings {
            code: DENIED,
            strings: vec![Bytes::from_static(why.as_bytes())],
        };
        let (reason, asked) = (Reason::Denied, admitted.settled(Settled::Answered));
        let answer = Answer::Refused { reason, told };
        self.session.answer(asked, Outcome::Refused, answer, now());
        Ok(())
    }

    /// What is left of the session of an edge.
    pub(in crate::front::session) fn into_edge(self) -> Edge {
        let Self {
            reader, input, session, ..
        } = self;
        let writer = session.writer.take().and_then(|writer| Rc::try_unwrap(writer).ok());
        Edge { reader, writer, input }
    }
}

impl Session {
    /// Why a client that asks for a link gets none.
    fn hinders_link(&self, request: &Request) -> Option<&'static str> {
        let listener = &self.channel.listener;
        let is_known = match self.channel.who().peer {
            Peer::Unix(..) => true,
            Peer::Tcp(address) if is_of_this_machine(address) => true,
            // Where authorities are named, nobody has come in without a certificate of theirs.
            _ => listener.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some()),
        };
        let is_bare = matches!(&request.command, Command::Misc { arguments, .. } if arguments.is_empty());
        let may = match listener.edges {
            Edges::None => false,
            Edges::Known => is_known,
            Edges::Any => true,
        };
        if self.engine().settings().is_edge() {
            Some("this is an edge itself")
        } else if !may {
            Some("the listener's edges do not admit this client")
        } else if !request.form.is_binary() || !is_bare || self.channel.has_asked() || self.owes() {
            Some("a link is asked for before anything else, by the binary protocol, and with no arguments")
        } else {
            None
        }
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
