//! The settings of `ttguard import` and `ttguard export`: which server, which file, in which form.

use std::path::PathBuf;

use super::address::{Address, BackendUrl};
use super::error::UsageError;

/// What can be written for a server.
const SERVER_ALLOWED: &str = "tyrant://HOST:PORT, tyrant:/path/to.sock, HOST:PORT or unix:/path";

/// The server that was written.
pub(super) fn read_server(server: &str) -> Result<Address, UsageError> {
    let address = match server.parse::<BackendUrl>() {
        Ok(BackendUrl::Tyrant(address)) => Ok(address),
        Ok(BackendUrl::Tyrants(_)) => {
            return Err(UsageError::new(
                "URL",
                format_args!("{server} is spoken to by TLS, which only serve does"),
                SERVER_ALLOWED,
            ));
        }
        Ok(_) => {
            return Err(UsageError::new(
                "URL",
                format_args!("{server} is no server"),
                SERVER_ALLOWED,
            ));
        }
        Err(_) => server.parse::<Address>(),
    };
    address.map_err(|error| UsageError::new("URL", error.problem, SERVER_ALLOWED))
}

/// Records on their way between a server and a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferSettings {
    /// The server, ttguard or any other of the Tyrant protocol.
    pub server: Address,
    /// The file.
    pub file: TransferFile,
    /// Whether `\t`, `\n`, `\r`, `\0` and `\\` stand for the bytes that a line cannot hold.
    pub escape: bool,
    /// Whether values are written as they are stored, with the stamps that a ttguard gives.
    pub stored: bool,
}

/// Where lines come from, or go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferFile {
    /// A file.
    Path(PathBuf),
    /// Standard input or output.
    Standard,
}

impl TransferSettings {
    /// Reads what was written on the command line.
    pub(crate) fn read(server: &str, file: &str, escape: bool, stored: bool) -> Result<Self, UsageError> {
        Ok(Self {
            server: read_server(server)?,
            file: match file {
                "" => {
                    return Err(UsageError::new(
                        "FILE",
                        "is empty",
                        "a path, or - for standard input or output",
                    ));
                }
                "-" => TransferFile::Standard,
                path => TransferFile::Path(path.into()),
            },
            escape,
            stored,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_files_are_read_or_refused_with_what_is_allowed() {
        for (server, address) in [
            ("tyrant://h:1", "h:1"),
            ("h:1", "h:1"),
            ("tyrant:/a.sock", "unix:/a.sock"),
            ("unix:/a.sock", "unix:/a.sock"),
        ] {
            let settings = TransferSettings::read(server, "-", false, false).expect(server);
            assert_eq!(
                (settings.server.to_string().as_str(), settings.file),
                (address, TransferFile::Standard)
            );
        }
        for (server, file) in [
            ("memory:", "f"),
            ("tyrants://h:1", "f"),
            ("file:/a", "f"),
            ("h", "f"),
            ("h:1", ""),
        ] {
            let line = TransferSettings::read(server, file, true, false)
                .expect_err(server)
                .to_string();
            assert!(line.contains("; allowed: "), "{line}");
        }
    }
}
