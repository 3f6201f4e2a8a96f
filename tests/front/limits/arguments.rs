//! A key or a value that is larger than allowed is refused before it is awaited, in each protocol as an argument is.

use crate::support::client::{Client, PATIENCE};
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::http;
use crate::support::memcached;
use crate::support::scripted::{Request, Scripted};

const KEY_MAX: usize = 16;
const VALUE_MAX: usize = 32;

/// Refuses a request by this fault, and passes nothing of it on.
struct Refusing {
    scripted: Scripted,
    guarded: Guarded,
    fault: &'static str,
    refused: f64,
}

impl Refusing {
    fn start(fault: &'static str, settings: &str) -> Self {
        let scripted = Scripted::start();
        let guarded = Guarded::before(scripted.address(), settings);
        Self {
            scripted,
            guarded,
            fault,
            refused: 0.0,
        }
    }

    fn ask(&mut self, request: &[u8]) -> Client {
        self.refused += 1.0;
        let mut client = self.guarded.client();
        client.send(request);
        client
    }

    #[track_caller]
    fn expect_counted(&self) {
        let labels = [("fault", self.fault)];
        self.guarded
            .expect_metric("ttguard_request_faults_total", &labels, self.refused);
        assert_eq!(self.guarded.scrape("ttguard_request_faults_total", &[]), self.refused);
    }

    /// No byte behind the sizes is sent, where these come first.
    #[track_caller]
    fn expect_reset(&mut self, request: &[u8]) {
        self.ask(request).expect_reset(PATIENCE);
        self.expect_counted();
    }

    #[track_caller]
    fn expect_words(&mut self, request: &str, words: &str) {
        let mut client = self.ask(request.as_bytes());
        let told = client.recv_until(b"\n");
        assert!(
            told.starts_with(words.as_bytes()),
            "{:?}",
            String::from_utf8_lossy(&told)
        );
        self.expect_counted();
    }

    /// What is as large as allowed goes through, and nothing else has.
    #[track_caller]
    fn expect_only(&self, key: &str, value: &[u8]) {
        let mut client = self.guarded.client();
        assert_eq!(client.put(key, value), 0);
        assert_eq!(client.misc("putlist", &[key.as_bytes(), value]).0, 0);
        assert_eq!(client.get(key).as_deref(), Some(value));
        let mut client = self.guarded.client();
        let text = String::from_utf8_lossy(value);
        client.expect(&memcached::store("set", key, &text), "STORED\r\n");
        assert_eq!(
            http::ask(&mut client, &http::request("PUT", &format!("/{key}"), &[], &text)).0,
            201
        );
        self.scripted.see(|state| {
            // A primed lane that falls idle asks for the empty key.
            let named = |request: &Request| {
                let first = request.arguments.first().filter(|first| !first.is_empty());
                first.is_none_or(|first| first.ends_with(key.as_bytes()))
            };
            assert!(state.requests().all(named));
        });
    }
}

/// All of a frame but the bytes that its sizes announce.
fn sizes_of(request: &[u8], announced: usize) -> &[u8] {
    &request[..request.len() - announced]
}

#[test]
fn a_key_that_is_larger_than_allowed_is_refused() {
    let mut refusing = Refusing::start("key_too_large", &format!("[limits]\nkey = {KEY_MAX}"));
    let key = "k".repeat(KEY_MAX + 1);
    for request in [
        frame::keyed(frame::GET, &key),
        frame::keyed(frame::OUT, &key),
        frame::keyed(frame::VSIZ, &key),
        frame::fwmkeys(&key, -1),
        frame::addint(&key, 1),
        frame::store(frame::PUT, &key, b""),
        frame::store(frame::PUTNR, &key, b""),
        frame::mget(&[&key]),
        frame::misc("put", &[key.as_bytes()]),
        frame::misc("get", &[key.as_bytes()]),
        frame::misc("putlist", &[key.as_bytes()]),
    ] {
        refusing.expect_reset(sizes_of(&request, key.len()));
    }
    refusing.expect_reset(&frame::mget(&["k", &key]));
    refusing.expect_reset(&frame::misc("outlist", &[b"k", key.as_bytes()]));
    refusing.expect_reset(&frame::ext("f", &key, b""));
    refusing.expect_words(&format!("get k {key}\r\n"), "CLIENT_ERROR a key of 17 bytes");
    refusing.expect_words(&memcached::store("set", &key, "v"), "CLIENT_ERROR a key of 17 bytes");
    refusing.expect_words(&http::request("GET", &format!("/{key}"), &[], ""), "HTTP/1.1 413 ");
    refusing.expect_words(&http::request("PUT", &format!("/{key}"), &[], "v"), "HTTP/1.1 413 ");
    refusing.expect_words(
        &http::request("POST", "/", &["X-TT-MNAME: getlist"], &format!("0=k&1={key}")),
        "HTTP/1.1 413 ",
    );
    refusing.expect_only(&"k".repeat(KEY_MAX), &[b'v'; 2 * VALUE_MAX]);
}

#[test]
fn a_value_that_is_larger_than_allowed_is_refused() {
    let mut refusing = Refusing::start("value_too_large", &format!("[limits]\nvalue = {VALUE_MAX}"));
    let value = "v".repeat(VALUE_MAX + 1);
    for request in [
        frame::store(frame::PUT, "k", value.as_bytes()),
        frame::store(frame::PUTKEEP, "k", value.as_bytes()),
        frame::store(frame::PUTCAT, "k", value.as_bytes()),
        frame::store(frame::PUTNR, "k", value.as_bytes()),
        frame::putshl("k", value.as_bytes(), 2),
        frame::misc("put", &[b"k", value.as_bytes()]),
        frame::misc("putlist", &[b"k", value.as_bytes()]),
        frame::ext("f", "k", value.as_bytes()),
    ] {
        refusing.expect_reset(sizes_of(&request, value.len()));
    }
    refusing.expect_reset(&frame::misc("putlist", &[b"k", b"v", b"k2", value.as_bytes()]));
    let words = "CLIENT_ERROR a value of 33 bytes";
    refusing.expect_words(&format!("set k 0 0 {}\r\n", value.len()), words);
    refusing.expect_words(&memcached::store("append", "k", &value), words);
    refusing.expect_words(
        &format!("PUT /k HTTP/1.1\r\nContent-Length: {}\r\n\r\n", value.len()),
        "HTTP/1.1 413 ",
    );
    refusing.expect_words(
        &http::request("POST", "/", &["X-TT-MNAME: put"], &format!("0=k&1={value}")),
        "HTTP/1.1 413 ",
    );
    refusing.expect_only(&"k".repeat(2 * KEY_MAX), &[b'v'; VALUE_MAX]);
}
