//! Who waits for whom, and who is woken when.

use super::support::{Come, Desk, Expected, NOW, rules};
use crate::guard::Receded;
use crate::guard::ledger::Known;
use crate::guard::rules::{Rules, Tie};
use crate::guard::verdict::{Change, Outcome, ReadCause, Refusal, WaitCause};
use crate::pairing::LaneId;

#[test]
fn a_lost_write_is_still_possible_after_its_fence() {
    let desk = Desk::new();
    let ticket = desk.put(1, NOW).goes();
    desk.guard.settle(ticket, Outcome::Lost);
    desk.guard.fenced(LaneId(1), true);
    let Known::Unknown { bound } = desk.known() else {
        panic!("{:?}", desk.known());
    };
    assert!(
        bound >= NOW,
        "the lost write may be stored, and must not be forgotten below the horizon"
    );
}

#[test]
fn an_older_write_waits_for_a_newer_one_in_flight_and_follows_its_outcome() {
    let refused = Some(Refusal::Stale { newer: NOW });
    for (outcome, refusal) in [(Outcome::Stored, refused), (Outcome::Unsent, None)] {
        let desk = Desk::new();
        let newer = desk.put(1, NOW).goes();
        let older = desk.put(1, NOW - 1).waits(WaitCause::OlderInFlight);
        assert!(!older.has_rung());
        desk.guard.settle(newer, outcome);
        let again = desk.put_body(1, NOW - 1, "", older.come());
        match refusal {
            Some(refusal) => assert_eq!(again.refused(), refusal),
            None => desk.guard.settle(again.goes(), Outcome::Stored),
        }
        assert_eq!(desk.guard.pending(), 0);
    }
}

#[test]
fn after_a_failure_the_key_is_read_before_the_older_write_goes() {
    let desk = Desk::new();
    let newer = desk.put(1, NOW).goes();
    let older = desk.put(1, NOW - 1).waits(WaitCause::OlderInFlight);
    desk.guard.settle(newer, Outcome::Failed);
    let reader = desk.put_body(1, NOW - 1, "", older.come()).reads(ReadCause::Unknown);
    desk.learn(None, None);
    let ticket = desk.put_body(1, NOW - 1, "", reader.come()).goes();
    desk.guard.settle(ticket, Outcome::Stored);
    assert_eq!(desk.known(), Known::Stamp(NOW - 1));
    assert_eq!(desk.guard.pending(), 0);
}

#[test]
fn newer_writes_of_a_lane_follow_each_other_without_waiting() {
    let desk = Desk::new();
    let tickets: Vec<_> = (0..10).map(|step| desk.put(1, NOW + step).goes()).collect();
    for ticket in tickets {
        desk.guard.settle(ticket, Outcome::Stored);
    }
    assert_eq!(desk.known(), Known::Stamp(NOW + 9));
}

#[test]
fn another_lane_waits_until_nothing_is_in_flight() {
    let desk = Desk::new();
    let first = desk.put(1, NOW).goes();
    let second = desk.put(1, NOW + 1).goes();
    let other = desk.put(2, NOW + 2).waits(WaitCause::OtherLane);
    desk.guard.settle(first, Outcome::Stored);
    assert!(!other.has_rung());
    desk.guard.settle(second, Outcome::Stored);
    let ticket = desk.put_body(2, NOW + 2, "", other.come()).goes();
    desk.guard.settle(ticket, Outcome::Stored);
    assert_eq!((desk.known(), desk.guard.pending()), (Known::Stamp(NOW + 2), 0));
}

#[test]
fn a_lane_that_keeps_writing_lets_others_have_their_turn() {
    let desk = Desk::new();
    let mut flying = desk.put(1, NOW).goes();
    for round in 1..10 {
        let (here, there) = (1 + (round + 1) % 2, 1 + round % 2);
        let other = desk.put(there, NOW + round).waits(WaitCause::OtherLane);
        // Newer than all in flight, and still it does not jump the queue.
        let late = desk.put(here, NOW + 20).waits(WaitCause::OtherLane);
        desk.guard.settle(flying, Outcome::Stored);
        assert!(other.has_rung() && !late.has_rung());
        flying = desk.put_body(there, NOW + round, "", other.come()).goes();
        late.leave();
    }
    desk.guard.settle(flying, Outcome::Stored);
    assert_eq!(desk.guard.pending(), 0);
}

#[test]
fn lanes_take_turns_in_the_order_in_which_they_came() {
    let desk = Desk::new();
    let mut flying = desk.put(9, NOW).goes();
    let mut bells: Vec<_> = (1..=3)
        .map(|lane| (lane, desk.put(lane, NOW + lane).waits(WaitCause::OtherLane)))
        .collect();
    while !bells.is_empty() {
        desk.guard.settle(flying, Outcome::Stored);
        assert_eq!(bells.iter().filter(|(_, bell)| bell.has_rung()).count(), 1);
        let (lane, bell) = bells.remove(0);
        flying = desk.put_body(lane, NOW + lane, "", bell.come()).goes();
    }
    desk.guard.settle(flying, Outcome::Stored);
    assert_eq!(desk.guard.pending(), 0);
}

#[test]
fn a_turn_that_is_passed_wakes_the_next_lane() {
    let desk = Desk::new();
    let flying = desk.put(1, NOW).goes();
    let second = desk.put(2, NOW + 1).waits(WaitCause::OtherLane);
    let third = desk.put(3, NOW + 2).waits(WaitCause::OtherLane);
    desk.guard.settle(flying, Outcome::Stored);
    assert!(second.has_rung() && !third.has_rung());
    desk.guard.pass_turn(desk.key);
    let ticket = desk.put_body(3, NOW + 2, "", third.come()).goes();
    desk.guard.settle(ticket, Outcome::Stored);
    assert_eq!(desk.guard.pending(), 0);
}

#[test]
fn a_turn_that_ends_in_a_refusal_at_once_is_passed_on() {
    let desk = Desk::new();
    let flying = desk.put(1, NOW).goes();
    let second = desk.put(2, NOW + 1).waits(WaitCause::OtherLane);
    let third = desk.put(3, NOW + 2).waits(WaitCause::OtherLane);
    desk.guard.settle(flying, Outcome::Stored);
    // The clock went back meanwhile: what was fine is too far ahead now.
    let refusal = desk.put_body(2, NOW + 51, "", second.come()).refused();
    assert_eq!(refusal, Refusal::Future);
    assert!(third.has_rung());
    let ticket = desk.put_body(3, NOW + 2, "", third.come()).goes();
    desk.guard.settle(ticket, Outcome::Stored);
    assert_eq!(desk.guard.pending(), 0);
}

#[test]
fn waiters_that_have_gone_do_not_keep_the_key() {
    let desk = Desk::new();
    let flying = desk.put(1, NOW).goes();
    for lane in 1..=3 {
        desk.put(lane, NOW - 1).1.leave();
    }
    desk.guard.settle(flying, Outcome::Stored);
    assert_eq!(desk.guard.pending(), 0);
}

#[test]
fn a_lost_write_holds_the_key_until_the_fence_and_then_it_is_read() {
    let desk = Desk::new();
    let lost = desk.put(1, NOW).goes();
    desk.guard.settle(lost, Outcome::Lost);
    let waiter = desk.put(2, NOW + 5).waits(WaitCause::Fence);
    desk.judge(2, Change::Unstamped, Come::default())
        .waits(WaitCause::Fence)
        .leave();
    desk.judge(2, Change::Delete, Come::default())
        .waits(WaitCause::Fence)
        .leave();
    desk.judge(2, Change::Unordered, Come::default())
        .waits(WaitCause::Fence)
        .leave();
    desk.guard.fenced(LaneId(7), true);
    assert!(!waiter.has_rung(), "that was another lane's end");
    desk.guard.fenced(LaneId(1), true);
    let reader = desk.put_body(2, NOW + 5, "", waiter.come()).reads(ReadCause::Unknown);
    desk.put(3, NOW + 6).waits(WaitCause::Lookup).leave();
    desk.learn(Some(NOW), None);
    let ticket = desk.put_body(2, NOW + 5, "", reader.come()).goes();
    desk.guard.settle(ticket, Outcome::Stored);
    assert_eq!((desk.known(), desk.guard.pending()), (Known::Stamp(NOW + 5), 0));
}

#[test]
fn while_some_of_a_lane_are_lost_the_rest_is_awaited() {
    let desk = Desk::new();
    let first = desk.put(1, NOW).goes();
    let second = desk.put(1, NOW + 1).goes();
    desk.guard.settle(first, Outcome::Lost);
    let waiter = desk.put(1, NOW + 2).waits(WaitCause::Fence);
    desk.guard.settle(second, Outcome::Unsent);
    assert!(!waiter.has_rung());
    desk.guard.fenced(LaneId(1), true);
    // The key is reserved for the lane that died; whoever comes back on another one is woken for that.
    let waiter = desk.put_body(2, NOW + 2, "", waiter.come()).waits(WaitCause::OtherLane);
    desk.put_body(2, NOW + 2, "", waiter.come())
        .reads(ReadCause::Unknown)
        .leave();
    desk.learn(Some(NOW), None);
    assert_eq!((desk.known(), desk.guard.pending()), (Known::Record(NOW), 0));
}

#[test]
fn a_fence_that_times_out_fails_those_who_waited_and_the_key_is_read() {
    let desk = Desk::new();
    let lost = desk.put(1, NOW).goes();
    desk.guard.settle(lost, Outcome::Lost);
    let waiters: Vec<_> = (2..5)
        .map(|lane| desk.put(lane, NOW + lane).waits(WaitCause::Fence))
        .collect();
    desk.guard.fenced(LaneId(1), false);
    assert!(waiters.iter().all(super::support::Bell::is_unfenced));
    assert_eq!(desk.guard.pending(), 0);
    desk.put(2, NOW + 9).reads(ReadCause::Unknown).leave();
    desk.guard.learn(desk.key, None, std::time::Duration::from_millis(NOW));
    assert_eq!(desk.guard.pending(), 0);
    assert!(matches!(desk.known(), Known::Unknown { .. }), "it could not be read");
}

#[test]
fn a_read_that_was_overtaken_by_a_change_of_everything_is_not_believed() {
    let desk = Desk::with(super::support::rules(), 64, NOW + 50);
    let reader = desk.put(1, NOW).reads(ReadCause::Horizon);
    desk.guard.distrust_everything(std::time::Duration::from_millis(NOW));
    desk.learn(Some(NOW + 7), None);
    let reader = desk.put_body(1, NOW, "", reader.come()).reads(ReadCause::Unknown);
    desk.learn(None, None);
    let ticket = desk.put_body(1, NOW, "", reader.come()).goes();
    desk.guard.settle(ticket, Outcome::Stored);
    assert_eq!((desk.known(), desk.guard.pending()), (Known::Stamp(NOW), 0));
}

#[test]
fn a_write_that_was_in_flight_when_everything_changed_proves_nothing() {
    let desk = Desk::new();
    let ticket = desk.put(1, NOW).goes();
    let waiter = desk.put(1, NOW - 1).waits(WaitCause::OlderInFlight);
    desk.guard.distrust_everything(std::time::Duration::from_millis(NOW));
    desk.guard.settle(ticket, Outcome::Stored);
    desk.put_body(1, NOW - 1, "", waiter.come())
        .reads(ReadCause::Unknown)
        .leave();
    desk.learn(Some(NOW), None);
    assert_eq!((desk.known(), desk.guard.pending()), (Known::Record(NOW), 0));
}

#[test]
fn whoever_had_the_key_read_is_judged_first_by_what_it_showed() {
    let tie = crate::guard::rules::Tie::First;
    let desk = Desk::with(
        crate::guard::rules::Rules {
            tie,
            ..super::support::rules()
        },
        64,
        0,
    );
    let flying = desk.put(1, NOW).goes();
    let first = desk
        .put_body(1, NOW, "b", Come::default())
        .waits(WaitCause::OlderInFlight);
    desk.guard.settle(flying, Outcome::Stored);
    let other = desk.put_body(2, NOW, "c", Come::default()).waits(WaitCause::OtherLane);
    let first = desk.put_body(1, NOW, "b", first.come()).reads(ReadCause::Tie);
    desk.learn(Some(NOW), Some(&format!("{NOW:013}")));
    assert!(first.has_rung() && !other.has_rung());
    assert_eq!(desk.put_body(1, NOW, "b", first.come()).refused(), Refusal::Tie);
    desk.put_body(2, NOW, "c", other.come()).reads(ReadCause::Tie).leave();
    desk.learn(Some(NOW), Some(&format!("{NOW:013}")));
    assert_eq!(desk.guard.pending(), 0);
}

#[test]
fn who_has_a_key_to_himself_waits_for_everyone_and_everyone_for_him() {
    let desk = Desk::new();
    let alone = |come: Come| Come { alone: true, ..come };
    let first = desk.put(1, NOW).goes();
    let edit = desk
        .judge(1, Change::Unordered, alone(Come::default()))
        .waits(WaitCause::OlderInFlight);
    let newer = desk.put(1, NOW + 1).waits(WaitCause::OlderInFlight);
    desk.guard.settle(first, Outcome::Stored);
    let ticket = desk.judge(1, Change::Unordered, alone(edit.come())).goes();
    let newer = desk
        .put_body(1, NOW + 1, "", newer.come())
        .waits(WaitCause::OlderInFlight);
    let other_lane = desk.put(2, NOW + 2).waits(WaitCause::OtherLane);
    let unstamped = desk
        .judge(1, Change::Unstamped, Come::default())
        .waits(WaitCause::OtherLane);
    desk.guard.settle(ticket, Outcome::Unsent);
    assert!(newer.has_rung() && unstamped.has_rung() && !other_lane.has_rung());
}

#[test]
fn a_stamp_that_went_back_in_the_backend_is_told() {
    let text = |stamp: u64| format!("{stamp:013}");
    let (confirmed, found) = (NOW, NOW - 1);
    for (stamp, value, receded) in [
        (Some(NOW), Some(text(NOW)), None),
        (None, None, None),
        (Some(found), None, None),
        (Some(found), Some(text(found)), Some(Receded { confirmed, found })),
    ] {
        let tie = crate::guard::rules::Tie::First;
        let desk = Desk::with(
            crate::guard::rules::Rules {
                tie,
                ..super::support::rules()
            },
            64,
            0,
        );
        desk.store(1, NOW);
        assert_eq!(desk.guard.confirmed(desk.key), Some(NOW));
        desk.put_body(1, NOW, "b", Come::default())
            .reads(ReadCause::Tie)
            .leave();
        assert_eq!(desk.learn(stamp, value.as_deref()), receded, "{stamp:?} {value:?}");
    }
}

#[test]
fn what_is_in_doubt_is_not_confirmed() {
    let desk = Desk::new();
    desk.store(1, NOW);
    let doubtful = desk.judge(1, Change::Unordered, Come::default()).goes();
    assert_eq!(desk.guard.confirmed(desk.key), None, "it may be anything by now");
    desk.guard.settle(doubtful, Outcome::Stored);
    assert_eq!(desk.guard.confirmed(desk.key), None);
}

#[test]
fn what_is_looked_up_ahead_is_known_when_its_turn_comes() {
    let desk = Desk::with(rules(), 64, u64::MAX);
    assert_eq!(desk.look_ahead(1, NOW), Some(ReadCause::Horizon));
    assert_eq!(desk.look_ahead(1, NOW), None, "it is under way");
    assert_eq!(desk.learn(Some(NOW - 1), Some("value")), None);
    assert_eq!(desk.guard.pending(), 0, "nobody waits");
    assert_eq!(desk.look_ahead(1, NOW), None, "it is known");
    assert_eq!(desk.put(1, NOW - 2).refused(), Refusal::Stale { newer: NOW - 1 });
    desk.store(1, NOW);
}

#[test]
fn whoever_comes_while_a_key_is_looked_up_ahead_waits_for_that() {
    let desk = Desk::with(rules(), 64, u64::MAX);
    assert_eq!(desk.look_ahead(1, NOW), Some(ReadCause::Horizon));
    let (same, other) = (
        desk.put(1, NOW).waits(WaitCause::Lookup),
        desk.put(2, NOW + 1).waits(WaitCause::Lookup),
    );
    desk.learn(None, None);
    assert!(same.has_rung() && !other.has_rung(), "one lane after the other");
    let ticket = desk.put_body(1, NOW, "", same.come()).goes();
    desk.guard.settle(ticket, Outcome::Stored);
    let ticket = desk.put_body(2, NOW + 1, "", other.come()).goes();
    desk.guard.settle(ticket, Outcome::Stored);
    assert_eq!((desk.known(), desk.guard.pending()), (Known::Stamp(NOW + 1), 0));
}

#[test]
fn nothing_is_looked_up_ahead_that_needs_no_look_or_cannot_go() {
    let desk = Desk::with(rules(), 64, NOW);
    assert_eq!(desk.look_ahead(1, NOW + 1), None, "newer than all that is forgotten");
    assert_eq!(desk.look_ahead(1, NOW + 51), None, "too far ahead");
    let ticket = desk.put(1, NOW + 1).goes();
    assert_eq!(desk.look_ahead(1, NOW), None, "a write is in flight");
    desk.guard.settle(ticket, Outcome::Lost);
    assert_eq!(desk.look_ahead(1, NOW), None, "its fence is awaited");
    desk.guard.fenced(LaneId(1), true);
    assert_eq!(desk.look_ahead(1, NOW), Some(ReadCause::Unknown));
    desk.guard.learn(desk.key, None, std::time::Duration::from_millis(NOW));
    assert_eq!(desk.guard.pending(), 0, "it could not be read");
    assert_eq!(
        desk.look_ahead(1, NOW),
        Some(ReadCause::Unknown),
        "so it may be tried again"
    );
}

#[test]
fn what_a_tie_needs_is_not_looked_up_ahead() {
    let desk = Desk::with(
        Rules {
            tie: Tie::First,
            ..rules()
        },
        64,
        0,
    );
    desk.store(1, NOW);
    assert_eq!(desk.look_ahead(1, NOW), None);
    drop(desk.put_body(1, NOW, "other", Come::default()).reads(ReadCause::Tie));
}
