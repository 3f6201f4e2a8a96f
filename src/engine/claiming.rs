//! Keeps the claim of the store: takes it when it is free, renews it, and lets go of it at the end.
//!
//! It has a connection of its own, so that it is held up by nobody's requests, and tells all who send anything by the
//! [`Tenure`](crate::claim::Tenure) how long they may. See [`claim`](crate::claim) for the rules.

mod asking;
mod lock;
pub mod standing;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::{sleep, sleep_until, timeout};

use self::asking::{Asking, Problem, Stored};
use self::lock::{Locked, SocketLock};
use self::standing::{Ending, Standing};
use crate::claim::record::{Record, plain};
use crate::claim::watch::{Free, Watch};
use crate::client::fault::Trouble;
use crate::client::route::Route;
use crate::clock::now;
use crate::engine::shared::Shared;
use crate::guard::stamp::StampFormat;
use crate::logging::RateLimit;
use crate::metrics::{Alarm, ClaimChange};

/// So often the claim is renewed, and looked at by those who wait, in the time after which it is free.
const BEATS: u32 = 8;

/// No more often than so many times in a beat, whoever asks for it.
const QUICKEST: u32 = 16;

/// So far ahead of the clock the mark is, where stamps may be as far ahead.
const LEAD: Duration = Duration::from_secs(5);

/// No mark is further ahead of the clock: none was raised for more than `future_tolerance`, and clocks differ.
const MARK_MAX: Duration = Duration::from_secs(2 * 365 * 24 * 3600);

/// How long the same is not said again.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// How one that keeps a claim knows itself from others.
#[derive(Clone, Debug)]
pub struct Identity {
    /// A number that it has drawn.
    pub instance: u64,
    /// Who it is, for people.
    pub holder: String,
}

impl Identity {
    /// That of this process.
    pub fn of_process() -> Self {
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self {
            instance: fastrand::u64(..),
            holder: plain(&format!("process {} on {machine}", std::process::id())),
        }
    }
}

/// A claim that was taken.
#[derive(Debug)]
struct Held {
    record: Record,
    /// Nothing is written before then.
    settles_at: Instant,
    /// Up to which stamp the holders before have let in, where that is known.
    inherits: Option<u64>,
    /// The guard before has left in order: the mark is the newest stamp that it let in, and not a bound ahead of that.
    is_exact: bool,
    /// The guard was told that it begins.
    has_begun: bool,
}

/// One that keeps a claim.
struct Claimant {
    shared: Arc<Shared>,
    identity: Identity,
    watch: Watch,
    held: Option<Held>,
    /// Which of the stores that the lanes have led to this is about.
    generation: u64,
    lock: SocketLock,
}

/// Keeps the claim until `ending` says how the process ends, or whoever could say is gone.
pub async fn attend(shared: Arc<Shared>, identity: Identity, mut ending: watch::Receiver<Option<Ending>>) {
    let mut claimant = Claimant {
        watch: Watch::new(shared.settings().claim_timeout),
        generation: shared.tenure.generation(),
        shared: Arc::clone(&shared),
        identity,
        held: None,
        lock: SocketLock::default(),
    };
    tokio::select! {
        never = claimant.keep() => match never {},
        never = lapse(&shared) => match never {},
        _ = ending.wait_for(Option::is_some) => {}
    }
    let ending = *ending.borrow();
    shared.tenure.lapse();
    if ending == Some(Ending::InOrder) {
        claimant.leave().await;
    }
}

/// Says that the claim is held no more when it could not be renewed in time. Lanes look at the clock by themselves.
async fn lapse(shared: &Shared) -> Infallible {
    static LOG: RateLimit = RateLimit::new(LOG_INTERVAL);
    loop {
        match shared.tenure.until() {
            Some(until) if until <= now() => {
                shared.tenure.lapse();
                shared.metrics.claim_changes.of(ClaimChange::Lapsed).increment(1);
                if let Some(suppressed) = LOG.admit(now()) {
                    tracing::warn!(
                        suppressed,
                        "the claim of the store could not be renewed in time: writes are held"
                    );
                }
            }
            Some(until) => sleep_until(until.into()).await,
            None => sleep(shared.settings().claim_timeout / BEATS).await,
        }
    }
}

impl Claimant {
    /// Goes on for ever: connects, and claims or waits, as long as the connection is of use.
    async fn keep(&mut self) -> Infallible {
        static LOG: RateLimit = RateLimit::new(LOG_INTERVAL);
        loop {
            let patience = self.patience();
            let route = self.shared.plan.borrow().route.clone();
            let problem = match self.claim_at(&route).await {
                Ok(never) => match never {},
                Err(problem) => problem,
            };
            match problem {
                Problem::Unkeepable(why) => self.stand(Standing::Unkeepable(why)),
                Problem::Trouble(_) if *self.shared.claim.borrow() == Standing::Unknown { is_tried: false } => {
                    self.stand(Standing::Unknown { is_tried: true });
                }
                Problem::Trouble(_) => {}
            }
            if let Some(suppressed) = LOG.admit(now()) {
                tracing::warn!(%problem, suppressed, "the claim of the store is not attended to");
            }
            sleep(patience).await;
        }
    }

    /// How long anything of the claim may take.
    fn patience(&self) -> Duration {
        self.shared.settings().claim_timeout / BEATS
    }

    fn stand(&self, standing: Standing) {
        let told = &self.shared.claim;
        told.send_if_modified(|before| std::mem::replace(before, standing.clone()) != standing);
    }

    /// Attends to the claim of the store that is reached by this route, as long as that is where lanes lead.
    async fn claim_at(&mut self, route: &Route) -> Result<Infallible, Problem> {
        if self.generation != self.shared.tenure.generation() {
            // Another store, of which nothing is known.
            self.generation = self.shared.tenure.generation();
            self.held = None;
            self.watch = Watch::new(self.shared.settings().claim_timeout);
        }
        if let (Route::Unix(socket), None) = (route, &self.held)
            && let Locked::Theirs(holder) = self.lock.take(socket, &self.identity.holder)
        {
            self.stand(Standing::Waiting {
                holder,
                is_alive: true,
                is_silent: false,
            });
            return Err(Trouble::Unfit("another process has the lock beside the store's socket".to_owned()).into());
        }
        let mut asking = Asking::connect(route, 2 * self.patience()).await?;
        loop {
            let began = now();
            let is_elsewhere = self.generation != self.shared.tenure.generation();
            if is_elsewhere || self.shared.plan.borrow().route != *route {
                return Err(Trouble::Unfit("the store is another one".to_owned()).into());
            }
            if self.held.is_some() {
                self.renew(&mut asking).await?;
            } else if !self.is_to_end() {
                self.look(&mut asking).await?;
            }
            let earliest = began + self.patience() / QUICKEST;
            let free_at = self
                .watch
                .unchanged_since()
                .map(|since| since + self.shared.settings().claim_timeout);
            let next = match free_at.filter(|at| self.held.is_none() && *at > began) {
                Some(at) => at.min(began + self.patience()),
                None => began + self.patience(),
            };
            // Whoever wants the mark to be raised, or knows that the claim is free, does not wait for the next beat.
            let _ = timeout(next.saturating_duration_since(now()), self.shared.tenure.asked()).await;
            sleep_until(earliest.into()).await;
        }
    }

    /// Whether it was deposed, and does not wait for its turn: it says by whom for as long as it lasts.
    fn is_to_end(&self) -> bool {
        matches!(*self.shared.claim.borrow(), Standing::Deposed { .. }) && !self.shared.settings().standby
    }

    /// Looks whether the claim is free, and takes it then.
    async fn look(&mut self, asking: &mut Asking) -> Result<(), Problem> {
        let stored = asking.look().await?;
        let (at, patience) = (now(), self.shared.settings().claim_timeout);
        let free = self.watch.saw(stored.record.clone(), at);
        let Some(record) = stored.record.as_ref().filter(|_| free == Free::No) else {
            return self.take(asking, stored).await;
        };
        let silence = self.watch.unchanged_since().map_or(Duration::ZERO, |since| at - since);
        self.stand(Standing::Waiting {
            holder: record.holder.clone(),
            is_alive: self.watch.is_alive(),
            is_silent: silence >= patience / 2,
        });
        Ok(())
    }

    /// Takes a claim that is free.
    async fn take(&mut self, asking: &mut Asking, stored: Stored) -> Result<(), Problem> {
        let known = stored.record.as_ref().map_or(0, |record| record.epoch);
        let epoch = asking.raise_above(known).await?;
        // Whoever renewed it before the epoch rose shows now; whoever does so later sees the epoch.
        let settings = self.shared.settings();
        let now_stored = asking.look().await?.record;
        let settling = match &now_stored {
            Some(record) if now_stored == stored.record && record.left => Duration::ZERO,
            Some(_) if now_stored == stored.record => settings.pairing.start_hold,
            // The holder has lived all the same; or there is none to be seen, since the store was emptied under it.
            _ => settings.pairing.start_hold.max(settings.claim_timeout / 2),
        };
        let is_exact = now_stored.as_ref().is_some_and(|record| record.left);
        let (format, now_by_clock) = (self.shared.guard.stamp(), (self.shared.clock)());
        let mark = now_stored.and_then(|record| record.mark);
        let inherits = mark.filter(|mark| can_be_mark(format, *mark, now_by_clock));
        let record = Record {
            epoch,
            beat: 0,
            mark: inherits,
            instance: self.identity.instance,
            holder: self.identity.holder.clone(),
            left: false,
        };
        let found = asking.write(&record).await?;
        let Some(written) = found.record else {
            return Err(Problem::Unkeepable(
                "it does not give back what was put into it: does its mask deny mget?",
            ));
        };
        if found.epoch != Some(epoch) || written.instance != record.instance {
            // Another was as fast, and its epoch decides.
            let _ = self.watch.saw(Some(written), now());
            return Ok(());
        }
        // There are two hidden records more than before, or none.
        self.shared.hidden.doubt();
        tracing::info!(epoch, ?settling, "the claim of the store was taken");
        self.shared.metrics.claim_changes.of(ClaimChange::Taken).increment(1);
        self.stand(Standing::Settling { epoch });
        self.held = Some(Held {
            record,
            settles_at: now() + settling,
            inherits,
            is_exact,
            has_begun: false,
        });
        self.renew(asking).await
    }

    /// Renews the claim, unless another has taken it.
    async fn renew(&mut self, asking: &mut Asking) -> Result<(), Problem> {
        let Some(held) = &mut self.held else {
            return Ok(());
        };
        let ours = held.record.epoch;
        let stored = asking.look().await?;
        let is_mine = |record: &Record| record.instance == self.identity.instance;
        let other = stored.record.as_ref().filter(|record| !is_mine(record));
        if stored.epoch.is_some_and(|epoch| epoch > ours) || other.is_some_and(|record| record.epoch > ours) {
            let by = other.cloned();
            self.deposed(by);
            return Ok(());
        }
        if stored.epoch != Some(ours) || stored.record.is_none() {
            // The store was emptied, or came back without them.
            self.shared.hidden.doubt();
            held.record.epoch = asking.raise_above(ours).await?;
        }
        held.record.beat += 1;
        held.record.mark = mark(&self.shared, held.record.mark);
        let sent = now();
        let found = asking.write(&held.record).await?;
        if found.epoch != Some(held.record.epoch) || !found.record.as_ref().is_some_and(is_mine) {
            self.deposed(found.record);
            return Ok(());
        }
        if now() < held.settles_at {
            return Ok(());
        }
        if !held.has_begun {
            held.has_begun = true;
            if let Some(inherits) = held.inherits {
                let (guard, now) = (&self.shared.guard, (self.shared.clock)());
                guard.begin_at(inherits, now);
                let giving = &self.shared.giving;
                giving.begin_at_guard(guard.stamp(), inherits, held.is_exact, LEAD, now);
            }
        }
        let until = sent + self.shared.settings().claim_timeout / 2;
        let mark = held.record.mark.unwrap_or(u64::MAX);
        let epoch = held.record.epoch;
        if self.shared.tenure.extend(until, mark, self.generation) {
            self.stand(Standing::Held { epoch });
        }
        Ok(())
    }

    /// Another has taken the claim: nothing more is written, and what is on its way is stopped.
    fn deposed(&mut self, by: Option<Record>) {
        self.held = None;
        self.watch = Watch::new(self.shared.settings().claim_timeout);
        self.shared.tenure.depose();
        self.shared.metrics.claim_changes.of(ClaimChange::Deposed).increment(1);
        let by = by.map_or_else(|| "another ttguard".to_owned(), |record| record.holder);
        let what = format!("the claim of the store was lost to {by}: nothing more is written, and lanes are fenced");
        self.shared.raise(Alarm::Deposed, &what);
        self.stand(Standing::Deposed { by });
    }

    /// Lets go of the claim: the store is done with all that was sent to it.
    async fn leave(&mut self) {
        let Some(mut held) = self.held.take().filter(|held| held.has_begun) else {
            return;
        };
        let newest = self.shared.guard.ledger().newest();
        held.record.mark = held.record.mark.map(|mark| mark.min(newest));
        held.record.left = true;
        held.record.beat += 1;
        let patience = self.shared.settings().claim_timeout;
        let route = self.shared.plan.borrow().route.clone();
        let leaving = async {
            let mut asking = Asking::connect(&route, patience).await?;
            // Whoever has taken it since is not to be written over.
            let stored = asking.look().await?;
            let is_ours = stored
                .record
                .is_some_and(|record| record.instance == held.record.instance);
            if is_ours && stored.epoch == Some(held.record.epoch) {
                asking.write(&held.record).await?;
            }
            Ok::<_, Problem>(())
        };
        match timeout(patience, leaving).await {
            Ok(Ok(())) => tracing::info!("the claim of the store was given back"),
            Ok(Err(problem)) => {
                tracing::warn!(%problem, "the claim of the store was not given back: others wait for it")
            }
            Err(_) => tracing::warn!("the claim of the store was not given back in time: others wait for it"),
        }
    }
}

/// Whether a mark is one of stamps in this format. One of stamps with more digits, which were read here before, would have
/// every key looked up for ever.
fn can_be_mark(format: StampFormat, mark: u64, now: Duration) -> bool {
    format.at(now + MARK_MAX).is_none_or(|most| mark <= most)
}

/// Up to which stamp is let in from now on, where stamps are times: ahead of the clock, and never below `before`.
fn mark(shared: &Shared, before: Option<u64>) -> Option<u64> {
    let format = shared.guard.stamp();
    let lead = LEAD.min(shared.guard.future_tolerance());
    let ahead = format.at((shared.clock)() + lead)?.max(before.unwrap_or(0));
    if shared.tenure.wanted() <= ahead {
        return Some(ahead);
    }
    // As far as any stamp may be: who has one above the mark is likely to have more of them.
    let furthest = format.at((shared.clock)() + shared.guard.future_tolerance())?;
    Some(ahead.max(furthest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::stamp::Unit;

    #[test]
    fn a_mark_of_another_format_is_none() {
        let now = Duration::from_secs(1_700_000_000);
        let (client, given) = (StampFormat::default(), StampFormat::given(Default::default()));
        let opaque = StampFormat::new(13, Unit::Opaque).expect("a width in range");
        for (format, mark, is_one) in [
            (client, 1_700_000_005_000, true),
            (client, 1_700_000_005_000_000, false),
            (given, 1_700_000_005_000_000, true),
            // Below all that is written from now on: nothing is looked up for it.
            (given, 1_700_000_005_000, true),
            (opaque, u64::MAX, true),
        ] {
            assert_eq!(can_be_mark(format, mark, now), is_one, "{mark}");
        }
    }
}
