//! Whether an answer can be the answer to the question that was asked.

use super::question::Question;
use super::value::{self, KEY};
use crate::command::{Reply, Verb};

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wrong {
    /// The value of another key: the answer to another question.
    #[error("the value of another key")]
    OtherKey,
    /// A value that is not whole, or that was never stored by a load generator.
    #[error("a value that nobody stored")]
    Damaged,
    /// A value older than a write that was acknowledged before the question.
    #[error("a value older than an acknowledged one")]
    Older,
    /// No record, though a write of it was acknowledged before the question.
    #[error("no record though one was acknowledged")]
    Missing,
    /// Records that were not asked for, or in another order.
    #[error("records that were not asked for")]
    NotAsked,
    /// An answer of another shape, or more bytes than an answer has.
    #[error("bytes that are no answer to the question")]
    Shape,
}

impl Wrong {
    /// Whether the next answer on the connection is doubtful too: this one may have been that to another question.
    pub(super) fn breaks_the_order(self) -> bool {
        !matches!(self, Self::Older | Self::Missing)
    }
}

/// Knows stamps relative to the oldest that this process can write.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checker {
    /// The stamp of 0.
    pub base: u64,
    /// Whether a record may be gone without anybody's doing.
    pub allow_misses: bool,
}

impl Checker {
    /// Checks an answer against its question. `claims` has the oldest relative stamp that each key's value can have; 0
    /// claims nothing.
    pub fn check(&self, question: &Question, claims: &[u32], reply: &Reply) -> Result<(), Wrong> {
        let claim = claims.first().copied().unwrap_or_default();
        match (question.verb, reply) {
            (Verb::Get, Reply::Value(value)) => self.value(question.key(), claim, value),
            (Verb::Get, Reply::Code(1)) => self.miss(claim),
            (Verb::Mget, Reply::Records(records)) => {
                let mut records = records.iter().peekable();
                let mut asked = [0; KEY];
                for (key, claim) in question.keys.iter().zip(claims) {
                    value::write_key(*key, &mut asked);
                    match records.next_if(|(seen, _)| seen[..] == asked[..]) {
                        Some((_, value)) => self.value(*key, *claim, value)?,
                        // A record that was not asked for shows at the end, and says more than a miss.
                        None if records.peek().is_some_and(|(seen, _)| !asked_for(question, seen)) => {
                            return Err(Wrong::NotAsked);
                        }
                        None => self.miss(*claim)?,
                    }
                }
                records.peek().map_or(Ok(()), |_| Err(Wrong::NotAsked))
            }
            (_, Reply::Code(_)) => Ok(()),
            _ => Err(Wrong::Shape),
        }
    }

    fn value(&self, key: u32, claim: u32, value: &[u8]) -> Result<(), Wrong> {
        let said = value::read(value).ok_or(Wrong::Damaged)?;
        if said.index != key {
            return Err(Wrong::OtherKey);
        }
        if claim > 0 && said.stamp < self.base + u64::from(claim) {
            return Err(Wrong::Older);
        }
        Ok(())
    }

    fn miss(&self, claim: u32) -> Result<(), Wrong> {
        if claim > 0 && !self.allow_misses {
            Err(Wrong::Missing)
        } else {
            Ok(())
        }
    }
}

fn asked_for(question: &Question, seen: &[u8]) -> bool {
    let mut asked = [0; KEY];
    question.keys.iter().any(|key| {
        value::write_key(*key, &mut asked);
        seen == asked
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::bench::value::Said;
    use crate::config::VALUE_MIN;

    const BASE: u64 = 1_700_000_000_000;
    const CHECKER: Checker = Checker {
        base: BASE,
        allow_misses: false,
    };

    fn key(index: u32) -> Bytes {
        let mut key = vec![0; KEY];
        value::write_key(index, &mut key);
        key.into()
    }

    fn value(index: u32, stamp: u64) -> Bytes {
        let mut value = vec![0; VALUE_MIN + 3];
        value::fill(&mut value);
        value::write_head(Said { stamp, index }, 1, &mut value);
        value.into()
    }

    fn question(verb: Verb, keys: &[u32]) -> Question {
        Question {
            verb,
            keys: keys.to_vec(),
            ..Question::new()
        }
    }

    fn get(claim: u32, reply: Reply) -> Result<(), Wrong> {
        CHECKER.check(&question(Verb::Get, &[5]), &[claim], &reply)
    }

    #[test]
    fn planted_wrong_answers_to_a_get_are_caught() {
        assert_eq!(get(0, Reply::Value(value(5, BASE))), Ok(()));
        assert_eq!(get(10, Reply::Value(value(5, BASE + 10))), Ok(()));
        assert_eq!(get(10, Reply::Value(value(5, BASE + 9))), Err(Wrong::Older));
        assert_eq!(get(0, Reply::Value(value(6, BASE))), Err(Wrong::OtherKey));
        assert_eq!(get(0, Reply::Value(Bytes::from_static(b"hello"))), Err(Wrong::Damaged));
        assert_eq!(
            get(0, Reply::Value(value(5, BASE).slice(..VALUE_MIN))),
            Err(Wrong::Damaged)
        );
        assert_eq!(get(0, Reply::Code(1)), Ok(()));
        assert_eq!(get(1, Reply::Code(1)), Err(Wrong::Missing));
        assert_eq!(get(0, Reply::Count(1)), Err(Wrong::Shape));
        assert_eq!(get(9, Reply::Code(6)), Ok(()));
        let lossy = Checker {
            allow_misses: true,
            ..CHECKER
        };
        assert_eq!(lossy.check(&question(Verb::Get, &[5]), &[1], &Reply::Code(1)), Ok(()));
    }

    #[test]
    fn planted_wrong_answers_to_an_mget_are_caught() {
        let mget = |claims: &[u32], records: &[(u32, u32, u64)]| {
            let record = |(at, index, stamp): &(u32, u32, u64)| (key(*at), value(*index, BASE + stamp));
            let reply = Reply::Records(records.iter().map(record).collect());
            CHECKER.check(&question(Verb::Mget, &[5, 6, 5, 7]), claims, &reply)
        };
        let free = [0; 4];
        assert_eq!(mget(&free, &[(5, 5, 0), (6, 6, 0), (5, 5, 0), (7, 7, 0)]), Ok(()));
        assert_eq!(mget(&free, &[(6, 6, 0), (7, 7, 0)]), Ok(()));
        assert_eq!(mget(&free, &[]), Ok(()));
        assert_eq!(mget(&[0, 1, 0, 0], &[(5, 5, 0), (5, 5, 0)]), Err(Wrong::Missing));
        assert_eq!(mget(&[0, 0, 0, 4], &[(7, 7, 3)]), Err(Wrong::Older));
        assert_eq!(mget(&free, &[(5, 6, 0)]), Err(Wrong::OtherKey));
        assert_eq!(mget(&[1; 4], &[(8, 8, 0)]), Err(Wrong::NotAsked));
        assert_eq!(mget(&free, &[(7, 7, 0), (6, 6, 0)]), Err(Wrong::NotAsked));
        assert_eq!(mget(&free, &[(7, 7, 0), (7, 7, 0)]), Err(Wrong::NotAsked));
    }

    #[test]
    fn an_answer_to_a_put_is_a_code_and_nothing_else() {
        let put = question(Verb::Put, &[5]);
        assert_eq!(CHECKER.check(&put, &[], &Reply::Code(2)), Ok(()));
        assert_eq!(
            CHECKER.check(&put, &[], &Reply::Value(value(5, BASE))),
            Err(Wrong::Shape)
        );
    }
}
