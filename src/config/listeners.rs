//! Where clients connect, and what differs from one such address to the next.

use std::collections::HashSet;

use toml::Spanned;

use super::address::Address;
use super::error::UsageError;
use super::given::Raw;
use super::item::{Item, text};
use super::names::{DIALECTS, PROTOCOLS, meaning, word, words};
use super::print::string;
use super::validate::Validator;
use super::written::{Listed, ListenerWritten, Written};
use crate::access::{Access, Subject};
use crate::protocol::tyrant::dialect::Dialect;
use crate::protocol::{Protocol, Protocols};

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
}

impl ListenerSettings {
    /// A listener with the default of everything but its address.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            dialect: Dialect::default(),
            protocols: Protocols::ALL,
            access: Access::default(),
        }
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
    fn values(&self, inherited: Access) -> [(&'static str, String); 4] {
        let named = PROTOCOLS.iter().filter(|(_, protocol)| self.protocols.serve(*protocol));
        let protocols: Vec<_> = named.map(|(name, _)| string(name)).collect();
        [
            ("dialect", string(word(DIALECTS, &self.dialect))),
            ("protocols", format!("[{}]", protocols.join(", "))),
            ("allow", list(&inherited.denied_beyond(self.access))),
            ("deny", list(&self.access.denied_beyond(inherited))),
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
    pub(super) fn of(listeners: &[ListenerSettings]) -> Self {
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
        top.extend(
            first
                .into_iter()
                .flat_map(|listener| listener.values(Access::default())),
        );
        let inherited = first.map_or_else(Access::default, |listener| listener.access);
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
    /// Those of `listen`, then the tables.
    pub(super) fn listeners(
        &self,
        written: &'a Written,
        default: Vec<ListenerSettings>,
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
                Access::default(),
            )?,
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
            dialect: self
                .item("listener.dialect", &written.dialect)
                .word(DIALECTS, top.dialect)?,
            protocols: self.protocols(self.item("listener.protocols", &written.protocols), top.protocols)?,
            access: self.access(
                self.item("listener.allow", &written.allow),
                self.item("listener.deny", &written.deny),
                top.access,
            )?,
        };
        listeners.add(listener, item)
    }

    fn protocols(&self, item: Item<'a>, default: Protocols) -> Result<Protocols, UsageError> {
        let Some(given) = item.given else { return Ok(default) };
        let allowed = || format!("a list of at least one of {}, each once", words(PROTOCOLS));
        let items = match &given.raw {
            Raw::List(items) if !items.is_empty() => items,
            _ => return Err(item.refuse_value(given, allowed())),
        };
        let mut protocols = Protocols::NONE;
        for given in items {
            let item = item.with(given);
            let protocol = text(&given.raw).and_then(|word| meaning::<Protocol>(PROTOCOLS, word));
            let protocol = protocol.ok_or_else(|| item.refuse_value(given, allowed()))?;
            if !protocols.add(protocol) {
                let problem = format_args!("{} names {} twice", item.key, given.raw);
                return Err(item.refuse(problem, allowed()));
            }
        }
        Ok(protocols)
    }

    fn access(&self, allow: Item<'a>, deny: Item<'a>, inherited: Access) -> Result<Access, UsageError> {
        let allowed = self.subjects(allow)?;
        let denied = self.subjects(deny)?;
        if let Some(both) = allowed.iter().find(|subject| denied.contains(subject)) {
            let problem = format_args!("{} and {} both name {both}", allow.key, deny.key);
            return Err(deny.refuse(problem, "each name in one of them"));
        }
        Ok(inherited.with(&allowed, &denied))
    }

    fn subjects(&self, item: Item<'a>) -> Result<Vec<Subject>, UsageError> {
        let Some(given) = item.given else { return Ok(Vec::new()) };
        let allowed = || format!("a list of {}", Subject::names());
        let Raw::List(items) = &given.raw else {
            return Err(item.refuse_value(given, allowed()));
        };
        let subject = |given| {
            let item = item.with(given);
            let subject = text(&given.raw).and_then(Subject::named);
            subject.ok_or_else(|| item.refuse_value(given, allowed()))
        };
        items.iter().map(subject).collect()
    }
}

/// Subjects as a list of strings.
fn list(subjects: &[Subject]) -> String {
    let names: Vec<_> = subjects.iter().map(|subject| string(&subject.to_string())).collect();
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
