//! What the record of a claim says.
//!
//! Names and values in turn with NUL between, which a table takes for columns and any other store for bytes:
//! `epoch`, `beat`, `mark` (where stamps are times), `instance`, `holder`, and `left` where the holder has.

use bytes::Bytes;
use nom::bytes::complete::{tag, take_while1};
use nom::combinator::all_consuming;
use nom::sequence::preceded;
use nom::{IResult, Parser};

use crate::command::columns;

/// A record of more bytes is none of ours.
const RECORD_MAX: usize = 1024;

/// No server raises its epoch further: it is an `int` there.
const EPOCH_MAX: u64 = i32::MAX as u64;

/// Characters of a holder's name that are kept.
const HOLDER_MAX: usize = 200;

/// What the record of a claim says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// That of the holder's claim.
    pub epoch: u64,
    /// Rises with every renewal.
    pub beat: u64,
    /// No stamp above this was let in; nothing where stamps are no times.
    pub mark: Option<u64>,
    /// A number that the holder has drawn for itself.
    pub instance: u64,
    /// Who it is, for people: process and machine.
    pub holder: String,
    /// The holder has ended in order: the store is done with all that it sent.
    pub left: bool,
}

impl Record {
    /// The record as it is stored.
    pub fn encode(&self) -> Bytes {
        let mut strings = Vec::with_capacity(12);
        let mut column = |name: &'static str, value: String| strings.extend([Bytes::from(name), Bytes::from(value)]);
        column("epoch", self.epoch.to_string());
        column("beat", self.beat.to_string());
        if let Some(mark) = self.mark {
            column("mark", mark.to_string());
        }
        column("instance", self.instance.to_string());
        column("holder", self.holder.clone());
        if self.left {
            column("left", "1".to_owned());
        }
        columns::joined(&strings)
    }

    /// Reads a stored record; nothing where it is none. A table gives its columns in any order.
    pub fn decode(stored: &[u8]) -> Option<Self> {
        if stored.len() > RECORD_MAX {
            return None;
        }
        let column = |name: &str| columns::in_value(stored, name.as_bytes());
        let number = |name: &str| column(name).and_then(decimal);
        let holder = String::from_utf8_lossy(column("holder")?);
        Some(Self {
            epoch: number("epoch").filter(|epoch| *epoch <= EPOCH_MAX)?,
            beat: number("beat")?,
            mark: number("mark"),
            instance: number("instance")?,
            holder: plain(&holder),
            left: column("left").is_some(),
        })
    }
}

/// A name that shows on one line, and cannot be taken for anything else in the record.
pub fn plain(name: &str) -> String {
    let shown = name
        .chars()
        .map(|each| if each.is_control() { '?' } else { each })
        .take(HOLDER_MAX);
    shown.collect()
}

/// The epoch as it is stored: an `int` of the server, in a table a column with its digits (1.1.41, `tcadbaddint` and
/// `tctdbaddint`). Nothing where it is neither, or below zero.
pub fn epoch(stored: &[u8]) -> Option<u64> {
    if let Ok(bytes) = <[u8; 4]>::try_from(stored) {
        return u64::try_from(i32::from_le_bytes(bytes)).ok();
    }
    counter(stored)
        .ok()
        .map(|(_, number)| number)
        .filter(|epoch| *epoch <= EPOCH_MAX)
}

fn counter(stored: &[u8]) -> IResult<&[u8], u64> {
    all_consuming(preceded(
        tag(&b"_num\0"[..]),
        take_while1(|byte: u8| byte.is_ascii_digit()),
    ))
    .map_opt(decimal)
    .parse(stored)
}

fn decimal(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record() -> Record {
        Record {
            epoch: 12,
            beat: 3,
            mark: Some(1_700_000_000_000_000),
            instance: u64::MAX,
            holder: "process 7 on db-1".to_owned(),
            left: false,
        }
    }

    #[test]
    fn what_is_stored_is_read_again() {
        for one in [
            record(),
            Record { mark: None, ..record() },
            Record { left: true, ..record() },
        ] {
            assert_eq!(Record::decode(&one.encode()), Some(one));
        }
    }

    #[test]
    fn a_table_may_give_its_columns_in_another_order() {
        let stored = b"left\x001\0holder\0a\0instance\x005\0beat\x001\0epoch\x002";
        let read = Record::decode(stored).expect("a record");
        assert_eq!((read.epoch, read.beat, read.instance, read.mark), (2, 1, 5, None));
        assert!(read.left);
    }

    #[test]
    fn what_is_none_is_read_as_none() {
        for none in [
            &b""[..],
            b"1700000000000X",
            b"epoch\0x\0beat\x001\0instance\x001\0holder\0a",
            b"epoch\x001",
            b"epoch\x00-1\0beat\x001\0instance\x001\0holder\0a",
            b"epoch\x0018446744073709551615\0beat\x001\0instance\x001\0holder\0a",
            &[b'a'; RECORD_MAX + 1],
        ] {
            assert_eq!(Record::decode(none), None);
        }
        assert_eq!(plain("a\nb\0c"), "a?b?c");
    }

    #[test]
    fn an_epoch_is_read_as_hash_and_table_store_it() {
        assert_eq!(epoch(&[7, 0, 0, 0]), Some(7));
        assert_eq!(epoch(b"_num\x0012"), Some(12));
        for none in [
            &b""[..],
            &[1, 0, 0],
            &[0, 0, 0, 0x80],
            b"_num\0",
            b"_num\x001x",
            b"_num\x002147483648",
            b"12345",
        ] {
            assert_eq!(epoch(none), None, "{none:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(stored in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (Record::decode(&stored), epoch(&stored));
        }
    }
}
