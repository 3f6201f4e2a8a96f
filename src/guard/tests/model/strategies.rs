//! Worlds and what happens in them, at random.

use proptest::prelude::*;

use super::world::{Feat, Op, Setup, Wish};
use crate::guard::rules::{Mode, Tie};

pub(super) fn setup(mode: Mode, ghosts: bool) -> impl Strategy<Value = Setup> {
    let tie = prop_oneof![Just(Tie::Last), Just(Tie::First), Just(Tie::Greater)];
    let entries = prop_oneof![Just(1usize), Just(2), Just(3), 1..=64usize];
    (
        1..=5u8,
        2..=3u8,
        entries,
        tie,
        any::<bool>(),
        prop::collection::vec(0..=100u8, 5),
    )
        .prop_map(move |(keys, lanes, entries, tie, opaque, held)| Setup {
            keys: keys.into(),
            lanes: lanes.into(),
            entries,
            tie,
            mode,
            opaque,
            ghosts,
            held,
        })
}

pub(super) fn ops() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(), 0..250)
}

fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        12 => (-60..=60i8, 0..3u8).prop_map(|(offset, body)| Wish::Stamped { offset, body }),
        6 => (-3..=3i8, 0..3u8).prop_map(|(offset, body)| Wish::Stamped { offset, body }),
        2 => Just(Wish::Unstamped),
        3 => Just(Wish::Delete),
        3 => (-60..=60i8).prop_map(|offset| Wish::DeleteAt { offset }),
        3 => (-60..=60i8).prop_map(|offset| Wish::Made { offset }),
        1 => prop::option::of(0..=120u8).prop_map(|leaves| Wish::Unordered { leaves }),
        1 => Just(Wish::Tidy),
    ]
}

fn feat() -> impl Strategy<Value = Feat> {
    prop_oneof![
        12 => Just(Feat::Stored),
        1 => Just(Feat::Failed),
        1 => Just(Feat::FailedButStored),
        1 => Just(Feat::FailedHalfway),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        30 => (any::<u8>(), any::<u8>(), wish(), prop::bool::weighted(0.1))
            .prop_map(|(key, lane, wish, alone)| Op::Ask { key, lane, wish, alone }),
        20 => any::<u8>().prop_map(Op::Judge),
        3 => any::<u8>().prop_map(Op::Leave),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(client, lane)| Op::Move { client, lane }),
        25 => (any::<u8>(), feat()).prop_map(|(lane, feat)| Op::CarryOut { lane, feat }),
        25 => any::<u8>().prop_map(Op::Answer),
        5 => any::<u8>().prop_map(Op::Flow),
        4 => (any::<u8>(), any::<u8>(), any::<bool>())
            .prop_map(|(lane, unsent, retry)| Op::Kill { lane, unsent, retry }),
        4 => (any::<u8>(), feat()).prop_map(|(lane, feat)| Op::CarryOutLate { lane, feat }),
        5 => (any::<u8>(), prop::bool::weighted(0.7)).prop_map(|(lane, ended)| Op::Fence { lane, ended }),
        4 => (-20..=60i8).prop_map(Op::Clock),
        1 => Just(Op::UpheavalBegins),
        1 => any::<u8>().prop_map(|seed| Op::UpheavalStrikes { seed }),
        2 => Just(Op::UpheavalEnds),
        1 => any::<u8>().prop_map(|seed| Op::Restart { seed }),
        6 => (any::<u8>(), any::<u8>(), wish()).prop_map(|(key, lane, wish)| Op::LookAhead { key, lane, wish }),
    ]
}
