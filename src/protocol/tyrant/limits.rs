//! How large a frame may be.

/// Bounds on what is read, checked on the header before a byte of the body is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in one argument: a key, a value, a path, an element of a list.
    pub argument_max: u32,
    /// Bytes in one key of a request, or in what keys are to begin with.
    pub key_max: u32,
    /// Bytes in one value of a request, or in one column of it.
    pub value_max: u32,
    /// Elements in one list.
    pub arguments_max: u32,
    /// Bytes in one whole frame.
    pub frame_max: usize,
}

impl Limits {
    /// None but those of the wire: what has them is read whatever it takes.
    pub const WIRE: Self = Self {
        argument_max: u32::MAX,
        key_max: u32::MAX,
        value_max: u32::MAX,
        arguments_max: u32::MAX,
        frame_max: usize::MAX,
    };

    /// The default for requests: 32 MiB an argument, 2^20 arguments, 64 MiB a request.
    pub const REQUEST: Self = Self {
        argument_max: 32 << 20,
        key_max: 32 << 20,
        value_max: 32 << 20,
        arguments_max: 1 << 20,
        frame_max: 64 << 20,
    };

    /// The default for replies: what a server of 1.1.41 can hold in an argument, 256 MiB, and 2^24 elements,
    /// since the server itself sets no bound to what `fwmkeys` lists.
    pub const REPLY: Self = Self {
        argument_max: 256 << 20,
        key_max: 256 << 20,
        value_max: 256 << 20,
        arguments_max: 16 << 20,
        frame_max: 288 << 20,
    };

    /// So small that tests reach each of them with a few bytes.
    #[cfg(test)]
    pub(crate) const SMALL: Self = Self {
        argument_max: 10,
        key_max: 10,
        value_max: 10,
        arguments_max: 3,
        frame_max: 30,
    };
}
