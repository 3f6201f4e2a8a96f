//! What the admin port of the program under test says.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

use super::Guarded;
use crate::support::client::PATIENCE;

impl Guarded {
    /// The status of an admin page, and its body.
    pub fn page(&self, path: &str) -> (u16, String) {
        self.ask_admin("GET", path, "")
    }

    /// The status and the body of what admin says to this method, with these header lines.
    pub fn ask_admin(&self, method: &str, path: &str, headers: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.admin).expect("connect to admin");
        stream.set_read_timeout(Some(PATIENCE)).expect("read timeout");
        // 1.0, so that the answer is not chunked and ends with the connection.
        let question = format!("{method} {path} HTTP/1.0\r\nHost: localhost\r\n{headers}\r\n");
        stream.write_all(question.as_bytes()).expect("ask admin");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer of admin");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a whole answer");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status"), body.to_owned())
    }

    /// The sum of every series of this name that carries these labels.
    pub fn scrape(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let (status, body) = self.page("/metrics");
        assert_eq!(status, 200);
        body.lines().filter_map(|line| sample(line, name, labels)).sum()
    }

    /// Waits until it says that it is ready.
    #[track_caller]
    pub fn expect_ready(&self) {
        let deadline = Instant::now() + PATIENCE;
        while let (503, why) = self.page("/readyz") {
            assert!(Instant::now() < deadline, "not ready: {why}");
            thread::yield_now();
        }
    }

    /// Waits until a metric has this value.
    #[track_caller]
    pub fn expect_gauge(&self, name: &str, value: f64) {
        let deadline = Instant::now() + PATIENCE;
        while self.scrape(name, &[]) != value {
            assert!(Instant::now() < deadline, "{name} is {}", self.scrape(name, &[]));
            thread::yield_now();
        }
    }

    /// Waits until a metric has at least this value: counting may follow the answer a moment later.
    #[track_caller]
    pub fn expect_metric(&self, name: &str, labels: &[(&str, &str)], least: f64) {
        let deadline = Instant::now() + PATIENCE;
        while self.scrape(name, labels) < least {
            assert!(
                Instant::now() < deadline,
                "{name}{labels:?} did not reach {least}:\n{}",
                self.page("/metrics").1
            );
            thread::yield_now();
        }
    }
}

/// The value of one line of the exposition, where its name and labels are the ones asked for.
pub fn sample(line: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let rest = line.strip_prefix(name)?;
    let (found, value) = match rest.strip_prefix('{') {
        Some(rest) => rest.split_once("} ")?,
        None => ("", rest.strip_prefix(' ')?),
    };
    let carried = |(label, wanted): &(&str, &str)| {
        let pair = format!("{label}=\"{wanted}\"");
        found.split(',').any(|one| one == pair)
    };
    labels.iter().all(carried).then(|| value.trim().parse().ok())?
}
