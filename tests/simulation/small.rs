//! Small worlds, all of them: every byte of every request and reply as the last one before the connection ends, breaks
//! or stands still, and every moment as the last one of the guard or the backend.

use ttguard::guard::rules::LedgerMode;
use ttguard::transport::memory::Side;

use crate::network::Between;
use crate::plan::{Blow, How, Line, Plan, Wound};
use crate::{panics, world};

/// What the clients ask, each on a worker and so on a lane of its own.
const SCENARIOS: &[&[&[Line]]] = &[
    &[&[Line::Put(5), Line::Get]],
    &[&[Line::Put(5), Line::Get], &[Line::Put(6), Line::Get]],
    &[&[Line::Put(6), Line::Get], &[Line::Put(5), Line::Get]],
    &[&[Line::Put(5), Line::Out, Line::Put(4), Line::Get], &[Line::Put(7)]],
    &[&[Line::PutSilently(5), Line::Get], &[Line::PutSilently(6), Line::Get]],
    &[&[Line::PutList(5), Line::Get], &[Line::PutList(6), Line::Get]],
    &[&[Line::Put(5), Line::Put(5)], &[Line::Put(5), Line::Out]],
];

const LEDGERS: [LedgerMode; 2] = [LedgerMode::Inline, LedgerMode::Record];

fn check(plan: &Plan) -> bool {
    let verdict = world::run(1, plan.clone(), false);
    if let Some(violation) = verdict.violation {
        let again = world::run(1, plan.clone(), true);
        panic!("{violation}\n{plan:#?}\n{}\n{violation}", again.tail(80));
    }
    verdict.struck
}

/// Strikes behind one byte more each time, until there is none left.
fn at_every_byte(how: How, between: Between, side: Side) {
    panics::watch();
    for script in SCENARIOS {
        for ledger in LEDGERS {
            let mut plan = Plan::small(script, ledger);
            for at in 0.. {
                plan.wound = Some(Wound { between, side, at, how });
                if !check(&plan) {
                    assert!(at > 4, "the fault has struck somewhere");
                    break;
                }
            }
        }
    }
}

macro_rules! at_every_byte {
    ($($name:ident: $how:ident, $between:ident, $side:ident;)*) => {$(
        #[test]
        fn $name() {
            at_every_byte(How::$how, Between::$between, Side::$side);
        }
    )*};
}

at_every_byte! {
    a_client_ends_at_every_byte: Fin, ClientAndGuard, Dialler;
    a_client_breaks_at_every_byte: Rst, ClientAndGuard, Dialler;
    a_client_stalls_at_every_byte: Stall, ClientAndGuard, Dialler;
    answers_to_clients_break_at_every_byte: Rst, ClientAndGuard, Acceptor;
    answers_to_clients_stall_at_every_byte: Stall, ClientAndGuard, Acceptor;
    a_lane_breaks_at_every_byte: Rst, GuardAndServer, Dialler;
    a_lane_stalls_at_every_byte: Stall, GuardAndServer, Dialler;
    the_backend_ends_at_every_byte: Fin, GuardAndServer, Acceptor;
    the_backend_breaks_at_every_byte: Rst, GuardAndServer, Acceptor;
    the_backend_stalls_at_every_byte: Stall, GuardAndServer, Acceptor;
}

#[test]
fn guard_and_backend_end_at_every_moment() {
    panics::watch();
    let blows = [
        Blow::KillGuard { down: 0 },
        Blow::KillGuard { down: 20 },
        Blow::DrainGuard,
        Blow::RestartKept { down: 3 },
        Blow::RestartEmpty { down: 3 },
        Blow::RestartOlder { down: 3 },
        Blow::Pause { during: 200 },
        Blow::Refuse { during: 50 },
    ];
    for script in SCENARIOS {
        for ledger in LEDGERS {
            for latency in [0, 2] {
                let mut plan = Plan::small(script, ledger);
                plan.network.latency = latency;
                for blow in blows {
                    for at in 0..40 {
                        plan.blows = vec![(at, blow)];
                        check(&plan);
                    }
                }
            }
        }
    }
}
