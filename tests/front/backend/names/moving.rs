//! Names that move: the proxy in this process, with a resolver of the test's.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;
use ttguard::config::{Address, Settings};
use ttguard::front::control::Control;
use ttguard::front::server::{Inheritance, Server};
use ttguard::store::tyrant::names::Resolve;

use super::{SETTINGS, connection_of, large};
use crate::support::client::Client;
use crate::support::frame;
use crate::support::insist::{put_until_stored, when_served};
use crate::support::scripted::{End, Scripted};
use crate::support::stamped::Clock;

/// What a name leads to; nothing while nobody answers for it.
#[derive(Default)]
struct Name {
    addresses: Mutex<Option<Vec<SocketAddr>>>,
    told: Condvar,
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Name")
    }
}

impl Resolve for Name {
    fn resolve(&self, host_port: &str) -> io::Result<Vec<SocketAddr>> {
        assert_eq!(host_port, "store.test:1978");
        let mut addresses = self.addresses.lock().expect("the addresses");
        loop {
            if let Some(addresses) = addresses.as_ref() {
                return Ok(addresses.clone());
            }
            addresses = self.told.wait(addresses).expect("the addresses");
        }
    }
}

impl Name {
    fn to(addresses: &[SocketAddr]) -> Arc<Self> {
        let name = Arc::new(Self::default());
        name.lead_to(addresses);
        name
    }

    fn lead_to(&self, addresses: &[SocketAddr]) {
        *self.addresses.lock().expect("the addresses") = Some(addresses.to_vec());
        self.told.notify_all();
    }
}

/// A proxy in front of `store.test`.
struct Proxy {
    address: SocketAddr,
    control: Arc<Control>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    fn before(name: &Arc<Name>) -> Self {
        let text =
            format!("backend = \"tyrant://store.test:1978\"\nlisten = [\"127.0.0.1:0\"]\nadmin = \"\"\n{SETTINGS}");
        let settings = Settings::from_toml("t.toml", &format!("claim = false\n{text}")).expect("settings");
        let resolver: Arc<dyn Resolve> = Arc::<Name>::clone(name);
        let inheritance = Inheritance {
            resolver: Some(resolver),
            ..Inheritance::default()
        };
        let mut server = Server::begin(settings.clone(), inheritance).expect("a proxy");
        server.listen().expect("a free port");
        let Address::Tcp(address) = &server.listen[0] else {
            panic!("not asked for");
        };
        let (address, control) = (address.parse().expect("an address"), server.control());
        control.read_settings_by(Box::new(move || Ok(settings.clone())));
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let stopped = async {
                let _ = stopped.await;
            };
            server.run(stopped).expect("an end");
        });
        Self {
            address,
            control,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    fn client(&self) -> Client {
        Client::connect(self.address)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.control.drain();
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Connections that are open, and requests of clients that came on any of them.
fn used(scripted: &Scripted) -> (usize, usize) {
    scripted.see(|state| {
        let open = state.connections.iter().filter(|record| !record.ended).count();
        let asked =
            |request: &&crate::support::scripted::Request| request.opcode != frame::STAT && request.function != "error";
        (open, state.requests().filter(asked).count())
    })
}

#[test]
fn a_name_that_moves_takes_all_connections_along_or_none() {
    let (one, other) = (Scripted::start(), Scripted::start());
    let name = Name::to(&[one.address()]);
    let proxy = Proxy::before(&name);
    let clock = Clock::start();
    put_until_stored(proxy.address, "large", &large(clock, 0));
    put_until_stored(proxy.address, "k", &clock.value(0));

    // Nobody has told the proxy: what comes anew goes where all others are.
    name.lead_to(&[other.address()]);
    one.end_connection(connection_of(&one, "large"), End::Fin);
    put_until_stored(proxy.address, "k", &large(clock, 1));
    assert_eq!(proxy.client().get("k"), Some(large(clock, 1)));
    assert_eq!(proxy.client().ext("anything", "k", b"v"), (1, None));
    assert_eq!(one.value("k"), Some(large(clock, 1)));
    assert_eq!(used(&other), (0, 0), "nobody goes there alone");

    proxy.control.reload().expect("the same settings");
    other.wait("both lanes", |state| {
        state.connections.iter().filter(|record| !record.ended).count() >= 2
    });
    one.wait("the end of all lanes", |state| {
        state.connections.iter().all(|record| record.ended)
    });
    let asked_before = used(&one).1;
    put_until_stored(proxy.address, "k", &large(clock, 2));
    assert_eq!(proxy.client().get("k"), Some(large(clock, 2)));
    put_until_stored(proxy.address, "k", &clock.value(3));
    assert_eq!(proxy.client().get("k"), Some(clock.value(3)));
    assert_eq!(proxy.client().ext("anything", "k", b"v"), (1, None));
    assert_eq!(other.value("k"), Some(clock.value(3)));
    assert_eq!(used(&one), (0, asked_before), "nobody stays there");
    one.expect_whole_requests();
}

#[test]
fn a_server_that_is_gone_is_looked_for_under_its_name() {
    let (one, other) = (Scripted::start(), Scripted::start());
    let name = Name::to(&[one.address()]);
    let proxy = Proxy::before(&name);
    let clock = Clock::start();
    put_until_stored(proxy.address, "k", &clock.value(0));
    name.lead_to(&[other.address(), one.address()]);
    one.stop(End::Rst);
    put_until_stored(proxy.address, "k", &large(clock, 1));
    assert_eq!(other.value("k"), Some(large(clock, 1)));
    // It is kept to, though the former one is there again.
    one.return_again();
    put_until_stored(proxy.address, "k", &clock.value(2));
    assert_eq!(other.value("k"), Some(clock.value(2)));
    assert_eq!(one.value("k"), Some(clock.value(0)));
}

#[test]
fn a_resolver_that_says_nothing_or_too_much_holds_nobody_up() {
    let scripted = Scripted::start();
    scripted.insert("k", b"v");
    let name = Arc::new(Name::default());
    let proxy = Proxy::before(&name);
    // Nobody answers for the name yet: sessions are told so, not left alone.
    let mut client = proxy.client();
    client.send(&frame::keyed(frame::GET, "k"));
    client.expect_reset(crate::support::client::PATIENCE);
    name.lead_to(&[]);
    let mut client = proxy.client();
    client.send(&frame::keyed(frame::GET, "k"));
    client.expect_reset(crate::support::client::PATIENCE);
    // Hundreds of addresses where nobody is, and one among the first that is right.
    let dead = |number: u8| SocketAddr::from(([127, 0, 0, number], 1));
    let mut many: Vec<SocketAddr> = vec!["[::1]:1".parse().expect("an address")];
    many.extend((1..=9).map(dead));
    many.push(scripted.address());
    many.extend((10..=250).map(dead));
    name.lead_to(&many);
    let value = when_served(proxy.address, |client| client.try_get("k"));
    assert_eq!(value.as_deref(), Some(&b"v"[..]));
}
