//! The store at one end of a connection.

use std::time::Duration;

use bytes::BytesMut;
use ttguard::command::{Answer, Command};
use ttguard::config::{Address, ListenerSettings};
use ttguard::protocol::answer;
use ttguard::protocol::outgoing::Outgoing;
use ttguard::protocol::request::{Decoder, Incoming};
use ttguard::protocol::tyrant::limits::Limits;
use ttguard::store::embedded::Embedded;
use ttguard::transport::{Reader, Writer};

/// Answers everything that comes, once `saw` has looked at it, until the other side ends the connection.
pub async fn serve(
    store: &Embedded,
    mut reader: Reader,
    writer: Writer,
    clock: impl Fn() -> Duration,
    saw: impl Fn(&Command),
) {
    let listener = ListenerSettings::new(Address::Tcp("127.0.0.1:0".to_owned()));
    let mut decoder = Decoder::new(Limits::REQUEST, listener.protocols, listener.dialect);
    let (mut input, mut out) = (BytesMut::new(), Outgoing::new());
    while reader.read(&mut input).await.is_ok_and(|bytes| bytes > 0) {
        while let Ok(Some(Incoming::Request(request))) = decoder.decode(&mut input) {
            saw(&request.command);
            let reply = store.execute(&request.command, clock());
            let reply = Answer::Reply(reply.expect("memory answers"));
            if !request.form.is_silent(&request.command) {
                answer::encode(request.form, &reply, &mut out);
            }
        }
        while !out.is_empty() {
            if writer.writable().await.is_err() || writer.write_ready(&mut out).is_err() {
                return;
            }
        }
    }
}
