use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::protocol::fed;
use crate::protocol::outgoing::Outgoing;

const LIMITS: Limits = Limits {
    argument_max: 64,
    key_max: 64,
    value_max: 64,
    arguments_max: 4,
    frame_max: 100,
};

/// A request of this number with these bytes behind it.
fn request(number: u8, rest: &[u8]) -> Vec<u8> {
    [&[MAGIC, number], rest].concat()
}

fn sizes(sizes: &[i32]) -> Vec<u8> {
    sizes.iter().flat_map(|size| size.to_be_bytes()).collect()
}

/// What comes of `bytes` when they arrive `step` at a time: the commands, and the fault that ends them.
fn fed(bytes: &[u8], step: usize, limits: Limits) -> (Vec<Command>, Option<RequestFault>) {
    let mut decoder = RequestDecoder::new(limits);
    let (commands, end) = fed::fed(bytes.chunks(step), |input| decoder.decode(input));
    (commands, end.err())
}

/// The fault that `bytes` end in, which must be the same whole and byte by byte, with no command before it.
fn refused(bytes: &[u8]) -> RequestFault {
    let whole = fed(bytes, bytes.len(), LIMITS);
    assert_eq!(fed(bytes, 1, LIMITS), whole);
    assert_eq!(whole.0, []);
    whole.1.expect("a fault")
}

/// What comes of one request of PyTyrant, which must be the same whole and byte by byte.
fn accepted_of_pytyrant(bytes: &[u8]) -> Result<Option<Command>, RequestFault> {
    let decode = |step| {
        let mut decoder = RequestDecoder::new(LIMITS).in_dialect(Dialect::PyTyrant);
        let mut input = BytesMut::new();
        let mut decoded = Ok(None);
        for piece in bytes.chunks(step) {
            assert_eq!(decoded, Ok(None));
            input.extend_from_slice(piece);
            decoded = decoder.decode(&mut input);
        }
        (decoded, input.len())
    };
    let whole = decode(bytes.len());
    assert_eq!(decode(1), whole);
    let (decoded, left) = whole;
    assert!(left == 0 || !matches!(decoded, Ok(Some(_))), "{left} bytes left");
    decoded
}

#[test]
fn pytyrant_has_its_own_numbers_and_layouts() {
    let bytes = Bytes::from_static;
    assert_eq!(accepted_of_pytyrant(&[MAGIC, 0x71]), Ok(Some(Command::Vanish)));
    let copy = [&sizes(&[4])[..], b"/a.b"].concat();
    let path = bytes(b"/a.b");
    assert_eq!(
        accepted_of_pytyrant(&request(0x72, &copy)),
        Ok(Some(Command::Copy { path: path.clone() }))
    );
    assert_eq!(
        accepted_of_pytyrant(&request(0x72, &sizes(&[0]))),
        Ok(Some(Command::Copy { path: Bytes::new() }))
    );
    let stamp = 1_795_000_000_000_u64;
    let restore = [&sizes(&[4])[..], &stamp.to_be_bytes(), b"/a.b"].concat();
    for number in [0x72, 0x73] {
        let command = Command::Restore {
            path: path.clone(),
            timestamp: stamp,
            options: 0,
        };
        assert_eq!(accepted_of_pytyrant(&request(number, &restore)), Ok(Some(command)));
    }
    let setmst = [&sizes(&[1, 1978])[..], b"h"].concat();
    let command = Command::SetMst {
        host: bytes(b"h"),
        port: 1978,
        timestamp: 0,
        options: 0,
    };
    assert_eq!(accepted_of_pytyrant(&request(0x78, &setmst)), Ok(Some(command)));
    for (number, rest, fault) in [
        (0x78, sizes(&[1, -1]), RequestFault::NegativePort(-1)),
        (0x78, sizes(&[-1, 1]), SizeFault::NegativeSize(-1).into()),
        (0x72, sizes(&[-1]), SizeFault::NegativeSize(-1).into()),
    ] {
        assert_eq!(accepted_of_pytyrant(&request(number, &rest)), Err(fault));
    }
    assert_eq!(
        accepted_of_pytyrant(&[MAGIC, 0x74]),
        Err(RequestFault::UnknownCommand(0x74))
    );
}

#[test]
fn a_size_is_judged_before_copy_and_restore_are_told_apart() {
    for behind in [&b""[..], b"\0", b"\0\0\0\0\0\0\0\0", b"/path"] {
        let bytes = request(0x72, &[&sizes(&[65])[..], behind].concat());
        let fault = SizeFault::ArgumentTooLarge { size: 65, max: 64 };
        for step in 1..=bytes.len() {
            let mut decoder = RequestDecoder::new(LIMITS).in_dialect(Dialect::PyTyrant);
            let fed = fed::fed(bytes.chunks(step), |input| decoder.decode(input));
            assert_eq!(fed, (vec![], Err(fault.into())), "{step} bytes at a time");
        }
    }
}

#[test]
fn what_is_no_exception_is_the_same_to_pytyrant() {
    let pair = [&sizes(&[1, 2])[..], b"kvv"].concat();
    assert_eq!(
        accepted_of_pytyrant(&request(0x10, &pair)),
        Ok(Some(accepted(&request(0x10, &pair))))
    );
}

fn accepted(bytes: &[u8]) -> Command {
    let (mut commands, fault) = fed(bytes, 1, LIMITS);
    assert_eq!(fault, None);
    assert_eq!(commands.len(), 1);
    commands.remove(0)
}

fn encoded(command: &Command) -> Vec<u8> {
    let mut out = Outgoing::new();
    encode(command, &mut out);
    out.take().to_vec()
}

#[test]
fn the_first_two_bytes_are_judged_as_they_arrive() {
    assert_eq!(refused(b"h"), RequestFault::BadMagic(b'h'));
    assert_eq!(refused(&[MAGIC, 0x42]), RequestFault::UnknownCommand(0x42));
}

#[test]
fn a_vanish_inside_a_refused_payload_is_never_a_command() {
    let vanish = [MAGIC, 0x72];
    for (number, header) in [
        (0x10, sizes(&[-1, 2])),
        (0x10, sizes(&[2, -1])),
        (0x42, vec![]),
        (0x30, sizes(&[65])),
        (0x31, sizes(&[5])),
        (0x31, sizes(&[2, -1])),
        (0x90, sizes(&[1024, 0, 0])),
        (0x90, sizes(&[0, 0, 1, -1])),
    ] {
        refused(&request(number, &[&header[..], &vanish].concat()));
    }
}

#[test]
fn a_fault_stays() {
    let mut bytes = request(0x31, &sizes(&[2]));
    bytes.extend(sizes(&[1]));
    bytes.push(b'k');
    bytes.extend(sizes(&[-7]));
    let mut input = BytesMut::from(&bytes[..]);
    let mut decoder = RequestDecoder::new(LIMITS);
    for _ in 0..3 {
        let fault = decoder.decode(&mut input);
        assert_eq!(fault, Err(SizeFault::NegativeSize(-7).into()));
        input.extend_from_slice(&[MAGIC, 0x72]);
    }
}

#[test]
fn an_argument_may_be_as_large_as_its_limit() {
    let key = [b'k'; 64];
    let get = |size: i32| request(0x30, &[&sizes(&[size])[..], &key].concat());
    assert!(matches!(accepted(&get(64)), Command::Get { key } if key.len() == 64));
    let fault = SizeFault::ArgumentTooLarge { size: 65, max: 64 };
    assert_eq!(refused(&get(65)[..6]), fault.into());
}

#[test]
fn a_list_may_be_as_long_as_its_limit() {
    let empty = sizes(&[4, 0, 0, 0, 0]);
    assert_eq!(
        accepted(&request(0x31, &empty)),
        Command::Mget {
            keys: vec![Bytes::new(); 4]
        }
    );
    let fault = SizeFault::TooManyArguments { count: 5, max: 4 };
    assert_eq!(refused(&request(0x31, &sizes(&[5]))), fault.into());
    assert_eq!(
        refused(&request(0x31, &sizes(&[-1]))),
        SizeFault::NegativeCount(-1).into()
    );
}

#[test]
fn a_frame_may_be_as_large_as_its_limit() {
    let put = |value: i32| request(0x10, &[sizes(&[40, value]), vec![b'x'; 90]].concat());
    assert!(matches!(fed(&put(50), 1, LIMITS).0[..], [Command::Put { .. }]));
    let fault = SizeFault::FrameTooLarge { size: 101, max: 100 };
    assert_eq!(refused(&put(51)[..10]), fault.into());
    // In a list the elements that have not come yet have four bytes each at the least.
    let mget = request(0x31, &[&sizes(&[2, 60])[..], &[b'k'; 60], &sizes(&[27])].concat());
    assert_eq!(refused(&mget), fault.into());
}

#[test]
fn names_widths_ports_and_starts_are_judged() {
    let roomy = |bytes: &[u8]| fed(bytes, 1, Limits::REQUEST).1;
    assert_eq!(
        refused(&request(0x68, &sizes(&[1024, 0, 0, 0]))),
        RequestFault::NameTooLong(1024)
    );
    assert_eq!(roomy(&request(0x68, &sizes(&[1023, 0, 0, 0]))), None);
    assert_eq!(
        refused(&request(0x90, &sizes(&[1024, 0, 0]))),
        RequestFault::NameTooLong(1024)
    );
    assert_eq!(
        refused(&request(0x90, &sizes(&[-1, 0, 0]))),
        SizeFault::NegativeSize(-1).into()
    );
    assert_eq!(roomy(&request(0x90, &sizes(&[1023, 0, 0]))), None);
    assert_eq!(
        refused(&request(0x13, &sizes(&[0, 0, -1]))),
        RequestFault::NegativeWidth(-1)
    );
    assert_eq!(
        refused(&request(0x78, &sizes(&[0, -1, 0, 0, 0]))),
        RequestFault::NegativePort(-1)
    );
    assert_eq!(refused(&request(0xA0, &sizes(&[0, 0, 1]))), RequestFault::ZeroTimestamp);
    assert_eq!(refused(&request(0xA0, &sizes(&[0, 1, 0]))), RequestFault::ZeroServerId);
}

#[test]
fn arguments_are_slices_of_what_arrived() {
    let mut input = BytesMut::from(&request(0x10, &[&sizes(&[3, 5])[..], b"keyvalue"].concat())[..]);
    let arrived = input.as_ptr();
    let command = RequestDecoder::new(LIMITS).decode(&mut input);
    let Ok(Some(Command::Put { key, value })) = command else {
        panic!("{command:?}");
    };
    assert_eq!((&key[..], &value[..]), (&b"key"[..], &b"value"[..]));
    assert_eq!(key.as_ptr(), arrived.wrapping_add(10));
    assert_eq!(value.as_ptr(), arrived.wrapping_add(13));
}

#[test]
fn a_million_keys_that_arrive_in_little_pieces_are_looked_through_once() {
    // Looked through from the start each time this is 10^10 elements.
    let count = 1 << 20;
    let mut bytes = request(0x31, &sizes(&[count]));
    bytes.resize(bytes.len() + 4 * count as usize, 0);
    let (commands, fault) = fed(&bytes, 97, Limits::REQUEST);
    assert_eq!(fault, None);
    assert!(matches!(&commands[..], [Command::Mget { keys }] if keys.len() == count as usize));
}

fn string() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        vec(any::<u8>(), 0..40).prop_map(Bytes::from),
        (4000usize..5000).prop_map(|size| Bytes::from(vec![b'v'; size])),
    ]
}

fn name() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..=NAME_MAX).prop_map(Bytes::from)
}

fn keyed() -> impl Strategy<Value = Command> {
    let fields = (string(), string(), 0..=i32::MAX, any::<i64>(), any::<i64>());
    (0..11, fields).prop_map(|(which, (key, value, width, integral, fractional))| match which {
        0 => Command::Put { key, value },
        1 => Command::PutKeep { key, value },
        2 => Command::PutCat { key, value },
        3 => Command::PutShl { key, value, width },
        4 => Command::PutNr { key, value },
        5 => Command::Out { key },
        6 => Command::Get { key },
        7 => Command::Vsiz { key },
        8 => Command::AddInt {
            key,
            number: integral as i32,
        },
        9 => Command::AddDouble {
            key,
            integral,
            fractional,
        },
        _ => Command::FwmKeys {
            prefix: key,
            max: integral as i32,
        },
    })
}

fn of_the_store() -> impl Strategy<Value = Command> {
    let fields = (string(), any::<u64>(), any::<u32>(), 0..=i32::MAX);
    (0..12, fields).prop_map(|(which, (path, timestamp, options, port))| match which {
        0 => Command::IterInit,
        1 => Command::IterNext,
        2 => Command::Sync,
        3 => Command::Optimize { parameters: path },
        4 => Command::Vanish,
        5 => Command::Copy { path },
        6 => Command::Restore {
            path,
            timestamp,
            options,
        },
        7 => Command::SetMst {
            host: path,
            port,
            timestamp,
            options,
        },
        8 => Command::Rnum,
        9 => Command::Size,
        10 => Command::Stat,
        _ => Command::Repl {
            timestamp: timestamp.max(1),
            server_id: options.max(1),
        },
    })
}

fn called() -> impl Strategy<Value = Command> {
    let list = || vec(string(), 0..5);
    prop_oneof![
        list().prop_map(|keys| Command::Mget { keys }),
        (name(), any::<u32>(), list()).prop_map(|(function, options, arguments)| Command::Misc {
            function,
            options,
            arguments,
        }),
        (name(), any::<u32>(), string(), string()).prop_map(|(function, options, key, value)| Command::Ext {
            function,
            options,
            key,
            value,
        }),
    ]
}

proptest! {
    #[test]
    fn commands_come_back_from_their_bytes_however_these_arrive(
        commands in vec(prop_oneof![keyed(), of_the_store(), called()], 1..6),
        step in prop_oneof![1usize..9, 1usize..9000],
    ) {
        let bytes: Vec<u8> = commands.iter().flat_map(encoded).collect();
        let (decoded, fault) = fed(&bytes, step, Limits::REQUEST);
        prop_assert_eq!(fault, None);
        let again: Vec<u8> = decoded.iter().flat_map(encoded).collect();
        prop_assert_eq!(again, bytes);
        prop_assert_eq!(decoded, commands);
    }

    #[test]
    fn any_bytes_give_the_same_however_they_arrive(
        bytes in vec(prop_oneof![Just(0u8), Just(MAGIC), Just(0x31), Just(0x90), 0u8..9, any::<u8>()], 1..60),
        step in 1usize..9,
    ) {
        let bytes = [&[MAGIC], &bytes[..]].concat();
        prop_assert_eq!(fed(&bytes, step, LIMITS), fed(&bytes, bytes.len(), LIMITS));
    }
}

#[test]
fn keys_are_added_to_an_mget_that_is_already_encoded() {
    let keys: Vec<Bytes> = ["a", "", "long key"].into_iter().map(Bytes::from).collect();
    let mut out = Outgoing::new();
    encode(&Command::Sync, &mut out);
    out.put_u8(MAGIC);
    encode_mget_behind_magic(std::slice::from_ref(&keys[0]), &mut out);
    let before = 2 + 2;
    for (count, key) in (2..).zip(&keys[1..]) {
        let behind = out.len() - before;
        assert!(add_to_list([key], count, behind, &mut out));
    }
    let mut wanted = Outgoing::new();
    encode(&Command::Sync, &mut wanted);
    encode(&Command::Mget { keys }, &mut wanted);
    assert_eq!(out.take(), wanted.take());
    assert!(!add_to_list([&Bytes::new()], 4, 30, &mut out), "its count has left");
    assert!(out.is_empty());
}
