//! What a client can do wrong.

use thiserror::Error;

use super::super::sizes::SizeFault;

/// Why a request was refused before anything was made of it.
///
/// Nothing after it on the connection can be trusted: the real server reads on into the payload, and carries out
/// what it finds there. The caller closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RequestFault {
    /// The first byte is not the magic number: another protocol, or a place inside a frame.
    #[error("a request began with byte {0:#04x}")]
    BadMagic(u8),
    /// A server of 1.1.41 has no command of this number.
    #[error("there is no command {0:#04x}")]
    UnknownCommand(u8),
    /// A size or a count that cannot be, or that is over a limit.
    #[error(transparent)]
    Size(#[from] SizeFault),
    /// The function name of `ext` or `misc` has this many bytes; the server keeps it in 1024 with its final NUL.
    #[error("a function name of {0} bytes is longer than 1023")]
    NameTooLong(u32),
    /// The width of `putshl` is below zero.
    #[error("a width of {0} is below zero")]
    NegativeWidth(i32),
    /// The port of `setmst` is below zero.
    #[error("a port of {0} is below zero")]
    NegativePort(i32),
    /// `repl` asks for the log from 0 on; the server takes 1 microsecond as the earliest.
    #[error("a replication cannot start at timestamp 0")]
    ZeroTimestamp,
    /// `repl` by a server whose id is 0, which stands for no server.
    #[error("a replication cannot be for server id 0")]
    ZeroServerId,
}

impl RequestFault {
    /// Every [`name`](Self::name) there is.
    pub const NAMES: [&'static str; 14] = [
        "bad_magic",
        "unknown_command",
        "negative_size",
        "argument_too_large",
        "key_too_large",
        "value_too_large",
        "negative_count",
        "too_many_arguments",
        "frame_too_large",
        "name_too_long",
        "negative_width",
        "negative_port",
        "zero_timestamp",
        "zero_server_id",
    ];

    /// A short name that stays the same from release to release, for use as a metric label.
    pub fn name(&self) -> &'static str {
        match self {
            Self::BadMagic(_) => "bad_magic",
            Self::UnknownCommand(_) => "unknown_command",
            Self::Size(fault) => fault.name(),
            Self::NameTooLong(_) => "name_too_long",
            Self::NegativeWidth(_) => "negative_width",
            Self::NegativePort(_) => "negative_port",
            Self::ZeroTimestamp => "zero_timestamp",
            Self::ZeroServerId => "zero_server_id",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_one_line_with_the_number_that_offended() {
        let fault = RequestFault::BadMagic(0x0D);
        assert_eq!(fault.to_string(), "a request began with byte 0x0d");
        let fault = RequestFault::Size(SizeFault::ArgumentTooLarge { size: 11, max: 10 });
        assert_eq!(
            fault.to_string(),
            "an argument of 11 bytes is larger than the 10 allowed"
        );
        assert_eq!(fault.name(), "argument_too_large");
    }
}
