//! No command changes a record without the guard's verdict or a policy that is documented and counted: every opcode and
//! every function of `misc`, each with a late packet.

mod attempts;

use ttguard::command::function::NAMES;
use ttguard::protocol::tyrant::opcode::TABLE;

use self::attempts::{Attempt, Fate, Kind, Packet, attempts};
use crate::support::client::{Client, Ending, PATIENCE};
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::real::Real;
use crate::support::stamped::Clock;

const SETTINGS: &str =
    "[stamp]\ncolumn = \"ts\"\n[guard.ext]\nput_ts = \"put\"\nkeep_ts = \"putkeep\"\nout_ts = \"out\"\n";

/// What the guard has counted.
fn counted(guarded: &Guarded) -> impl Fn(Fate) -> f64 {
    let (_, page) = guarded.page("/metrics");
    move |fate| {
        let sum = |name, labels: &[(&str, &str)]| -> f64 {
            let lines = page.lines();
            lines
                .filter_map(|line| crate::support::guarded::sample(line, name, labels))
                .sum()
        };
        let verdict = |verdict| sum("ttguard_verdicts_total", &[("verdict", verdict)]);
        match fate {
            Fate::Refused => verdict("stale"),
            Fate::DeniedKey => verdict("denied"),
            Fate::Policy(label) => verdict(label),
            Fate::Denied => sum("ttguard_denied_total", &[]),
            Fate::Harmless => 0.0,
        }
    }
}

/// `store` looks straight at what is stored.
fn sweep(guarded: &Guarded, kind: Kind, mut store: Client) {
    let clock = Clock::start();
    let count = attempts(&Packet::of(kind, 0, clock)).len();
    assert!(count > TABLE.len() + NAMES.len());
    for number in 0..count {
        let packet = Packet::of(kind, number, clock);
        let Attempt { name, request, fate } = attempts(&packet).swap_remove(number);
        let mut client = guarded.client();
        assert_eq!(client.put(&packet.key, &packet.new), 0, "{name}");
        let before = counted(guarded)(fate);
        client.send(&request);
        settle(&mut client);
        if fate != Fate::Harmless {
            assert!(counted(guarded)(fate) > before, "{name}: {fate:?} was not counted");
        }
        if !matches!(fate, Fate::Policy(_)) {
            assert_eq!(store.get(&packet.key), Some(packet.new), "{name}: {fate:?}");
        }
    }
}

/// Whatever the answer is, it has come, or the connection has ended.
fn settle(client: &mut Client) {
    let _ = client.try_send(&frame::bare(frame::STAT));
    loop {
        match client.ending(PATIENCE) {
            Ending::Answered(bytes) if !String::from_utf8_lossy(&bytes).contains("\ncnt_misc\t") => {}
            Ending::Answered(_) | Ending::Reset => return,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn no_command_goes_around_the_guard_of_the_embedded_store() {
    let guarded = Guarded::memory(SETTINGS);
    sweep(&guarded, Kind::Values, guarded.client());
}

fn no_command_goes_around(database: &str, kind: Kind, test: &str) {
    let folder = tempfile::tempdir().expect("a folder for the database");
    let path = folder.path().join(database);
    let database = if database.len() > 1 {
        path.to_str().expect("text")
    } else {
        database
    };
    if let Some(real) = Real::start(database, test) {
        sweep(&Guarded::before(real.address(), SETTINGS), kind, real.client());
    }
}

#[test]
fn no_command_goes_around_the_guard_of_a_hash_in_memory() {
    no_command_goes_around(
        "*",
        Kind::Values,
        "no_command_goes_around_the_guard_of_a_hash_in_memory",
    );
}

#[test]
fn no_command_goes_around_the_guard_of_a_tree_in_memory() {
    no_command_goes_around(
        "+",
        Kind::Values,
        "no_command_goes_around_the_guard_of_a_tree_in_memory",
    );
}

#[test]
fn no_command_goes_around_the_guard_of_a_hash() {
    no_command_goes_around("c.tch", Kind::Values, "no_command_goes_around_the_guard_of_a_hash");
}

#[test]
fn no_command_goes_around_the_guard_of_a_b_plus_tree() {
    no_command_goes_around(
        "c.tcb",
        Kind::Values,
        "no_command_goes_around_the_guard_of_a_b_plus_tree",
    );
}

#[test]
fn no_command_goes_around_the_guard_of_a_table() {
    no_command_goes_around("c.tct", Kind::Columns, "no_command_goes_around_the_guard_of_a_table");
}

#[test]
fn no_command_goes_around_the_guard_of_a_fixed_length_database() {
    let test = "no_command_goes_around_the_guard_of_a_fixed_length_database";
    no_command_goes_around("c.tcf", Kind::Numbers, test);
}
