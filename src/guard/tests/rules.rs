//! Each rule by itself.

use std::time::Duration;

use super::support::{Bell, Come, Desk, Expected, NOW, rules};
use crate::command::Verb;
use crate::guard::Guard;
use crate::guard::ledger::Known;
use crate::guard::rules::{Mode, Policy, Rules, Tie};
use crate::guard::stamp::{StampFormat, Unit};
use crate::guard::verdict::{Change, Outcome, ReadCause, Refusal, WaitCause};
use crate::pairing::LaneId;

const fn stale(newer: u64) -> Refusal {
    Refusal::Stale { newer }
}

fn value(stamp: u64, body: &str) -> String {
    format!("{stamp:013}{body}")
}

fn opaque() -> Rules {
    Rules {
        stamp: StampFormat::new(13, Unit::Opaque).expect("a width in range"),
        ..rules()
    }
}

// Stale writes and the horizon.

#[test]
fn a_write_older_than_what_is_stored_is_stale() {
    for (stamp, refusal) in [
        (NOW - 1, Some(stale(NOW))),
        (0, Some(stale(NOW))),
        (NOW, None),
        (NOW + 1, None),
    ] {
        let desk = Desk::new();
        desk.store(1, NOW);
        let judged = desk.put(2, stamp);
        match refusal {
            Some(refusal) => assert_eq!(judged.refused(), refusal),
            None => desk.guard.settle(judged.goes(), Outcome::Stored),
        }
        assert_eq!(desk.known(), Known::Stamp(stamp.max(NOW)));
        assert_eq!(desk.guard.pending(), 0);
    }
}

#[test]
fn what_is_confirmed_refuses_an_older_write_while_a_newer_one_is_in_flight() {
    let desk = Desk::new();
    desk.store(1, NOW);
    let flying = desk.put(1, NOW + 2).goes();
    assert_eq!(desk.put(1, NOW - 1).refused(), stale(NOW));
    desk.put(1, NOW + 1).waits(WaitCause::OlderInFlight).leave();
    desk.guard.settle(flying, Outcome::Stored);
    assert_eq!(desk.guard.pending(), 0);
}

#[test]
fn only_what_is_not_above_the_horizon_is_read() {
    let desk = Desk::with(rules(), 64, NOW);
    desk.guard.settle(desk.put(1, NOW + 1).goes(), Outcome::Stored);
    for stamp in [NOW, NOW - 1] {
        let desk = Desk::with(rules(), 64, NOW);
        let reader = desk.put(1, stamp).reads(ReadCause::Horizon);
        desk.learn(Some(NOW), None);
        let judged = desk.put_body(1, stamp, "", reader.come());
        assert_eq!(
            judged.refused(),
            stale(NOW),
            "a record that stands alone refuses its equal too"
        );
        assert_eq!((desk.known(), desk.guard.pending()), (Known::Record(NOW), 0));
    }
}

#[test]
fn a_key_that_went_from_the_ledger_is_still_guarded() {
    let desk = Desk::with(rules(), 2, 0);
    desk.store(1, NOW);
    for other in 1..=8u8 {
        desk.guard
            .ledger()
            .put(desk.guard.key(&[other]), Known::Stamp(NOW + u64::from(other)));
    }
    assert_eq!(desk.known(), Known::Absent);
    desk.put(1, NOW - 1).reads(ReadCause::Horizon);
}

#[test]
fn nothing_stored_lets_every_stamp_in() {
    let desk = Desk::with(rules(), 64, NOW);
    let reader = desk.put(1, 5).reads(ReadCause::Horizon);
    desk.learn(None, None);
    desk.guard
        .settle(desk.put_body(1, 5, "", reader.come()).goes(), Outcome::Stored);
    assert_eq!(desk.known(), Known::Stamp(5));
}

#[test]
fn the_horizon_starts_above_what_any_guard_let_in() {
    let now = Duration::from_millis(NOW);
    assert_eq!(Guard::<Bell>::horizon_at_start(&rules(), now), NOW + 50);
    assert_eq!(Guard::<Bell>::horizon_at_start(&opaque(), now), u64::MAX);
}

#[test]
fn stamps_that_are_no_time_know_no_clock() {
    let desk = Desk::with(opaque(), 64, u64::MAX);
    let reader = desk.put(1, 9_999_999_999_999).reads(ReadCause::Horizon);
    desk.learn(Some(7), None);
    let ticket = desk.put_body(1, 9_999_999_999_999, "", reader.come()).goes();
    desk.guard.settle(ticket, Outcome::Stored);
    assert_eq!(desk.put(1, 8).refused(), stale(9_999_999_999_999));

    let desk = Desk::with(opaque(), 64, u64::MAX);
    let reader = desk.judge(1, Change::Delete, Come::default()).reads(ReadCause::Delete);
    desk.learn(Some(7), None);
    let ticket = desk.judge(1, Change::Delete, reader.come()).goes();
    assert_eq!(ticket.tombstone(), Some(7), "no clock lifts it");
    desk.guard.settle(ticket, Outcome::Stored);
}

// Ties.

fn desk_with(tie: Tie) -> Desk {
    Desk::with(Rules { tie, ..rules() }, 64, 0)
}

/// Stores "b" under a stamp, offers `body` under the same, and says whether it got in.
fn wins_tie(tie: Tie, body: &str) -> bool {
    let desk = desk_with(tie);
    let ticket = desk.put_body(1, NOW, "b", Come::default()).goes();
    desk.guard.settle(ticket, Outcome::Stored);
    let (verdict, bell) = desk.put_body(1, NOW, body, Come::default());
    let judged = if tie == Tie::Last {
        (verdict, bell)
    } else {
        let reader = (verdict, bell).reads(ReadCause::Tie);
        desk.learn(Some(NOW), Some(&value(NOW, "b")));
        desk.put_body(1, NOW, body, reader.come())
    };
    let wins = match judged.0 {
        crate::guard::verdict::Verdict::Go(ticket) => {
            desk.guard.settle(ticket, Outcome::Stored);
            true
        }
        _ => {
            assert_eq!(judged.refused(), Refusal::Tie);
            false
        }
    };
    assert_eq!(desk.guard.pending(), 0);
    wins
}

#[test]
fn the_rule_decides_between_equal_stamps() {
    for (tie, body, wins) in [
        (Tie::Last, "a", true),
        (Tie::Last, "b", true),
        (Tie::Last, "c", true),
        (Tie::First, "a", false),
        (Tie::First, "b", true),
        (Tie::First, "c", false),
        (Tie::Greater, "a", false),
        (Tie::Greater, "b", true),
        (Tie::Greater, "c", true),
    ] {
        assert_eq!(wins_tie(tie, body), wins, "{tie:?} with {body}");
    }
}

#[test]
fn a_tombstone_refuses_the_deleted_records_own_stamp_whatever_the_tie_and_however_it_is_known() {
    for tie in [Tie::Last, Tie::First, Tie::Greater] {
        // It is remembered.
        let desk = desk_with(tie);
        desk.store(1, NOW);
        let delete = desk.judge(1, Change::Delete, Come::default()).goes();
        assert_eq!(delete.record(), Some(NOW));
        desk.guard.settle(delete, Outcome::Stored);
        assert_eq!(desk.put(1, NOW).refused(), stale(NOW), "{tie:?}");
        desk.guard.settle(desk.put(1, NOW + 1).goes(), Outcome::Stored);
        assert_eq!((desk.known(), desk.guard.pending()), (Known::Stamp(NOW + 1), 0));

        // It is read back.
        let desk = Desk::with(Rules { tie, ..rules() }, 64, NOW);
        let reader = desk.put(1, NOW).reads(ReadCause::Horizon);
        desk.learn(Some(NOW), None);
        assert_eq!(
            desk.put_body(1, NOW, "", reader.come()).refused(),
            stale(NOW),
            "{tie:?}"
        );
        desk.guard.settle(desk.put(1, NOW + 1).goes(), Outcome::Stored);
    }
}

#[test]
fn a_record_whose_stamp_the_value_has_too_is_no_tombstone() {
    let desk = Desk::with(rules(), 64, NOW);
    let reader = desk.put(1, NOW).reads(ReadCause::Horizon);
    desk.learn_both(Some(NOW), Some(NOW), Some(&value(NOW, "")));
    let ticket = desk.put_body(1, NOW, "other", reader.come()).goes();
    desk.guard.settle(ticket, Outcome::Stored);
}

/// As in front of a table, which holds no record of a tombstone.
#[test]
fn what_a_delete_has_left_is_not_forgotten_when_nothing_is_found() {
    let desk = Desk::with(rules(), 64, NOW);
    let delete = desk.judge(1, Change::Delete, Come::default());
    let reader = delete.reads(ReadCause::Delete);
    let waiter = desk.put(1, NOW - 20).waits(WaitCause::Lookup);
    desk.learn(None, None);
    let delete = desk.judge(1, Change::Delete, reader.come()).goes();
    desk.guard.settle(delete, Outcome::Stored);
    assert_eq!(desk.put_body(1, NOW - 20, "", waiter.come()).refused(), stale(NOW - 10));
    assert_eq!(desk.known(), Known::Record(NOW - 10));
}

// Stamps that no guard can have let in.

#[test]
fn a_stamp_of_the_far_future_that_is_found_is_told_and_binds_nobody() {
    const FAR: u64 = 9_999_999_999_999;
    let far = value(FAR, "");
    for (stamp, record, text) in [
        (Some(FAR), None, Some(far.as_str())),
        (None, Some(FAR), None),
        (Some(NOW - 5), Some(FAR), Some("x")),
        (Some(NOW + 51), None, Some("x")),
    ] {
        let desk = Desk::with(rules(), 64, NOW);
        let reader = desk.put(1, NOW - 4).reads(ReadCause::Horizon);
        let learnt = desk.learn_both(stamp, record, text);
        assert_eq!((learnt.ahead, learnt.receded), (stamp.max(record), None));
        let ticket = desk.put_body(1, NOW - 4, "", reader.come()).goes();
        desk.guard.settle(ticket, Outcome::Stored);
        assert_eq!((desk.known(), desk.guard.pending()), (Known::Stamp(NOW - 4), 0));
        assert!(desk.guard.ledger().horizon() <= NOW, "nothing of it stays");

        let desk = Desk::with(rules(), 64, NOW);
        let reader = desk.judge(1, Change::Delete, Come::default()).reads(ReadCause::Delete);
        desk.learn_both(stamp, record, text);
        let delete = desk.judge(1, Change::Delete, reader.come()).goes();
        assert!(delete.record() <= Some(NOW - 5), "{delete:?}");
        desk.guard.settle(delete, Outcome::Stored);
    }
}

#[test]
fn what_was_let_in_binds_when_the_clock_went_back_and_so_does_its_tombstone() {
    let desk = Desk::new();
    desk.store(1, NOW + 50);
    desk.guard.distrust_everything(Duration::from_millis(NOW));
    let earlier = Duration::from_millis(NOW - 1_000);
    let origin = |turn| crate::guard::Origin {
        lane: LaneId(1),
        turn,
        alone: false,
    };
    let (old, bell) = (value(NOW - 1_000, ""), Bell::default());
    let change = desk.guard.change_of(old.as_bytes());
    let verdict = desk
        .guard
        .judge(desk.key, change, origin(false), earlier, None, || bell.clone());
    assert!(
        matches!(verdict, crate::guard::verdict::Verdict::Read(_)),
        "{verdict:?}"
    );
    let stored = value(NOW + 50, "");
    let found = crate::guard::verdict::ReadBack {
        stamp: Some(NOW + 50),
        record: None,
        value: Some(stored.into()),
    };
    assert_eq!(desk.guard.learn(desk.key, Some(found), earlier).ahead, None);
    let turn = bell.come().turn;
    let verdict = desk
        .guard
        .judge(desk.key, change, origin(turn), earlier, None, || bell.clone());
    assert_eq!((verdict, bell.clone()).refused(), stale(NOW + 50));
    let delete = desk
        .guard
        .judge(desk.key, Change::Delete, origin(false), earlier, None, || bell.clone());
    let delete = (delete, bell).goes();
    assert_eq!(delete.record(), Some(NOW + 50));
    desk.guard.settle(delete, Outcome::Stored);
    assert_eq!(desk.known(), Known::Record(NOW + 50));
}

#[test]
fn what_is_made_of_a_value_is_refused_when_its_stamp_is_too_far_ahead() {
    let now = Duration::from_millis(NOW);
    for (made, refusal) in [
        (value(NOW + 50, "x"), None),
        (value(NOW + 51, "x"), Some(Refusal::Future)),
        ("plain".to_owned(), None),
    ] {
        let strict = Rules {
            unstamped: Policy::Refuse,
            ..rules()
        };
        for rules in [rules(), strict] {
            let desk = Desk::with(rules, 64, 0);
            assert_eq!(
                desk.guard.refuses_made(desk.guard.change_of(made.as_bytes()), now),
                refusal
            );
        }
        let desk = Desk::with(opaque(), 64, 0);
        assert_eq!(
            desk.guard.refuses_made(desk.guard.change_of(made.as_bytes()), now),
            None
        );
    }
}

#[test]
fn a_value_that_was_replaced_since_it_was_read_decides_no_tie() {
    let desk = desk_with(Tie::Greater);
    desk.store(1, NOW);
    let first = desk.put_body(1, NOW, "c", Come::default()).reads(ReadCause::Tie);
    let second = desk.put_body(1, NOW, "b", Come::default()).waits(WaitCause::Lookup);
    desk.learn(Some(NOW), Some(&value(NOW, "a")));
    let (first, second) = (first.come(), second.come());
    let ticket = desk.put_body(1, NOW, "c", first).goes();
    desk.guard.settle(ticket, Outcome::Stored);
    desk.put_body(1, NOW, "b", second).reads(ReadCause::Tie).leave();
    desk.learn(Some(NOW), Some(&value(NOW, "c")));
    assert_eq!(desk.guard.pending(), 0);
}

#[test]
fn an_equal_stamp_in_flight_is_awaited_unless_the_last_wins() {
    for tie in [Tie::Last, Tie::First, Tie::Greater] {
        let desk = desk_with(tie);
        let _flying = desk.put(1, NOW).goes();
        let second = desk.put(1, NOW);
        if tie == Tie::Last {
            let _ticket = second.goes();
        } else {
            second.waits(WaitCause::OlderInFlight);
        }
    }
}

// The clock, and values without a stamp.

#[test]
fn a_stamp_too_far_ahead_refused() {
    for (stamp, refused) in [(NOW + 50, false), (NOW + 51, true), (9_999_999_999_999, true)] {
        let desk = Desk::new();
        let judged = desk.put(1, stamp);
        if refused {
            assert_eq!(judged.refused(), Refusal::Future);
            assert_eq!(desk.guard.pending(), 0);
        } else {
            desk.guard.settle(judged.goes(), Outcome::Stored);
        }
    }
}

#[test]
fn a_value_without_a_stamp_passes_or_refused() {
    let desk = Desk::new();
    let ticket = desk.judge(1, desk.guard.change_of(b"plain"), Come::default()).goes();
    assert!(!ticket.is_idempotent());
    desk.guard.settle(ticket, Outcome::Stored);
    assert_eq!((desk.known(), desk.guard.pending()), (Known::Absent, 0));

    let unstamped = Policy::Refuse;
    let desk = Desk::with(Rules { unstamped, ..rules() }, 64, 0);
    let judged = desk.judge(1, desk.guard.change_of(b"plain"), Come::default());
    assert_eq!(judged.refused(), Refusal::Unstamped);
}

#[test]
fn a_value_without_a_stamp_has_what_it_lies_over_kept_in_a_record() {
    let desk = Desk::new();
    desk.store(1, NOW);
    let ticket = desk.judge(1, Change::Unstamped, Come::default()).goes();
    assert_eq!((ticket.record(), ticket.tombstone()), (Some(NOW), None));
    desk.put(1, NOW + 1).waits(WaitCause::OlderInFlight).leave();
    desk.judge(1, Change::Unstamped, Come::default())
        .waits(WaitCause::OlderInFlight)
        .leave();
    desk.guard.settle(ticket, Outcome::Stored);
    assert_eq!(desk.known(), Known::Record(NOW));
    for stamp in [NOW - 1, NOW] {
        assert_eq!(desk.put(1, stamp).refused(), stale(NOW));
    }
    let again = desk.judge(1, Change::Unstamped, Come::default()).goes();
    assert_eq!(again.record(), Some(NOW));
    desk.guard.settle(again, Outcome::Failed);
    desk.put(1, NOW - 1).reads(ReadCause::Unknown).leave();
    desk.learn_both(None, Some(NOW), Some("plain"));
    assert_eq!((desk.known(), desk.guard.pending()), (Known::Record(NOW), 0));
}

#[test]
fn a_value_without_a_stamp_is_sent_at_once_where_no_stamp_can_be_and_else_the_key_is_read() {
    let desk = Desk::new();
    let unstamped = || desk.judge(1, Change::Unstamped, Come::default());
    let (first, second) = (unstamped().goes(), unstamped().goes());
    assert_eq!((first.record(), second.record()), (None, None));
    desk.guard.settle(first, Outcome::Stored);
    desk.guard.settle(second, Outcome::Stored);
    assert!(!desk.guard.may_hold_stamp(desk.key));
    let flying = desk.put(1, NOW).goes();
    unstamped().waits(WaitCause::OlderInFlight).leave();
    desk.guard.settle(flying, Outcome::Stored);
    assert!(desk.guard.may_hold_stamp(desk.key));

    let desk = Desk::with(rules(), 64, NOW);
    assert!(desk.guard.may_hold_stamp(desk.key));
    let reader = desk
        .judge(1, Change::Unstamped, Come::default())
        .reads(ReadCause::Horizon);
    desk.learn_both(Some(NOW), None, Some(&value(NOW, "")));
    let ticket = desk.judge(1, Change::Unstamped, reader.come()).goes();
    assert_eq!(ticket.record(), Some(NOW));
    desk.guard.settle(ticket, Outcome::Unsent);
    assert_eq!(desk.known(), Known::Stamp(NOW), "nothing was sent");
}

#[test]
fn a_record_that_was_tidied_away_is_not_taken_for_one_that_is_still_there() {
    for (outcome, asks) in [(Outcome::Stored, true), (Outcome::Unsent, false)] {
        let desk = Desk::with(rules(), 64, NOW - 50);
        desk.store(1, NOW - 20);
        let ticket = desk.judge(1, Change::Tidy, Come::default()).goes();
        assert_eq!((ticket.tombstone(), ticket.is_idempotent()), (None, false));
        desk.guard.settle(ticket, outcome);
        if asks {
            desk.put(1, NOW - 21).reads(ReadCause::Unknown);
        } else {
            assert_eq!(desk.put(1, NOW - 21).refused(), stale(NOW - 20));
        }
    }
    let desk = Desk::with(rules(), 64, NOW - 50);
    let ticket = desk.judge(1, Change::Tidy, Come::default()).goes();
    desk.guard.settle(ticket, Outcome::Stored);
    assert_eq!((desk.known(), desk.guard.pending()), (Known::Absent, 0));
    desk.put(1, NOW - 51).reads(ReadCause::Horizon);
}

// Deletes.

#[test]
fn a_delete_of_which_nothing_was_sent_changes_nothing_and_one_whose_record_alone_was_leaves_doubt() {
    let desk = Desk::new();
    desk.store(1, NOW - 20);
    let delete = desk.judge(1, Change::Delete, Come::default()).goes();
    desk.guard.settle(delete, Outcome::Unsent);
    assert_eq!((desk.known(), desk.guard.pending()), (Known::Stamp(NOW - 20), 0));
    let delete = desk.judge(1, Change::Delete, Come::default()).goes();
    desk.guard.settle(delete, Outcome::Failed);
    let reader = desk.put(2, NOW - 15).reads(ReadCause::Unknown);
    desk.learn_both(Some(NOW - 20), Some(NOW - 10), Some(&value(NOW - 20, "")));
    assert_eq!(desk.put_body(2, NOW - 15, "", reader.come()).refused(), stale(NOW - 10));
}

#[test]
fn a_tombstone_is_the_newest_known_stamp_or_the_clock_less_the_tolerance() {
    for (stored, tombstone) in [
        (None, NOW - 10),
        (Some(NOW - 11), NOW - 10),
        (Some(NOW - 9), NOW - 9),
        (Some(NOW + 50), NOW + 50),
    ] {
        let desk = Desk::new();
        if let Some(stamp) = stored {
            desk.store(1, stamp);
        }
        let ticket = desk.judge(1, Change::Delete, Come::default()).goes();
        assert_eq!(ticket.tombstone(), Some(tombstone));
        assert!(!ticket.is_idempotent());
        desk.guard.settle(ticket, Outcome::Stored);
        assert_eq!(desk.put(1, tombstone - 1).refused(), stale(tombstone));
        assert_eq!((desk.known(), desk.guard.pending()), (Known::Record(tombstone), 0));
    }
}

#[test]
fn a_delete_reads_first_when_something_newer_may_be_stored() {
    for (horizon, reads) in [(NOW - 10, false), (NOW - 9, true)] {
        let desk = Desk::with(rules(), 64, horizon);
        let judged = desk.judge(1, Change::Delete, Come::default());
        let ticket = if reads {
            let reader = judged.reads(ReadCause::Delete);
            desk.learn(Some(NOW - 9), None);
            desk.judge(1, Change::Delete, reader.come()).goes()
        } else {
            judged.goes()
        };
        assert_eq!(ticket.tombstone(), Some(if reads { NOW - 9 } else { NOW - 10 }));
        desk.guard.settle(ticket, Outcome::Stored);
    }
}

#[test]
fn a_delete_waits_for_what_is_in_flight_and_others_for_it() {
    let desk = Desk::new();
    let flying = desk.put(1, NOW).goes();
    let delete = desk
        .judge(1, Change::Delete, Come::default())
        .waits(WaitCause::OlderInFlight);
    desk.guard.settle(flying, Outcome::Stored);
    let ticket = desk.judge(1, Change::Delete, delete.come()).goes();
    assert_eq!(ticket.tombstone(), Some(NOW));
    desk.put(1, NOW + 1).waits(WaitCause::OlderInFlight).leave();
    desk.put(2, NOW + 2).waits(WaitCause::OtherLane).leave();
    desk.guard.settle(ticket, Outcome::Failed);
    desk.put(1, NOW + 1).reads(ReadCause::Unknown);
}

// Commands that a stamp cannot order.

#[test]
fn a_command_that_cannot_be_ordered_leaves_doubt() {
    for outcome in [Outcome::Stored, Outcome::Failed] {
        let desk = Desk::new();
        desk.store(1, NOW);
        let ticket = desk.judge(1, Change::Unordered, Come::default()).goes();
        assert!(!ticket.is_idempotent());
        desk.put(1, NOW + 1).waits(WaitCause::OlderInFlight).leave();
        desk.guard.settle(ticket, outcome);
        assert!(matches!(desk.known(), Known::Unknown { bound } if bound >= NOW + 50));
        desk.put(1, NOW + 1).reads(ReadCause::Unknown);
    }
}

#[test]
fn each_command_has_a_policy_of_its_own() {
    let mut strict = rules();
    strict.unordered.addint = Policy::Refuse;
    let desk = Desk::with(strict, 64, 0);
    assert_eq!(desk.guard.admit_unordered(Verb::AddInt), Err(Refusal::Denied));
    for verb in [Verb::PutCat, Verb::PutShl, Verb::AddDouble, Verb::Ext, Verb::Misc] {
        assert_eq!(desk.guard.admit_unordered(verb), Ok(()));
    }
}

// Observing.

#[test]
fn observing_lets_everything_through_and_says_what_it_would_have_done() {
    let observing = Rules {
        mode: Mode::Observe,
        unstamped: Policy::Refuse,
        tie: Tie::First,
        ..rules()
    };
    let (older, future) = (value(NOW - 1, ""), value(NOW + 51, ""));
    for (value, refusal) in [
        (older.as_str(), stale(NOW)),
        (future.as_str(), Refusal::Future),
        ("plain", Refusal::Unstamped),
    ] {
        let desk = Desk::with(observing.clone(), 64, 0);
        desk.store(1, NOW);
        let change = desk.guard.change_of(value.as_bytes());
        let ticket = desk.judge(1, change, Come::default()).goes();
        assert_eq!(ticket.would_refuse(), Some(refusal));
        assert!(!ticket.is_idempotent(), "sent twice it could overwrite more");
        desk.guard.settle(ticket, Outcome::Stored);
        desk.put(1, NOW + 1).reads(ReadCause::Unknown);
    }
}

#[test]
fn nothing_that_is_remembered_outlives_a_change_of_everything() {
    let desk = Desk::new();
    desk.store(1, NOW);
    desk.guard.distrust_everything(Duration::from_millis(NOW));
    assert_eq!(desk.guard.ledger().horizon(), NOW + 50);
    let reader = desk.put(1, NOW - 5).reads(ReadCause::Horizon);
    desk.learn(None, None);
    desk.guard
        .settle(desk.put_body(1, NOW - 5, "", reader.come()).goes(), Outcome::Stored);
    assert_eq!(desk.known(), Known::Stamp(NOW - 5));
}

#[test]
fn a_change_of_everything_is_told_to_no_key_before_it_is_looked_at() {
    let desk = Desk::new();
    let ticket = desk.put(1, NOW).goes();
    desk.guard.distrust_everything(Duration::from_millis(NOW));
    // However many have something under way, nobody waits until all of them were told.
    let as_it_was = desk.guard.pending.get(&desk.key).unwrap().known;
    assert_eq!(as_it_was, Known::Absent);
    let doubted = Known::Unknown { bound: NOW + 50 };
    assert_eq!(desk.guard.glance(desk.key).known, doubted);
    assert_eq!(desk.guard.confirmed(desk.key), None);
    assert!(desk.guard.may_hold_stamp(desk.key));
    desk.guard.settle(ticket, Outcome::Stored);
    assert_eq!(desk.known(), Known::Absent, "what was stored may have been undone");
    desk.put(1, NOW + 1).reads(ReadCause::Horizon);
}

#[test]
fn what_is_forgotten_stays_below_the_horizon_when_the_clock_went_back() {
    let desk = Desk::new();
    desk.store(1, NOW + 50);
    desk.guard.distrust_everything(Duration::from_millis(NOW - 100));
    desk.put(1, NOW).reads(ReadCause::Horizon);
}

#[test]
fn a_record_that_was_deleted_since_it_was_read_wins_no_tie() {
    let desk = desk_with(Tie::First);
    desk.store(1, NOW);
    let reader = desk.put_body(1, NOW, "b", Come::default()).reads(ReadCause::Tie);
    desk.learn(Some(NOW), Some(&value(NOW, "")));
    let delete = desk.judge(1, Change::Delete, Come::default()).goes();
    desk.guard.settle(delete, Outcome::Stored);
    assert_eq!(desk.put_body(1, NOW, "b", reader.come()).refused(), stale(NOW));
    assert_eq!(desk.guard.pending(), 0);
}
