//! Clients, lanes and a backend around a real guard.

use std::collections::VecDeque;
use std::time::Duration;

use arbitrary::Arbitrary;
use bytes::Bytes;
use ttguard::guard::ledger::{HashSeed, KeyHash, Known, Ledger};
use ttguard::guard::rules::{Mode, Rules, Tie};
use ttguard::guard::stamp::{StampFormat, Unit};
use ttguard::guard::verdict::{Change, Outcome, ReadBack, Stored, Ticket, Verdict};
use ttguard::guard::{Guard, Origin};
use ttguard::pairing::LaneId;

use super::bell::{Bell, Rung};
use super::checks::carry_out;

pub(super) const TOLERANCE: u64 = 50;
const DELETE_TOLERANCE: u64 = 10;
const START: u64 = 1_000_000;
/// What a key may hold beyond the oldest stamp it may hold.
const ABOVE: u8 = 121;

/// What the world is like at the beginning.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) keys: usize,
    pub(super) lanes: usize,
    pub(super) entries: usize,
    pub(super) tie: Tie,
    pub(super) mode: Mode,
    pub(super) opaque: bool,
    /// A lane goes on after its fence has timed out.
    pub(super) ghosts: bool,
    /// What each key holds: a stamp that far above `START - TOLERANCE`, or nothing.
    pub(super) held: Vec<u8>,
}

/// What a client asks for; a stamp is relative to the clock.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(super) enum Wish {
    Stamped {
        offset: i8,
        body: u8,
    },
    Unstamped,
    Delete,
    /// One that was given a stamp.
    DeleteAt {
        offset: i8,
    },
    /// A value that is made of what is there, and was given a stamp; alone with its key, whatever is drawn.
    Made {
        offset: i8,
    },
    Unordered {
        leaves: Option<u8>,
    },
    /// The `timestamp.` record is to go; alone with its key, whatever is drawn.
    Tidy,
}

/// What the backend does with a change.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Feat {
    Stored,
    Failed,
    /// It answers that it failed, but it is stored: the update log could not be written.
    FailedButStored,
    /// Of a delete, or of a value without a stamp, only the record of the stamp.
    FailedHalfway,
}

/// One thing that happens. Numbers pick one of what there is.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(super) enum Op {
    Ask {
        key: u8,
        lane: u8,
        wish: Wish,
        alone: bool,
    },
    Judge(u8),
    Leave(u8),
    Move {
        client: u8,
        lane: u8,
    },
    CarryOut {
        lane: u8,
        feat: Feat,
    },
    Answer(u8),
    /// Everything in the lane's queue, with success.
    Flow(u8),
    Kill {
        lane: u8,
        unsent: u8,
        retry: bool,
    },
    CarryOutLate {
        lane: u8,
        feat: Feat,
    },
    Fence {
        lane: u8,
        ended: bool,
    },
    Clock(i8),
    UpheavalBegins,
    UpheavalStrikes {
        seed: u8,
    },
    UpheavalEnds,
    /// The backend is started again, with other records.
    Restart {
        seed: u8,
    },
    /// A key is looked up before anybody has asked for that.
    LookAhead {
        key: u8,
        lane: u8,
        wish: Wish,
    },
}

/// What a client wants done, once the clock has made it concrete.
#[derive(Clone, Debug)]
pub(super) enum Want {
    Stamped { stamp: u64, value: Bytes },
    Unstamped,
    Delete,
    DeleteAt { stamp: u64 },
    Made { given: u64 },
    Unordered { leaves: Option<u8> },
    Tidy,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) key: usize,
    pub(super) lane: usize,
    pub(super) want: Want,
    /// It must have the key to itself.
    pub(super) alone: bool,
    pub(super) standing: Standing,
}

#[derive(Debug)]
pub(super) enum Standing {
    Ready,
    Waiting(Bell),
}

/// What one key holds in the backend, and what the world knows about how it came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    pub(super) value: Option<(Option<u64>, Bytes)>,
    /// The `timestamp.` record.
    pub(super) record: Option<u64>,
    /// The greatest stamp that was acknowledged and that nothing has been allowed to lower since.
    pub(super) acknowledged: u64,
    /// When something last happened that may lower the stamp.
    pub(super) lowered: u64,
    /// A lane that was never seen to end may still write here.
    pub(super) haunted: bool,
    /// When it was stored, the value's stamp was further ahead than a guard may let in.
    pub(super) ahead: bool,
}

impl Held {
    /// What is to be known of it: what is above `latest` binds nobody.
    pub(super) fn known(&self, latest: u64) -> Known {
        let own = self.value.as_ref().and_then(|(stamp, _)| *stamp);
        let [own, record] = [own, self.record].map(|stamp| stamp.filter(|stamp| *stamp <= latest).unwrap_or(0));
        if record > own {
            Known::Record(record)
        } else {
            Known::Stamp(own)
        }
    }

    /// The newest stamp that binds; 0 for none.
    pub(super) fn stamp(&self, latest: u64) -> u64 {
        self.known(latest).bound()
    }

    fn read_back(&self) -> ReadBack {
        ReadBack {
            stamp: self.value.as_ref().and_then(|(stamp, _)| *stamp),
            record: self.record,
            value: self.value.as_ref().map(|(_, bytes)| bytes.clone()),
        }
    }
}

/// A change on its way.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) key: usize,
    pub(super) want: Want,
    pub(super) alone: bool,
    /// The stamp that the key's record is to hold first.
    pub(super) record: Option<u64>,
    /// Nothing above this could be let in when it was sent.
    pub(super) latest: u64,
    pub(super) would_refuse: bool,
    /// The records were changed around it: it may find anything.
    pub(super) excused: bool,
    /// What an unordered change leaves behind.
    pub(super) leaves: Option<u64>,
}

#[derive(Debug)]
pub(super) enum Errand {
    Change {
        sent: Sent,
        ticket: Ticket,
        done: Option<(Outcome, u64)>,
    },
    Read {
        key: usize,
        found: Option<ReadBack>,
    },
}

impl Errand {
    fn is_done(&self) -> bool {
        match self {
            Self::Change { done, .. } => done.is_some(),
            Self::Read { found, .. } => found.is_some(),
        }
    }

    /// Whether it is a change of this key that has the key to itself.
    pub(super) fn is_alone_with(&self, key: usize) -> bool {
        matches!(self, Self::Change { sent, .. } if sent.alone && sent.key == key)
    }

    pub(super) fn changes(&self) -> Option<usize> {
        match self {
            Self::Change { sent, .. } => Some(sent.key),
            Self::Read { .. } => None,
        }
    }
}

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) id: LaneId,
    pub(super) queue: VecDeque<Errand>,
}

/// A lane that died and has not been seen to end.
#[derive(Debug)]
pub(super) struct DeadLane {
    pub(super) id: LaneId,
    /// What it may still carry out.
    pub(super) left: VecDeque<Sent>,
    /// The keys it had changes of in flight.
    pub(super) lost: Vec<usize>,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) setup: Setup,
    pub(super) guard: Guard<Bell>,
    hashes: Vec<KeyHash>,
    pub(super) now: u64,
    /// The furthest that the clock has been.
    peak: u64,
    pub(super) held: Vec<Held>,
    pub(super) lanes: Vec<Lane>,
    pub(super) dead: Vec<DeadLane>,
    /// Queues that go on after their fence has timed out.
    pub(super) ghosts: Vec<VecDeque<Sent>>,
    pub(super) clients: Vec<Client>,
    /// Counts what the backend carries out.
    pub(super) moment: u64,
    /// Records are being changed behind the guard's back, as it has been told.
    pub(super) upheaval: bool,
    next_lane: u64,
}

impl World {
    pub(super) fn new(setup: Setup) -> Self {
        let unit = if setup.opaque { Unit::Opaque } else { Unit::Milliseconds };
        let rules = Rules {
            stamp: StampFormat::new(13, unit).expect("a width in range"),
            mode: setup.mode,
            tie: setup.tie,
            future_tolerance: Duration::from_millis(TOLERANCE),
            delete_tolerance: Duration::from_millis(DELETE_TOLERANCE),
            ..Rules::default()
        };
        let horizon = Guard::<Bell>::horizon_at_start(&rules, Duration::from_millis(START));
        let guard = Guard::new(rules, HashSeed([1, 2]), Ledger::with_entries(setup.entries, horizon));
        let held = setup
            .held
            .iter()
            .take(setup.keys)
            .map(|held| held_of(START, *held))
            .collect();
        let hashes = (0..setup.keys).map(|key| guard.key(&key.to_be_bytes())).collect();
        let mut world = Self {
            guard,
            hashes,
            now: START,
            peak: START,
            held,
            lanes: Vec::new(),
            dead: Vec::new(),
            ghosts: Vec::new(),
            clients: Vec::new(),
            moment: 0,
            upheaval: false,
            next_lane: 0,
            setup,
        };
        for _ in 0..world.setup.lanes {
            let lane = world.new_lane();
            world.lanes.push(lane);
        }
        world
    }

    fn new_lane(&mut self) -> Lane {
        self.next_lane += 1;
        Lane {
            id: LaneId(self.next_lane),
            queue: VecDeque::new(),
        }
    }

    pub(super) fn run(mut self, ops: &[Op]) {
        for op in ops {
            self.apply(*op);
            self.check();
        }
        self.come_to_rest();
        self.check_at_rest();
    }

    /// Nothing above this can have been let in until now.
    pub(super) fn latest(&self) -> u64 {
        self.latest_at(self.peak)
    }

    fn latest_at(&self, now: u64) -> u64 {
        if self.setup.opaque { u64::MAX } else { now + TOLERANCE }
    }

    pub(super) fn clock(&self) -> Duration {
        Duration::from_millis(self.now)
    }

    pub(super) fn hash(&self, key: usize) -> KeyHash {
        self.hashes[key]
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Ask { key, lane, wish, alone } => self.ask(usize::from(key), usize::from(lane), wish, alone),
            Op::Judge(pick) => {
                if let Some(index) = self.pick_client(pick, Client::may_judge) {
                    let client = self.clients.swap_remove(index);
                    self.judge(client);
                }
            }
            Op::Leave(pick) => {
                if let Some(index) = self.pick_client(pick, |_| true) {
                    let client = self.clients.swap_remove(index);
                    self.leave(client);
                }
            }
            Op::Move { client, lane } => {
                if let Some(index) = self.pick_client(client, |_| true) {
                    self.clients[index].lane = usize::from(lane) % self.lanes.len();
                }
            }
            Op::CarryOut { lane, feat } => {
                let lane = usize::from(lane) % self.lanes.len();
                self.carry_out_next(lane, feat);
            }
            Op::Answer(lane) => {
                let lane = usize::from(lane) % self.lanes.len();
                self.answer_next(lane);
            }
            Op::Flow(lane) => self.flow(usize::from(lane) % self.lanes.len()),
            Op::Kill { lane, unsent, retry } => {
                self.kill(usize::from(lane) % self.lanes.len(), usize::from(unsent % 4), retry);
            }
            Op::CarryOutLate { lane, feat } => self.carry_out_late(usize::from(lane), feat),
            Op::Fence { lane, ended } => {
                if !self.dead.is_empty() {
                    self.fence(usize::from(lane) % self.dead.len(), ended);
                }
            }
            // What comes in behind the guard's back is bounded by the clock only while that does not go back.
            Op::Clock(step) if self.upheaval && step < 0 => {}
            Op::Clock(step) => {
                self.now = self.now.saturating_add_signed(step.clamp(-20, 60).into());
                self.peak = self.peak.max(self.now);
            }
            Op::UpheavalBegins => self.upheaval_begins(),
            Op::UpheavalStrikes { seed } if self.upheaval => self.replace_records(seed),
            Op::UpheavalEnds if self.upheaval => self.upheaval_ends(),
            Op::UpheavalStrikes { .. } | Op::UpheavalEnds => {}
            Op::Restart { seed } => self.restart(seed),
            Op::LookAhead { key, lane, wish } => self.look_ahead(usize::from(key), usize::from(lane), wish),
        }
    }

    // Clients.

    fn want_of(&self, wish: Wish) -> Want {
        match wish {
            Wish::Stamped { offset, body } => {
                let stamp = self.now.saturating_add_signed(offset.into());
                let value = Bytes::from(format!("{stamp:013}{body}"));
                Want::Stamped { stamp, value }
            }
            Wish::Unstamped => Want::Unstamped,
            Wish::Delete => Want::Delete,
            Wish::DeleteAt { offset } => Want::DeleteAt {
                stamp: self.now.saturating_add_signed(offset.into()),
            },
            Wish::Made { offset } => Want::Made {
                given: self.now.saturating_add_signed(offset.into()),
            },
            Wish::Unordered { leaves } => Want::Unordered { leaves },
            Wish::Tidy => Want::Tidy,
        }
    }

    fn look_ahead(&mut self, key: usize, lane: usize, wish: Wish) {
        let (key, lane, want) = (key % self.setup.keys, lane % self.setup.lanes, self.want_of(wish));
        let id = self.lanes[lane].id;
        let cause = self.guard.look_ahead(self.hash(key), want.change(), id, self.clock());
        if cause.is_some() {
            self.lanes[lane].queue.push_back(Errand::Read { key, found: None });
        }
    }

    fn ask(&mut self, key: usize, lane: usize, wish: Wish, alone: bool) {
        let want = self.want_of(wish);
        let alone = alone || matches!(want, Want::Tidy | Want::Made { .. });
        self.judge(Client {
            key: key % self.setup.keys,
            lane: lane % self.setup.lanes,
            want,
            alone,
            standing: Standing::Ready,
        });
    }

    fn pick_client(&self, pick: u8, which: impl Fn(&Client) -> bool) -> Option<usize> {
        let eligible: Vec<usize> = (0..self.clients.len())
            .filter(|index| which(&self.clients[*index]))
            .collect();
        (!eligible.is_empty()).then(|| eligible[usize::from(pick) % eligible.len()])
    }

    /// The client goes away. If it was woken with a turn it passes it on.
    fn leave(&mut self, client: Client) {
        match client.standing {
            Standing::Waiting(bell) => match bell.take() {
                Some(Rung::Again { turn: true, .. }) => self.guard.pass_turn(self.hash(client.key)),
                Some(_) => {}
                None => bell.leave(),
            },
            Standing::Ready => {}
        }
    }

    fn judge(&mut self, client: Client) {
        let Client {
            key,
            lane,
            want,
            alone,
            standing,
        } = client;
        let (turn, stored) = standing.into_parts();
        let origin = Origin {
            lane: self.lanes[lane].id,
            turn,
            alone,
        };
        let bell = Bell::default();
        let change = want.change();
        let verdict = self
            .guard
            .judge(self.hash(key), change, origin, self.clock(), stored.as_ref(), || {
                bell.clone()
            });
        match verdict {
            Verdict::Go(ticket) => {
                self.check_departure(key, lane, &want, alone, &ticket);
                match want {
                    Want::Made { given } => self.make(key, lane, given, ticket),
                    want => self.send(key, lane, want, alone, ticket),
                }
            }
            Verdict::Refuse(refusal) => self.check_refusal(key, &want, refusal),
            Verdict::Wait(_) => self.clients.push(Client::waiting(key, lane, want, alone, bell)),
            Verdict::Read(_) => {
                self.clients.push(Client::waiting(key, lane, want, alone, bell));
                self.lanes[lane].queue.push_back(Errand::Read { key, found: None });
            }
        }
    }

    /// What is there is read, and a value is made of it, with a stamp above both what was given and what is there.
    fn make(&mut self, key: usize, lane: usize, given: u64, mut ticket: Ticket) {
        let stamp = given.max(self.held[key].stamp(self.latest()) + 1);
        if stamp > self.latest_at(self.now) {
            return self.guard.settle(ticket, Outcome::Unsent);
        }
        ticket.stamp(stamp);
        let value = Bytes::from(format!("{stamp:013}made"));
        self.send(key, lane, Want::Stamped { stamp, value }, true, ticket);
    }

    fn send(&mut self, key: usize, lane: usize, want: Want, alone: bool, ticket: Ticket) {
        let leaves = match want {
            // What passes unjudged may leave a stamp that the clock does not allow yet.
            Want::Unordered { leaves: Some(above) } => Some(self.now - TOLERANCE + u64::from(above % ABOVE)),
            _ => None,
        };
        let sent = Sent {
            key,
            want,
            alone,
            record: ticket.record(),
            latest: self.latest_at(self.now),
            would_refuse: ticket.would_refuse().is_some(),
            excused: self.upheaval,
            leaves,
        };
        self.lanes[lane].queue.push_back(Errand::Change {
            sent,
            ticket,
            done: None,
        });
    }

    // The backend.

    fn carry_out_next(&mut self, lane: usize, feat: Feat) -> bool {
        let Some(position) = self.lanes[lane].queue.iter().position(|errand| !errand.is_done()) else {
            return false;
        };
        let latest = self.latest();
        match &mut self.lanes[lane].queue[position] {
            Errand::Read { key, found } => *found = Some(self.held[*key].read_back()),
            Errand::Change { sent, done, .. } => {
                self.moment += 1;
                let outcome = if feat == Feat::Stored {
                    Outcome::Stored
                } else {
                    Outcome::Failed
                };
                *done = Some((outcome, self.moment));
                carry_out(&mut self.held[sent.key], sent, feat, self.moment, latest);
            }
        }
        true
    }

    fn answer_next(&mut self, lane: usize) -> bool {
        if !self.lanes[lane].queue.front().is_some_and(Errand::is_done) {
            return false;
        }
        match self.lanes[lane].queue.pop_front() {
            Some(Errand::Read { key, found }) => {
                let receded = self.guard.learn(self.hash(key), found, self.clock()).receded;
                assert!(
                    receded.is_none() || self.upheaval,
                    "nothing but what the guard let through was stored: {receded:?}"
                );
            }
            Some(Errand::Change { sent, ticket, done }) => {
                let (outcome, moment) = done.expect("it is done");
                let latest = self.latest();
                let held = &mut self.held[sent.key];
                if let (Outcome::Stored, Want::Stamped { stamp, .. }) = (outcome, &sent.want)
                    && moment > held.lowered
                    && *stamp <= latest
                {
                    held.acknowledged = held.acknowledged.max(*stamp);
                }
                self.guard.settle(ticket, outcome);
            }
            None => {}
        }
        true
    }

    fn flow(&mut self, lane: usize) {
        while self.carry_out_next(lane, Feat::Stored) {}
        while self.answer_next(lane) {}
    }

    // Lanes that die.

    /// The last `unsent` of what has not been carried out never left. The rest is lost, and may be carried out later.
    fn kill(&mut self, lane: usize, unsent: usize, retry: bool) {
        let fresh = self.new_lane();
        let Lane { id, queue } = std::mem::replace(&mut self.lanes[lane], fresh);
        let waiting = queue.iter().filter(|errand| !errand.is_done()).count();
        let sent_count = queue.len() - unsent.min(waiting);
        let mut dead = DeadLane {
            id,
            left: VecDeque::new(),
            lost: Vec::new(),
        };
        for (position, errand) in queue.into_iter().enumerate() {
            let left = position < sent_count;
            match errand {
                Errand::Read { key, .. } => drop(self.guard.learn(self.hash(key), None, self.clock())),
                Errand::Change { sent, ticket, done } => {
                    let (key, want, alone) = (sent.key, sent.want.clone(), sent.alone);
                    let again = !left || (retry && ticket.is_idempotent());
                    if left {
                        dead.lost.push(key);
                        if done.is_none() {
                            dead.left.push_back(sent);
                        }
                    }
                    self.guard
                        .settle(ticket, if left { Outcome::Lost } else { Outcome::Unsent });
                    if again {
                        self.clients.push(Client::ready(key, lane, want, alone));
                    }
                }
            }
        }
        self.dead.push(dead);
    }

    fn carry_out_late(&mut self, pick: usize, feat: Feat) {
        let count = self.dead.len() + self.ghosts.len();
        if count == 0 {
            return;
        }
        let index = pick % count;
        let queue = match self.dead.get_mut(index) {
            Some(dead) => &mut dead.left,
            None => &mut self.ghosts[index - self.dead.len()],
        };
        if let Some(mut sent) = queue.pop_front() {
            self.moment += 1;
            sent.excused |= self.held[sent.key].haunted;
            let latest = self.latest();
            carry_out(&mut self.held[sent.key], &sent, feat, self.moment, latest);
        }
    }

    fn fence(&mut self, index: usize, ended: bool) {
        let dead = self.dead.swap_remove(index);
        if !ended && self.setup.ghosts {
            for key in &dead.lost {
                self.held[*key].haunted = true;
            }
            self.ghosts.push(dead.left);
        }
        self.guard.fenced(dead.id, ended);
    }

    // Changes of everything at once.

    fn upheaval_begins(&mut self) {
        self.upheaval = true;
        self.guard.distrust_everything(self.clock());
    }

    fn upheaval_ends(&mut self) {
        self.excuse_all();
        self.guard.distrust_everything(self.clock());
        self.upheaval = false;
    }

    fn excuse_all(&mut self) {
        let queued = self.lanes.iter_mut().flat_map(|lane| lane.queue.iter_mut());
        for errand in queued {
            if let Errand::Change { sent, .. } = errand {
                sent.excused = true;
            }
        }
        let late = self.dead.iter_mut().flat_map(|dead| dead.left.iter_mut());
        for sent in late.chain(self.ghosts.iter_mut().flatten()) {
            sent.excused = true;
        }
    }

    /// Every key holds something else now, or nothing.
    fn replace_records(&mut self, seed: u8) {
        self.excuse_all();
        self.moment += 1;
        for (index, held) in self.held.iter_mut().enumerate() {
            let above = (usize::from(seed) * 31 + index * 77) % 128;
            *held = Held {
                lowered: self.moment,
                haunted: held.haunted,
                ..held_of(self.now, above as u8)
            };
        }
    }

    /// The server dies with all its lanes; none of them can carry out anything any more.
    fn restart(&mut self, seed: u8) {
        for lane in 0..self.lanes.len() {
            self.kill(lane, 0, true);
        }
        for dead in &mut self.dead {
            dead.left.clear();
        }
        self.ghosts.clear();
        self.replace_records(seed);
        self.guard.distrust_everything(self.clock());
    }

    /// All faults heal, and whoever waits is served.
    fn come_to_rest(&mut self) {
        if self.upheaval {
            self.upheaval_ends();
        }
        let most = 100 * (self.clients.len() + 10);
        for _ in 0..most {
            for lane in 0..self.lanes.len() {
                self.flow(lane);
            }
            while !self.dead.is_empty() {
                self.fence(0, true);
            }
            let mut woken = Vec::new();
            while let Some(index) = self.pick_client(0, Client::may_judge) {
                woken.push(self.clients.swap_remove(index));
            }
            for client in woken {
                self.judge(client);
            }
            self.check();
            if self.clients.is_empty() && self.lanes.iter().all(|lane| lane.queue.is_empty()) {
                return;
            }
        }
        panic!("somebody waits for ever: {:#?}", self.clients);
    }
}

/// What a key holds for a random number: nothing above 100.
fn held_of(now: u64, above: u8) -> Held {
    let stamp = now - TOLERANCE + u64::from(above);
    match above {
        0..=60 => Held {
            value: Some((Some(stamp), Bytes::from(format!("{stamp:013}0")))),
            ..Held::default()
        },
        61..=80 => Held {
            record: Some(stamp),
            ..Held::default()
        },
        81..=100 => Held {
            value: Some((None, Bytes::from_static(b"unstamped"))),
            record: Some(stamp),
            ..Held::default()
        },
        _ => Held::default(),
    }
}

impl Client {
    fn ready(key: usize, lane: usize, want: Want, alone: bool) -> Self {
        let standing = Standing::Ready;
        Self {
            key,
            lane,
            want,
            alone,
            standing,
        }
    }

    fn waiting(key: usize, lane: usize, want: Want, alone: bool, bell: Bell) -> Self {
        let standing = Standing::Waiting(bell);
        Self {
            key,
            lane,
            want,
            alone,
            standing,
        }
    }

    fn may_judge(&self) -> bool {
        match &self.standing {
            Standing::Ready => true,
            Standing::Waiting(bell) => bell.has_rung(),
        }
    }
}

impl Standing {
    fn into_parts(self) -> (bool, Option<Stored>) {
        match self {
            Self::Ready => (false, None),
            Self::Waiting(bell) => match bell.take() {
                Some(Rung::Again { turn, stored }) => (turn, stored),
                Some(Rung::Unfenced) | None => (false, None),
            },
        }
    }
}

impl Want {
    pub(super) fn change(&self) -> Change<'_> {
        match self {
            Self::Stamped { stamp, value } => Change::Stamped { stamp: *stamp, value },
            Self::Unstamped => Change::Unstamped,
            Self::Delete => Change::Delete,
            Self::DeleteAt { stamp } => Change::DeleteAt(*stamp),
            Self::Made { .. } => Change::Made,
            Self::Unordered { .. } => Change::Unordered,
            Self::Tidy => Change::Tidy,
        }
    }
}
