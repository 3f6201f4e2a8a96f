//! What a client can do wrong.

use thiserror::Error;

use crate::protocol::tyrant::sizes::SizeFault;

/// Why a request was refused before anything was made of it. The caller closes.
///
/// The server reads over most of these. Where another reader in front of this one could see a request end elsewhere,
/// reading over is what lets one client's bytes pass for another's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// The first bytes are no method, and so perhaps no HTTP at all.
    #[error("a request began with no method")]
    NoMethod,
    /// The request has a method that the server does not know.
    #[error("the method is not one of GET, HEAD, PUT, POST, DELETE, OPTIONS")]
    UnknownMethod,
    /// Not a method, a target and a version with one space between them.
    #[error("a request line was malformed")]
    BadRequestLine,
    /// Neither HTTP/1.0 nor HTTP/1.1.
    #[error("the version was neither 1.0 nor 1.1")]
    BadVersion,
    /// A header line without a colon right behind its name, or with a control byte; a line that goes on with the one
    /// before it.
    #[error("a header line was malformed")]
    BadHeader,
    /// A head has this many bytes or more.
    #[error("a head of {0} bytes or more is too large")]
    HeadTooLarge(usize),
    /// `Content-Length` is no plain number, or stands there twice, or beside a `Transfer-Encoding`.
    #[error("the length of the body was not clear")]
    BadContentLength,
    /// A `Transfer-Encoding` other than `chunked` alone, or in HTTP/1.0, which has none.
    #[error("a transfer encoding is not understood")]
    TransferEncoding,
    /// A chunk, or what follows the last one, is malformed, or there is too much beside the data.
    #[error("a chunk was malformed")]
    BadChunk,
    /// It expects something else than `100-continue`.
    #[error("what is expected is not understood")]
    Expectation,
    /// It asks by a name that is not known to be ours: a page of someone else may have made its own name point here.
    #[error("not by this name; allowed: localhost, an address, a name in http_hosts")]
    ForeignHost,
    /// A body behind a method that has none: the server would read it as the next request.
    #[error("a body came where none belongs")]
    UnexpectedBody,
    /// An escape without its two digits, at which the server ends the key.
    #[error("an escape was malformed")]
    BadEscape,
    /// A mode or an option is no number.
    #[error("a mode or an option was no number")]
    BadNumber,
    /// The name of a function has this many bytes.
    #[error("a function name of {0} bytes is longer than 1023")]
    NameTooLong(usize),
    /// A `POST` that names no function.
    #[error("neither X-TT-XNAME nor X-TT-MNAME was given")]
    NoFunction,
    /// The arguments of a function came as `multipart/form-data`.
    #[error("arguments come as application/x-www-form-urlencoded")]
    MediaType,
    /// A size or a count that cannot be, or that is over a limit.
    #[error(transparent)]
    Size(#[from] SizeFault),
}

impl Fault {
    /// Every [`name`](Self::name) there is, but for those that another protocol has too.
    pub const NAMES: [&'static str; 15] = [
        "no_method",
        "unknown_method",
        "bad_request_line",
        "bad_version",
        "bad_header",
        "head_too_large",
        "bad_content_length",
        "transfer_encoding",
        "bad_chunk",
        "expectation",
        "foreign_host",
        "unexpected_body",
        "bad_escape",
        "no_function",
        "media_type",
    ];

    /// A short name that stays the same from release to release, for use as a metric label.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NoMethod => "no_method",
            Self::UnknownMethod => "unknown_method",
            Self::BadRequestLine => "bad_request_line",
            Self::BadVersion => "bad_version",
            Self::BadHeader => "bad_header",
            Self::HeadTooLarge(_) => "head_too_large",
            Self::BadContentLength => "bad_content_length",
            Self::TransferEncoding => "transfer_encoding",
            Self::BadChunk => "bad_chunk",
            Self::Expectation => "expectation",
            Self::ForeignHost => "foreign_host",
            Self::UnexpectedBody => "unexpected_body",
            Self::BadEscape => "bad_escape",
            Self::BadNumber => "bad_number",
            Self::NameTooLong(_) => "name_too_long",
            Self::NoFunction => "no_function",
            Self::MediaType => "media_type",
            Self::Size(fault) => fault.name(),
        }
    }

    /// What the client is told before the connection ends. What begins with no method may be no HTTP at all.
    pub fn last_words(&self) -> Option<String> {
        let status = match self {
            Self::NoMethod => return None,
            Self::ForeignHost => "403 Forbidden",
            Self::Expectation => "417 Expectation Failed",
            Self::BadVersion => "505 HTTP Version Not Supported",
            Self::HeadTooLarge(_) => "431 Request Header Fields Too Large",
            Self::UnknownMethod | Self::TransferEncoding => "501 Not Implemented",
            Self::MediaType => "415 Unsupported Media Type",
            Self::Size(
                SizeFault::ArgumentTooLarge { .. }
                | SizeFault::KeyTooLarge { .. }
                | SizeFault::ValueTooLarge { .. }
                | SizeFault::FrameTooLarge { .. },
            ) => "413 Content Too Large",
            _ => "400 Bad Request",
        };
        let phrase = status.split_once(' ').map_or(status, |(_, phrase)| phrase);
        let body = format!("{phrase}: {self}\n");
        let length = body.len();
        Some(format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        ))
    }
}
