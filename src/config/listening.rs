//! All listeners: from `listen` and the tables `[[listener]]`, and back.

use std::collections::HashSet;

use super::address::Address;
use super::draft::{Draft, ROWS, TLS_ROWS, lossy};
use super::error::UsageError;
use super::field::{Field, Fields};
use super::kind::{address, list, string};
use super::listeners::ListenerSettings;
use super::row::{Change, Flag, Row, Takes};
use super::settings::Settings;
use super::value::Values;
use crate::access::Access;

/// Where most clients connect.
pub(super) const LISTEN: Row<Settings> = Row::together(
    "listen",
    Change::Live,
    Some(
        Flag::new(
            "listen",
            "ADDR",
            "Where clients connect, HOST:PORT or unix:/path; may be repeated",
        )
        .takes(Takes::Repeats),
    ),
    |of| Printed::of(of).listen,
);

/// Further listeners, each with a table.
pub(super) const LISTENER: Row<Settings> = Row::together("listener", Change::Live, None, |of| Printed::of(of).tables);

/// The key of a listener's table that no other place has.
pub(super) const ADDRESS: &str = "address";

/// A table `[[listener]]`: the byte of the file that it begins at, and what is written in it.
pub(super) type Table = (usize, Values);

/// Those of `listen`, then the tables; `base` is what clients may do where nothing is said of it.
pub(super) fn read(
    fields: &Fields<'_>,
    tables: &[Table],
    default: &[ListenerSettings],
    base: Access,
) -> Result<Vec<ListenerSettings>, UsageError> {
    let unsaid = ListenerSettings {
        access: base,
        ..ListenerSettings::new(Address::Tcp(String::new()))
    };
    let top = Draft::read(fields, &unsaid)?.listener(unsaid.address, base, fields)?;
    let mut listeners = Listeners::default();
    match fields.get(LISTEN.setting.key) {
        Some(field) => listen(&field, &top, &mut listeners)?,
        None if tables.is_empty() => listeners.list = default.iter().map(|one| at(one.address.clone(), &top)).collect(),
        None => {}
    }
    for (offset, values) in tables {
        let fields = Fields {
            table: "listener.",
            values,
            ..*fields
        };
        let Some(field) = fields.get(ADDRESS) else {
            let place = fields.file.map_or_else(String::new, |file| file.place(*offset));
            let allowed = format_args!("address = {}", Address::ALLOWED);
            return Err(UsageError::new(place, "a listener has no address", allowed));
        };
        let address = address(&field, Address::ALLOWED)?;
        let listener = Draft::read(&fields, &top)?.listener(address, top.access, &fields)?;
        listeners.add(listener, &field)?;
    }
    Ok(listeners.list)
}

fn listen(field: &Field<'_>, top: &ListenerSettings, listeners: &mut Listeners) -> Result<(), UsageError> {
    let allowed = format_args!("a list of at least one {}", Address::ALLOWED);
    let addresses = field.each(allowed, |field| Ok((field, address(&field, Address::ALLOWED)?)))?;
    if addresses.is_empty() {
        return Err(field.refuse("listen is empty", allowed));
    }
    addresses
        .into_iter()
        .try_for_each(|(field, address)| listeners.add(at(address, top), &field))
}

fn at(address: Address, top: &ListenerSettings) -> ListenerSettings {
    ListenerSettings { address, ..top.clone() }
}

/// The listeners so far, none of them twice.
#[derive(Default)]
struct Listeners {
    list: Vec<ListenerSettings>,
    seen: HashSet<Address>,
}

impl Listeners {
    fn add(&mut self, listener: ListenerSettings, field: &Field<'_>) -> Result<(), UsageError> {
        let address = &listener.address;
        if let (Address::Unix(_), Some(_)) = (address, &listener.tls) {
            let problem = format_args!("{address} cannot have TLS, as a Unix socket has none");
            return Err(field.refuse(problem, "HOST:PORT with TLS, or a [[listener]] with tls.cert = \"\""));
        }
        if let Some(other) = self.list.iter().find(|other| other.keys.overlaps(&listener.keys)) {
            let (one, other) = (lossy(&listener.keys.prefix), lossy(&other.keys.prefix));
            let problem = format_args!("prefix {one} and prefix {other} overlap");
            return Err(field.refuse(problem, "prefixes none of which begins with another, or the same one"));
        }
        let some_port = matches!(address, Address::Tcp(host_port) if host_port.ends_with(":0"));
        if !self.seen.insert(address.clone()) && !some_port {
            return Err(field.refuse(
                format_args!("{} names {address} twice", field.name()),
                "each address once",
            ));
        }
        self.list.push(listener);
        Ok(())
    }
}

/// The listeners as a file says them: the first ones that are served alike in the short form, with what holds for
/// them at the top; then a table for each of the others.
pub(super) struct Printed {
    listen: String,
    /// Keys of the top level beside `listen`.
    pub(super) top: Vec<(&'static str, String)>,
    /// Whole tables.
    pub(super) tables: String,
}

impl Printed {
    pub(super) fn of(settings: &Settings) -> Self {
        let base = settings.base_access();
        let listeners = &settings.listeners;
        let alike = listeners.iter().take_while(|one| one.serves_as(&listeners[0]));
        let (short, long) = listeners.split_at(alike.count());
        let first = short.first();
        let inherited = first.map_or(base, |listener| listener.access);
        let table = |listener: &ListenerSettings| {
            let address = string(&listener.address.to_string());
            let lines = keys(listener, inherited).map(|(key, value)| format!("{key} = {value}\n"));
            format!("[[listener]]\naddress = {address}\n{}\n", lines.collect::<String>())
        };
        Self {
            listen: list(short.iter().map(|listener| &listener.address)),
            top: first.into_iter().flat_map(|listener| keys(listener, base)).collect(),
            tables: long.iter().map(table).collect(),
        }
    }
}

/// What a listener says beside its address: keys and values, as in a file where `inherited` holds for what is not said.
fn keys(listener: &ListenerSettings, inherited: Access) -> impl Iterator<Item = (&'static str, String)> {
    let draft = Draft::of(listener, inherited);
    let rows = ROWS.iter().chain(TLS_ROWS);
    rows.map(move |row| (row.setting.key, (row.write)(&draft)))
}
