//! What a client can do wrong.

use thiserror::Error;

use crate::protocol::tyrant::sizes::SizeFault;

/// Why a request was refused before anything was made of it. The caller closes, as the server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// The line begins with nothing that the server knows, and where the next one begins is not known either: it has no
    /// `cas`, behind which a value follows.
    #[error("a line began with no verb")]
    UnknownVerb,
    /// A line has this many bytes or more.
    #[error("a line of {0} bytes or more is too long")]
    LineTooLong(usize),
    /// A line holds a NUL, or a CR that does not end it: the server reads over the one and ends the line at the other.
    #[error("a line held a control byte")]
    ControlByte,
    /// A line has fewer words than its verb needs.
    #[error("an argument is missing")]
    MissingArgument,
    /// A size, or what is to be added, is no decimal number. The server takes it for 0.
    #[error("a number is none")]
    BadNumber,
    /// A value is not followed by CR LF.
    #[error("a value was longer or shorter than its size")]
    UnterminatedValue,
    /// A size or a count that cannot be, or that is over a limit.
    #[error(transparent)]
    Size(#[from] SizeFault),
}

impl Fault {
    /// Every [`name`](Self::name) there is, but for those that the binary protocol has too.
    pub const NAMES: [&'static str; 6] = [
        "unknown_verb",
        "line_too_long",
        "control_byte",
        "missing_argument",
        "bad_number",
        "unterminated_value",
    ];

    /// A short name that stays the same from release to release, for use as a metric label.
    pub fn name(&self) -> &'static str {
        match self {
            Self::UnknownVerb => "unknown_verb",
            Self::LineTooLong(_) => "line_too_long",
            Self::ControlByte => "control_byte",
            Self::MissingArgument => "missing_argument",
            Self::BadNumber => "bad_number",
            Self::UnterminatedValue => "unterminated_value",
            Self::Size(fault) => fault.name(),
        }
    }

    /// What the client is told before the connection ends. Where the server says nothing, and the client may be out of
    /// step, nothing is said.
    pub fn last_words(&self) -> Option<String> {
        match self {
            Self::UnknownVerb => Some("ERROR\r\n".to_owned()),
            Self::MissingArgument => Some("CLIENT_ERROR error\r\n".to_owned()),
            Self::LineTooLong(_) | Self::BadNumber | Self::Size(_) => Some(format!("CLIENT_ERROR {self}\r\n")),
            Self::ControlByte | Self::UnterminatedValue => None,
        }
    }
}
