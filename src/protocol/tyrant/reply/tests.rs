use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::protocol::fed;

const LIMITS: Limits = Limits {
    argument_max: 64,
    key_max: 64,
    value_max: 64,
    arguments_max: 4,
    frame_max: 100,
};

/// What comes of `bytes` when they arrive `step` at a time: the replies of these shapes, or the fault.
fn fed(bytes: &[u8], step: usize, shapes: &[Shape], limits: Limits) -> Result<Vec<Reply>, ReplyFault> {
    let mut decoder = ReplyDecoder::new(limits);
    let (replies, end) = fed::fed_by_shape(bytes.chunks(step), shapes, |shape, input| decoder.decode(shape, input));
    end.map(|_| replies)
}

/// What comes of the bytes of one reply, which must be the same whole and byte by byte.
fn decoded(shape: Shape, bytes: &[u8]) -> Result<Option<Reply>, ReplyFault> {
    let whole = fed(bytes, bytes.len(), &[shape], LIMITS);
    assert_eq!(fed(bytes, 1, &[shape], LIMITS), whole);
    whole.map(|mut replies| replies.pop())
}

fn head(code: u8, sizes: &[i32]) -> Vec<u8> {
    let sizes = sizes.iter().flat_map(|size| size.to_be_bytes());
    std::iter::once(code).chain(sizes).collect()
}

fn encoded(reply: &Reply) -> Vec<u8> {
    let mut out = Outgoing::new();
    encode(reply, &mut out);
    out.take().to_vec()
}

#[test]
fn pytyrant_is_told_the_code_of_a_failed_misc_and_nothing_else() {
    let encoded = |code, strings| {
        let mut out = Outgoing::new();
        encode_in(Dialect::PyTyrant, &Reply::Strings { code, strings }, &mut out);
        out.take().to_vec()
    };
    assert_eq!(encoded(1, vec![]), [1]);
    assert_eq!(encoded(0, vec![]), head(0, &[0]));
    assert_eq!(
        encoded(0, vec![Bytes::from_static(b"k")]),
        [head(0, &[1, 1]), b"k".to_vec()].concat()
    );
}

#[test]
fn a_failure_stands_alone_but_for_misc() {
    for shape in [
        Shape::Code,
        Shape::Value,
        Shape::Number,
        Shape::Double,
        Shape::Count,
        Shape::Records,
        Shape::Keys,
    ] {
        assert_eq!(decoded(shape, &[1]), Ok(Some(Reply::Code(1))), "{shape:?}");
    }
    assert_eq!(decoded(Shape::Strings, &[1]), Ok(None));
    let failed = Reply::Strings {
        code: 1,
        strings: vec![],
    };
    assert_eq!(decoded(Shape::Strings, &head(1, &[0])), Ok(Some(failed)));
}

#[test]
fn what_has_no_reply_or_no_end_is_a_fault_before_any_byte() {
    let mut decoder = ReplyDecoder::new(LIMITS);
    let fault = decoder.decode(Shape::Nothing, &mut BytesMut::new());
    assert_eq!(fault.map_err(|fault| fault.name()), Err("not_owed"));
    let fault = decoder.decode(Shape::Stream, &mut BytesMut::new());
    assert_eq!(fault.map_err(|fault| fault.name()), Err("endless"));
}

#[test]
fn sizes_and_counts_are_judged_before_their_bytes() {
    let refused = |shape, sizes: &[i32]| decoded(shape, &head(0, sizes)).unwrap_err().name();
    assert_eq!(refused(Shape::Value, &[-1]), "negative_size");
    assert_eq!(refused(Shape::Value, &[65]), "argument_too_large");
    assert_eq!(refused(Shape::Keys, &[-1]), "negative_count");
    assert_eq!(refused(Shape::Strings, &[5]), "too_many_arguments");
    assert_eq!(refused(Shape::Records, &[1, 3, -3]), "negative_size");
    assert_eq!(refused(Shape::Records, &[1, 64, 65]), "argument_too_large");
    assert_eq!(refused(Shape::Records, &[1, 24, 64]), "frame_too_large");
    assert_eq!(decoded(Shape::Records, &head(0, &[1, 23, 64])), Ok(None));
    assert_eq!(decoded(Shape::Value, &head(0, &[64])), Ok(None));
}

#[test]
fn a_fault_stays() {
    let mut input = BytesMut::from(&head(0, &[2, 0, -1])[..]);
    let mut decoder = ReplyDecoder::new(LIMITS);
    for _ in 0..3 {
        let fault = decoder.decode(Shape::Keys, &mut input);
        assert_eq!(fault, Err(SizeFault::NegativeSize(-1).into()));
        input.extend_from_slice(&[0; 4]);
    }
}

#[test]
fn a_value_is_a_slice_of_what_arrived() {
    let mut input = BytesMut::from(&[&head(0, &[5])[..], b"value", &[7]].concat()[..]);
    let arrived = input.as_ptr();
    let reply = ReplyDecoder::new(LIMITS).decode(Shape::Value, &mut input);
    let Ok(Some(Reply::Value(value))) = reply else {
        panic!("{reply:?}");
    };
    assert_eq!(&value[..], b"value");
    assert_eq!(value.as_ptr(), arrived.wrapping_add(HEAD));
    assert_eq!(&input[..], [7], "the next reply stays");
}

#[test]
fn a_million_strings_that_arrive_in_little_pieces_are_looked_through_once() {
    // Looked through from the start each time this is 10^10 elements.
    let count = 1 << 20;
    let mut bytes = head(0, &[count]);
    bytes.resize(bytes.len() + 4 * count as usize, 0);
    let replies = fed(&bytes, 97, &[Shape::Keys], Limits::REPLY).unwrap();
    assert!(matches!(&replies[..], [Reply::Keys(keys)] if keys.len() == count as usize));
}

/// What comes of `bytes` when they arrive `step` at a time and replies over a limit are dropped, and the fault that ends
/// it.
fn taken(bytes: &[u8], step: usize, shapes: &[Shape], limits: Limits) -> (Vec<Taken>, Option<ReplyFault>) {
    let mut decoder = ReplyDecoder::new(limits);
    let (taken, end) = fed::fed_by_shape(bytes.chunks(step), shapes, |shape, input| {
        decoder.decode_or_drop(shape, input)
    });
    (taken, end.err())
}

/// The fault of what is decoded under these limits; nothing where there is none.
fn fault_of(reply: &Reply, shape: Shape, limits: Limits) -> Option<SizeFault> {
    let mut input = BytesMut::from(&encoded(reply)[..]);
    match ReplyDecoder::new(limits).decode(shape, &mut input) {
        Err(ReplyFault::Size(fault)) => Some(fault),
        _ => None,
    }
}

/// What is to come of bytes under these limits, from what comes of them without any.
fn wanted(bytes: &[u8], shapes: &[Shape], limits: Limits) -> (Vec<Taken>, Option<ReplyFault>) {
    let mut decoder = ReplyDecoder::new(Limits::WIRE);
    let (replies, end) = fed::fed_by_shape([bytes], shapes, |shape, input| decoder.decode(shape, input));
    let taken = replies
        .into_iter()
        .zip(shapes)
        .map(|(reply, shape)| match fault_of(&reply, *shape, limits) {
            Some(fault) => Taken::Dropped(Dropped {
                code: reply.code(),
                bytes: encoded(&reply).len() as u64,
                fault: Some(fault),
            }),
            None => Taken::Reply(reply),
        });
    (taken.collect(), end.err())
}

#[test]
fn a_reply_over_a_limit_is_dropped_and_the_next_one_read_however_they_are_cut() {
    let value = |size: usize| Reply::Value(Bytes::from(vec![b'v'; size]));
    let keys = |sizes: &[usize]| Reply::Keys(sizes.iter().map(|size| Bytes::from(vec![b'k'; *size])).collect());
    let records = |size: usize| Reply::Records(vec![(Bytes::from_static(b"k"), Bytes::from(vec![b'v'; size])); 2]);
    let failed = Reply::Strings {
        code: 1,
        strings: vec![Bytes::from(vec![b's'; 65])],
    };
    let large = [
        (Shape::Value, value(65), "argument_too_large"),
        (Shape::Keys, keys(&[1, 65]), "argument_too_large"),
        (Shape::Keys, keys(&[0; 5]), "too_many_arguments"),
        (Shape::Keys, keys(&[60, 60]), "frame_too_large"),
        (Shape::Records, records(65), "argument_too_large"),
        (Shape::Records, records(40), "frame_too_large"),
        (Shape::Strings, failed, "argument_too_large"),
    ];
    for (shape, reply, name) in large {
        let next = value(3);
        let bytes = [encoded(&reply), encoded(&next)].concat();
        for step in 1..=bytes.len() {
            let (taken, end) = taken(&bytes, step, &[shape, Shape::Value], LIMITS);
            let [Taken::Dropped(dropped), Taken::Reply(behind)] = &taken[..] else {
                panic!("{taken:?} by {step}");
            };
            assert_eq!(
                (dropped.code, dropped.bytes),
                (reply.code(), encoded(&reply).len() as u64)
            );
            let fault = dropped.fault.expect("a limit");
            assert_eq!((fault.name(), behind, end), (name, &next, None));
        }
    }
}

#[test]
fn a_value_for_which_there_is_no_room_leaves_as_it_comes_however_it_is_cut() {
    let value = Bytes::from(vec![b'v'; 60]);
    let record = (Bytes::from_static(b"key"), value.clone());
    for (shape, large, next) in [
        (
            Shape::Value,
            Reply::Value(value),
            Reply::Value(Bytes::from_static(b"next")),
        ),
        (Shape::Records, Reply::Records(vec![record]), Reply::Records(Vec::new())),
    ] {
        let size = encoded(&large).len();
        let bytes = [encoded(&large), encoded(&next)].concat();
        for step in 1..size {
            let (mut decoder, mut input) = (ReplyDecoder::new(LIMITS), BytesMut::new());
            let (mut taken, mut most) = (Vec::new(), 0);
            for piece in bytes.chunks(step) {
                input.extend_from_slice(piece);
                if let Some(ahead) = decoder.value_ahead(shape, &input)
                    && ahead.value == 60
                {
                    decoder.drop_ahead(ahead);
                }
                while !input.is_empty()
                    && let Some(one) = decoder.decode_or_drop(shape, &mut input).expect("no fault")
                {
                    taken.push(one);
                }
                most = most.max(input.len());
            }
            let dropped = Taken::Dropped(Dropped {
                code: 0,
                bytes: size as u64,
                fault: None,
            });
            assert_eq!(taken, [dropped, Taken::Reply(next.clone())], "by {step}");
            assert!(most < 14, "by {step} {most} bytes of it were held");
        }
    }
}

#[test]
fn only_a_value_within_the_limits_that_is_not_whole_is_ahead() {
    let decoder = ReplyDecoder::new(LIMITS);
    let value = encoded(&Reply::Value(Bytes::from_static(b"value")));
    let ahead = |shape, input: &[u8]| {
        decoder
            .value_ahead(shape, input)
            .map(|ahead| (ahead.value, ahead.frame))
    };
    for cut in 0..value.len() {
        assert_eq!(ahead(Shape::Value, &value[..cut]), (cut >= 5).then_some((5, 10)));
    }
    assert_eq!(ahead(Shape::Value, &value), None, "it is whole");
    assert_eq!(ahead(Shape::Keys, &value[..6]), None);
    assert_eq!(ahead(Shape::Value, &[1, 0, 0, 0, 9]), None, "a failure has no value");
    assert_eq!(ahead(Shape::Value, &[0, 0, 0, 0, 65]), None, "it is over a limit");
    assert_eq!(ahead(Shape::Value, &[0, 0xff, 0, 0, 0]), None);
    let record = encoded(&Reply::Records(vec![(
        Bytes::from_static(b"key"),
        Bytes::from_static(b"value"),
    )]));
    for cut in 0..record.len() {
        assert_eq!(ahead(Shape::Records, &record[..cut]), (cut >= 13).then_some((5, 21)));
    }
    assert_eq!(ahead(Shape::Records, &record), None, "it is whole");
    assert_eq!(ahead(Shape::Records, &head(0, &[2, 3, 5])), None, "more than one");
    assert_eq!(ahead(Shape::Records, &head(0, &[1, -1, 5])), None);
    assert_eq!(ahead(Shape::Records, &head(0, &[1, 3, 65])), None, "it is over a limit");
}

#[test]
fn what_is_dropped_takes_no_memory() {
    let mut decoder = ReplyDecoder::new(LIMITS);
    let mut input = BytesMut::with_capacity(1 << 20);
    input.extend_from_slice(&head(0, &[i32::MAX]));
    assert_eq!(decoder.decode_or_drop(Shape::Value, &mut input), Ok(None));
    assert_eq!((input.len(), input.capacity()), (0, 0));
    for _ in 0..1000 {
        input.extend_from_slice(&[0; 4096]);
        assert_eq!(decoder.decode_or_drop(Shape::Value, &mut input), Ok(None));
        assert!(input.is_empty() && input.capacity() <= 4096, "{}", input.capacity());
    }
}

#[test]
fn a_size_below_zero_in_what_is_dropped_is_a_fault_that_stays() {
    for step in [1, 3, 100] {
        let bytes = head(0, &[5, 0, 0, -2]);
        let (taken, end) = taken(&bytes, step, &[Shape::Keys], LIMITS);
        assert_eq!(
            (taken, end),
            (vec![], Some(SizeFault::NegativeSize(-2).into())),
            "{step}"
        );
    }
}

fn string() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        vec(any::<u8>(), 0..40).prop_map(Bytes::from),
        (4000usize..5000).prop_map(|size| Bytes::from(vec![b'v'; size])),
    ]
}

fn shaped() -> impl Strategy<Value = (Shape, Reply)> {
    let list = || vec(string(), 0..5);
    let shape = prop::sample::select(vec![Shape::Value, Shape::Number, Shape::Double, Shape::Count]);
    prop_oneof![
        any::<u8>().prop_map(|code| (Shape::Code, Reply::Code(code))),
        (shape, 1..=255u8).prop_map(|(shape, code)| (shape, Reply::Code(code))),
        string().prop_map(|value| (Shape::Value, Reply::Value(value))),
        any::<i32>().prop_map(|number| (Shape::Number, Reply::Number(number))),
        any::<(i64, i64)>().prop_map(|(integral, fractional)| (Shape::Double, Reply::Double { integral, fractional })),
        any::<u64>().prop_map(|count| (Shape::Count, Reply::Count(count))),
        vec((string(), string()), 0..4).prop_map(|records| (Shape::Records, Reply::Records(records))),
        list().prop_map(|keys| (Shape::Keys, Reply::Keys(keys))),
        (any::<u8>(), list()).prop_map(|(code, strings)| (Shape::Strings, Reply::Strings { code, strings })),
    ]
}

proptest! {
    #[test]
    fn replies_come_back_from_their_bytes_however_these_arrive(
        shaped in vec(shaped(), 1..6),
        step in prop_oneof![1usize..9, 1usize..9000],
    ) {
        let (shapes, replies): (Vec<Shape>, Vec<Reply>) = shaped.into_iter().unzip();
        let bytes: Vec<u8> = replies.iter().flat_map(encoded).collect();
        let decoded = fed(&bytes, step, &shapes, Limits::REPLY);
        prop_assert_eq!(decoded.as_ref(), Ok(&replies));
        let again: Vec<u8> = decoded.iter().flatten().flat_map(encoded).collect();
        prop_assert_eq!(again, bytes);
    }

    #[test]
    fn any_bytes_give_the_same_however_they_arrive(
        bytes in vec(prop_oneof![Just(0u8), 0u8..9, any::<u8>()], 1..60),
        shapes in vec(shaped().prop_map(|(shape, _)| shape), 1..9),
        step in 1usize..9,
    ) {
        let whole = fed(&bytes, bytes.len(), &shapes, LIMITS);
        prop_assert_eq!(fed(&bytes, step, &shapes, LIMITS), whole);
    }

    #[test]
    fn dropping_changes_nothing_but_what_is_over_a_limit(
        shaped in vec(shaped(), 1..6),
        torn in vec(prop_oneof![Just(0u8), 0u8..9, any::<u8>()], 0..40),
        step in prop_oneof![1usize..9, 1usize..9000],
    ) {
        let (mut shapes, replies): (Vec<Shape>, Vec<Reply>) = shaped.into_iter().unzip();
        let mut bytes: Vec<u8> = replies.iter().flat_map(encoded).collect();
        bytes.extend(torn);
        shapes.extend([Shape::Keys, Shape::Records]);
        prop_assert_eq!(taken(&bytes, step, &shapes, LIMITS), wanted(&bytes, &shapes, LIMITS));
    }
}
