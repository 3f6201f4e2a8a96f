//! How connections are used, each in its manner.

use std::time::Duration;

use fastrand::Rng;
use tokio::time::sleep;
use ttguard::config::Pipelining;

use super::{LONG, Manner};
use crate::conversation::{Conversation, Heard};
use crate::faults::Fault;
use crate::question::Asker;

/// Uses a connection in this manner.
pub(super) async fn behave(manner: Manner, line: &mut Conversation, asker: &mut Asker, random: &mut Rng) {
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
        let questions = if line.world.strikes(line.world.plan.batches.chance) {
            line.world.strike(Fault::UnknownBatch);
            asker.batch()
        } else {
            (0..count).map(|_| asker.ask()).collect()
        };
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
