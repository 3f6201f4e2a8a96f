//! The second story: a late answer is taken for another one's.

use std::io::Write;
use std::time::Duration;

use super::client::{Client, Fault, PATIENCE};
use super::front::Front;
use super::slow_server::{LATE_KEY, SlowServer, value_of};
use super::{Error, expect};
use crate::config::{Address, BackendUrl, PairingSettings, Settings};

/// How long the client waits for an answer.
const CLIENT_TIMEOUT: Duration = Duration::from_millis(500);

/// How long ttguard does: less, as it should be.
const REQUEST_TIMEOUT: Duration = Duration::from_millis(250);

const OTHER_KEY: &str = "B";

/// How often the client connects again before it gives up.
const TRIES: usize = 20;

/// Tells it.
pub fn tell(out: &mut impl Write) -> Result<(), Error> {
    writeln!(out, "\n2. The late answer")?;
    writeln!(out)?;
    writeln!(
        out,
        "Answers carry no number. A client asks for A, waits {CLIENT_TIMEOUT:?}, and asks for B"
    )?;
    writeln!(out, "on the same connection; the server answers late.")?;
    without(out)?;
    with(out)
}

fn without(out: &mut impl Write) -> Result<(), Error> {
    writeln!(out, "\nWithout ttguard")?;
    let server = SlowServer::start().map_err(Error::Stage)?;
    let mut client = Client::connect(&server.address.to_string())?;
    let first = ask_in_a_hurry(out, &mut client)?;
    server.release();
    let second = ask(out, &mut client, OTHER_KEY)?;
    writeln!(out, "  A's answer was taken for B's.")?;
    expect("A without ttguard", &first, &Heard::Nothing)?;
    expect("B without ttguard", &second, &Heard::Value(value_of(LATE_KEY)))
}

fn with(out: &mut impl Write) -> Result<(), Error> {
    writeln!(
        out,
        "\nWith ttguard in front of the same server (request_timeout {REQUEST_TIMEOUT:?})"
    )?;
    let server = SlowServer::start().map_err(Error::Stage)?;
    let front = front(&server)?;
    let mut client = front.client()?;
    // On a machine that is very busy the client may give up first. That changes nothing: no answer comes.
    ask_in_a_hurry(out, &mut client)?;
    let second = ask(out, &mut client, OTHER_KEY)?;
    server.release();
    expect("B after the reset", &second, &Heard::Reset)?;
    let value = ask_again(&front)?;
    writeln!(out, "  connects again, asks for B: {value:?}")?;
    writeln!(out, "  A's answer reached nobody, so nobody could take it for another.")?;
    expect("B on a new connection", &value, &value_of(OTHER_KEY))
}

fn front(server: &SlowServer) -> Result<Front, Error> {
    Front::start(Settings {
        backend: BackendUrl::Tyrant(Address::Tcp(server.address.to_string())),
        pairing: PairingSettings {
            request_timeout: REQUEST_TIMEOUT,
            ..PairingSettings::default()
        },
        claim: false,
        ..Settings::default()
    })
}

/// What a client got for its question.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Value(String),
    Nothing,
    Reset,
}

/// Asks for A and waits no longer than the client of the story does.
fn ask_in_a_hurry(out: &mut impl Write, client: &mut Client) -> Result<Heard, Error> {
    client.set_timeout(CLIENT_TIMEOUT);
    let heard = ask(out, client, LATE_KEY);
    client.set_timeout(PATIENCE);
    heard
}

fn ask(out: &mut impl Write, client: &mut Client, key: &str) -> Result<Heard, Error> {
    let heard = match client.get(key) {
        Ok(value) => Heard::Value(value.unwrap_or_default()),
        Err(Fault::TimedOut) => Heard::Nothing,
        Err(Fault::Ended) => Heard::Reset,
        Err(fault) => return Err(fault.into()),
    };
    let said = match &heard {
        Heard::Value(value) => format!("{value:?}"),
        Heard::Nothing => "no answer".to_owned(),
        Heard::Reset => "the connection is reset".to_owned(),
    };
    writeln!(out, "  asks for {key}: {said}")?;
    Ok(heard)
}

/// Connects and asks for B until there is an answer: ttguard may still be opening another lane to the server.
fn ask_again(front: &Front) -> Result<String, Error> {
    let mut last = Fault::TimedOut;
    for _ in 0..TRIES {
        match front.client().and_then(|mut client| client.get(OTHER_KEY)) {
            Ok(value) => return Ok(value.unwrap_or_default()),
            Err(fault) => last = fault,
        }
    }
    Err(last.into())
}
