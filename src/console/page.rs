//! One page of an admin listener.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::config::AdminSettings;

/// How long the other side may be silent: longer than it waits for its backend.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of an answer that are read at most.
const ANSWER_MAX: u64 = 16 << 20;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
#[error("http://{admin}: {problem}")]
pub struct Unasked {
    admin: String,
    problem: String,
}

impl Unasked {
    pub(super) fn new(admin: &str, problem: impl std::fmt::Display) -> Self {
        // Whatever answers there is not to write on a terminal.
        let problem = problem.to_string().trim_end().escape_debug().to_string();
        Self {
            admin: admin.to_owned(),
            problem,
        }
    }
}

/// The body of the page at `path`, its query included.
pub(super) fn get(admin: &AdminSettings, path: &str) -> Result<String, Unasked> {
    let answer = exchange(admin, path).map_err(|error| Unasked::new(&admin.address, error))?;
    let admin = &admin.address;
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        return Err(Unasked::new(admin, "the answer is not HTTP"));
    };
    match head.split(' ').nth(1) {
        Some("200") => Ok(body.to_owned()),
        Some("404") => Err(Unasked::new(admin, "does not know this: no ttguard, or an older one")),
        Some("401") => Err(Unasked::new(
            admin,
            "asks for a token; allowed: the right one in TTGUARD_ADMIN_TOKEN",
        )),
        Some(status) => Err(Unasked::new(admin, format_args!("{status} {body}"))),
        None => Err(Unasked::new(admin, "the answer is not HTTP")),
    }
}

/// To the first of its addresses that answers.
fn connect(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::other("the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn exchange(admin: &AdminSettings, path: &str) -> io::Result<String> {
    let AdminSettings { address, token } = admin;
    let mut stream = connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let token = token
        .as_ref()
        .map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
    // 1.0, so that the answer is not chunked and ends with the connection.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n{token}\r\n")?;
    let mut answer = String::new();
    stream.take(ANSWER_MAX).read_to_string(&mut answer)?;
    Ok(answer)
}
