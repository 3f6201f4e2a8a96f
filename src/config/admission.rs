//! Who may connect to a listener, and what its clients may do: as written, by what each key allows.

use bytes::Bytes;

use super::error::{UsageError, quoted};
use super::given::{Given, Raw};
use super::item::{Item, text};
use super::names::{PROTOCOLS, meaning, words};
use super::validate::Validator;
use crate::access::keys::KeyAccess;
use crate::access::networks::Networks;
use crate::access::{Access, Subject};
use crate::protocol::{Protocol, Protocols};

/// The most bytes of a prefix: every key that is asked for carries them to the backend.
const PREFIX_MAX: usize = 255;

impl<'a> Validator<'a> {
    pub(super) fn protocols(&self, item: Item<'a>, default: Protocols) -> Result<Protocols, UsageError> {
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

    pub(super) fn access(&self, allow: Item<'a>, deny: Item<'a>, inherited: Access) -> Result<Access, UsageError> {
        let allowed = self.subjects(allow)?;
        let denied = self.subjects(deny)?;
        if let Some(both) = allowed.iter().find(|subject| denied.contains(subject)) {
            let problem = format_args!("{} and {} both name {both}", allow.key, deny.key);
            return Err(deny.refuse(problem, "each name in one of them"));
        }
        Ok(inherited.with(&allowed, &denied))
    }

    pub(super) fn keys(
        &self,
        allow: Item<'a>,
        deny: Item<'a>,
        prefix: Item<'a>,
        default: &KeyAccess,
    ) -> Result<KeyAccess, UsageError> {
        let read = |text: &str| (text.len() <= PREFIX_MAX).then(|| Bytes::copy_from_slice(text.as_bytes()));
        let allowed = format!("a text of at most {PREFIX_MAX} bytes, or nothing between the quotes for none");
        let keys = KeyAccess {
            allow: self.prefixes(allow, &default.allow)?,
            deny: self.prefixes(deny, &default.deny)?,
            prefix: prefix.parsed(default.prefix.clone(), &allowed, read)?,
        };
        if keys.reaches_records() {
            let problem = format_args!(
                "{} could name the records timestamp.KEY, which are ttguard's own",
                prefix.key
            );
            return Err(prefix.refuse(problem, "a prefix that does not begin as they do"));
        }
        if let Some(both) = keys.allow.iter().find(|prefix| keys.deny.contains(prefix)) {
            let both = quoted(&String::from_utf8_lossy(both));
            let item = if deny.given.is_some() { deny } else { allow };
            let problem = format_args!("{} and {} both name {both}", allow.key, deny.key);
            return Err(item.refuse(problem, "each prefix in one of them"));
        }
        Ok(keys)
    }

    fn prefixes(&self, item: Item<'a>, default: &[Bytes]) -> Result<Vec<Bytes>, UsageError> {
        let Some(given) = item.given else {
            return Ok(default.to_vec());
        };
        let allowed = "a list of texts that keys begin with";
        let Raw::List(items) = &given.raw else {
            return Err(item.refuse_value(given, allowed));
        };
        let prefix = |given: &'a Given| {
            let prefix = text(&given.raw).ok_or_else(|| item.with(given).refuse_value(given, allowed))?;
            Ok(Bytes::copy_from_slice(prefix.as_bytes()))
        };
        items.iter().map(prefix).collect()
    }

    pub(super) fn networks(&self, item: Item<'a>, default: &Networks) -> Result<Networks, UsageError> {
        let Some(given) = item.given else {
            return Ok(default.clone());
        };
        let allowed = format_args!("a list of {}", Networks::ALLOWED);
        let Raw::List(items) = &given.raw else {
            return Err(item.refuse_value(given, allowed));
        };
        let network = |given: &'a Given| {
            let network = text(&given.raw).and_then(|text| Networks::read(text).ok());
            network.ok_or_else(|| item.with(given).refuse_value(given, allowed))
        };
        items.iter().map(network).collect::<Result<_, _>>().map(Networks::of)
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
