//! Exhaustive small worlds: where the seeds throw dice, these go through every case.
//!
//! A small world is a real guard of two workers, a backend, and one or two clients, with time and streams as in the
//! seeded runs. Its one fault strikes at one byte or at one step, and every byte and every step has its world.

mod backend;
mod book;
mod caller;
mod cuts;
mod fates;
mod kills;
mod requests;
mod scripts;
mod small;
mod stories;
mod wires;
mod worlds;

use ttguard::guard::rules::LedgerMode;

use self::worlds::Suite;

#[test]
fn every_cut_of_every_request_and_answer() {
    let mut suites = Vec::new();
    for kind in cuts::kinds() {
        for request in requests::all()
            .into_iter()
            .filter(|request| kind.warm || request.is_judged())
        {
            let suite: Suite = Box::new(move |run| cuts::run(run, kind, &request));
            suites.push(suite);
        }
    }
    worlds::run("cuts", &suites);
}

#[test]
fn a_fault_behind_every_byte_where_two_clients_meet() {
    worlds::run("wounds", &scripts::wounds());
}

#[test]
fn guard_and_backend_end_at_every_moment() {
    worlds::run("moments", &scripts::moments());
}

#[test]
fn every_killing_at_every_step() {
    let mut suites = Vec::new();
    for ledger in [LedgerMode::Inline, LedgerMode::Record] {
        for story in stories::all(ledger) {
            let suite: Suite = Box::new(move |run| kills::run(run, &story));
            suites.push(suite);
        }
    }
    worlds::run("killings", &suites);
}
