//! Requests that are encoded once, and of which only what differs is written again.

use bytes::Bytes;

use super::question::Question;
use super::value::{self, KEY, Said};
use crate::command::{Command, Verb};
use crate::config::{Load, Mix};
use crate::protocol::outgoing::Outgoing;
use crate::protocol::tyrant::request;

/// Bytes before the key of a frame with a key alone, and in front of each key of an `mget` after its count.
const KEY_HEAD: usize = 2 + 4;

/// Bytes before the key of a frame with a key and a value.
const STORE_HEAD: usize = 2 + 4 + 4;

/// Where such a frame says how long its value is.
const VALUE_SIZE: std::ops::Range<usize> = 6..10;

/// A whole frame of each verb, its value as long as any can be.
#[derive(Debug)]
pub(super) struct Frames {
    frames: Vec<(Verb, Vec<u8>)>,
    /// The number of the next value.
    number: u64,
}

impl Frames {
    /// The frames of a load. Values are numbered from `number` on.
    pub fn new(load: &Load, number: u64) -> Self {
        let key = Bytes::from(vec![0; KEY]);
        let mut value = vec![0; *load.value_size.end()];
        value::fill(&mut value);
        let value = Bytes::from(value);
        let frame = |verb| {
            let (key, value) = (key.clone(), value.clone());
            let command = match verb {
                Verb::Put => Command::Put { key, value },
                Verb::PutNr => Command::PutNr { key, value },
                Verb::Out => Command::Out { key },
                Verb::Mget => Command::Mget {
                    keys: vec![key; load.mget_keys],
                },
                _ => Command::Get { key },
            };
            let mut out = Outgoing::new();
            request::encode(&command, &mut out);
            (verb, out.take().to_vec())
        };
        let asked = |verb: &Verb| load.mix.shares().iter().any(|(asked, _)| asked == verb);
        // The store is filled with `put`s, and closed with a `get`.
        let needed = |verb: &Verb| asked(verb) || matches!(verb, Verb::Put | Verb::Get);
        Self {
            frames: Mix::VERBS.into_iter().filter(needed).map(frame).collect(),
            number,
        }
    }

    /// Adds the question to `out`, its value with this stamp; gives the number of its bytes.
    pub fn write(&mut self, question: &Question, stamp: u64, out: &mut Outgoing) -> usize {
        let Some((_, frame)) = self.frames.iter_mut().find(|(verb, _)| *verb == question.verb) else {
            return 0;
        };
        let size = if question.stores() {
            let size = STORE_HEAD + KEY + question.size;
            value::write_key(question.key(), &mut frame[STORE_HEAD..STORE_HEAD + KEY]);
            frame[VALUE_SIZE].copy_from_slice(&(question.size as u32).to_be_bytes());
            let said = Said {
                stamp,
                index: question.key(),
            };
            value::write_head(said, self.number, &mut frame[STORE_HEAD + KEY..size]);
            self.number = self.number.wrapping_add(1);
            size
        } else {
            let first = if question.verb == Verb::Mget {
                KEY_HEAD + 4
            } else {
                KEY_HEAD
            };
            for (key, at) in question.keys.iter().zip((first..).step_by(4 + KEY)) {
                value::write_key(*key, &mut frame[at..at + KEY]);
            }
            frame.len()
        };
        out.put_slice(&frame[..size]);
        size
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::bench::question::Draw;
    use crate::bench::testing::load;
    use crate::protocol::tyrant::limits::Limits;
    use crate::protocol::tyrant::request::RequestDecoder;

    #[test]
    fn every_frame_is_the_question_that_was_drawn() {
        let mix = "put=1,get=1,putnr=1,out=1,mget=1";
        let load = load(&["--mix", mix, "--value-size", "32-9000", "--mget-keys", "5"]);
        let (mut draw, mut frames) = (Draw::new(&load, 0, 1), Frames::new(&load, 0));
        let (mut question, mut out) = (Question::new(), Outgoing::new());
        let mut decoder = RequestDecoder::new(Limits::REQUEST);
        for stamp in 1_700_000_000_000..1_700_000_000_500 {
            draw.next(&mut question);
            let size = frames.write(&question, stamp, &mut out);
            let mut input = BytesMut::from(&out.take()[..]);
            assert_eq!(input.len(), size);
            let command = decoder.decode(&mut input).expect("no fault").expect("a whole frame");
            assert!(input.is_empty());
            assert_eq!(command.verb(), question.verb);
            let key = |index| {
                let mut key = vec![0; KEY];
                value::write_key(index, &mut key);
                Bytes::from(key)
            };
            match command {
                Command::Put { key: seen, value } | Command::PutNr { key: seen, value } => {
                    assert_eq!((seen, value.len()), (key(question.key()), question.size));
                    let index = question.key();
                    assert_eq!(value::read(&value), Some(Said { stamp, index }));
                }
                Command::Get { key: seen } | Command::Out { key: seen } => assert_eq!(seen, key(question.key())),
                Command::Mget { keys } => {
                    let asked: Vec<_> = question.keys.iter().copied().map(key).collect();
                    assert_eq!(keys, asked);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn no_two_values_are_the_same() {
        let load = load(&["--mix", "put=1", "--keys", "1"]);
        let (mut draw, mut frames) = (Draw::new(&load, 0, 1), Frames::new(&load, 0));
        let (mut question, mut out) = (Question::new(), Outgoing::new());
        let mut next = || {
            draw.next(&mut question);
            frames.write(&question, 1_700_000_000_000, &mut out);
            out.take()
        };
        assert_ne!(next(), next());
    }
}
