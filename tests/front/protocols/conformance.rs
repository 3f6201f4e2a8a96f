//! The protocol, held against what the real server and its clients put on the wire.

use bytes::BytesMut;
use ttguard::command::{Command, Reply, Shape};
use ttguard::protocol::outgoing::Outgoing;
use ttguard::protocol::tyrant::limits::Limits;
use ttguard::protocol::tyrant::opcode::Opcode;
use ttguard::protocol::tyrant::reply::{self, ReplyDecoder, ReplyFault};
use ttguard::protocol::tyrant::request::{self, RequestDecoder, RequestFault};

use crate::support::transcripts::{self, Step};

/// Every way to cut `bytes` that is tried: whole, byte by byte, and in two at every point.
fn cuts(bytes: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    let in_two = (1..bytes.len()).map(|at| vec![&bytes[..at], &bytes[at..]]);
    [vec![bytes], bytes.chunks(1).collect()].into_iter().chain(in_two)
}

/// The commands in `pieces`, and the fault or the bytes left over that end them.
fn commands(pieces: &[&[u8]]) -> (Vec<Command>, Result<usize, RequestFault>) {
    let mut decoder = RequestDecoder::new(Limits::REQUEST);
    let mut input = BytesMut::new();
    let mut commands = Vec::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(command)) => commands.push(command),
                Ok(None) => break,
                Err(fault) => return (commands, Err(fault)),
            }
        }
    }
    (commands, Ok(input.len()))
}

/// The replies of these shapes in `pieces`, and how many bytes are left over.
fn replies(shapes: &[Shape], pieces: &[&[u8]]) -> Result<(Vec<Reply>, usize), ReplyFault> {
    let mut decoder = ReplyDecoder::new(Limits::REPLY);
    let mut input = BytesMut::new();
    let mut replies = Vec::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        while let Some(shape) = shapes.get(replies.len()) {
            match decoder.decode(*shape, &mut input)? {
                Some(reply) => replies.push(reply),
                None => break,
            }
        }
    }
    Ok((replies, input.len()))
}

fn encoded<T>(all: &[T], encode: fn(&T, &mut Outgoing)) -> Vec<u8> {
    let mut out = Outgoing::new();
    all.iter().for_each(|one| encode(one, &mut out));
    out.take().to_vec()
}

/// The requests of a step are understood, and come out as the bytes that they were.
fn check_requests(step: &Step, told: &str) -> Vec<Command> {
    let whole = commands(&[&step.send]);
    assert_eq!(whole.1, Ok(0), "{told}");
    assert_eq!(encoded(&whole.0, request::encode), step.send, "{told}");
    for pieces in cuts(&step.send) {
        assert_eq!(commands(&pieces), whole, "{told}");
    }
    whole.0
}

/// The replies of a step are understood as what their requests are owed, and come out as the bytes that they were.
fn check_replies(step: &Step, asked: &[Command], told: &str) {
    let shapes = asked.iter().map(|command| Opcode::of(command.verb()).shape);
    let shapes: Vec<Shape> = shapes.filter(|shape| *shape != Shape::Nothing).collect();
    let whole = replies(&shapes, &[&step.recv]);
    let Ok((answers, 0)) = &whole else {
        panic!("{told}: {whole:?}");
    };
    assert_eq!(answers.len(), shapes.len(), "{told}");
    assert_eq!(encoded(answers, reply::encode), step.recv, "{told}");
    for pieces in cuts(&step.recv) {
        assert_eq!(replies(&shapes, &pieces), whole, "{told}");
    }
}

#[test]
fn every_recorded_request_and_reply_is_understood_and_comes_out_as_it_was() {
    for exchange in ["binary.jsonl", "table.jsonl"].into_iter().flat_map(transcripts::load) {
        for step in &exchange.steps {
            let told = format!("{} {}: {}", exchange.db, exchange.scenario, step.doing);
            let asked = check_requests(step, &told);
            check_replies(step, &asked, &told);
        }
    }
}

/// What each frame that the real server cannot accept is refused as.
const REFUSED: [(&str, &str); 8] = [
    ("unknown command", "unknown_command"),
    ("negative key size", "negative_size"),
    ("key above 256 MiB", "argument_too_large"),
    ("negative value size", "negative_size"),
    ("mget too many keys", "too_many_arguments"),
    ("misc name too long", "name_too_long"),
    ("text garbage", "bad_magic"),
    ("empty line", "bad_magic"),
];

/// Whatever way it is cut, `bytes` is refused as `name`, and nothing is ever made of it.
fn check_refused(bytes: &[u8], name: &str, told: &str) {
    for pieces in cuts(bytes) {
        let (commands, end) = commands(&pieces);
        assert_eq!(commands, [], "{told}");
        assert_eq!(end.map_err(|fault| fault.name()), Err(name), "{told}");
    }
}

#[test]
fn every_malformed_frame_is_refused_by_name() {
    let exchanges = transcripts::load("malformed.jsonl");
    let steps: Vec<&Step> = exchanges.iter().flat_map(|exchange| &exchange.steps).collect();
    assert_eq!(steps.len(), REFUSED.len());
    for (step, (doing, name)) in steps.into_iter().zip(REFUSED) {
        assert_eq!(step.doing, doing);
        check_refused(&step.send, name, doing);
    }
}

#[test]
fn a_vanish_behind_a_malformed_frame_is_never_read() {
    for exchange in transcripts::load("malformed.jsonl") {
        for step in &exchange.steps {
            let (_, name) = REFUSED.iter().find(|(doing, _)| *doing == step.doing).unwrap();
            let bytes = [&step.send[..], &[0xC8, 0x72]].concat();
            check_refused(&bytes, name, &step.doing);
        }
    }
}
