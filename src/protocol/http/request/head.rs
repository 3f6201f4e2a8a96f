//! The head of a request: its request line and its header lines.

use nom::Parser;
use nom::bytes::streaming::take_while_m_n;
use nom::character::streaming::char;
use nom::sequence::terminated;

use super::Fault;
use super::chunks::{Body, Chunks};
use super::line;
use crate::command::function::Part;
use crate::protocol::http::host;
use crate::protocol::text;
use crate::protocol::tyrant::limits::Limits;

/// Bytes of the longest word that is taken for a method, known or not.
const METHOD_MAX: usize = 32;

/// Bytes of the longest function name: the server keeps it in 1024 with its final NUL.
const NAME_MAX: usize = 1023;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Put,
    Post,
    Delete,
    Options,
}

impl Method {
    fn named(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"PUT" => Self::Put,
            b"POST" => Self::Post,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            _ => return None,
        })
    }
}

/// Whether the word that a request begins with is all there. What begins with no method is refused before its line has an
/// end.
pub(super) fn has_method(input: &[u8]) -> Result<bool, Fault> {
    let is_letter = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
    let name = take_while_m_n::<_, _, ()>(1, METHOD_MAX, is_letter);
    match terminated(name, char(' ')).parse(input) {
        Ok(_) => Ok(true),
        Err(nom::Err::Incomplete(_)) => Ok(false),
        Err(_) => Err(Fault::NoMethod),
    }
}

/// The function that `POST` calls.
pub(super) enum Function<'a> {
    /// A function of the script extension.
    Script { name: &'a [u8], options: u32 },
    /// A function of `misc`.
    Misc { name: &'a [u8], options: u32 },
}

/// What a head says.
pub(super) struct Head<'a> {
    pub method: Method,
    target: &'a [u8],
    /// It is of HTTP/1.0.
    pub is_old: bool,
    /// The connection goes on after the answer.
    pub keep: bool,
    content_length: Option<i128>,
    is_chunked: bool,
    expects_go_ahead: bool,
    is_multipart: bool,
    pub pd_mode: i128,
    script: &'a [u8],
    script_options: i128,
    misc: &'a [u8],
    misc_options: i128,
}

impl<'a> Head<'a> {
    /// Reads a whole head, with the empty line that ends it. Where `hosts` are given it may ask by one of these names, by
    /// `localhost` or by an address.
    pub fn read(head: &'a [u8], hosts: Option<&[String]>) -> Result<Self, Fault> {
        let mut lines = head.split_inclusive(|byte| *byte == b'\n').map(text::without_end);
        let mut head = Self::request_line(lines.next().unwrap_or_default())?;
        let is_foreign = |host: &[u8]| hosts.is_some_and(|hosts| !host::is_ours(host, hosts));
        if head.authority().is_some_and(is_foreign) {
            return Err(Fault::ForeignHost);
        }
        for line in lines.take_while(|line| !line.is_empty()) {
            let (_, (name, value)) = line::header(line).map_err(|_| Fault::BadHeader)?;
            if name.eq_ignore_ascii_case(b"host") && is_foreign(value.trim_ascii()) {
                return Err(Fault::ForeignHost);
            }
            head.take(name, value.trim_ascii())?;
        }
        // Who sends both may mean one, and have another reader believe the other.
        if head.is_chunked && head.content_length.is_some() {
            return Err(Fault::BadContentLength);
        }
        Ok(head)
    }

    /// Reads a request line without its end.
    pub fn request_line(line: &'a [u8]) -> Result<Self, Fault> {
        let (_, (method, (target, version))) = line::request(line).map_err(|_| Fault::BadRequestLine)?;
        let is_old = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            other if other.starts_with(b"HTTP/") => return Err(Fault::BadVersion),
            _ => return Err(Fault::BadRequestLine),
        };
        Ok(Self {
            method: Method::named(method).ok_or(Fault::UnknownMethod)?,
            target,
            is_old,
            keep: !is_old,
            content_length: None,
            is_chunked: false,
            expects_go_ahead: false,
            is_multipart: false,
            pd_mode: 0,
            script: b"",
            script_options: 0,
            misc: b"",
            misc_options: 0,
        })
    }

    /// Takes note of one header line. Of those that the server does not look at it knows no meaning either.
    fn take(&mut self, name: &'a [u8], value: &'a [u8]) -> Result<(), Fault> {
        let is = |header: &str| name.eq_ignore_ascii_case(header.as_bytes());
        let number = || text::number(value).ok_or(Fault::BadNumber);
        if is("connection") {
            for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                if option.eq_ignore_ascii_case(b"close") {
                    self.keep = false;
                } else if option.eq_ignore_ascii_case(b"keep-alive") {
                    self.keep = true;
                }
            }
        } else if is("content-length") {
            // Two of them, or a sign, and two readers see the body end in two places.
            let is_plain = self.content_length.is_none() && value.iter().all(u8::is_ascii_digit);
            self.content_length = text::number(value).filter(|_| is_plain);
            self.content_length.ok_or(Fault::BadContentLength)?;
        } else if is("transfer-encoding") {
            if self.is_old || self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Fault::TransferEncoding);
            }
            self.is_chunked = true;
        } else if is("expect") {
            // HTTP/1.0 has no such answer.
            self.expects_go_ahead = !self.is_old;
            if self.expects_go_ahead && !value.eq_ignore_ascii_case(b"100-continue") {
                return Err(Fault::Expectation);
            }
        } else if is("content-type") {
            let kind = value.get(..10).unwrap_or_default();
            self.is_multipart = kind.eq_ignore_ascii_case(b"multipart/");
        } else if is("x-tt-pdmode") {
            self.pd_mode = number()?;
        } else if is("x-tt-xname") {
            self.script = value;
        } else if is("x-tt-xopts") {
            self.script_options = number()?;
        } else if is("x-tt-mname") {
            self.misc = value;
        } else if is("x-tt-mopts") {
            self.misc_options = number()?;
        }
        Ok(())
    }

    /// What is behind the head.
    pub fn body(&self, limits: &Limits) -> Result<Body, Fault> {
        let part = match self.method {
            Method::Put => Part::Value,
            Method::Post if !self.script.is_empty() => Part::Value,
            _ => Part::Other,
        };
        let size = text::size(self.content_length.unwrap_or(0), part, limits)?;
        match self.method {
            Method::Put | Method::Post if self.is_chunked => Ok(Body::Chunked(Chunks::of(part))),
            Method::Put | Method::Post => Ok(Body::Sized(size)),
            // The server reads it as the next request.
            _ if size > 0 || self.is_chunked => Err(Fault::UnexpectedBody),
            _ => Ok(Body::Sized(0)),
        }
    }

    /// Whether the client waits for word that the body is wanted.
    pub fn awaits_go_ahead(&self) -> bool {
        self.expects_go_ahead && (self.is_chunked || self.content_length.is_some_and(|size| size > 0))
    }

    /// The name in a URI that has one.
    fn authority(&self) -> Option<&'a [u8]> {
        let behind = self.behind_scheme()?;
        let end = behind.iter().position(|byte| *byte == b'/');
        Some(&behind[..end.unwrap_or(behind.len())])
    }

    /// What follows `http://` in an absolute URI.
    fn behind_scheme(&self) -> Option<&'a [u8]> {
        let (scheme, behind) = self.target.split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"http://").then_some(behind)
    }

    /// The URI's path without its first slash, escapes and all.
    pub fn path(&self) -> &'a [u8] {
        let path = match self.behind_scheme() {
            // An absolute URI without a path is taken whole, as the server does.
            Some(behind) => {
                let slash = behind.iter().position(|byte| *byte == b'/');
                slash.map_or(self.target, |at| &behind[at..])
            }
            None => self.target,
        };
        path.strip_prefix(b"/").unwrap_or(path)
    }

    /// What `POST` calls.
    pub fn function(&self) -> Result<Function<'a>, Fault> {
        let options = |options: i128| u32::try_from(options).map_err(|_| Fault::BadNumber);
        let name = |name: &'a [u8]| match name.len() {
            0..=NAME_MAX => Ok(name),
            size => Err(Fault::NameTooLong(size)),
        };
        if !self.script.is_empty() {
            return Ok(Function::Script {
                name: name(self.script)?,
                options: options(self.script_options)?,
            });
        }
        if self.misc.is_empty() {
            return Err(Fault::NoFunction);
        }
        if self.is_multipart {
            return Err(Fault::MediaType);
        }
        Ok(Function::Misc {
            name: name(self.misc)?,
            options: options(self.misc_options)?,
        })
    }
}
