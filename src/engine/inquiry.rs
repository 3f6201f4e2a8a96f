//! What an operator asks of one key: answered by a worker, on its own way to the backend.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::admin::key::{KeyReport, LedgerReport, StampReport, UnderWayReport, ValueReport};
use crate::clock::now;
use crate::command::Reply;
use crate::engine::Engine;
use crate::engine::completion::Purpose;
use crate::engine::records;
use crate::engine::write::settlement::Tickets;
use crate::guard::ledger::Known;
use crate::guard::rules::{Mode, Rules, Tie};

/// Answers inquiries, one after the other, on the first worker that comes for them.
pub async fn attend(engine: Rc<Engine>) {
    let taken = engine.shared.inquiries.asked.lock().take();
    let Some(mut asked) = taken else {
        return;
    };
    while let Some((key, tell)) = asked.recv().await {
        // Whoever asked may have gone meanwhile.
        if !tell.is_closed() {
            let _ = tell.send(engine.inquire(&key).await);
        }
    }
}

/// What is stored somewhere: its size, and its stamp where it has one.
type Stored = (usize, Option<u64>);

/// What the backend holds of a key.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    value: Option<Stored>,
    record: Option<Stored>,
}

impl Engine {
    async fn inquire(self: &Rc<Self>, key: &Bytes) -> KeyReport {
        if self.is_edge() {
            return self.report(key, Err("an edge keeps no stamps: its guard knows the key".to_owned()));
        }
        let patience = self.settings().pairing.request_timeout;
        let found = match timeout(patience, self.look_at(key, patience)).await {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err("the backend did not say what it holds".to_owned()),
            Err(_) => Err(format!("the backend did not answer within {patience:?}")),
        };
        self.report(key, found)
    }

    /// What the backend holds of the key; nothing where it fails.
    async fn look_at(self: &Rc<Self>, key: &Bytes, patience: Duration) -> Option<Found> {
        let deadline = now() + patience;
        let via = loop {
            let changed = self.changed.notified();
            match self.via(0, Some(key), 1) {
                Some(via) => break via,
                None => changed.await,
            }
        };
        let (reply_to, reply) = oneshot::channel();
        let ask = self.question_of(key);
        let purpose = Purpose::Exchange {
            reply_to,
            asked: Vec::new(),
        };
        self.send(
            &via,
            &ask,
            deadline,
            self.completion(&ask, Tickets::None, purpose, now()),
        );
        let format = self.shared.guard.stamp();
        match reply.await.ok()?.ok()? {
            Reply::Records(found) => {
                let of = |wanted: &Bytes| found.iter().find(|(name, _)| name == wanted);
                let value = |(_, bytes): &(Bytes, Bytes)| (bytes.len(), format.read(bytes));
                let record = |(_, bytes): &(Bytes, Bytes)| (bytes.len(), format.read_digits(bytes));
                Some(Found {
                    value: of(key).map(value),
                    record: of(&records::name_of(key)).map(record),
                })
            }
            row @ Reply::Strings { .. } => {
                let found = self.read_back_of(key, row)?;
                Some(Found {
                    value: found.value.map(|value| (value.len(), found.stamp)),
                    record: None,
                })
            }
            _ => None,
        }
    }

    /// What was found in the backend, beside what the guard knows.
    fn report(&self, key: &Bytes, found: Result<Found, String>) -> KeyReport {
        let (Found { value, record }, backend_error) = match found {
            Ok(found) => (found, None),
            Err(why) => (Found::default(), Some(why)),
        };
        let shared = &self.shared;
        let rules = &self.settings().rules;
        let format = shared.guard.stamp();
        let now = format.at((shared.clock)());
        let stamp = |stamp: u64| StampReport {
            digits: format.write(stamp),
            age_seconds: now.map(|now| {
                let apart = |older, newer| format.between(older, newer).unwrap_or_default().as_secs_f64();
                apart(stamp, now) - apart(now, stamp)
            }),
        };
        let stored = |(bytes, its): Stored| ValueReport {
            bytes,
            stamp: its.map(stamp),
        };
        let glance = shared.guard.glance(self.hash_of(key));
        let known = glance.known.stamp();
        let read = [value, record].into_iter().flatten().filter_map(|(_, stamp)| stamp);
        let newest = read.chain(known).max();
        KeyReport {
            value: value.map(stored),
            record: record.map(stored),
            tombstone: value.is_none() && record.is_some(),
            ledger: match glance.known {
                Known::Absent => LedgerReport::Absent,
                Known::Stamp(0) => LedgerReport::Stamp { stamp: None },
                Known::Stamp(known) | Known::Record(known) => LedgerReport::Stamp {
                    stamp: Some(stamp(known)),
                },
                Known::Unknown { .. } => LedgerReport::Unknown,
            },
            horizon: (glance.horizon <= format.max()).then(|| stamp(glance.horizon)),
            under_way: glance.under_way.map(|under_way| UnderWayReport {
                state: under_way.state.to_owned(),
                writes: under_way.writes,
                waiting: under_way.waiting,
            }),
            write_now: match backend_error {
                None => foreseen(rules, now, newest).to_owned(),
                Some(_) => "unknown".to_owned(),
            },
            backend_error,
            mode: match rules.mode {
                Mode::Enforce => "enforce",
                Mode::Observe => "observe",
            }
            .to_owned(),
        }
    }
}

/// What a write of other bytes, stamped now, would get.
fn foreseen(rules: &Rules, now: Option<u64>, newest: Option<u64>) -> &'static str {
    match (now, newest) {
        (None, _) => "unknown",
        _ if rules.mode == Mode::Observe => "stored",
        (Some(now), Some(newest)) if newest > now => "stale",
        (Some(now), Some(newest)) if newest == now && rules.tie != Tie::Last => "tie",
        _ => "stored",
    }
}
