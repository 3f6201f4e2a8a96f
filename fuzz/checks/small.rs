//! Limits that are small, so that a fuzzer finds what happens at them.

use ttguard::protocol::tyrant::limits::Limits;

/// Those of what is decoded.
pub const LIMITS: Limits = Limits {
    argument_max: 768,
    key_max: 512,
    value_max: 640,
    arguments_max: 16,
    frame_max: 1024,
};

/// The same for arguments, but for frames of whatever size: the same arguments take more bytes in another spelling.
pub const ARGUMENTS: Limits = Limits {
    frame_max: 1 << 20,
    ..LIMITS
};
