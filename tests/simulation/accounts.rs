//! What clients and the backend have seen, held against what the guard has counted.

use std::collections::BTreeMap;

use ttguard::command::{Command, Reply, Verb};
use ttguard::guard::rules::LedgerMode;
use ttguard::metrics::{Label, Outcome};

use crate::lanes::LaneCount;
use crate::world::World;

/// What a guard has counted: for each name, the labels and the number of every series that is not 0.
#[derive(Clone, Debug, Default)]
pub struct Scrape(BTreeMap<String, BTreeMap<String, i64>>);

impl Scrape {
    /// Reads the text that is scraped. Fractions are of seconds only, and of no interest here.
    pub fn of(text: &str) -> Self {
        let mut scrape = Self::default();
        for line in text.lines() {
            let series = line.strip_prefix("ttguard_").and_then(|line| line.rsplit_once(' '));
            let Some((series, number)) = series else {
                continue;
            };
            let number = number.parse::<f64>().map_or(0, |number| number as i64);
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            if number != 0 && !name.ends_with("_bucket") {
                scrape
                    .0
                    .entry(name.to_owned())
                    .or_default()
                    .insert(labels.to_owned(), number);
            }
        }
        scrape
    }

    /// The sum over all series of this name that have all these label values.
    pub fn sum(&self, name: &str, labels: &[&str]) -> i64 {
        let has = |series: &str, value: &str| series.split('"').any(|part| part == value);
        let series = self.0.get(name).into_iter().flatten();
        let of_these = series.filter(|(series, _)| labels.iter().all(|value| has(series, value)));
        of_these.map(|(_, number)| number).sum()
    }

    fn add(&mut self, other: &Self, sign: i64) {
        for (name, series) in &other.0 {
            let sums = self.0.entry(name.clone()).or_default();
            for (labels, number) in series {
                *sums.entry(labels.clone()).or_default() += sign * number;
            }
        }
    }

    fn since(&self, before: &Self) -> Self {
        let mut since = self.clone();
        since.add(before, -1);
        since
    }

    fn refusals(&self) -> i64 {
        let refusals = ["stale", "tie", "future", "unstamped_refused", "denied"];
        refusals
            .iter()
            .map(|verdict| self.sum("verdicts_total", &[verdict]))
            .sum()
    }
}

/// How an answer must have been counted.
fn outcome_of(reply: &Reply) -> Outcome {
    match reply.code() {
        0 => Outcome::Answered,
        2..=5 => Outcome::Refused,
        _ => Outcome::Failed,
    }
}

/// What was seen outside of the guard.
#[derive(Clone, Debug, Default)]
struct Seen {
    connected: i64,
    asked: BTreeMap<&'static str, i64>,
    heard: BTreeMap<(&'static str, &'static str), i64>,
    /// Refusals heard, by code.
    codes: BTreeMap<u8, i64>,
}

/// The books of a run.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    seen: Seen,
    /// Connections to the guard that runs now.
    opened: i64,
    /// Records that the guard has written to the backend, by the verdicts that let them through.
    stored: i64,
    removed: i64,
    unordered: i64,
    /// What all guards have counted that have ended.
    counted: Scrape,
}

impl Accounts {
    /// A client has connected.
    pub fn connected(&mut self) {
        self.seen.connected += 1;
        self.opened += 1;
    }

    /// A client is about to ask.
    pub fn asked(&mut self, verb: Verb) {
        *self.seen.asked.entry(verb.as_str()).or_default() += 1;
    }

    /// A client was answered.
    pub fn heard(&mut self, verb: Verb, reply: &Reply) {
        let outcome = outcome_of(reply);
        *self.seen.heard.entry((verb.as_str(), outcome.as_str())).or_default() += 1;
        if outcome == Outcome::Refused {
            *self.seen.codes.entry(reply.code()).or_default() += 1;
        }
    }

    /// The guard has written a request to the backend.
    pub fn carried(&mut self, command: &Command) {
        let is_shown = |key: &[u8]| i64::from(!key.starts_with(b"timestamp."));
        match command {
            Command::Put { key, .. } | Command::PutKeep { key, .. } => self.stored += is_shown(key),
            Command::Out { .. } => self.removed += 1,
            Command::PutCat { .. } | Command::AddInt { .. } => self.unordered += 1,
            Command::Misc {
                function, arguments, ..
            } => match function.as_ref() {
                b"put" | b"putkeep" => self.stored += 1,
                b"putlist" => self.stored += arguments.chunks(2).map(|pair| is_shown(&pair[0])).sum::<i64>(),
                b"out" => self.removed += 1,
                b"outlist" => self.removed += arguments.len() as i64,
                _ => {}
            },
            _ => {}
        }
    }

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
        let stale = (sum("verdicts_total", &["stale"]), sum("stale_age_seconds_count", &[]));
        demand(world, stale.0 == stale.1, || {
            format!("{} stale writes, the age of {} was taken", stale.0, stale.1)
        });
        let (refused, refusals) = (sum("requests_total", &["refused"]), scrape.refusals());
        // A list is one request, and with records of their own stamps are judged by themselves.
        let is_inline = world.plan.settings.rules.ledger == LedgerMode::Inline;
        let one_each = is_inline && !world.plan.clients.lists && world.plan.script.is_empty();
        demand(world, refused <= refusals && !(one_each && refused < refusals), || {
            format!("{refused} requests were refused, {refusals} records")
        });
        let (up, fenced) = (sum("lane_connects_total", &["up"]), sum("lanes_fenced_total", &[]));
        let gone = up - fenced - lanes as i64;
        demand(world, (0..=retired as i64).contains(&gone), || {
            format!("{up} lanes came up, {fenced} were fenced, {lanes} are up")
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
            ("answers of lanes", sum("backend_seconds_count", &[]), answers),
            ("fences", sum("fences_total", &[]), given_up),
            ("fences that ended", sum("fences_total", &["ended"]), ended),
            ("fences that timed out", sum("fences_total", &["timeout"]), timed_out),
        ] {
            demand(world, counted <= most as i64, || {
                format!("{counted} {what}, seen were {seen:?}")
            });
        }
        if given_up == 0 {
            let again = sum("retries_total", &[]);
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

    /// Without any fault everything is counted exactly as it was seen. `before` is how things stood when nothing was
    /// under way before, `puts` how many single records were written since.
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
                let is_right = heard == ended || verb == Verb::PutNr.as_str();
                demand(world, is_right, || {
                    format!("{heard} {series:?} were heard, {ended} counted")
                });
            }
        }
        let puts = since(self.seen.asked.get("put"), then.seen.asked.get("put"));
        let judged = counted.sum("verdicts_total", &[]);
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
    pub fn check_end(&self, world: &World) {
        let (seen, counted) = (&self.seen, &self.counted);
        for verb in Verb::ALL {
            let ended = counted.sum("requests_total", &[verb.as_str()]);
            let asked = seen.asked.get(verb.as_str()).copied().unwrap_or(0);
            demand(world, ended <= asked, || {
                format!("{asked} {verb:?} were asked, {ended} counted")
            });
        }
        for ((verb, outcome), heard) in &seen.heard {
            let ended = counted.sum("requests_total", &[verb, outcome]);
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
            let judged = verdicts(names);
            demand(world, carried <= judged, || {
                format!("{carried} records were {what} on lanes, {judged} were let through")
            });
        }
    }
}

fn demand(world: &World, holds: bool, how: impl FnOnce() -> String) {
    if !holds {
        world.violated("I13", how);
    }
}
