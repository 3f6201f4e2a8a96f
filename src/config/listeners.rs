//! Where clients connect, and what differs from one such address to the next.

use std::collections::HashSet;
use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use toml::Spanned;

use super::address::Address;
use super::error::{UsageError, quoted};
use super::given::Raw;
use super::item::Item;
use super::names::{DIALECTS, PROTOCOLS, word};
use super::print::string;
use super::tls::{self, TlsSettings};
use super::validate::Validator;
use super::written::{Listed, ListenerWritten, Written};
use crate::access::Access;
use crate::access::keys::KeyAccess;
use crate::access::networks::Networks;
use crate::protocol::Protocols;
use crate::protocol::tyrant::dialect::Dialect;

/// One address where clients connect, and how they are served there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerSettings {
    /// Where it listens.
    pub address: Address,
    /// Which form of the binary protocol its clients speak.
    pub dialect: Dialect,
    /// The protocols that are served; at least one.
    pub protocols: Protocols,
    /// Which commands clients may give.
    pub access: Access,
    /// Which keys clients may name.
    pub keys: KeyAccess,
    /// From where clients may connect.
    pub networks: Networks,
    /// Names by which requests of HTTP may ask, beside `localhost` and addresses: where it listens on this machine alone,
    /// or where there are any.
    pub http_hosts: Arc<[String]>,
    /// The files of TLS, where clients speak by it; never at a Unix socket.
    pub tls: Option<TlsSettings>,
}

impl ListenerSettings {
    /// A listener with the default of everything but its address.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            dialect: Dialect::default(),
            protocols: Protocols::ALL,
            access: Access::default(),
            keys: KeyAccess::default(),
            networks: Networks::default(),
            http_hosts: Arc::default(),
            tls: None,
        }
    }

    /// Names by which requests of HTTP may ask, beside `localhost` and addresses; nothing where any will do: other machines
    /// know this one by names that are not known here.
    pub fn hosts(&self) -> Option<&Arc<[String]>> {
        (self.address.is_loopback() || !self.http_hosts.is_empty()).then_some(&self.http_hosts)
    }

    /// Whether nothing but the address differs.
    fn serves_as(&self, other: &Self) -> bool {
        let moved = Self {
            address: other.address.clone(),
            ..self.clone()
        };
        moved == *other
    }

    /// What it says beside its address: keys and values, as in a file where `inherited` holds for what is not said.
    fn values(&self, inherited: Access) -> [(&'static str, String); 12] {
        let (allow, deny) = self.access.beside(inherited);
        let named = PROTOCOLS.iter().filter(|(_, protocol)| self.protocols.serve(*protocol));
        let protocols: Vec<_> = named.map(|(name, _)| string(name)).collect();
        let [cert, key, client_ca] = tls::values(self.tls.as_ref());
        [
            ("dialect", string(word(DIALECTS, &self.dialect))),
            ("protocols", format!("[{}]", protocols.join(", "))),
            ("allow", list(allow)),
            ("deny", list(deny)),
            ("allow_keys", prefixes(&self.keys.allow)),
            ("deny_keys", prefixes(&self.keys.deny)),
            ("prefix", string(&String::from_utf8_lossy(&self.keys.prefix))),
            ("networks", list(self.networks.iter())),
            ("http_hosts", list(self.http_hosts.iter())),
            cert,
            key,
            client_ca,
        ]
    }
}

/// The listeners as a file says them: the first ones that are served alike in the short form, with what holds for
/// them at the top; then a table for each of the others.
pub(super) struct Printed {
    /// Keys of the top level.
    pub(super) top: Vec<(&'static str, String)>,
    /// Whole tables.
    pub(super) tables: String,
}

impl Printed {
    /// `base` is what clients may do where nothing is said of it.
    pub(super) fn of(listeners: &[ListenerSettings], base: Access) -> Self {
        let alike = listeners
            .iter()
            .take_while(|listener| listener.serves_as(&listeners[0]));
        let (short, long) = listeners.split_at(alike.count());
        let addresses: Vec<_> = short
            .iter()
            .map(|listener| string(&listener.address.to_string()))
            .collect();
        let mut top = vec![("listen", format!("[{}]", addresses.join(", ")))];
        let first = short.first();
        top.extend(first.into_iter().flat_map(|listener| listener.values(base)));
        let inherited = first.map_or(base, |listener| listener.access);
        let mut tables = String::new();
        for listener in long {
            let address = string(&listener.address.to_string());
            tables.push_str(&format!("[[listener]]\naddress = {address}\n"));
            for (key, value) in listener.values(inherited) {
                tables.push_str(&format!("{key} = {value}\n"));
            }
            tables.push('\n');
        }
        Self { top, tables }
    }
}

impl<'a> Validator<'a> {
    /// Those of `listen`, then the tables; `base` is what clients may do where nothing is said of it.
    pub(super) fn listeners(
        &self,
        written: &'a Written,
        default: Vec<ListenerSettings>,
        base: Access,
    ) -> Result<Vec<ListenerSettings>, UsageError> {
        let default = default.into_iter().map(|listener| listener.address).collect();
        let top = ListenerSettings {
            dialect: self
                .item("dialect", &written.dialect)
                .word(DIALECTS, Dialect::default())?,
            protocols: self.protocols(self.item("protocols", &written.protocols), Protocols::ALL)?,
            access: self.access(
                self.item("allow", &written.allow),
                self.item("deny", &written.deny),
                base,
            )?,
            keys: self.keys(
                self.item("allow_keys", &written.allow_keys),
                self.item("deny_keys", &written.deny_keys),
                self.item("prefix", &written.prefix),
                &KeyAccess::default(),
            )?,
            networks: self.networks(self.item("networks", &written.networks), &Networks::default())?,
            http_hosts: self
                .hosts("http_hosts", &written.http_hosts)?
                .unwrap_or_default()
                .into(),
            tls: self.tls(&written.tls, tls::TOP, None)?,
            address: Address::Tcp(String::new()),
        };
        let mut listeners = Listeners::default();
        self.listen(written, default, &top, &mut listeners)?;
        for table in &written.listener {
            self.listener(table, &top, &mut listeners)?;
        }
        Ok(listeners.list)
    }

    fn listen(
        &self,
        written: &'a Written,
        default: Vec<Address>,
        top: &ListenerSettings,
        listeners: &mut Listeners,
    ) -> Result<(), UsageError> {
        let item = self.item("listen", &written.listen);
        let Some(given) = &written.listen else {
            if written.listener.is_empty() {
                listeners.list = default.into_iter().map(|address| at(address, top)).collect();
            }
            return Ok(());
        };
        let allowed = format_args!("a list of at least one {}", Address::ALLOWED);
        let Raw::List(items) = &given.raw else {
            return Err(item.refuse_value(given, allowed));
        };
        if items.is_empty() {
            return Err(item.refuse("listen is empty", allowed));
        }
        for given in items {
            let item = item.with(given);
            let address = item.read_address(given, Address::ALLOWED)?;
            listeners.add(at(address, top), item)?;
        }
        Ok(())
    }

    fn listener(
        &self,
        table: &'a Spanned<Listed<ListenerWritten>>,
        top: &ListenerSettings,
        listeners: &mut Listeners,
    ) -> Result<(), UsageError> {
        let Listed(written) = table.as_ref();
        let item = self.item("listener.address", &written.address);
        let Some(given) = &written.address else {
            let place = self
                .file
                .map_or_else(String::new, |file| file.place(table.span().start));
            return Err(UsageError::new(
                place,
                "a listener has no address",
                format_args!("address = {}", Address::ALLOWED),
            ));
        };
        let listener = ListenerSettings {
            address: item.read_address(given, Address::ALLOWED)?,
            tls: self.tls(&written.tls, tls::OF_LISTENER, top.tls.as_ref())?,
            dialect: self
                .item("listener.dialect", &written.dialect)
                .word(DIALECTS, top.dialect)?,
            protocols: self.protocols(self.item("listener.protocols", &written.protocols), top.protocols)?,
            access: self.access(
                self.item("listener.allow", &written.allow),
                self.item("listener.deny", &written.deny),
                top.access,
            )?,
            keys: self.keys(
                self.item("listener.allow_keys", &written.allow_keys),
                self.item("listener.deny_keys", &written.deny_keys),
                self.item("listener.prefix", &written.prefix),
                &top.keys,
            )?,
            networks: self.networks(self.item("listener.networks", &written.networks), &top.networks)?,
            http_hosts: match self.hosts("listener.http_hosts", &written.http_hosts)? {
                Some(hosts) => hosts.into(),
                None => Arc::clone(&top.http_hosts),
            },
        };
        listeners.add(listener, item)
    }
}

/// What keys begin with, as a list of strings.
fn prefixes(prefixes: &[Bytes]) -> String {
    list(prefixes.iter().map(|prefix| String::from_utf8_lossy(prefix)))
}

/// What can be named, as a list of strings.
fn list(named: impl IntoIterator<Item = impl Display>) -> String {
    let names: Vec<_> = named.into_iter().map(|one| string(&one.to_string())).collect();
    format!("[{}]", names.join(", "))
}

/// The listeners so far, none of them twice.
#[derive(Default)]
struct Listeners {
    list: Vec<ListenerSettings>,
    seen: HashSet<Address>,
}

impl Listeners {
    fn add(&mut self, listener: ListenerSettings, item: Item<'_>) -> Result<(), UsageError> {
        let address = &listener.address;
        if let (Address::Unix(_), Some(_)) = (address, &listener.tls) {
            let problem = format_args!("{address} cannot have TLS, as a Unix socket has none");
            return Err(item.refuse(problem, "HOST:PORT with TLS, or a [[listener]] with tls.cert = \"\""));
        }
        if let Some(other) = self.list.iter().find(|other| other.keys.overlaps(&listener.keys)) {
            let quote = |one: &ListenerSettings| quoted(&String::from_utf8_lossy(&one.keys.prefix));
            let problem = format_args!("prefix {} and prefix {} overlap", quote(&listener), quote(other));
            return Err(item.refuse(problem, "prefixes none of which begins with another, or the same one"));
        }
        let some_port = matches!(address, Address::Tcp(host_port) if host_port.ends_with(":0"));
        if !self.seen.insert(address.clone()) && !some_port {
            return Err(item.refuse(format_args!("{} names {address} twice", item.key), "each address once"));
        }
        self.list.push(listener);
        Ok(())
    }
}

fn at(address: Address, top: &ListenerSettings) -> ListenerSettings {
    ListenerSettings { address, ..top.clone() }
}
