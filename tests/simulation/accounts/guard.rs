//! What one guard process has counted, held against itself and against its connections.

use ttguard::guard::stamp::Unit;

use super::{Accounts, Scrape, demand};
use crate::faults::Fault;
use crate::network::lanes::LaneCount;
use crate::plan::Blow;
use crate::world::World;

impl Accounts {
    /// A guard process ends with these numbers; `retired` lanes at most were ended because it was told to stop.
    pub fn guard_ended(&mut self, world: &World, scrape: &Scrape, open: usize, lanes: usize, retired: usize) {
        let sum = |name: &str, labels: &[&str]| scrape.sum(name, labels);
        let (opened, closed) = (sum("sessions_opened_total", &[]), sum("sessions_closed_total", &[]));
        demand(world, opened == self.opened, || {
            format!("{} clients connected, {opened} were counted", self.opened)
        });
        // A session that is being closed is counted as closed while it is still open.
        demand(world, (closed..=closed + open as i64).contains(&opened), || {
            format!("{opened} sessions opened, {closed} closed, {open} open")
        });
        let faults = (
            sum("request_faults_total", &[]),
            sum("sessions_closed_total", &["fault"]),
        );
        demand(world, faults.0 == faults.1, || {
            format!("{} faults of requests ended {} sessions", faults.0, faults.1)
        });
        let ended = sum("requests_total", &[]) - sum("requests_total", &["closed"]);
        let timed = sum("request_seconds_count", &[]);
        demand(world, ended == timed, || {
            format!("{ended} requests were answered, the time of {timed} was taken")
        });
        let stale = (
            sum("verdicts_total", &["stale"]) + sum("observed_total", &["stale"]),
            sum("stale_age_seconds_count", &[]),
        );
        let has_age = world.plan.settings.rules.stamp.unit() != Unit::Opaque;
        demand(world, stale.1 == if has_age { stale.0 } else { 0 }, || {
            format!("{} stale writes, the age of {} was taken", stale.0, stale.1)
        });
        let (refused, refusals) = (sum("requests_total", &["refused"]), scrape.refusals());
        // A list is one request.
        let one_each = !world.plan.clients.lists && world.plan.script.is_empty();
        // When the guard stands still between verdict and answer, the answer is too late and the session is reset.
        let stands_still = |(_, blow): &(_, Blow)| matches!(blow, Blow::StallGuard { .. });
        let late_max = if world.plan.blows.iter().any(stands_still) {
            sum("requests_total", &["closed"])
        } else {
            0
        };
        demand(
            world,
            refused <= refusals && !(one_each && refused + late_max < refusals),
            || format!("{refused} requests were refused, {refusals} records"),
        );
        let (up, fenced) = (sum("lane_connects_total", &["up"]), sum("lanes_fenced_total", &[]));
        let handed_over = sum("lane_hand_overs_total", &[]);
        let gone = up - fenced - handed_over - lanes as i64;
        demand(world, (0..=retired as i64).contains(&gone), || {
            format!("{up} lanes came up, {fenced} were fenced, {handed_over} handed over, {lanes} are up")
        });
        let back = sum("alarms_total", &["stamp_back"]);
        // A write that is carried out later than any fence holds is one of a stamp that goes back.
        demand(world, back == 0 || world.has_struck(Fault::LateZombie), || {
            format!("{back} alarms of a stamp that went back, and nothing wrote past the guard")
        });
        self.check_lanes(world, scrape);
        self.counted.add(scrape, 1);
        self.opened = 0;
    }

    /// What was counted of lanes against what was seen of the connections.
    fn check_lanes(&self, world: &World, scrape: &Scrape) {
        let seen = world.network.lanes_of(world, world.generation());
        let LaneCount {
            greeted,
            answers,
            given_up,
            ended,
            timed_out,
            ..
        } = seen;
        let sum = |name: &str, labels: &[&str]| scrape.sum(name, labels);
        for (what, counted, most) in [
            ("lanes up", sum("lane_connects_total", &["up"]), greeted),
            ("answers of the backend", sum("backend_seconds_count", &[]), answers),
            ("fences", sum("fences_total", &[]), given_up),
            ("fences that ended", sum("fences_total", &["ended"]), ended),
            ("fences that timed out", sum("fences_total", &["timeout"]), timed_out),
        ] {
            demand(world, counted <= most as i64, || {
                format!("{counted} {what}, seen were {seen:?}")
            });
        }
        if given_up == 0 && sum("lane_hand_overs_total", &[]) == 0 {
            // Those apart were on a lane that is still up.
            let again = sum("retries_total", &[]) - sum("retries_total", &["apart"]);
            demand(world, again == 0, || format!("{again} retries, no lane was given up"));
        }
    }

    /// When nothing is under way: every client has gone, every fence is over.
    pub fn check_quiet(&self, world: &World, scrape: &Scrape) {
        let seen = world.network.lanes_of(world, world.generation());
        let clients = world.network.open_to_clients();
        for (gauge, right) in [
            ("sessions", clients as i64),
            ("lanes", seen.live as i64),
            ("slow_connections", 0),
            ("in_flight", 0),
            ("pending_keys", 0),
        ] {
            let shown = scrape.sum(gauge, &[]);
            demand(world, shown == right, || {
                format!("{gauge} shows {shown}, {right} is right")
            });
        }
        let (fenced, fences) = (scrape.sum("lanes_fenced_total", &[]), scrape.sum("fences_total", &[]));
        demand(world, fences >= fenced, || {
            format!("{fenced} lanes were fenced, {fences} fences are over")
        });
        let (opened, closed) = (
            scrape.sum("sessions_opened_total", &[]),
            scrape.sum("sessions_closed_total", &[]),
        );
        demand(world, opened == closed, || {
            format!("{opened} sessions opened, {closed} closed, none is open")
        });
    }
}
