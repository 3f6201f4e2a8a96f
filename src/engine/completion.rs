//! What travels with each request, and does what its outcome calls for.

mod client;
pub mod counting;
pub mod read_back;

use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::task::spawn_local;
use tokio::time::sleep;

pub use self::client::{ClientRequest, Form, Found, is_repeatable, outcome_of};
use self::read_back::KeyReadBack;
use crate::command::function::Function;
use crate::command::{Answer, Command, Reply, Verb};
use crate::engine::Engine;
use crate::engine::memory::Room;
use crate::engine::records::{self, Probe};
use crate::engine::write::settlement::{Pass, Tickets};
use crate::metrics::Carried;
use crate::pairing::owed::Lost;
use crate::protocol::link::told;
use crate::protocol::tyrant::reply::Dropped;
use crate::store::completion;

/// How long what could not be read is left alone before it is tried again.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// The code of a failure, the only one that the server knows.
const FAILED: u8 = 1;

/// What travels with a request.
#[derive(Debug)]
pub struct Completion {
    /// Where it came from.
    pub engine: Rc<Engine>,
    /// What is asked of the backend.
    pub verb: Verb,
    /// When it was put into the lane's queue.
    pub queued: Instant,
    /// What its outcome settles.
    pub tickets: Tickets,
    /// What else its outcome calls for.
    pub purpose: Purpose,
}

/// Where one exchange of a command that takes several is told its outcome.
pub type Told = oneshot::Receiver<Result<Reply, NoReply>>;

/// What an outcome calls for.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "the large one is the common one: a box would cost it an allocation"
)]
pub enum Purpose {
    /// A client's own request.
    Client(ClientRequest),
    /// One exchange of a command that takes several.
    Exchange {
        /// Who goes on with the outcome.
        reply_to: oneshot::Sender<Result<Reply, NoReply>>,
        /// The keys of a list, of which the answer may name no others; empty where it may say anything.
        asked: Vec<Bytes>,
    },
    /// A whole request that an edge has asked its guard, with the help of another thread.
    Whole(Whole),
    /// A key is read back for the guard.
    ReadBack(KeyReadBack),
    /// A key is read back because its stamp seemed to have gone back behind one that was confirmed.
    Suspicion { key: Bytes, confirmed: u64 },
    /// Who asked for these keys asks elsewhere.
    Parted { keys: Vec<Bytes> },
    /// What `mget` finds of a key, asked just before the same by `get`.
    Find { key: Bytes, found: Found },
    /// Whether a hidden record is there already (`vsiz`), asked just before it is written.
    Probe(Probe),
    /// A hidden record is written, which a change waits for; the probe has said whether it is a new one.
    Record {
        probe: Probe,
        /// Who sends the change.
        tell: oneshot::Sender<Result<Pass, Unrecorded>>,
    },
}

/// A whole request of an edge, and who goes on with what became of it.
#[derive(Debug)]
pub struct Whole {
    /// Told what the guard says.
    pub tell: oneshot::Sender<Result<told::Told, Lost>>,
    /// The keys of a list of reads, of which the answer may name no others; empty where it may say anything.
    pub keys: Vec<Bytes>,
}

/// Why there is nothing to go on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoReply {
    /// The lane was lost.
    Lost(Lost),
    /// The answer was larger than allowed: what was asked is carried out, or not, and asked again it is no smaller.
    TooLarge,
}

/// Why a change does not go whose record has to go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrecorded {
    /// The backend says that it has not stored the record.
    Failed,
    /// The lane was lost.
    Lost(Lost),
}

impl completion::Completion for Completion {
    fn keys(&self) -> &[Bytes] {
        match &self.purpose {
            Purpose::Client(asked) => match &asked.request.command {
                Command::Get { key } => std::slice::from_ref(key),
                _ => &[],
            },
            Purpose::ReadBack(asked) => &asked.keys,
            Purpose::Parted { keys } => keys,
            _ => &[],
        }
    }

    fn answer_of(&self, mut found: impl Iterator<Item = (Bytes, Bytes)>) -> Reply {
        match &self.purpose {
            Purpose::ReadBack(_) => Reply::Records(found.collect()),
            _ => found
                .next()
                .map_or(Reply::Code(FAILED), |(_, value)| Reply::Value(value)),
        }
    }

    fn record(&self) -> Option<(&Bytes, &Bytes)> {
        match &self.purpose {
            Purpose::Client(asked) => match &asked.request.command {
                Command::Put { key, value } | Command::PutNr { key, value } => Some((key, value)),
                _ => None,
            },
            _ => None,
        }
    }

    fn has_room_for(&mut self, bytes: usize) -> bool {
        match &mut self.purpose {
            Purpose::Client(asked) => asked.fits_ahead(&self.engine, bytes),
            // The answer itself has it, or waits for it.
            Purpose::Parted { .. } | Purpose::Find { .. } => false,
            _ => true,
        }
    }

    fn room(&self) -> usize {
        match &self.purpose {
            Purpose::Client(asked) => asked.request.room.as_ref().map_or(0, Room::bytes),
            _ => 0,
        }
    }

    fn accepts(&self, reply: &Reply) -> bool {
        match (&self.purpose, reply) {
            // A server never fails an `mget` (1.1.41, `do_mget`), and one that does not know it says so with 1. Behind any
            // other code records may follow, which would be taken for the next answer.
            (_, Reply::Code(code)) => *code == FAILED || self.verb != Verb::Mget,
            (Purpose::ReadBack(asked), Reply::Records(found)) => {
                found.iter().all(|(echoed, _)| asked.keys.contains(echoed))
            }
            (Purpose::Suspicion { key, .. }, Reply::Records(found)) => {
                let name = records::name_of(key);
                found.iter().all(|(echoed, _)| echoed == key || *echoed == name)
            }
            (Purpose::Find { key, .. }, Reply::Records(found)) => {
                found.len() <= 1 && found.iter().all(|(echoed, _)| echoed == key)
            }
            (Purpose::Whole(whole), Reply::Records(found)) if !whole.keys.is_empty() => {
                are_asked_for(&whole.keys, found.iter().map(|(echoed, _)| echoed))
            }
            (Purpose::Exchange { asked, .. }, Reply::Records(found)) if !asked.is_empty() => {
                are_asked_for(asked, found.iter().map(|(echoed, _)| echoed))
            }
            (Purpose::Exchange { asked, .. }, Reply::Strings { strings, .. }) if !asked.is_empty() => {
                are_asked_for(asked, strings.iter().step_by(2))
            }
            (Purpose::Client(asked), Reply::Records(found)) => match &asked.request.command {
                Command::Mget { keys } => are_asked_for(keys, found.iter().map(|(echoed, _)| echoed)),
                _ => true,
            },
            (Purpose::Client(asked), Reply::Strings { strings, .. }) => match &asked.request.command {
                // In a skeleton a function of any name can mean anything.
                Command::Misc {
                    function, arguments, ..
                } if Function::lists(function) && self.engine.capabilities().knows_functions => {
                    are_asked_for(arguments, strings.iter().step_by(2))
                }
                _ => true,
            },
            _ => true,
        }
    }

    fn answered(self, reply: Reply, bytes: usize, now: Instant) {
        let Self {
            engine,
            verb,
            queued,
            tickets,
            purpose,
        } = self;
        let (shared, code) = (&engine.shared, reply.code());
        shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        counting::backend_answered(&shared.metrics, verb, code, bytes, queued, now);
        match purpose {
            Purpose::Record { probe, tell } => return recorded(&engine, tickets, code, &probe, tell),
            _ => tickets.answered(shared, code),
        }
        match purpose {
            Purpose::Client(asked) => asked.answered(&engine, reply, now),
            Purpose::Exchange { reply_to, .. } => {
                // Whoever asked may have ended meanwhile.
                let _ = reply_to.send(Ok(reply));
            }
            Purpose::ReadBack(asked) => asked.learn(&engine, Some(reply)),
            Purpose::Suspicion { key, confirmed } => {
                let found = engine.read_back_of(&key, reply);
                engine.suspicion_answered(&key, confirmed, found);
            }
            Purpose::Find { found, .. } => {
                if let Reply::Records(records) = reply
                    && let Some((_, value)) = records.into_iter().next()
                {
                    // Asked once, so nothing is set yet.
                    let _ = found.set(Some(value));
                }
            }
            Purpose::Whole(whole) => {
                let _ = whole.tell.send(Ok(told::Told::Answer(Answer::Reply(reply))));
            }
            Purpose::Parted { .. } | Purpose::Record { .. } => {}
            Purpose::Probe(probe) => probe.found(code != 0),
        }
    }

    fn told(self, told: told::Told, bytes: usize, now: Instant) {
        let shared = &self.engine.shared;
        shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        counting::guard_told(&shared.metrics, self.verb, &told, bytes, self.queued, now);
        match self.purpose {
            Purpose::Client(asked) => asked.told(&self.engine, told, now),
            Purpose::Whole(whole) => {
                // Whoever asked may have ended meanwhile.
                let _ = whole.tell.send(Ok(told));
            }
            // An edge asks nothing by itself.
            _ => {}
        }
    }

    fn undone(self, code: u8, bytes: usize, now: Instant) {
        let Purpose::Client(asked) = self.purpose else {
            return self.answered(Reply::Code(code), bytes, now);
        };
        let shared = &self.engine.shared;
        shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        counting::backend_answered(&shared.metrics, self.verb, code, bytes, self.queued, now);
        self.tickets.failed(shared);
        asked.undone(&self.engine, now);
    }

    fn dropped(self, dropped: Dropped, now: Instant) {
        let shared = &self.engine.shared;
        shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        counting::backend_answered_too_much(&shared.metrics, self.verb, dropped, self.queued, now);
        match &self.purpose {
            Purpose::Record { .. } => self.tickets.failed(shared),
            _ => self.tickets.answered(shared, dropped.code),
        }
        match self.purpose {
            Purpose::Client(asked) if dropped.fault.is_none() => {
                let size = usize::try_from(dropped.bytes).unwrap_or(usize::MAX);
                asked.put_off(&self.engine, size);
            }
            Purpose::Client(asked) => asked.dropped(&self.engine, dropped.code),
            Purpose::Exchange { reply_to, .. } => {
                let _ = reply_to.send(Err(NoReply::TooLarge));
            }
            Purpose::Whole(whole) => {
                let _ = whole.tell.send(Ok(told::Told::Failed(told::Failed::ReplyTooLarge)));
            }
            Purpose::ReadBack(asked) => {
                let engine = Rc::clone(&self.engine);
                // Asked again at once, it would be no smaller.
                spawn_local(async move {
                    sleep(ASK_AGAIN).await;
                    asked.learn(&engine, None);
                });
            }
            Purpose::Find { found, .. } if dropped.fault.is_none() => {
                let _ = found.set(None);
            }
            Purpose::Suspicion { .. } | Purpose::Find { .. } | Purpose::Parted { .. } => {}
            Purpose::Record { tell, .. } => {
                shared.hidden.doubt();
                let _ = tell.send(Err(Unrecorded::Failed));
            }
            Purpose::Probe(_) => shared.hidden.doubt(),
        }
    }

    fn lost(self, lost: Lost) {
        let shared = &self.engine.shared;
        shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        let carried = match lost {
            Lost::Sent => Carried::Lost,
            Lost::Unsent => Carried::Unsent,
        };
        shared.metrics.backend_requests.of(self.verb, carried).increment(1);
        let are_idempotent = match &self.purpose {
            Purpose::Client(asked) if self.engine.is_edge() => asked.is_stamped(&self.engine),
            _ => self.tickets.are_idempotent(),
        };
        self.tickets.lost(shared, lost);
        match self.purpose {
            Purpose::Client(asked) => asked.lost(&self.engine, lost, are_idempotent),
            Purpose::Exchange { reply_to, .. } => {
                let _ = reply_to.send(Err(NoReply::Lost(lost)));
            }
            Purpose::Whole(whole) => {
                let _ = whole.tell.send(Err(lost));
            }
            Purpose::ReadBack(asked) => asked.learn(&self.engine, None),
            Purpose::Probe(_) | Purpose::Suspicion { .. } | Purpose::Find { .. } | Purpose::Parted { .. } => {}
            Purpose::Record { tell, .. } => {
                shared.hidden.doubt();
                let _ = tell.send(Err(Unrecorded::Lost(lost)));
            }
        }
    }

    fn part(&mut self) -> Option<Self> {
        match &self.purpose {
            Purpose::Client(asked) if asked.may_ask_elsewhere() => {}
            Purpose::ReadBack(_) => {}
            _ => return None,
        }
        let keys = self.keys().to_vec();
        self.engine.shared.in_flight.fetch_add(1, Ordering::Relaxed);
        Some(Self {
            engine: Rc::clone(&self.engine),
            verb: self.verb,
            queued: self.queued,
            // It only asks.
            tickets: Tickets::None,
            purpose: std::mem::replace(&mut self.purpose, Purpose::Parted { keys }),
        })
    }

    fn changes(&self) -> bool {
        !self.tickets.is_empty()
    }

    fn is_awaited(&self) -> bool {
        !matches!(self.purpose, Purpose::Parted { .. })
    }
    fn may_overtake(&self) -> bool {
        match &self.purpose {
            // What is asked here counts already.
            Purpose::Client(asked) => asked.client.channel().in_flight() <= 1,
            // Its client has nothing else in flight.
            Purpose::Exchange { .. } => self.tickets.is_empty(),
            // The guard has a key read only when nothing of it is under way.
            Purpose::ReadBack(_) => true,
            Purpose::Suspicion { .. }
            | Purpose::Find { .. }
            | Purpose::Parted { .. }
            | Purpose::Probe(_)
            | Purpose::Whole(_)
            | Purpose::Record { .. } => false,
        }
    }

    fn unanswerable(self) {
        let shared = &self.engine.shared;
        match self.purpose {
            Purpose::Client(asked) => {
                shared.in_flight.fetch_sub(1, Ordering::Relaxed);
                shared
                    .metrics
                    .backend_requests
                    .of(self.verb, Carried::Lost)
                    .increment(1);
                self.tickets.failed(shared);
                asked.unanswerable();
            }
            // Asked again at once, it would be found out no better.
            _ => drop(spawn_local(async move {
                sleep(ASK_AGAIN).await;
                completion::Completion::lost(self, Lost::Sent);
            })),
        }
    }
}

/// The record that a change waits for was answered with this code. The change goes on where it is stored.
fn recorded(
    engine: &Rc<Engine>,
    tickets: Tickets,
    code: u8,
    probe: &Probe,
    tell: oneshot::Sender<Result<Pass, Unrecorded>>,
) {
    engine.shared.hidden.written(code, probe);
    let Tickets::One(ticket) = tickets else {
        return;
    };
    // Dropped it says by itself that no more than the record can be there.
    let pass = Pass::recorded(engine, ticket);
    let _ = tell.send(if code == 0 { Ok(pass) } else { Err(Unrecorded::Failed) });
}

/// Whether keys are among those that were asked for, in their order. A B+ tree names a key once for each of its values.
fn are_asked_for<'a>(asked: &[Bytes], found: impl IntoIterator<Item = &'a Bytes>) -> bool {
    let mut asked = asked.iter().peekable();
    found.into_iter().all(|echoed| {
        while asked.next_if(|key| *key != echoed).is_some() {}
        asked.peek().is_some()
    })
}
