//! What must hold of any bytes that come on a link, and of whatever is said on one.

mod said;

use arbitrary::{Arbitrary, Unstructured};
use bytes::BytesMut;
use ttguard::protocol::link::ask::Ask;
use ttguard::protocol::link::hello::{Behalf, Hello, Opened, Pong, Standing, Welcome};
use ttguard::protocol::link::receiving::{Bounds, Received, Receiving};
use ttguard::protocol::link::sending::Sending;
use ttguard::protocol::link::told::Told;
use ttguard::protocol::link::{Fault, Kind, LONG, PIECE};
use ttguard::protocol::outgoing::Outgoing;
use ttguard::protocol::tyrant::limits::Limits;
use ttguard::protocol::tyrant::request::{self, RequestDecoder};

use self::said::Body;
use super::{fed, pieces};

/// Small, but above a piece: so there are bodies that have to come in pieces.
const BOUNDS: Bounds = Bounds {
    body_max: PIECE + 4096,
    pieces_max: 3,
};

/// A part of what comes.
#[derive(Arbitrary, Debug)]
enum Part<'a> {
    /// Whatever it is.
    Bytes(&'a [u8]),
    /// A frame by its head.
    Frame { number: u8, id: u8, body: &'a [u8] },
    /// The first piece of something longer.
    Begun {
        is_told: bool,
        id: u8,
        total: u16,
        piece: &'a [u8],
    },
    /// What a side says, whole.
    Said { id: u8, body: Body<'a> },
}

/// Checks one input: how its bytes are cut, as [`pieces::list`] reads it; then a byte, of which one bit says whether what
/// follows are the bytes, or [parts](Part) of what comes.
///
/// # Panics
/// When the bytes give other frames in pieces than whole, when more is kept than there may be, or when what a frame says
/// is something else once it is said again.
pub fn check(mut input: &[u8]) {
    let lengths = pieces::list(&mut input);
    let bytes = match input.split_first() {
        Some((form, rest)) if form & 1 != 0 => of_parts(rest),
        Some((_, rest)) => rest.to_vec(),
        None => Vec::new(),
    };
    let whole = receive(&[&bytes]);
    assert_eq!(receive(&pieces::cut(lengths, &bytes)), whole);
    for received in whole.0 {
        if let Received::Whole { kind, body, .. } = received {
            is_said_again(kind, body);
        }
    }
}

/// The bytes of these parts, and behind them what makes no part any more.
fn of_parts(input: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut parts = Unstructured::new(input);
    while !parts.is_empty() && bytes.len() < 4 * BOUNDS.body_max {
        let Ok(part) = parts.arbitrary() else { break };
        put(part, &mut bytes);
    }
    bytes.extend_from_slice(parts.take_rest());
    bytes
}

/// What comes of these pieces, where every fourth of the bodies that begin is dropped.
fn receive(pieces: &[&[u8]]) -> (Vec<Received>, Result<usize, Fault>) {
    let mut receiving = Receiving::new(BOUNDS);
    let received = fed::fed(pieces.iter().copied(), |input| {
        let before = input.len();
        let received = receiving.next(input)?;
        if let Some(Received::Begun { id, total, .. }) = received {
            assert!(total <= BOUNDS.body_max, "{total} bytes have begun");
            if id % 4 == 3 {
                receiving.drop_rest(id);
            }
        }
        if let Some(Received::Whole { body, .. }) = &received {
            assert!(body.len() <= BOUNDS.body_max, "a body of {} bytes", body.len());
        }
        assert!(received.is_none() || input.len() < before, "nothing was taken");
        assert!(receiving.kept() <= BOUNDS.pieces_max * BOUNDS.body_max);
        Ok(received)
    });
    let begun = received.0.iter().any(|one| matches!(one, Received::Begun { .. }));
    assert!(begun || receiving.kept() == 0, "bytes are kept of nothing");
    received
}

/// What one part says of the bytes that come.
fn put(part: Part<'_>, bytes: &mut Vec<u8>) {
    match part {
        Part::Bytes(some) => bytes.extend_from_slice(some),
        Part::Frame { number, id, body } => {
            head(number, id, body.len(), bytes);
            bytes.extend_from_slice(body);
        }
        Part::Begun {
            is_told,
            id,
            total,
            piece,
        } => {
            let number = if is_told { 0x12 } else { 0x03 };
            head(number | LONG, id, piece.len(), bytes);
            bytes.extend_from_slice(&u64::from(total).to_be_bytes());
            bytes.extend_from_slice(piece);
        }
        Part::Said { id, body } => {
            let mut sending = Sending::default();
            sending.add(body.kind(), id.into(), (), |out| body.put(out));
            let written = sending.write(|out| {
                let count = out.len();
                bytes.extend_from_slice(&out.take());
                Ok(count)
            });
            assert!(written.is_ok() && sending.is_empty());
        }
    }
}

fn head(number: u8, id: u8, length: usize, bytes: &mut Vec<u8>) {
    bytes.push(number);
    bytes.extend_from_slice(&u64::from(id).to_be_bytes());
    bytes.extend_from_slice(&(length as u32).to_be_bytes());
}

/// What a body says is the same once it is said again.
fn is_said_again(kind: Kind, body: BytesMut) {
    // What is said on a connection that is no link comes in no frame: any bytes may be it.
    same(&body, Behalf::parse, |behalf, out| out.put_slice(&behalf.to_bytes()));
    match kind {
        Kind::Hello => same(&body, Hello::parse, Hello::put),
        Kind::Welcome => same(&body, Welcome::parse, Welcome::put),
        Kind::Open => same(&body, Opened::parse, Opened::put),
        Kind::Standing => same(&body, Standing::parse, |(standing, epoch), out| {
            standing.put(*epoch, out)
        }),
        Kind::Pong => same(&body, Pong::parse, Pong::put),
        Kind::Ask => asked(body),
        Kind::Told => {
            if let Ok(told) = Told::parse(body, Limits::REPLY) {
                let again = said(|out| told.put(out));
                assert_eq!(Told::parse(again, Limits::REPLY), Ok(told));
            }
        }
        Kind::Close | Kind::Ping | Kind::Seen | Kind::Part => {}
    }
}

/// Of these bodies there is one spelling only.
fn same<T>(body: &[u8], parse: impl Fn(&[u8]) -> Result<T, Fault>, put: impl Fn(&T, &mut Outgoing)) {
    if let Ok(one) = parse(body) {
        assert_eq!(said(|out| put(&one, out)), body, "it is said in other words");
    }
}

fn asked(mut body: BytesMut) {
    let before = body.clone();
    let Ok(ask) = Ask::take(&mut body) else {
        assert_eq!(body, before, "something was taken of what is none");
        return;
    };
    let decode = |body: &mut BytesMut| RequestDecoder::new(Limits::REQUEST).decode(body);
    if let Ok(Some(command)) = decode(&mut body)
        && body.is_empty()
    {
        let mut again = said(|out| {
            ask.put(out);
            request::encode(&command, out);
        });
        assert_eq!(again, before, "it is asked in other words");
        assert_eq!(Ask::take(&mut again), Ok(ask));
        assert_eq!(decode(&mut again), Ok(Some(command)));
    }
}

fn said(put: impl FnOnce(&mut Outgoing)) -> BytesMut {
    let mut out = Outgoing::new();
    put(&mut out);
    BytesMut::from(&out.take()[..])
}
