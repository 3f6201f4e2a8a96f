//! Whatever is sent comes out as it was, however it is cut; whatever is wrong is refused on its head.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::ask::Ask;
use super::hello::{Behalf, From, Hello, Opened, Pong, Standing, Welcome};
use super::printable::{PRINTABLE_MAX, Printable};
use super::receiving::{Bounds, Received, Receiving};
use super::sending::Sending;
use super::told::{Failed, Told};
use super::{Fault, HEAD, Kind, LONG, PIECE, VERSION};
use crate::command::edit::Edit;
use crate::command::{Answer, Command, Reason, Reply};
use crate::protocol::answer::Form;
use crate::protocol::outgoing::Outgoing;
use crate::protocol::tyrant::dialect::Dialect;
use crate::protocol::tyrant::limits::Limits;
use crate::protocol::tyrant::request::{self, RequestDecoder};

const BOUNDS: Bounds = Bounds {
    body_max: 1 << 20,
    pieces_max: 3,
};

/// Everything that is to be written, in writes of so many bytes at most.
fn written<T>(sending: &mut Sending<T>, most: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while !sending.is_empty() {
        let write = |out: &mut Outgoing| {
            let mut some = Outgoing::new();
            out.move_some(most, &mut some);
            let count = some.len();
            bytes.extend_from_slice(&some.take());
            Ok(count)
        };
        sending.write(write).expect("no error");
    }
    bytes
}

/// What comes of bytes that come so many at a time.
fn received(bytes: &[u8], step: usize) -> Result<Vec<Received>, Fault> {
    let (mut receiving, mut input, mut received) = (Receiving::new(BOUNDS), BytesMut::new(), Vec::new());
    for piece in bytes.chunks(step) {
        input.extend_from_slice(piece);
        while let Some(one) = receiving.next(&mut input)? {
            received.push(one);
        }
    }
    assert_eq!(receiving.kept(), 0);
    Ok(received)
}

/// The head of a frame.
fn head(number: u8, id: u64, length: u32) -> Vec<u8> {
    [&[number][..], &id.to_be_bytes(), &length.to_be_bytes()].concat()
}

fn fault(bytes: &[u8]) -> Fault {
    received(bytes, bytes.len()).expect_err("a fault")
}

proptest! {
    #[test]
    fn bodies_of_any_size_come_whole(
        sizes in prop::collection::vec(prop_oneof![0usize..200, Just(PIECE), Just(PIECE + 1), 0usize..4 * PIECE], 0..8),
        most in 1usize..100_000,
        step in 1usize..100_000,
    ) {
        let mut sending = Sending::default();
        for (id, size) in sizes.iter().enumerate() {
            sending.add(Kind::Ask, id as u64, (), |out| out.put_bytes(&Bytes::from(vec![id as u8; *size])));
        }
        let bytes = written(&mut sending, most);
        prop_assert_eq!(sending.put(), bytes.len() as u64);
        prop_assert_eq!(sending.written(), sending.put());
        let bounds = Bounds { pieces_max: 8, ..BOUNDS };
        let (mut receiving, mut input, mut whole) = (Receiving::new(bounds), BytesMut::new(), 0);
        for piece in bytes.chunks(step) {
            input.extend_from_slice(piece);
            while let Some(one) = receiving.next(&mut input).expect("no fault") {
                match one {
                    Received::Begun { id, total, .. } => prop_assert_eq!(total, sizes[id as usize]),
                    Received::Whole { id, body, .. } => {
                        prop_assert_eq!(body.len(), sizes[id as usize]);
                        prop_assert!(body.iter().all(|byte| *byte == id as u8));
                        whole += 1;
                    }
                    Received::Dropped { .. } => prop_assert!(false),
                }
            }
        }
        prop_assert_eq!((whole, input.len(), receiving.kept()), (sizes.len(), 0, 0));
    }
}

#[test]
fn what_is_short_goes_before_the_rest_of_what_is_long() {
    let mut sending = Sending::default();
    sending.add(Kind::Told, 1, (), |out| out.put_slice(&vec![b'l'; 1 << 20]));
    let mut bytes = Vec::new();
    let mut write = |out: &mut Outgoing| {
        bytes.extend_from_slice(&out.take());
        // The socket is full.
        Ok(0)
    };
    sending.write(&mut write).expect("no error");
    let before = bytes.len();
    sending.add(Kind::Told, 2, (), |out| out.put_slice(b"short"));
    assert!(before <= 3 * PIECE, "{before} bytes are ahead of what is short");
}

#[test]
fn what_is_dropped_is_told_once_its_last_byte_has_come_and_not_kept() {
    let mut sending = Sending::default();
    sending.add(Kind::Told, 7, (), |out| out.put_slice(&[b'l'; 3 * PIECE]));
    let bytes = written(&mut sending, usize::MAX);
    let (mut receiving, mut input) = (Receiving::new(BOUNDS), BytesMut::new());
    let (kind, id, total) = (Kind::Told, 7, 3 * PIECE);
    let mut seen = Vec::new();
    for piece in bytes.chunks(1000) {
        input.extend_from_slice(piece);
        while let Some(one) = receiving.next(&mut input).expect("no fault") {
            receiving.drop_rest(7);
            seen.push(one);
        }
        assert_eq!(receiving.kept(), 0);
    }
    assert_eq!(
        seen,
        [
            Received::Begun { kind, id, total },
            Received::Dropped { kind, id, total }
        ]
    );
}

#[test]
fn what_is_wrong_is_refused_on_its_head() {
    let piece = PIECE as u32;
    let whole = |number: u8, length: u32, total: u64| [&head(number, 9, length)[..], &total.to_be_bytes()].concat();
    let (ask, part) = (0x03, 0x20);
    assert_eq!(fault(&[0]), Fault::Kind(0));
    assert_eq!(fault(&[0xc8]), Fault::Kind(0xc8));
    assert_eq!(fault(&[LONG | 0x01]), Fault::Kind(LONG | 0x01), "a hello is never long");
    assert_eq!(
        fault(&head(ask, 0, piece + 1)),
        Fault::Piece {
            size: piece + 1,
            max: PIECE
        }
    );
    for total in [0, 5, (1 << 20) + 1, u64::MAX] {
        assert_eq!(
            fault(&whole(ask | LONG, 5, total)),
            Fault::Whole {
                size: total,
                max: 1 << 20
            }
        );
    }
    assert_eq!(fault(&head(part, 9, 1)), Fault::Stray(9));
    let begun = [whole(ask | LONG, 1, 3), b"a".to_vec()].concat();
    assert_eq!(
        fault(&[&begun[..], &head(part, 9, 3)].concat()),
        Fault::Stray(9),
        "more than announced"
    );
    assert_eq!(
        fault(&[&begun[..], &head(part, 9, 0)].concat()),
        Fault::Stray(9),
        "none at all"
    );
    assert_eq!(
        fault(&[&begun[..], &begun[..]].concat()),
        Fault::Stray(9),
        "begun twice"
    );
    let mut four = Vec::new();
    for id in 0..4u64 {
        four.extend([&head(ask | LONG, id, 1)[..], &3u64.to_be_bytes(), b"a"].concat());
    }
    assert_eq!(fault(&four), Fault::Pieces(3));
}

fn body(put: impl FnOnce(&mut Outgoing)) -> BytesMut {
    let mut out = Outgoing::new();
    put(&mut out);
    BytesMut::from(&out.take()[..])
}

#[test]
fn who_is_there_comes_out_as_it_was_and_no_other_length_is_taken() {
    let hello = Hello {
        instance: 7,
        slot: 3,
        generation: u64::MAX,
        name: Printable::new("process 7 on app-1"),
        release: Bytes::from_static(b"0.1.0"),
    };
    let welcome = Welcome {
        instance: 9,
        standing: Standing::Waits,
        epoch: 12,
        digits: 13,
        unit: 1_000_000,
        given: true,
        gives: false,
        newest: 1_795_900_000_000_000,
        knows_keys: true,
        knows_functions: false,
        asks_max: 4,
        request_max: 1 << 33,
        clock: Duration::from_micros(1_795_900_000_000_001),
        release: Bytes::new(),
    };
    let froms = [
        From::Unknown,
        From::Address("10.1.2.3:4".parse().expect("an address")),
        From::Address("[fe80::1]:65535".parse().expect("an address")),
        From::Process(1000, None),
        From::Process(0, Some(u32::MAX)),
    ];
    let said = body(|out| hello.put(out));
    assert_eq!(Hello::parse(&said), Ok(hello));
    let told = body(|out| welcome.put(out));
    assert_eq!(Welcome::parse(&told), Ok(welcome));
    let standing = body(|out| Standing::Leaves.put(5, out));
    assert_eq!(Standing::parse(&standing), Ok((Standing::Leaves, 5)));
    let pong = Pong {
        clock: Duration::from_micros(7),
        standing: Standing::Serves,
        epoch: u64::MAX,
    };
    let life = body(|out| pong.put(out));
    assert_eq!(Pong::parse(&life), Ok(pong));
    for (bytes, kind) in [
        (&said, Kind::Hello),
        (&told, Kind::Welcome),
        (&standing, Kind::Standing),
        (&life, Kind::Pong),
    ] {
        let parse = |bytes: &[u8]| match kind {
            Kind::Hello => Hello::parse(bytes).map(drop),
            Kind::Welcome => Welcome::parse(bytes).map(drop),
            Kind::Pong => Pong::parse(bytes).map(drop),
            _ => Standing::parse(bytes).map(drop),
        };
        for cut in 0..bytes.len() {
            assert_eq!(parse(&bytes[..cut]), Err(Fault::Body(kind)), "{cut}");
        }
        assert_eq!(parse(&[&bytes[..], b"x"].concat()), Err(Fault::Body(kind)));
    }
    for from in froms {
        for certificate in [None, Printable::new("app.example"), Printable::new(LONGEST)] {
            let opened = Opened { from, certificate };
            let bytes = body(|out| opened.put(out));
            assert!(bytes.len() <= Opened::MOST);
            assert_eq!(Opened::parse(&bytes), Ok(opened.clone()));
            assert_eq!(Opened::parse(&bytes[..bytes.len() - 1]), Err(Fault::Body(Kind::Open)));
            let edge = Printable::new("process 7 on app-1");
            let behalf = Behalf { edge, opened };
            let bytes = behalf.to_bytes();
            assert_eq!(Behalf::parse(&bytes), Ok(behalf));
            for cut in [0, 1, bytes.len() - 1] {
                assert_eq!(Behalf::parse(&bytes[..cut]), Err(Fault::Body(Kind::Open)), "{cut}");
            }
            let other = Fault::Version { theirs: VERSION ^ 1 };
            assert_eq!(Behalf::parse(&of_another_version(&bytes)), Err(other));
        }
    }
    assert_eq!(Opened::parse(&[9]), Err(Fault::Body(Kind::Open)));
}

/// As long as a name may be.
const LONGEST: &str = {
    const BYTES: [u8; PRINTABLE_MAX] = [b'x'; PRINTABLE_MAX];
    match std::str::from_utf8(&BYTES) {
        Ok(text) => text,
        Err(_) => panic!("it is ASCII"),
    }
};

fn of_another_version(bytes: &[u8]) -> Vec<u8> {
    let mut other = bytes.to_vec();
    other[1] ^= 1;
    other
}

#[test]
fn another_version_is_told_by_its_first_bytes() {
    let welcome = body(Welcome::put_version);
    assert_eq!(
        Welcome::parse(&welcome),
        Err(Fault::Body(Kind::Welcome)),
        "ours, and no more"
    );
    let other = Fault::Version { theirs: VERSION ^ 1 };
    for behind in [&b""[..], b"whatever it says then"] {
        let said = [&of_another_version(&welcome)[..], behind].concat();
        assert_eq!(Welcome::parse(&said), Err(other));
        assert_eq!(Hello::parse(&said), Err(other));
    }
    assert_eq!(Hello::parse(&[0]), Err(Fault::Body(Kind::Hello)));
    let text = Fault::Version { theirs: 9 }.to_string();
    assert_eq!(
        text,
        "version 9 of the link, and this release speaks version 2: both have to be of one release"
    );
}

#[test]
fn a_name_that_cannot_be_shown_is_none_of_a_clients() {
    let named = |name: &[u8]| [&[0][..], &(name.len() as u16).to_be_bytes(), name].concat();
    assert!(Opened::parse(&named(b"app.example")).is_ok());
    for name in [
        &b"a\nb"[..],
        b"\x1b[2J",
        b"\xff\xfe",
        b"a\0",
        b"\xc3\xa9",
        &[b'x'; PRINTABLE_MAX + 1],
    ] {
        assert_eq!(Opened::parse(&named(name)), Err(Fault::Body(Kind::Open)), "{name:?}");
    }
    // More than it may have is refused on the head.
    let max = Opened::MOST;
    let size = max as u32 + 1;
    assert_eq!(fault(&head(0x02, 1, size)), Fault::Piece { size, max });
    let (size, max) = (4097, 4096);
    assert_eq!(fault(&head(0x01, 0, size)), Fault::Piece { size, max });
}

#[test]
fn a_request_comes_out_as_it_was_asked() {
    let command = Command::Put {
        key: Bytes::from_static(b"key"),
        value: Bytes::from_static(b"value"),
    };
    for edit in [
        None,
        Some(Edit::IfPresent),
        Some(Edit::Prepend),
        Some(Edit::Decimal(-5)),
    ] {
        let ask = Ask {
            client: 5,
            left: 1999,
            stamp: edit.is_none().then_some(1_795_900_000_000_000),
            form: Form::Binary(Dialect::PyTyrant),
            edit,
        };
        let mut bytes = body(|out| {
            ask.put(out);
            request::encode(&command, out);
        });
        assert_eq!(Ask::take(&mut bytes), Ok(ask));
        let mut decoder = RequestDecoder::new(Limits::REQUEST);
        assert_eq!(decoder.decode(&mut bytes), Ok(Some(command.clone())));
        assert!(bytes.is_empty());
    }
    let mut wide = BytesMut::zeroed(18);
    wide[8..16].copy_from_slice(&10_000_000_000_000_000u64.to_be_bytes());
    assert_eq!(
        Ask::take(&mut wide),
        Err(Fault::Body(Kind::Ask)),
        "a stamp of 17 digits"
    );
    for cut in 0..17 {
        assert_eq!(Ask::take(&mut BytesMut::zeroed(cut)), Err(Fault::Body(Kind::Ask)));
    }
}

#[test]
fn an_answer_comes_out_as_it_was_told() {
    let string = Bytes::from_static(b"string");
    let replies = [
        Reply::Code(0),
        Reply::Code(6),
        Reply::Value(string.clone()),
        Reply::Number(-1),
        Reply::Double {
            integral: i64::MIN,
            fractional: 1,
        },
        Reply::Count(u64::MAX),
        Reply::Records(vec![(string.clone(), Bytes::new())]),
        Reply::Keys(vec![string.clone(), string.clone()]),
        Reply::Strings {
            code: 3,
            strings: vec![string],
        },
    ];
    let mut all: Vec<Told> = replies.map(|reply| Told::Answer(Answer::Reply(reply))).to_vec();
    for reason in [
        Reason::Stale,
        Reason::Tie,
        Reason::Future,
        Reason::Unstamped,
        Reason::Denied,
    ] {
        let told = Reply::Code(2);
        all.push(Told::Answer(Answer::Refused { reason, told }));
    }
    all.extend([Answer::NoRecord, Answer::Unavailable].map(Told::Answer));
    let failures = [
        Failed::Deadline,
        Failed::BackendDown,
        Failed::LaneLost,
        Failed::ReplyTooLarge,
        Failed::Refused,
        Failed::Stopping,
        Failed::Waits,
    ];
    all.extend(failures.map(Told::Failed));
    for told in all {
        let bytes = body(|out| told.put(out));
        for cut in 0..bytes.len() {
            let cut = BytesMut::from(&bytes[..cut]);
            assert_eq!(
                Told::parse(cut, Limits::REPLY),
                Err(Fault::Body(Kind::Told)),
                "{told:?}"
            );
        }
        let more = BytesMut::from(&[&bytes[..], b"x"].concat()[..]);
        assert_eq!(
            Told::parse(more, Limits::REPLY),
            Err(Fault::Body(Kind::Told)),
            "{told:?}"
        );
        assert_eq!(Told::parse(bytes, Limits::REPLY), Ok(told));
    }
    assert_eq!(HEAD, 13);
}
