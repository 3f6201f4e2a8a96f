//! The answer to an `mget`, taken apart as it comes.

use bytes::{Buf, Bytes, BytesMut};
use nom::number::streaming::be_i32;

use super::super::limits::Limits;
use super::super::sizes::{SIZE, SizeFault, header};
use super::super::skip::Skip;
use super::{CODE, Dropped, HEAD, ReplyFault};

/// The sizes of a key and of its value.
const SIZES: usize = 2 * SIZE;

/// One record of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A record within the limits.
    Whole(Bytes, Bytes),
    /// The key of a record that is over a limit, or for which there was no room, and what is known of it: its value was
    /// dropped as it came.
    Dropped(Bytes, Dropped),
}

/// Takes the answers to the `mget`s of one connection apart, record by record, so that each record has the limits of an
/// answer of its own: of many, one that is too large takes nothing from the others.
#[derive(Debug)]
pub struct RecordsDecoder {
    limits: Limits,
    /// The value at the head of the input is being dropped.
    skip: Option<(Skip, Bytes, Dropped)>,
}

impl RecordsDecoder {
    /// A decoder for one connection, which accepts records up to `limits`.
    pub fn new(limits: Limits) -> Self {
        Self { limits, skip: None }
    }

    /// Takes the head of the next answer off the front of `input`, or `None` when it is not all there: how many records
    /// follow.
    ///
    /// # Errors
    /// A count below zero, or another code than 0: a server of 1.1.41 never fails an `mget`.
    pub fn head(&mut self, input: &mut BytesMut) -> Result<Option<usize>, ReplyFault> {
        match input.first() {
            Some(0) => {}
            Some(code) => return Err(ReplyFault::FailedRecords(*code)),
            None => return Ok(None),
        }
        let Some(count) = header(be_i32, input.get(CODE..)) else {
            return Ok(None);
        };
        let count = usize::try_from(count).map_err(|_| SizeFault::NegativeCount(count))?;
        input.advance(HEAD);
        Ok(Some(count))
    }

    /// Takes the next record off the front of `input`, or `None` when it is not all there. Key and value are slices of
    /// `input`, not copies; what is over a limit leaves `input` as it comes. The key may be as large as `longest`,
    /// whatever the limits: those who ask hold it anyway.
    ///
    /// # Errors
    /// A size below zero, and a key that is larger than `longest`: nobody asked for it.
    pub fn record(&mut self, input: &mut BytesMut, longest: usize) -> Result<Option<Record>, ReplyFault> {
        if self.skip.is_none() {
            let Some((key, value)) = header((be_i32, be_i32), Some(input)) else {
                return Ok(None);
            };
            let key_size = usize::try_from(key).map_err(|_| SizeFault::NegativeSize(key))?;
            let value_size = usize::try_from(value).map_err(|_| SizeFault::NegativeSize(value))?;
            if key_size > longest {
                let max = u32::try_from(longest).unwrap_or(u32::MAX);
                let size = key.unsigned_abs();
                return Err(SizeFault::KeyTooLarge { size, max }.into());
            }
            let head = SIZES + key_size;
            let size = head.saturating_add(value_size);
            let fault = match self
                .limits
                .argument(value)
                .and(self.limits.frame(HEAD.saturating_add(size)))
            {
                Ok(_) if input.len() < size => return Ok(None),
                Ok(_) => {
                    let mut record = input.split_to(size).freeze();
                    record.advance(SIZES);
                    let key = record.split_to(key_size);
                    return Ok(Some(Record::Whole(key, record)));
                }
                Err(_) if input.len() < head => return Ok(None),
                Err(fault) => fault,
            };
            self.begin_to_drop(input, key_size, value_size, Some(fault));
        }
        let Some((skip, key, dropped)) = &mut self.skip else {
            return Ok(None);
        };
        let taken = skip.run(input)?.map(|_| Record::Dropped(std::mem::take(key), *dropped));
        if taken.is_some() {
            self.skip = None;
        }
        Ok(taken)
    }

    /// The key of the record whose head lies in `input` and whose value has not come whole, and how many bytes the value
    /// has; nothing of one that is over a limit. So that whoever asked for it can say that there is no room for it before
    /// it comes.
    pub fn ahead<'a>(&self, input: &'a [u8]) -> Option<(&'a [u8], usize)> {
        let (key, value) = header((be_i32, be_i32), Some(input)).filter(|_| self.skip.is_none())?;
        let key = input.get(SIZES..SIZES.checked_add(usize::try_from(key).ok()?)?)?;
        let value = self.limits.argument(value).ok()?;
        (input.len() - SIZES - key.len() < value).then_some((key, value))
    }

    /// The value that was [announced](Self::ahead) is dropped as it comes.
    pub fn drop_ahead(&mut self, input: &mut BytesMut) {
        if let Some((key, value)) = self.ahead(input).map(|(key, value)| (key.len(), value)) {
            self.begin_to_drop(input, key, value, None);
        }
    }

    /// Takes the head of a record off `input`, both of whose parts have such a size; the value will not be kept.
    fn begin_to_drop(&mut self, input: &mut BytesMut, key: usize, value: usize, fault: Option<SizeFault>) {
        let head = SIZES + key;
        let mut key = input.split_to(head).freeze();
        key.advance(SIZES);
        let bytes = head.saturating_add(value) as u64;
        let skip = Skip::new(value as u64, 0, 0);
        self.skip = Some((skip, key, Dropped { code: 0, bytes, fault }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        argument_max: 10,
        frame_max: 30,
        ..Limits::WIRE
    };

    fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
        let size = |bytes: &[u8]| (bytes.len() as u32).to_be_bytes();
        [&size(key)[..], &size(value), key, value].concat()
    }

    /// What comes of an answer of which `step` bytes arrive at a time: its head, and its records.
    fn taken(bytes: &[u8], step: usize) -> Result<(Option<usize>, Vec<Record>), ReplyFault> {
        let (mut decoder, mut input) = (RecordsDecoder::new(LIMITS), BytesMut::new());
        let (mut head, mut records) = (None, Vec::new());
        for piece in bytes.chunks(step) {
            input.extend_from_slice(piece);
            if head.is_none() {
                head = decoder.head(&mut input)?;
            }
            while head.is_some()
                && let Some(record) = decoder.record(&mut input, 12)?
            {
                records.push(record);
            }
            assert!(input.len() <= 30, "what is too large leaves as it comes");
        }
        Ok((head, records))
    }

    #[test]
    fn records_come_one_by_one_and_what_is_too_large_is_dropped_alone() {
        let records = [
            record(b"a", b"value"),
            record(b"large", &[b'x'; 1000]),
            record(b"", b""),
            record(b"long key", b"0123456789"),
            record(b"too long key", b"0123456789"),
        ];
        let bytes = [&[0, 0, 0, 0, 5][..], &records.concat()].concat();
        let dropped = |key: &'static str, bytes, fault| {
            let dropped = Dropped {
                code: 0,
                bytes,
                fault: Some(fault),
            };
            Record::Dropped(Bytes::from_static(key.as_bytes()), dropped)
        };
        let whole = |key: &'static [u8], value: &'static [u8]| {
            Record::Whole(Bytes::from_static(key), Bytes::from_static(value))
        };
        let (size, max) = (1000, 10);
        let wanted = vec![
            whole(b"a", b"value"),
            dropped("large", 1013, SizeFault::ArgumentTooLarge { size, max }),
            whole(b"", b""),
            dropped("long key", 26, SizeFault::FrameTooLarge { size: 31, max: 30 }),
            dropped("too long key", 30, SizeFault::FrameTooLarge { size: 35, max: 30 }),
        ];
        for step in [1, 2, 7, 64, bytes.len()] {
            assert_eq!(taken(&bytes, step), Ok((Some(5), wanted.clone())), "{step}");
        }
    }

    #[test]
    fn a_record_for_which_there_is_no_room_leaves_as_it_comes() {
        let bytes = [record(b"large", b"0123456789"), record(b"b", b"small")].concat();
        for step in 1..12 {
            let (mut decoder, mut input) = (RecordsDecoder::new(LIMITS), BytesMut::new());
            let mut records = Vec::new();
            for piece in bytes.chunks(step) {
                input.extend_from_slice(piece);
                if decoder.ahead(&input) == Some((b"large", 10)) {
                    decoder.drop_ahead(&mut input);
                }
                while let Some(record) = decoder.record(&mut input, 12).expect("no fault") {
                    records.push(record);
                }
            }
            let dropped = Dropped {
                code: 0,
                bytes: 23,
                fault: None,
            };
            let small = Record::Whole(Bytes::from_static(b"b"), Bytes::from_static(b"small"));
            let large = Record::Dropped(Bytes::from_static(b"large"), dropped);
            assert_eq!(records, [large, small], "by {step}");
        }
    }

    #[test]
    fn a_failure_is_a_fault() {
        assert_eq!(taken(&[1], 1), Err(ReplyFault::FailedRecords(1)));
    }

    #[test]
    fn sizes_that_cannot_be_and_keys_that_nobody_asked_for_are_faults() {
        let answer = |sizes: &[u8]| taken(&[&[0, 0, 0, 0, 1], sizes].concat(), 1).map_err(|fault| fault.name());
        assert_eq!(
            taken(&[0, 0xff, 0, 0, 0], 1).map_err(|fault| fault.name()),
            Err("negative_count")
        );
        assert_eq!(answer(&[0xff, 0, 0, 0, 0, 0, 0, 0]), Err("negative_size"));
        assert_eq!(answer(&[0, 0, 0, 0, 0xff, 0, 0, 0]), Err("negative_size"));
        assert_eq!(answer(&[0, 0, 0, 13, 0, 0, 0, 0]), Err("key_too_large"));
        assert_eq!(
            answer(&[0, 0, 0, 12, 0x7f, 0, 0, 0]).map(|(_, records)| records),
            Ok(vec![])
        );
    }
}
