//! The first story: three packets for one key overtake each other.

use std::io::Write;

use super::front::Front;
use super::{Error, expect};
use crate::config::Settings;
use crate::guard::rules::{Mode, Rules};

/// 10:00:00 of 15 January 2024, UTC, in milliseconds.
const TEN_O_CLOCK_MS: u64 = 1_705_312_800_000;

const KEY: &str = "key";

/// What `/metrics` counts refused writes as.
const STALE: &str = "ttguard_verdicts_total{verdict=\"stale\",protocol=\"binary\"}";

/// The code of a refusal because a newer write is stored.
const CODE_STALE: u8 = 2;

struct Packet {
    name: &'static str,
    sent_at: &'static str,
    stamp: u64,
}

impl Packet {
    fn value(&self) -> String {
        format!("{:013} {}", self.stamp, self.name)
    }
}

const PA: Packet = Packet {
    name: "PA",
    sent_at: "10:00:00",
    stamp: TEN_O_CLOCK_MS,
};

const PB: Packet = Packet {
    name: "PB",
    sent_at: "10:00:01",
    stamp: TEN_O_CLOCK_MS + 1_000,
};

const PC: Packet = Packet {
    name: "PC",
    sent_at: "10:01:00",
    stamp: TEN_O_CLOCK_MS + 60_000,
};

/// Tells it.
pub fn tell(out: &mut impl Write) -> Result<(), Error> {
    writeln!(out, "1. The late packet")?;
    writeln!(out)?;
    writeln!(
        out,
        "Three clients write one key. Each value begins with its stamp, 13 digits"
    )?;
    writeln!(out, "of milliseconds:")?;
    for packet in [PA, PB, PC] {
        writeln!(
            out,
            "  {}  sent at {}  {:?}",
            packet.name,
            packet.sent_at,
            packet.value()
        )?;
    }
    writeln!(out, "They arrive as PB, PC, PA, each on a connection of its own.")?;
    without(out)?;
    with(out)
}

fn without(out: &mut impl Write) -> Result<(), Error> {
    writeln!(out, "\nWithout the guard (mode \"observe\": everything goes through)")?;
    let front = front(Mode::Observe)?;
    let codes = arrive(out, &front)?;
    expect("the answers without the guard", &codes, &[0, 0, 0])?;
    let stayed = stored(&front)?;
    writeln!(out, "  What stayed is {stayed:?}. It should be {:?}.", PC.value())?;
    expect("what stayed without the guard", &stayed, &PA.value())
}

fn with(out: &mut impl Write) -> Result<(), Error> {
    writeln!(out, "\nWith the guard (mode \"enforce\", the default)")?;
    let front = front(Mode::Enforce)?;
    let codes = arrive(out, &front)?;
    expect("the answers with the guard", &codes, &[0, 0, CODE_STALE])?;
    let stayed = stored(&front)?;
    writeln!(out, "  What stayed is {stayed:?}, as it should.")?;
    expect("what stayed with the guard", &stayed, &PC.value())?;
    let counted = front.metric(STALE)?;
    writeln!(out, "  /metrics says: {counted}")?;
    expect("the count of stale writes", &counted, &format!("{STALE} 1"))
}

/// A proxy before an empty store of its own.
fn front(mode: Mode) -> Result<Front, Error> {
    let rules = Rules {
        mode,
        ..Rules::default()
    };
    Front::start(Settings {
        rules,
        ..Settings::default()
    })
}

/// Sends the packets in the order in which they arrive, each by a client of its own; gives the codes of the answers.
fn arrive(out: &mut impl Write, front: &Front) -> Result<[u8; 3], Error> {
    let mut clients = [front.client()?, front.client()?, front.client()?];
    let mut codes = [0; 3];
    for ((packet, client), code) in [PB, PC, PA].iter().zip(&mut clients).zip(&mut codes) {
        *code = client.put(KEY, &packet.value())?;
        let said = if *code == CODE_STALE {
            format!("refused, code {code} (stale)")
        } else {
            format!("answered {code}")
        };
        let now = client.get(KEY)?.unwrap_or_default();
        writeln!(out, "  {} arrives: {said:<24}  stored now: {now:?}", packet.name)?;
    }
    Ok(codes)
}

fn stored(front: &Front) -> Result<String, Error> {
    Ok(front.client()?.get(KEY)?.unwrap_or_default())
}
