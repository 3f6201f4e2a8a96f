//! Addresses to listen on, and the address of the backend.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;

use super::error::quoted;

/// The longest path that fits a Unix socket's address, in bytes.
const PATH_MAX: usize = 107;

/// Where a socket is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// `HOST:PORT`; an IPv6 host is in brackets.
    Tcp(String),
    /// The absolute path of a Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// What can be written for an address.
    pub const ALLOWED: &str = "HOST:PORT or unix:/path";

    /// Whether it is a port that only this machine reaches.
    pub fn is_loopback(&self) -> bool {
        let Self::Tcp(host_port) = self else {
            return false;
        };
        let host = host_port.rsplit_once(':').map_or(&host_port[..], |(host, _)| host);
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        match address {
            Ok(address) => address.to_canonical().is_loopback(),
            Err(_) => host.eq_ignore_ascii_case("localhost"),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host_port) => f.write_str(host_port),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.strip_prefix("unix:") {
            Some(path) => socket_path(path).map(Self::Unix),
            None => {
                let written = spelt_out(text, "0.0.0.0");
                host_port(&written).map(|_| Self::Tcp(written.into_owned()))
            }
        }
        .map_err(|reason| AddressError::new(text, reason, Self::ALLOWED))
    }
}

/// The store behind the guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackendUrl {
    /// A store inside this process, gone when it ends.
    Memory,
    /// A store inside this process, in the file at this path.
    File(PathBuf),
    /// A server of the Tokyo Tyrant protocol.
    Tyrant(Address),
    /// One that is spoken to by TLS, at `HOST:PORT`.
    Tyrants(String),
}

impl BackendUrl {
    /// What can be written for a backend.
    pub const ALLOWED: &str = "memory:, file:PATH, tyrant://HOST:PORT, tyrants://HOST:PORT or tyrant:/path/to.sock";

    /// Whether it is a server, of which there can be another one.
    pub fn is_server(&self) -> bool {
        matches!(self, Self::Tyrant(_) | Self::Tyrants(_))
    }

    /// Whether it is spoken to by TLS.
    pub fn is_encrypted(&self) -> bool {
        matches!(self, Self::Tyrants(_))
    }

    /// The `HOST:PORT` of a server that is reached by one.
    pub fn host_port(&self) -> Option<&str> {
        match self {
            Self::Tyrant(Address::Tcp(host_port)) | Self::Tyrants(host_port) => Some(host_port),
            Self::Tyrant(Address::Unix(_)) | Self::Memory | Self::File(_) => None,
        }
    }

    /// The host of that, without the brackets of an IPv6 address.
    pub fn host(&self) -> Option<&str> {
        let (host, _) = self.host_port()?.rsplit_once(':')?;
        Some(host.trim_start_matches('[').trim_end_matches(']'))
    }
}

impl fmt::Display for BackendUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Tyrant(Address::Tcp(host_port)) => write!(f, "tyrant://{host_port}"),
            Self::Tyrants(host_port) => write!(f, "tyrants://{host_port}"),
            Self::Tyrant(Address::Unix(path)) => write!(f, "tyrant:{}", path.display()),
        }
    }
}

impl FromStr for BackendUrl {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        backend(text).map_err(|reason| AddressError::new(text, reason, Self::ALLOWED))
    }
}

/// Text that is no address, and what would be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; allowed: {allowed}")]
pub struct AddressError {
    pub(super) problem: String,
    pub(super) allowed: &'static str,
}

impl AddressError {
    fn new(text: &str, reason: &str, allowed: &'static str) -> Self {
        Self {
            problem: format!("{} {reason}", quoted(text)),
            allowed,
        }
    }
}

fn backend(text: &str) -> Result<BackendUrl, &'static str> {
    if text == "memory:" {
        return Ok(BackendUrl::Memory);
    }
    if let Some(path) = text.strip_prefix("file:") {
        return file_path(path).map(BackendUrl::File);
    }
    if let Some(rest) = text.strip_prefix("tyrants:") {
        let text = rest.strip_prefix("//").ok_or("has no // before its host")?;
        return some_port(text).map(BackendUrl::Tyrants);
    }
    let address = match text.strip_prefix("tyrant:") {
        Some(rest) => match rest.strip_prefix("//") {
            Some(text) => Address::Tcp(some_port(text)?),
            None => Address::Unix(socket_path(rest)?),
        },
        None => server(text).ok_or("is no backend")?,
    };
    Ok(BackendUrl::Tyrant(address))
}

/// A server that is named without a scheme, as `tcrmgr` and other clients do.
fn server(text: &str) -> Option<Address> {
    match text.strip_prefix("unix:") {
        Some(path) => socket_path(path).ok().map(Address::Unix),
        None => some_port(&spelt_out(text, "127.0.0.1")).ok().map(Address::Tcp),
    }
}

/// A port by itself is one of this machine's loopback; behind a colon it is one at every address where `host` is that.
fn spelt_out<'a>(text: &'a str, host: &str) -> Cow<'a, str> {
    let is_port = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.strip_prefix(':') {
        Some(port) if is_port(port) => Cow::Owned(format!("{host}:{port}")),
        None if is_port(text) => Cow::Owned(format!("127.0.0.1:{text}")),
        _ => Cow::Borrowed(text),
    }
}

/// `HOST:PORT` of a port that one can connect to.
fn some_port(text: &str) -> Result<String, &'static str> {
    match host_port(text)? {
        0 => Err("has port 0"),
        _ => Ok(text.to_owned()),
    }
}

/// The path of a store's file, absolute or from the folder that the process was started in.
fn file_path(path: &str) -> Result<PathBuf, &'static str> {
    if path.is_empty() || path.ends_with('/') {
        return Err("has no path of a file");
    }
    if path.chars().any(char::is_control) {
        return Err("has a control character in its path");
    }
    Ok(PathBuf::from(path))
}

/// The absolute path of a socket.
fn socket_path(path: &str) -> Result<PathBuf, &'static str> {
    if !path.starts_with('/') {
        return Err("has no absolute path");
    }
    if path.len() > PATH_MAX {
        return Err("has a path of more than 107 bytes, the most that a Unix socket can have");
    }
    if path.chars().any(char::is_control) {
        return Err("has a control character in its path");
    }
    Ok(PathBuf::from(path))
}

/// Checks `HOST:PORT`; the port.
pub(super) fn host_port(text: &str) -> Result<u16, &'static str> {
    let (host, port) = text.rsplit_once(':').ok_or("has no port")?;
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let valid = match bracketed {
        Some(ip) => ip.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)),
    };
    if !valid {
        return Err("has no valid host before its port (IPv6 goes in brackets)");
    }
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    port.parse()
        .ok()
        .filter(|_| digits)
        .ok_or("has a port that is no number from 0 to 65535")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_the_same() {
        for text in [
            "127.0.0.1:1978",
            "localhost:0",
            "[::1]:65535",
            "tyrant_a.b-c:1",
            "unix:/run/t.sock",
        ] {
            assert_eq!(text.parse::<Address>().expect(text).to_string(), text);
        }
        for text in [
            "memory:",
            "file:/var/lib/ttguard/store",
            "file:store.ttg",
            "tyrant://h:1978",
            "tyrant://[::1]:1978",
            "tyrant:/run/t.sock",
            "tyrants://h:1978",
            "tyrants://[::1]:1978",
        ] {
            assert_eq!(text.parse::<BackendUrl>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_left_out_is_what_everybody_means() {
        for (text, meant) in [
            ("1978", "127.0.0.1:1978"),
            (":1978", "0.0.0.0:1978"),
            (":0", "0.0.0.0:0"),
        ] {
            assert_eq!(text.parse::<Address>().expect(text).to_string(), meant);
        }
        for (text, meant) in [
            ("h:1978", "tyrant://h:1978"),
            ("[::1]:1978", "tyrant://[::1]:1978"),
            ("1978", "tyrant://127.0.0.1:1978"),
            (":1978", "tyrant://127.0.0.1:1978"),
            ("unix:/run/t.sock", "tyrant:/run/t.sock"),
        ] {
            assert_eq!(text.parse::<BackendUrl>().expect(text).to_string(), meant);
        }
    }

    #[test]
    fn nonsense_is_refused_with_what_is_allowed() {
        let long = format!("unix:/{}", "x".repeat(PATH_MAX));
        for text in [
            "",
            "host",
            ":",
            "65536",
            ":65536",
            "host:",
            "host:65536",
            "host:+1",
            "host:-1",
            "::1:1978",
            "[::1]",
            "[::g]:1",
            "a b:1",
            "*:1",
            "host:1/",
            "unix:",
            "unix:run.sock",
            "unix:/a\nb",
            "tyrant://h:1",
            &long,
        ] {
            let error = text.parse::<Address>().expect_err(text).to_string();
            assert!(error.ends_with("allowed: HOST:PORT or unix:/path"), "{error}");
        }
        for text in [
            "",
            "memory",
            "memory:x",
            "file:",
            "file:/var/",
            "file:a\nb",
            "redis://h:1",
            "tyrant:",
            "tyrant://",
            "tyrant://h",
            "tyrant://h:0",
            "tyrant:h:1",
            "tyrant:///run/t.sock",
            "tyrants:",
            "tyrants:/run/t.sock",
            "tyrants://h",
            "tyrants://h:0",
            "h:0",
            "h",
            "0",
            "unix:t.sock",
        ] {
            let error = text.parse::<BackendUrl>().expect_err(text).to_string();
            assert!(error.ends_with(BackendUrl::ALLOWED), "{error}");
        }
    }
}
