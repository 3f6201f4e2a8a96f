//! The forms of the binary protocol.

/// Which form of the binary protocol a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// That of Tokyo Tyrant 1.1.41.
    #[default]
    Tyrant,
    /// That of PyTyrant 1.1.17, which has the command numbers of an older server.
    PyTyrant,
}
