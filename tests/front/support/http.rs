//! Asks by HTTP, and reads what is answered.

use std::io;

use crate::support::client::Client;

/// A request with these header lines and this body.
pub fn request(method: &str, path: &str, headers: &[&str], body: &str) -> String {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = if body.is_empty() {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}{length}\r\n{body}")
}

/// Asks, and gives status and body of the answer.
pub fn ask(client: &mut Client, request: &str) -> (u16, String) {
    client.send(request.as_bytes());
    read_answer(client, !request.starts_with("HEAD")).expect("an answer")
}

/// Status and body of the next answer, on a connection that may end.
pub fn try_answer(client: &mut Client) -> io::Result<(u16, String)> {
    read_answer(client, true)
}

fn read_answer(client: &mut Client, has_body: bool) -> io::Result<(u16, String)> {
    let head = String::from_utf8(client.try_recv_until(b"\r\n\r\n")?).expect("text");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let length = length.map_or(0, |length| length.parse().expect("a length"));
    let body = client.try_recv(if has_body { length } else { 0 })?;
    Ok((status.expect("a status"), String::from_utf8(body).expect("text")))
}
