//! What all guards have counted, held against what clients and the backend have seen.

use ttguard::command::Verb;
use ttguard::config::StaleReply;
use ttguard::guard::rules::Mode;
use ttguard::metrics::{Label, Outcome};

use super::{Accounts, Scrape, demand};
use crate::history::History;
use crate::world::World;

impl Accounts {
    /// Without any fault everything is counted exactly as it was seen. `before` is how things stood when nothing was
    /// under way before.
    pub fn check_calm(&self, world: &World, (then, before): &(Self, Scrape), now: &Scrape) {
        let counted = now.since(before);
        let since = |now: Option<&i64>, then: Option<&i64>| now.copied().unwrap_or(0) - then.copied().unwrap_or(0);
        for verb in Verb::ALL {
            let verb = verb.as_str();
            let asked = since(self.seen.asked.get(verb), then.seen.asked.get(verb));
            let ended = counted.sum("requests_total", &[verb]);
            demand(world, asked == ended, || {
                format!("{asked} {verb} were asked, {ended} counted")
            });
            for outcome in Outcome::ALL {
                let series = (verb, outcome.as_str());
                let heard = since(self.seen.heard.get(&series), then.seen.heard.get(&series));
                let ended = counted.sum("requests_total", &[series.0, series.1]);
                let is_seen = verb != Verb::PutNr.as_str() && !hides_refusals(world);
                demand(world, heard == ended || !is_seen, || {
                    format!("{heard} {series:?} were heard, {ended} counted")
                });
            }
        }
        let puts = since(self.seen.asked.get("put"), then.seen.asked.get("put"));
        let judged = counted.sum("verdicts_total", &[]) + counted.sum("observed_total", &[]);
        demand(world, judged == puts, || {
            format!("{puts} records were put, {judged} judged")
        });
        let connected = self.seen.connected - then.seen.connected;
        for (name, right) in [
            ("sessions_opened_total", connected),
            ("sessions_closed_total", connected),
            ("lane_connects_total", 0),
            ("lanes_fenced_total", 0),
            ("fences_total", 0),
            ("retries_total", 0),
            ("request_faults_total", 0),
        ] {
            let risen = counted.sum(name, &[]);
            demand(world, risen == right, || {
                format!("{name} has risen by {risen}, {right} is right")
            });
        }
    }

    /// What all guards have counted, against what all clients and the backend have seen.
    pub fn check_end(&self, world: &World, history: &History) {
        let (seen, counted) = (&self.seen, &self.counted);
        for verb in Verb::ALL {
            let ended = counted.sum("requests_total", &[verb.as_str()]);
            let asked = seen.asked.get(verb.as_str()).copied().unwrap_or(0);
            demand(world, ended <= asked, || {
                format!("{asked} {verb:?} were asked, {ended} counted")
            });
        }
        for ((verb, outcome), heard) in &seen.heard {
            let mut ended = counted.sum("requests_total", &[verb, outcome]);
            if hides_refusals(world) && *outcome == Outcome::Answered.as_str() {
                ended += counted.sum("requests_total", &[verb, Outcome::Refused.as_str()]);
            }
            demand(world, *heard <= ended, || {
                format!("{heard} {verb} {outcome} were heard, {ended} counted")
            });
        }
        let verdicts = |names: &[&str]| -> i64 {
            let sums = names.iter().map(|name| counted.sum("verdicts_total", &[name]));
            sums.sum()
        };
        for (code, names) in [
            (2, &["stale", "tie"][..]),
            (3, &["future"]),
            (4, &["unstamped_refused"]),
            (5, &["denied"]),
        ] {
            let (heard, judged) = (seen.codes.get(&code).copied().unwrap_or(0), verdicts(names));
            demand(world, heard <= judged, || {
                format!("{heard} refusals of code {code} were heard, {judged} records judged {names:?}")
            });
        }
        for (what, carried, names) in [
            ("stored", self.stored, &["accepted", "unstamped"][..]),
            ("removed", self.removed, &["deleted"]),
            ("changed without a stamp", self.unordered, &["unordered"]),
        ] {
            let judged = verdicts(names) + counted.sum("observed_total", &[]);
            demand(world, carried <= judged, || {
                format!("{carried} records were {what} on lanes, {judged} were let through")
            });
        }
        self.check_observed(world, history);
    }

    /// What guards count that only observe, against what the backend has seen.
    fn check_observed(&self, world: &World, history: &History) {
        let sum = |reasons: &[&str]| -> i64 {
            let sums = reasons
                .iter()
                .map(|reason| self.counted.sum("observed_total", &[reason]));
            sums.sum()
        };
        let (stale, future) = (sum(&["stale", "tie"]), sum(&["future"]));
        if world.plan.settings.rules.mode != Mode::Observe {
            return demand(world, stale + future == 0, || {
                format!("a guard that enforces has let {stale} stale writes through, and {future} too far ahead")
            });
        }
        let (stale_least, future_least) = history.let_through();
        demand(
            world,
            stale >= stale_least as i64 && future >= future_least as i64,
            || {
                format!(
                    "{stale_least} stale writes and {future_least} too far ahead were let through for certain, {stale} and \
                 {future} were counted"
                )
            },
        );
        let repeated = self.counted.sum("retries_total", &[]);
        if let Some(most) = history.most_let_through().filter(|_| repeated == 0) {
            demand(world, stale <= most as i64, || {
                format!("at most {most} stale writes were let through, {stale} were counted")
            });
        }
        let suspects = history.suspects() as i64;
        demand(world, stale <= suspects + repeated, || {
            format!("{suspects} writes can have been stale, {stale} were counted")
        });
    }
}

/// A refusal as stale is counted as one, and heard as a success.
fn hides_refusals(world: &World) -> bool {
    world.plan.settings.stale_reply == StaleReply::Ok
}
