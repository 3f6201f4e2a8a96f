//! A proxy for the Tokyo Tyrant protocol that refuses stale writes and keeps every answer with its question.
//!
//! # Layers
//!
//! Each line imports from those below it only:
//!
//! - [`cli`] and [`demo`]: what was asked for, and a show of what the rest does.
//! - [`manual`] is what there is to read.
//! - [`service`] is the life of the process: signals, reload, drain, hand-over.
//! - [`maintenance`] looks through the stamps in a server. It is a client: it walks as [`transfer`] does, and of
//!   `engine` it uses only the names of hidden records.
//! - [`front`] is the client side: listeners, sessions, the links of edges, and the workers that keep them.
//! - `engine` carries requests out, from admission to settlement; it alone knows both guard and store.
//! - [`mod@bench`] sends load to any server and measures it: of what is below it uses only [`client`], [`config`],
//!   [`protocol`] and [`command`].
//! - [`transfer`] moves records between a server and a file of lines, as a [`client`] too.
//! - [`console`] asks a running ttguard's `admin`.
//! - [`admin`] answers `/metrics`, health checks, the dashboard and its JSON over HTTP.
//! - [`store`] carries commands to a store: a [Tyrant server](store::tyrant), an
//!   [embedded store](store::embedded), in memory or in a file, or the [guards](store::guards) of an edge. It knows nothing
//!   of the guard, nor the guard of it.
//! - [`client`] asks a Tyrant server on a connection of its own, one question at a time or many ahead. What speaks to one
//!   goes through it, but for the lanes of [`store`], which pair what many clients ask.
//! - [`config`] turns flags, variables and a file into [`Settings`](config::Settings).
//! - [`access`] says who may connect to a listener, and what its clients may do.
//! - [`recent`] keeps what happened lately for the dashboard.
//! - [`metrics`], [`logging`], [`transport`] and [`clock`] are what the shell counts, says, sends and tells the time with.
//! - [`files`] looks at what lies at a path before anything is done with it; everyone above goes through it.
//! - [`claim`] says which guard may write to a store, and for how long.
//! - [`guard`] judges writes by their stamps.
//! - [`pairing`] and [`protocol`]: the one keeps answers with questions, the other turns bytes into commands and back.
//! - [`command`] names what is asked and answered, for all of them.
//!
//! `guard`, `pairing`, `protocol` and `command` are pure: no socket, no clock, no metrics. Time and limits are arguments.
//!
//! Each worker is a thread with a single-threaded runtime, its own sessions and its own lanes. Guard, settings and
//! metrics are shared.
//!
//! Unsafe code is forbidden; the three things done with descriptors that need it stand in the crate
//! `ttguard-descriptors`, in `src/descriptors`.
//!
//! # The walk of a `put`
//!
//! `engine::state` has the states that it goes through; the files are named as it enters them.
//!
//! 1. `front::session::task`: the client's bytes are read. The first byte of a request says in which protocol it is, and
//!    the [`Decoder`](protocol::request::Decoder) cuts one whole [`Command`](command::Command) from them: its key and value
//!    are slices of what was read. How it is to be answered, its [`Form`](protocol::answer::Form), goes beside it.
//! 2. `front::session` opens a [`Place`](pairing::order::Place) in its order of answers, and `engine::channel`, which is all
//!    that the engine knows of a client, makes it an `engine::request` with a deadline: it is *admitted*.
//! 3. `engine::pipeline` takes it up when it is the next of its client's. `engine::pipeline::routes` says which way it goes,
//!    and `engine::pipeline::writes` takes a write on: which record goes with it (`engine::write::companion`), and whether
//!    it may go now (`engine::write::judging`).
//! 4. That asks [`Guard::judge`](guard::Guard::judge), which reads the stamp and gives a
//!    [`Verdict`](guard::verdict::Verdict). *Refuse* is answered at once. With *wait* and *read* the request is *waiting* at
//!    the head of its pipeline until the key is worth judging again. While it waits for that, those behind it have their
//!    keys looked up already (`engine::look_up`).
//! 5. *Go* is a [`Ticket`](guard::verdict::Ticket). In the same step, before anything else can run on this thread,
//!    `engine::sending` puts the command on its [`Via`](store::Via), which is the client's
//!    [`Lane`](store::tyrant::lane::Lane) with one [`Owed`](pairing::owed::Owed) answer more. It is *in flight*. So a key's
//!    writes leave in the order in which they were judged.
//! 6. `store::tyrant::lane` writes all that is queued in one go, and reads while it writes. The
//!    [`ReplyDecoder`](protocol::tyrant::reply::ReplyDecoder) is told the [`Shape`](command::Shape) of the oldest owed
//!    answer; what it cuts off belongs to that question. An answer over the limits it drops as it comes, which concerns
//!    that question alone. (`get`s and look-ups that come together share a question: one `mget`, whose answer names each
//!    key. A [`RecordsDecoder`](protocol::tyrant::reply::RecordsDecoder) takes it apart. So do stamped `put`s, where the
//!    store allows it: one `misc putlist`, whose answer is a code for all.)
//! 7. `engine::completion` travels with the request as its [`Completion`](store::completion::Completion). First its tickets are
//!    settled (`engine::write::settlement`): [`Guard::settle`](guard::Guard::settle) tells the ledger what became of it, and
//!    wakes who waits for the key. Then what it was for goes on: here `engine::completion::client`, which tells the client.
//! 8. `front::session` puts the answer into its place: the request is *settled*. The answer leaves when all earlier ones
//!    have, in its form.
//!
//! With the store in memory steps 6 and 7 happen on the spot; with one in a file a thread of its own commits what all
//! workers have put on their [`Line`](store::embedded::line::Line)s, and small reads happen on the spot. A command that
//! takes several exchanges (a list, a delete, a read of very many keys, `rnum`, an `ext`, an
//! [`Edit`](command::edit::Edit) of what is stored) goes through `engine::sequence` instead, alone among its client's
//! requests; a slow or endless one through `engine::sequence::dedicated`, on a connection of its own. Whichever way a write
//! goes, it is judged, accompanied and settled by `engine::write`.
//!
//! # An edge
//!
//! An edge has no store and judges nothing: `engine::pipeline::asking` puts each request whole on a
//! [`Link`](store::guards::link::Link) to the guard that serves. It has an [id](pairing::ids::Ids) there, by which its answer
//! is known, whenever that comes. At the guard `front::link` takes frames from the other end of it; each client of the edge
//! is a *stream* there, which is to the engine what a session is, so that from step 3 on the walk is the same. What the two
//! say to each other is in [`protocol::link`]. An endless answer has a connection of its own, on which `front::behalf` serves
//! the client that the edge names; who that is, and by which edge it comes, is a [`Who`](transport::Who).
//!
//! # Words
//!
//! - **Guard**, **edge**: the two roles. A guard judges; an edge asks a guard, and stands beside an application.
//! - **Link**: the connection between them, on which many clients ask at once. **Stream**: one of them, at the guard.
//! - **Client**, **backend**: the two sides.
//! - **Session**: one client connection. **Lane**: one pipelined connection to the backend; one that comes back is
//!   another lane, with another [`LaneId`](pairing::LaneId).
//! - **Edge**: a ttguard beside applications, which has guards judge for it. **Link**: its connection to a guard, on which
//!   many clients ask; each of them is a **stream** there. See [`protocol::link`].
//! - **Command**, **reply**: one whole question, one whole answer, in any protocol.
//! - **Form**: how an answer is said in the protocol of its request. **Edit**: a change that is made of what is stored.
//! - **Stamp**: the digits at the head of a value that say when it was sent: [`StampFormat`](guard::stamp::StampFormat).
//! - **Ledger**: what the guard remembers of each key's newest stamp: a bounded cache of what the backend holds, in
//!   [`guard::ledger`]. **Horizon**: no key absent from the ledger has a stamp above it.
//! - **Prefix**: what begins the backend's keys of a listener's clients, who do not say it: a namespace of their own. All
//!   that lies behind the session knows the backend's keys alone.
//! - **Claim** of a store: the right to write there, which one guard has at a time. Its *holder* has a
//!   [tenure](claim::Tenure), which it renews; a *standby* waits for its turn; who finds that another has taken the claim is
//!   *deposed*. **Mark**: no stamp above it was let in by any holder.
//! - **Alarm**: a sign of what must never happen.
//! - **Dialect**: the form of the binary protocol that a listener's clients speak.
//! - **Tombstone**: the stamp that a delete leaves, in a record of the backend named `timestamp.KEY`. Such a record goes
//!   before what it is for, which is sent when it is stored: [`Ticket::record`](guard::verdict::Ticket::record).
//! - **Judge** a change, and its **verdict** is go, refuse, wait or read. **Settle** it when its
//!   [`Outcome`](guard::verdict::Outcome) is known: stored, failed, unsent or lost.
//! - **Fence** a lane: half-close it and read it to its end, which alone proves that the backend is done with what it
//!   had read from it: [`store::tyrant::fence`].
//! - **Deadline**: an instant. **Timeout**: a duration.

#![forbid(unsafe_code)]

// The checks of fuzz targets are unit tests too, and name things as users of the library do.
#[cfg(test)]
extern crate self as ttguard;

pub mod access;
pub mod admin;
pub mod bench;
pub mod claim;
pub mod cli;
pub mod client;
pub mod clock;
pub mod command;
pub mod config;
pub mod console;
pub mod demo;
mod engine;
pub mod files;
pub mod front;
pub mod guard;
pub mod logging;
pub mod maintenance;
pub mod manual;
pub mod metrics;
pub mod pairing;
pub mod protocol;
pub mod recent;
pub mod service;
pub mod store;
pub mod transfer;
pub mod transport;
