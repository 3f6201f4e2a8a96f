//! The last refusals, in a ring.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt::Write;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Refused, edges};
use crate::command::Reason;
use crate::metrics::Label;
use crate::protocol::Protocol;
use crate::transport::Who;

/// Most refusals that are kept.
pub const KEPT: usize = 200;

/// Most bytes of a key that are kept.
pub const KEY_BYTES: usize = 64;

/// Characters of a key at each end that are left of it when it is shortened.
const ENDS: usize = 4;

/// How keys are written for people, on the dashboard and in logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyForm {
    /// As they are, up to 64 bytes.
    #[default]
    Shown,
    /// Their first and last four characters; short ones lose more.
    Shortened,
    /// A hash under a secret of this process: equal keys look equal, and nothing else is told.
    Hashed,
    /// Not at all.
    Hidden,
}

impl KeyForm {
    /// The key as text. What is no printable text is escaped, and a key that was cut ends in an ellipsis.
    pub fn write(self, key: &[u8], hash: u64) -> String {
        match self {
            Self::Shown => escaped(key),
            Self::Shortened => shortened(key),
            Self::Hashed => format!("#{hash:016x}"),
            Self::Hidden => "(hidden)".to_owned(),
        }
    }
}

fn escaped(key: &[u8]) -> String {
    let mut text = String::new();
    for chunk in key[..key.len().min(KEY_BYTES)].utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                // Text that runs the other way, or has no width, would show another key than it is.
                c if c.is_control()
                    || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}') =>
                {
                    text.extend(c.escape_default());
                }
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}"); // writing to a String does not fail
        }
    }
    if key.len() > KEY_BYTES {
        text.push('…');
    }
    text
}

fn shortened(key: &[u8]) -> String {
    let ends = ENDS.min(key.len() / 4);
    let (first, last) = (&key[..ends], &key[key.len() - ends..]);
    format!("{}…{}", escaped(first), escaped(last))
}

/// A refusal as it is kept.
#[derive(Debug)]
struct Slot {
    key: Vec<u8>,
    cut: bool,
    key_hash: u64,
    at: Duration,
    who: Who,
    protocol: Protocol,
    reason: Reason,
    stamp: Option<u64>,
    newer: Option<u64>,
    off_by: Option<Duration>,
    enforced: bool,
}

/// The last refusals.
#[derive(Debug, Default)]
pub struct Refusals {
    slots: VecDeque<Slot>,
}

/// A refusal as `/api/refusals` tells it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Shown {
    /// When, in seconds since the epoch.
    pub at: f64,
    /// The key, in the form that the settings ask for.
    pub key: String,
    /// Who was refused: by its address, which is the one at its edge where it has one.
    pub client: String,
    /// The name in its certificate, where it has shown one.
    #[serde(default)]
    pub certificate: Option<String>,
    /// The edge that it came through.
    #[serde(default)]
    pub edge: Option<edges::Named>,
    /// In which protocol: `binary`, `memcached` or `http`.
    pub protocol: Cow<'static, str>,
    /// Why: `stale`, `tie`, `future`, `unstamped` or `denied`.
    pub reason: Cow<'static, str>,
    /// The stamp of the write, as a text of digits: a number of JavaScript would lose some.
    pub stamp: Option<String>,
    /// The stamp of the newer write that is stored, likewise.
    pub newer: Option<String>,
    /// How many seconds older than that one it was, or ahead of the clock.
    pub off_by_seconds: Option<f64>,
    /// Whether it was refused; in observe mode it was let through.
    pub enforced: bool,
}

impl Refusals {
    /// Takes note of one; when there are too many the oldest goes, and its memory is used again.
    pub fn add(&mut self, refused: Refused<'_>) {
        let oldest = if self.slots.len() == KEPT {
            self.slots.pop_front()
        } else {
            None
        };
        let mut key = oldest.map_or_else(|| Vec::with_capacity(KEY_BYTES + 1), |slot| slot.key);
        key.clear();
        let cut = refused.key.len() > KEY_BYTES;
        key.extend_from_slice(&refused.key[..refused.key.len().min(KEY_BYTES)]);
        self.slots.push_back(Slot {
            key,
            cut,
            key_hash: refused.key_hash,
            at: refused.at,
            who: refused.asker.who.clone(),
            protocol: refused.asker.protocol,
            reason: refused.reason,
            stamp: refused.stamp,
            newer: refused.newer,
            off_by: refused.off_by,
            enforced: refused.enforced,
        });
    }

    /// All of them, for people.
    pub fn newest_first(&self, keys: KeyForm) -> Vec<Shown> {
        self.slots.iter().rev().map(|slot| slot.shown(keys)).collect()
    }
}

impl Slot {
    fn shown(&self, keys: KeyForm) -> Shown {
        let mut key = keys.write(&self.key, self.key_hash);
        if self.cut && keys == KeyForm::Shown {
            key.push('…');
        }
        Shown {
            at: self.at.as_secs_f64(),
            key,
            client: self.who.peer.to_string(),
            certificate: self.who.certificate().map(ToString::to_string),
            edge: self.who.edge().map(edges::Named::of),
            protocol: self.protocol.as_str().into(),
            reason: self.reason.as_str().into(),
            stamp: self.stamp.map(|stamp| stamp.to_string()),
            newer: self.newer.map(|stamp| stamp.to_string()),
            off_by_seconds: self.off_by.map(|off_by| off_by.as_secs_f64()),
            enforced: self.enforced,
        }
    }
}

/// For tests of what keeps refusals.
#[cfg(test)]
pub fn example<'a>(key: &'a [u8], who: &'a Who) -> Refused<'a> {
    use super::Asker;

    Refused {
        at: Duration::from_secs(1),
        key,
        key_hash: 7,
        asker: Asker {
            who,
            protocol: Protocol::Binary,
        },
        reason: Reason::Stale,
        stamp: Some(10),
        newer: Some(12),
        off_by: Some(Duration::from_secs(2)),
        enforced: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::link::printable::Printable;
    use crate::transport::{Edge, Peer};

    fn nobody() -> Who {
        Who::here(Peer::Unknown, None)
    }

    #[test]
    fn a_client_of_an_edges_is_told_with_its_edge() {
        let peer = |address: &str| Peer::Tcp(address.parse().expect("an address"));
        let edge = Edge {
            name: Printable::new("process 7 on app-1"),
            host: peer("10.0.0.9:1").host(),
            certificate: Printable::new("edge.example"),
        };
        let mut refusals = Refusals::default();
        refusals.add(example(b"k", &nobody()));
        let who = Who::through(edge, peer("127.0.0.1:5"), Printable::new("app.example"));
        refusals.add(example(b"k", &who));
        let shown = refusals.newest_first(KeyForm::Shown);
        assert_eq!(shown[0].client, "127.0.0.1:5");
        assert_eq!(shown[0].certificate.as_deref(), Some("app.example"));
        let edge = shown[0].edge.as_ref().expect("an edge");
        assert_eq!(
            (edge.name.as_str(), edge.from.as_str()),
            ("process 7 on app-1", "10.0.0.9")
        );
        assert_eq!(edge.certificate.as_deref(), Some("edge.example"));
        assert!(shown[1].edge.is_none() && shown[1].certificate.is_none());
    }

    #[test]
    fn only_the_last_ones_stay_newest_first() {
        let mut refusals = Refusals::default();
        for number in 0..KEPT + 3 {
            refusals.add(example(format!("k{number}").as_bytes(), &nobody()));
        }
        let shown = refusals.newest_first(KeyForm::Shown);
        assert_eq!(shown.len(), KEPT);
        assert_eq!(shown[0].key, format!("k{}", KEPT + 2));
        assert_eq!(shown[KEPT - 1].key, "k3");
        assert_eq!(shown[0].off_by_seconds, Some(2.0));
    }

    #[test]
    fn a_key_is_told_in_the_form_that_was_asked_for() {
        let long = [b'x'; 100];
        assert_eq!(KeyForm::Shown.write(b"a\n\\b\xff", 1), "a\\n\\\\b\\xff");
        assert_eq!(KeyForm::Shown.write("ä\u{202e}".as_bytes(), 1), "ä\\u{202e}");
        assert_eq!(KeyForm::Shown.write(&long, 1).chars().count(), KEY_BYTES + 1);
        assert_eq!(KeyForm::Shortened.write(b"customer:4711:name", 1), "cust…name");
        assert_eq!(KeyForm::Shortened.write(b"secret", 1), "s…t");
        assert_eq!(KeyForm::Shortened.write(b"abc", 1), "…");
        assert_eq!(KeyForm::Hashed.write(b"secret", 0xab), "#00000000000000ab");
        assert_eq!(KeyForm::Hidden.write(b"secret", 1), "(hidden)");
        let mut refusals = Refusals::default();
        refusals.add(example(&long, &nobody()));
        assert_eq!(
            refusals.newest_first(KeyForm::Shown)[0].key.chars().count(),
            KEY_BYTES + 1
        );
        assert!(refusals.slots[0].key.len() <= KEY_BYTES);
    }
}
