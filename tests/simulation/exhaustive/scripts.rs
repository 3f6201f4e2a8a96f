//! Small worlds of the seeded simulation, with all that it holds against the guard: what clients ask is written down, and
//! one fault befalls them, behind every byte or at every moment.

use ttguard::guard::rules::LedgerMode;
use ttguard::transport::memory::Side;

use super::worlds::{Run, Suite};
use crate::network::Between;
use crate::plan::{Blow, How, Line, Plan, Wound};
use crate::world;

/// What the clients ask, each on a worker and so on a lane of its own.
struct Script {
    name: &'static str,
    clients: &'static [&'static [Line]],
}

const ALONE: Script = Script {
    name: "put",
    clients: &[&[Line::Put(5), Line::Get]],
};

const TOGETHER: [Script; 6] = [
    Script {
        name: "newer",
        clients: &[&[Line::Put(5), Line::Get], &[Line::Put(6), Line::Get]],
    },
    Script {
        name: "older",
        clients: &[&[Line::Put(6), Line::Get], &[Line::Put(5), Line::Get]],
    },
    Script {
        name: "out",
        clients: &[&[Line::Put(5), Line::Out, Line::Put(4), Line::Get], &[Line::Put(7)]],
    },
    Script {
        name: "putnr",
        clients: &[&[Line::PutSilently(5), Line::Get], &[Line::PutSilently(6), Line::Get]],
    },
    Script {
        name: "putlist",
        clients: &[&[Line::PutList(5), Line::Get], &[Line::PutList(6), Line::Get]],
    },
    Script {
        name: "tie",
        clients: &[&[Line::Put(5), Line::Put(5)], &[Line::Put(5), Line::Out]],
    },
];

const LEDGERS: [LedgerMode; 2] = [LedgerMode::Inline, LedgerMode::Record];

/// Who writes the byte behind which a connection ends, breaks or stands still.
const WRITERS: [(Between, Side); 4] = [
    (Between::ClientAndGuard, Side::Dialler),
    (Between::ClientAndGuard, Side::Acceptor),
    (Between::GuardAndServer, Side::Dialler),
    (Between::GuardAndServer, Side::Acceptor),
];

const BLOWS: [Blow; 8] = [
    Blow::KillGuard { down: 0 },
    Blow::KillGuard { down: 20 },
    Blow::DrainGuard,
    Blow::RestartKept { down: 3 },
    Blow::RestartEmpty { down: 3 },
    Blow::RestartOlder { down: 3 },
    Blow::Pause { during: 200 },
    Blow::Refuse { during: 50 },
];

/// A fault behind every byte where two clients meet; a client alone has [`super::cuts`].
pub fn wounds() -> Vec<Suite> {
    let mut suites: Vec<Suite> = Vec::new();
    for script in &TOGETHER {
        for (between, side) in WRITERS {
            suites.push(Box::new(move |run| {
                for ledger in LEDGERS {
                    wound_everywhere(run, script, ledger, between, side);
                }
            }));
        }
    }
    suites
}

fn wound_everywhere(run: &Run, script: &Script, ledger: LedgerMode, between: Between, side: Side) {
    let name = format!("wound/{ledger:?}/{}/{between:?}/{side:?}", script.name);
    let mut plan = Plan::small(script.clients, ledger);
    let mut bytes = 0;
    run.always(&format!("{name}/nowhere"), || {
        let how = How::Stall;
        let at = u64::MAX;
        plan.wound = Some(Wound { between, side, at, how });
        bytes = live(run, &plan)?.written;
        Ok(())
    });
    for how in [How::Fin, How::Rst, How::Stall] {
        for at in 0..bytes {
            plan.wound = Some(Wound { between, side, at, how });
            run.once(&format!("{name}/{how:?}/{at}"), || live(run, &plan).map(drop));
        }
    }
}

/// The guard and the backend end, stand still or refuse at every moment.
pub fn moments() -> Vec<Suite> {
    let mut suites: Vec<Suite> = Vec::new();
    for script in TOGETHER.iter().chain([&ALONE]) {
        for ledger in LEDGERS {
            suites.push(Box::new(move |run| strike_always(run, script, ledger)));
        }
    }
    suites
}

fn strike_always(run: &Run, script: &Script, ledger: LedgerMode) {
    let mut plan = Plan::small(script.clients, ledger);
    for latency in [0, 2] {
        plan.network.latency = latency;
        for blow in BLOWS {
            for at in 0..40 {
                plan.blows = vec![(at, blow)];
                let name = format!("moment/{ledger:?}/{}/{latency}/{blow:?}/{at}", script.name);
                run.once(&name.replace(' ', ""), || live(run, &plan).map(drop));
            }
        }
    }
}

fn live(run: &Run, plan: &Plan) -> Result<world::Verdict, String> {
    let verdict = world::run(1, plan.clone(), run.is_of_one());
    match &verdict.violation {
        None => Ok(verdict),
        Some(how) => Err(format!("{}\n    {how}", verdict.tail(200)).trim_start().to_owned()),
    }
}
