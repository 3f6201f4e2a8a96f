//! Rulings that need nothing but the rules and what they are told.

use std::time::Duration;

use super::ledger::Known;
use super::pending::Ruling;
use super::rules::{Mode, Policy, Rules, Tie};
use super::verdict::{Admitted, Change, ReadCause, Refusal, Stored};

/// Refusals that need neither the ledger nor the backend.
pub(super) fn ruling_at_once(rules: &Rules, change: Change<'_>, now: Duration) -> Option<Refusal> {
    match change {
        Change::Stamped { stamp, .. } | Change::DeleteAt(stamp) => {
            let latest = rules.stamp.at(now + rules.future_tolerance)?;
            (stamp > latest).then_some(Refusal::Future)
        }
        Change::Unstamped if rules.unstamped == Policy::Refuse => Some(Refusal::Unstamped),
        _ => None,
    }
}

/// What a change is remembered by that is let through although its stamp is too far ahead: nobody is bound by that.
pub(super) fn within(rules: &Rules, ruling: Ruling, now: Duration) -> Ruling {
    match (ruling, rules.stamp.at(now + rules.future_tolerance)) {
        (Ruling::Go(Admitted::Stamped(stamp)), Some(latest)) => Ruling::Go(Admitted::Stamped(stamp.min(latest))),
        (ruling, _) => ruling,
    }
}

/// In observe mode a refusal becomes a passage, and says what it would have been.
pub(super) fn observed(rules: &Rules, ruling: Ruling) -> (Ruling, Option<Refusal>) {
    match ruling {
        Ruling::Refuse(refusal) if rules.mode == Mode::Observe => {
            let newest = match refusal {
                Refusal::Stale { newer } => newer,
                _ => 0,
            };
            (Ruling::Go(Admitted::Stamped(newest)), Some(refusal))
        }
        other => (other, None),
    }
}

/// The ruling on a stamp that the key has already; `stored` is what was read back, if anything.
pub(super) fn ruling_on_tie(tie: Tie, stamp: u64, value: &[u8], stored: Option<&Stored>) -> Ruling {
    if tie == Tie::Last {
        return Ruling::Go(Admitted::Stamped(stamp));
    }
    let Some(stored) = stored.filter(|stored| stored.known == Known::Stamp(stamp)) else {
        return Ruling::Read(ReadCause::Tie);
    };
    let wins = match (&stored.value, tie) {
        // The server has dropped it: there is nothing to tie with.
        (None, _) => true,
        (Some(bytes), _) if bytes == value => true,
        (Some(bytes), Tie::Greater) => value > bytes.as_ref(),
        (Some(_), _) => false,
    };
    if wins {
        Ruling::Go(Admitted::Stamped(stamp))
    } else {
        Ruling::Refuse(Refusal::Tie)
    }
}
