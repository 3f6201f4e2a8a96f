//! The clients: each connection in its own manner, most of them bad.

use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::{sleep, timeout};
use ttguard::command::{Command, Verb};
use ttguard::config::Pipelining;

use crate::conversation::{Conversation, Heard};
use crate::faults::Fault;
use crate::plan::Line;
use crate::question::Asker;
use crate::world::World;

/// How a connection is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Asks, and waits for the answer.
    Patient,
    /// Asks several questions at once.
    Pipelining,
    /// Gives up waiting, and uses the connection again.
    GivingUp,
    /// Stops in the middle of a request.
    Stopping,
    /// Goes away without waiting.
    Vanishing,
    /// Asks and never reads.
    NeverReading,
    /// Half-closes and reads on.
    HalfClosing,
    /// Sends what is no request.
    Malformed,
    /// Sends one byte.
    OneByte,
    /// Sends byte by byte.
    Dripping,
    /// Follows the update log.
    Replicating,
}

/// Every manner, in the order of the source.
pub const MANNERS: &[Manner] = &[
    Manner::Patient,
    Manner::Pipelining,
    Manner::GivingUp,
    Manner::Stopping,
    Manner::Vanishing,
    Manner::NeverReading,
    Manner::HalfClosing,
    Manner::Malformed,
    Manner::OneByte,
    Manner::Dripping,
    Manner::Replicating,
];

/// Longer than any answer may take.
const LONG: Duration = Duration::from_secs(10);

/// A client, until all faults have healed.
pub async fn live(world: Rc<World>, number: usize) {
    let mut random = world.fork();
    let mut asker = Asker::new(&world, number, random.fork());
    while !world.healed() {
        let worker = random.usize(..4);
        let Some(line) = world.connect(worker) else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        let mut conversation = Conversation::new(&world, line);
        let manner = choose(&mut random, &world.plan.clients.manners);
        world.trace(&[10, conversation.id, number as u64], || {
            format!("client {number} uses #{} {manner:?}", conversation.id)
        });
        behave(manner, &mut conversation, &mut asker, &mut random).await;
        drop(conversation);
        sleep(Duration::from_millis(random.u64(..=world.plan.clients.pause))).await;
    }
}

fn choose(random: &mut Rng, weights: &[u32]) -> Manner {
    let sum: u32 = weights.iter().sum();
    let mut at = random.u32(..sum);
    for (manner, weight) in MANNERS.iter().zip(weights) {
        if at < *weight {
            return *manner;
        }
        at -= weight;
    }
    Manner::Patient
}

async fn behave(manner: Manner, line: &mut Conversation, asker: &mut Asker, random: &mut Rng) {
    match manner {
        Manner::Patient => patient(line, asker, random).await,
        Manner::Pipelining => pipelining(line, asker, random).await,
        Manner::GivingUp => giving_up(line, asker, random).await,
        Manner::Stopping => stopping(line, asker, random).await,
        Manner::Vanishing => vanishing(line, asker, random).await,
        Manner::NeverReading => never_reading(line, asker).await,
        Manner::HalfClosing => half_closing(line, asker, random).await,
        Manner::Malformed => malformed(line, asker, random).await,
        Manner::OneByte => one_byte(line, random).await,
        Manner::Dripping => dripping(line, asker).await,
        Manner::Replicating => replicating(line, asker, random).await,
    }
}

async fn patient(line: &mut Conversation, asker: &mut Asker, random: &mut Rng) {
    for _ in 0..random.usize(1..20) {
        if line.world.healed() {
            return;
        }
        let question = asker.ask();
        let bound = line.bound(&question.command);
        if !line.send(question).await {
            return;
        }
        let sent = line.world.now();
        while line.owes() > 0 {
            match line.hear(LONG).await {
                Heard::Answer => {}
                Heard::End => break,
                Heard::Silence => {
                    line.overdue("for ever");
                    return;
                }
            }
        }
        let took = line.world.now() - sent;
        if bound.is_some_and(|bound| took > bound) && !line.world.network.disturbed(line.id) {
            line.overdue(&format!("after {took} ms"));
        }
        if line.ended {
            return;
        }
        sleep(Duration::from_millis(random.u64(..=line.world.plan.clients.pause))).await;
    }
}

async fn pipelining(line: &mut Conversation, asker: &mut Asker, random: &mut Rng) {
    for _ in 0..random.usize(1..4) {
        if line.world.healed() {
            return;
        }
        let count = random.usize(2..8);
        line.world.strike(Fault::Pipelined);
        let questions = (0..count).map(|_| asker.ask()).collect();
        if !line.send_together(questions).await {
            return;
        }
        line.hear_all().await;
        if line.ended {
            return;
        }
    }
}

async fn giving_up(line: &mut Conversation, asker: &mut Asker, random: &mut Rng) {
    for _ in 0..random.usize(1..6) {
        if line.world.healed() || !line.send(asker.ask()).await {
            return;
        }
        let patience = Duration::from_millis(random.u64(1..40));
        if line.owes() > 0 && matches!(line.hear(patience).await, Heard::Silence) {
            line.world.strike(Fault::GaveUp);
        }
        if line.ended {
            return;
        }
    }
    line.hear_all().await;
}

async fn stopping(line: &mut Conversation, asker: &mut Asker, random: &mut Rng) {
    let bytes = line.encode(asker.ask());
    let part = random.usize(1..bytes.len());
    line.world.strike(Fault::ClientStopped);
    line.write(&bytes[..part]).await;
    sleep(Duration::from_millis(random.u64(..700))).await;
    if random.bool() {
        line.write(&bytes[part..]).await;
        line.hear_all().await;
    }
}

async fn vanishing(line: &mut Conversation, asker: &mut Asker, random: &mut Rng) {
    let questions = (0..random.usize(1..4)).map(|_| asker.ask()).collect();
    line.world.strike(Fault::ClientVanished);
    line.send_together(questions).await;
    sleep(Duration::from_millis(random.u64(..10))).await;
    if random.bool() {
        line.reset();
    }
}

async fn never_reading(line: &mut Conversation, asker: &mut Asker) {
    line.world.strike(Fault::NeverRead);
    for _ in 0..10 {
        let questions = (0..3).map(|_| asker.ask()).collect();
        if line.world.healed() || !line.send_together(questions).await {
            return;
        }
    }
    sleep(Duration::from_millis(200)).await;
}

async fn half_closing(line: &mut Conversation, asker: &mut Asker, random: &mut Rng) {
    let count = if line.world.plan.settings.pairing.pipelining == Pipelining::Forbid {
        1
    } else {
        random.usize(1..5)
    };
    let questions = (0..count).map(|_| asker.ask()).collect();
    line.world.strike(Fault::HalfClosed);
    line.send_together(questions).await;
    line.finish();
    line.hear_all().await;
}

async fn malformed(line: &mut Conversation, asker: &mut Asker, random: &mut Rng) {
    let mut bytes = line.encode(asker.ask()).to_vec();
    line.world.strike(Fault::BadFrame);
    bytes.extend_from_slice(&asker.bad_frame(random));
    bytes.extend_from_slice(&asker.poison());
    line.write(&bytes).await;
    line.hear_all().await;
}

async fn one_byte(line: &mut Conversation, random: &mut Rng) {
    line.world.strike(Fault::OneByte);
    line.write(&[0xC8]).await;
    sleep(Duration::from_millis(random.u64(..700))).await;
}

async fn dripping(line: &mut Conversation, asker: &mut Asker) {
    let bytes = line.encode(asker.ask());
    line.world.strike(Fault::Dripped);
    for byte in &bytes[..bytes.len().min(120)] {
        if !line.write(&[*byte]).await {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
    line.write(&bytes[bytes.len().min(120)..]).await;
    line.hear_all().await;
}

async fn replicating(line: &mut Conversation, asker: &mut Asker, random: &mut Rng) {
    let (question, tag) = asker.follow_log();
    // What was asked before is answered before.
    line.send_together(vec![asker.ask(), question]).await;
    line.hear_all().await;
    if line.ended {
        return;
    }
    if random.u8(..4) == 0 {
        line.world.strike(Fault::ReplicaStalled);
        sleep(Duration::from_millis(random.u64(..3000))).await;
    }
    line.follow_log(tag, Duration::from_millis(random.u64(..300))).await;
}

/// Asks what the script says, once, on new connections where one is lost.
pub async fn recite(world: Rc<World>, number: usize, script: Vec<Line>) {
    let mut asker = Asker::new(&world, number, world.fork());
    let mut line: Option<Conversation> = None;
    // Writes are held back right after the start.
    sleep(Duration::from_millis(10)).await;
    for said in script {
        if line.as_ref().is_none_or(|line| line.ended) {
            line = world.connect(number).map(|line| Conversation::new(&world, line));
        }
        let Some(line) = &mut line else {
            sleep(Duration::from_millis(2)).await;
            continue;
        };
        line.send(asker.recite(said)).await;
        line.hear_all().await;
        sleep(Duration::from_millis(1)).await;
    }
}

/// After all faults: every worker and every lane must serve every key at once.
pub async fn probe(world: &Rc<World>) {
    let mut asker = Asker::new(world, 0, world.fork());
    for worker in 0..world.plan.settings.workers * world.plan.settings.lanes {
        let Some(line) = world.connect(worker) else {
            return world.violated("I12", || "the guard takes no connection".to_owned());
        };
        let mut line = Conversation::new(world, line);
        for key in 0..world.plan.clients.keys {
            for question in asker.probes(key) {
                let verb = question.command.verb();
                line.send(question).await;
                if line.owes() > 0 && !matches!(line.hear(Duration::from_secs(1)).await, Heard::Answer) {
                    return world.violated("I12", || format!("#{}: a probe ({verb:?}) got no answer", line.id));
                }
            }
        }
    }
}

impl Conversation {
    /// Milliseconds that an answer may take, where that can be said.
    fn bound(&self, command: &Command) -> Option<u64> {
        let (plan, pairing) = (&self.world.plan, &self.world.plan.settings.pairing);
        let is_slow = !matches!(
            command.verb(),
            Verb::Put | Verb::PutKeep | Verb::PutCat | Verb::AddInt | Verb::Get | Verb::Mget | Verb::Vsiz | Verb::Out
        );
        let patience = if is_slow {
            pairing.slow_timeout.max(pairing.request_timeout)
        } else {
            pairing.request_timeout
        };
        let latency = plan.network.latency.max(plan.network.long_latency);
        (plan.network.client_room >= 4096).then(|| patience.as_millis() as u64 + 2 * latency + 10)
    }

    fn overdue(&self, when: &str) {
        self.world
            .violated("I12", || format!("#{}: a request ended {when}", self.id));
    }

    /// Hears every answer that is owed.
    async fn hear_all(&mut self) {
        while self.owes() > 0 && !self.ended {
            if matches!(self.hear(LONG).await, Heard::Silence) {
                // Requests that were never sent whole are owed nothing.
                return;
            }
        }
    }
}

/// Waits for at most a while.
pub async fn within<T>(patience: Duration, what: impl Future<Output = T>) -> Option<T> {
    timeout(patience, what).await.ok()
}
