//! The clients: each connection in its own manner, most of them bad.

mod manners;

use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::{sleep, timeout};
use ttguard::command::{Command, Verb};

use self::manners::behave;
use crate::conversation::{Conversation, Heard};
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

/// So many connections of a client may come and go without any time passing.
const AT_ONCE_MAX: u32 = 3;

/// A client, until all faults have healed.
pub async fn live(world: Rc<World>, number: usize) {
    let mut random = world.fork();
    let mut asker = Asker::new(&world, number, random.fork());
    let mut at_once = 0;
    while !world.healed() {
        let begun = world.now();
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
        // Where nothing takes any time, a client that is sent away at once would come again without end.
        at_once = if world.now() == begun { at_once + 1 } else { 0 };
        if at_once >= AT_ONCE_MAX {
            at_once = 0;
            sleep(Duration::from_millis(1)).await;
        }
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
    for worker in 0..world.plan.settings.workers * world.plan.settings.links() {
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
    /// Milliseconds that a question may take, and whether it may be slow.
    pub fn patience(&self, command: &Command) -> (u64, bool) {
        let pairing = &self.world.plan.settings.pairing;
        let is_slow = !matches!(
            command.verb(),
            Verb::Put | Verb::PutKeep | Verb::PutCat | Verb::AddInt | Verb::Get | Verb::Mget | Verb::Vsiz | Verb::Out
        );
        let patience = if is_slow {
            pairing.slow_timeout.max(pairing.request_timeout)
        } else {
            pairing.request_timeout
        };
        (patience.as_millis() as u64, is_slow)
    }

    /// Milliseconds that an answer may take, where that can be said.
    fn bound(&self, command: &Command) -> Option<u64> {
        let plan = &self.world.plan;
        let (patience, _) = self.patience(command);
        let latency = plan.network.latency.max(plan.network.long_latency);
        (plan.network.client_room >= 4096).then(|| patience + 2 * latency + 10)
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
