//! Requests in whatever protocol: which one it is shows in the first byte of each.
//!
//! Every frame of the binary protocol begins with its magic byte, every memcached verb with a small letter, every HTTP
//! method with a capital one. The real server looks at each request anew, so protocols may mix on one connection.

use std::sync::Arc;

use bytes::BytesMut;
use thiserror::Error;

use super::answer::Form;
use super::memcached::request::Capitals;
use super::tyrant::dialect::Dialect;
use super::tyrant::limits::Limits;
use super::tyrant::request::{RequestDecoder, RequestFault};
use super::{Protocol, Protocols, http, memcached};
use crate::command::Command;
use crate::command::edit::Edit;

/// One whole request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is asked.
    pub command: Command,
    /// How that differs from what the command does.
    pub edit: Option<Edit>,
    /// How it is answered.
    pub form: Form,
}

/// What a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// Something to be carried out.
    Request(Request),
    /// The wish to end the connection.
    Quit,
    /// A line of which no command can be made, and behind which the next request begins for certain.
    Unknown {
        /// What is said to it; nothing where no answer is owed.
        words: Option<&'static [u8]>,
    },
}

/// Why a request was refused before anything was made of it. Nothing behind it on the connection can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// In the binary protocol, or in none.
    #[error(transparent)]
    Binary(#[from] RequestFault),
    /// In memcached's.
    #[error(transparent)]
    Memcached(#[from] memcached::request::Fault),
    /// In HTTP.
    #[error(transparent)]
    Http(#[from] http::request::Fault),
    /// The listener does not serve this protocol.
    #[error("a request came by a protocol that is not served here: {0}")]
    NotServed(Protocol),
}

const OWN_NAMES: [&str; 1] = ["protocol_not_served"];

impl Fault {
    /// Every [`name`](Self::name) there is.
    pub const NAMES: [&'static str; Self::COUNT] = {
        let parts: [&[&'static str]; 4] = [
            &RequestFault::NAMES,
            &memcached::request::Fault::NAMES,
            &http::request::Fault::NAMES,
            &OWN_NAMES,
        ];
        let mut names = [""; Self::COUNT];
        let (mut part, mut at, mut count) = (0, 0, 0);
        while part < parts.len() {
            if at == parts[part].len() {
                (part, at) = (part + 1, 0);
            } else {
                names[count] = parts[part][at];
                (at, count) = (at + 1, count + 1);
            }
        }
        names
    };

    const COUNT: usize = RequestFault::NAMES.len()
        + memcached::request::Fault::NAMES.len()
        + http::request::Fault::NAMES.len()
        + OWN_NAMES.len();

    /// A short name that stays the same from release to release, for use as a metric label.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Binary(fault) => fault.name(),
            Self::Memcached(fault) => fault.name(),
            Self::Http(fault) => fault.name(),
            Self::NotServed(_) => OWN_NAMES[0],
        }
    }

    /// What the client is told before the connection ends, where its protocol has words for it.
    pub fn last_words(&self) -> Option<String> {
        match self {
            Self::Binary(_) | Self::NotServed(_) => None,
            Self::Memcached(fault) => fault.last_words(),
            Self::Http(fault) => fault.last_words(),
        }
    }
}

/// Turns the bytes of one connection into requests, one whole request at a time.
#[derive(Debug)]
pub struct Decoder {
    protocols: Protocols,
    dialect: Dialect,
    binary: RequestDecoder,
    memcached: memcached::request::Decoder,
    http: http::request::Decoder,
}

impl Decoder {
    /// A decoder for one connection, which accepts requests up to `limits` by any of `protocols`, in `dialect` where
    /// they are binary.
    pub fn new(limits: Limits, protocols: Protocols, dialect: Dialect) -> Self {
        Self {
            protocols,
            dialect,
            binary: RequestDecoder::new(limits).in_dialect(dialect),
            memcached: memcached::request::Decoder::new(limits),
            http: http::request::Decoder::new(limits),
        }
    }

    /// As it is, but requests of HTTP are refused unless they ask for an address, `localhost` or one of `hosts`.
    pub fn asked_by(mut self, hosts: Arc<[String]>) -> Self {
        self.http = self.http.asked_by(hosts);
        self
    }

    /// Takes the next request off the front of `input`, or `None` when it is not all there.
    ///
    /// Bytes leave `input` with a whole request only: after `None` call again with the same bytes and more behind them, or
    /// with what is left where it [is busy](Self::is_busy).
    ///
    /// # Errors
    /// What the peer did wrong, as soon as it is seen. The same fault comes back whenever it is asked again, and
    /// nothing behind it is ever taken for a request.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Incoming>, Fault> {
        if let Some(fault) = self.http.fault() {
            return Err(fault.into());
        }
        if self.is_busy() {
            return Ok(self.decode_binary(input)?.map(Incoming::Request));
        }
        let protocol = match input.first() {
            None => return Ok(None),
            Some(&byte) => Protocol::begun_by(byte).ok_or(RequestFault::BadMagic(byte))?,
        };
        if !self.protocols.serve(protocol) {
            return Err(Fault::NotServed(protocol));
        }
        if protocol == Protocol::Http && self.protocols.serve(Protocol::Memcached) {
            match memcached::request::take_capitals(input) {
                Capitals::Undecided => return Ok(None),
                Capitals::Line(incoming) => return Ok(Some(of_memcached(incoming))),
                Capitals::Other => {}
            }
        }
        let request = match protocol {
            Protocol::Binary => self.decode_binary(input)?,
            Protocol::Memcached => return Ok(self.memcached.decode(input)?.map(of_memcached)),
            Protocol::Http => self.http.decode(input)?.map(|(command, form)| Request {
                command,
                edit: None,
                form: Form::Http(form),
            }),
        };
        Ok(request.map(Incoming::Request))
    }

    /// Whether a request has come whole that takes some time to be taken apart: to be asked again, once others had their
    /// turn, for nothing more of it will come.
    pub fn is_busy(&self) -> bool {
        self.binary.is_busy()
    }

    fn decode_binary(&mut self, input: &mut BytesMut) -> Result<Option<Request>, RequestFault> {
        let command = self.binary.decode_some(input)?;
        Ok(command.map(|command| Request {
            command,
            edit: None,
            form: Form::Binary(self.dialect),
        }))
    }

    /// What is to be said to the client before it sends the rest of the request that is not all there. Nothing when there
    /// is nothing to say, or it was asked before.
    pub fn go_ahead(&mut self) -> Option<&'static [u8]> {
        self.http.go_ahead()
    }
}

fn of_memcached(incoming: memcached::request::Incoming) -> Incoming {
    match incoming {
        memcached::request::Incoming::Quit => Incoming::Quit,
        memcached::request::Incoming::Unknown { silent } => Incoming::Unknown {
            words: (!silent).then_some(memcached::request::ERROR),
        },
        memcached::request::Incoming::Request { command, edit, form } => Incoming::Request(Request {
            command,
            edit,
            form: Form::Memcached(form),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(input: &[u8], protocols: Protocols) -> (Vec<Option<Protocol>>, Option<&'static str>) {
        let mut decoder = Decoder::new(Limits::REQUEST, protocols, Dialect::Tyrant);
        let (mut bytes, mut seen) = (BytesMut::new(), Vec::new());
        for byte in input {
            bytes.extend_from_slice(&[*byte]);
            match decoder.decode(&mut bytes) {
                Ok(None) => {}
                Ok(Some(Incoming::Quit | Incoming::Unknown { .. })) => seen.push(None),
                Ok(Some(Incoming::Request(request))) => seen.push(Some(request.form.protocol())),
                Err(fault) => return (seen, Some(fault.name())),
            }
        }
        assert!(bytes.is_empty());
        (seen, None)
    }

    #[test]
    fn protocols_are_told_apart_by_each_request() {
        let mixed = b"get k\r\n\xc8\x30\0\0\0\x01kGET /k HTTP/1.1\r\n\r\nset k 0 0 2\r\n\xc8\x72\r\n\xc8\x88quit\r\n";
        let (seen, fault) = decoded(mixed, Protocols::ALL);
        let (binary, memcached, http) = (Protocol::Binary, Protocol::Memcached, Protocol::Http);
        let wanted = [memcached, binary, http, memcached, binary].map(Some);
        assert_eq!((&seen[..5], seen[5], fault), (&wanted[..], None, None));
        assert_eq!(decoded(b"\r\n", Protocols::ALL), (vec![], Some("bad_magic")));
    }

    #[test]
    fn nothing_behind_a_fault_is_looked_at() {
        // The second fault is known only when the whole request has left the input.
        for fault in [
            &b"get\r\n"[..],
            b"GET /% HTTP/1.1\r\n\r\n",
            b"POST / HTTP/1.1\r\n\r\n",
            b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX\r\n",
            b"\xc8\x01",
        ] {
            let mut decoder = Decoder::new(Limits::REQUEST, Protocols::ALL, Dialect::Tyrant);
            let mut input = BytesMut::from(&[fault, b"\xc8\x72"].concat()[..]);
            let first = decoder.decode(&mut input).expect_err("a fault");
            assert_eq!(decoder.decode(&mut input), Err(first));
            input.extend_from_slice(b"\xc8\x72");
            assert_eq!(decoder.decode(&mut input), Err(first));
        }
    }

    #[test]
    fn what_is_not_served_is_refused_by_its_first_byte() {
        for (protocol, bytes) in [
            (Protocol::Binary, &b"\xc8"[..]),
            (Protocol::Memcached, b"g"),
            (Protocol::Http, b"G"),
        ] {
            let mut others = Protocols::NONE;
            for other in [Protocol::Binary, Protocol::Memcached, Protocol::Http] {
                assert!(other == protocol || others.add(other));
            }
            assert_eq!(decoded(bytes, others), (vec![], Some("protocol_not_served")));
        }
    }

    #[test]
    fn every_name_is_there_once() {
        let mut names = Fault::NAMES.to_vec();
        assert!(names.iter().all(|name| !name.is_empty()));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Fault::NAMES.len());
    }
}
