//! What each request costs apart from sockets: decoded, encoded again, its answer decoded and encoded, and its place
//! in the lane's queue.
//!
//! `cargo bench --bench protocol`

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ttguard::command::{Command, Reply, Shape};
use ttguard::pairing::owed::Owed;
use ttguard::protocol::outgoing::Outgoing;
use ttguard::protocol::tyrant::limits::Limits;
use ttguard::protocol::tyrant::opcode::Opcode;
use ttguard::protocol::tyrant::reply::{self, ReplyDecoder};
use ttguard::protocol::tyrant::request::{self, RequestDecoder};

fn key() -> Bytes {
    Bytes::from_static(b"user:12345:profile")
}

fn value(size: usize) -> Bytes {
    let mut value = b"1795000000000".to_vec();
    value.resize(size, b'v');
    Bytes::from(value)
}

/// A command of each shape that is asked often, and what is answered.
fn exchanges() -> Vec<(&'static str, Command, Reply)> {
    let keys = || (0..10).map(|_| key()).collect::<Vec<_>>();
    vec![
        (
            "put, 32 B",
            Command::Put {
                key: key(),
                value: value(32),
            },
            Reply::Code(0),
        ),
        (
            "put, 1 KiB",
            Command::Put {
                key: key(),
                value: value(1 << 10),
            },
            Reply::Code(0),
        ),
        (
            "put, 64 KiB",
            Command::Put {
                key: key(),
                value: value(1 << 16),
            },
            Reply::Code(0),
        ),
        ("get, 32 B", Command::Get { key: key() }, Reply::Value(value(32))),
        ("get, 64 KiB", Command::Get { key: key() }, Reply::Value(value(1 << 16))),
        ("out", Command::Out { key: key() }, Reply::Code(0)),
        ("vsiz", Command::Vsiz { key: key() }, Reply::Number(32)),
        (
            "mget, 10 keys",
            Command::Mget { keys: keys() },
            Reply::Records(keys().into_iter().map(|key| (key, value(32))).collect()),
        ),
        ("addint", Command::AddInt { key: key(), number: 1 }, Reply::Number(7)),
        (
            "misc putlist, 5 records",
            Command::Misc {
                function: Bytes::from_static(b"putlist"),
                options: 0,
                arguments: keys(),
            },
            Reply::Strings {
                code: 0,
                strings: Vec::new(),
            },
        ),
    ]
}

fn bytes_of(encode: impl FnOnce(&mut Outgoing)) -> Bytes {
    let mut out = Outgoing::new();
    encode(&mut out);
    out.take()
}

fn codecs(criterion: &mut Criterion) {
    for (name, command, answer) in exchanges() {
        let mut group = criterion.benchmark_group(name);
        let asked = bytes_of(|out| request::encode(&command, out));
        let answered = bytes_of(|out| reply::encode(&answer, out));
        let shape = Opcode::of(command.verb()).shape;

        group.throughput(Throughput::Bytes(asked.len() as u64));
        group.bench_function("decode request", |bencher| {
            let mut decoder = RequestDecoder::new(Limits::REQUEST);
            bencher.iter_batched_ref(
                || BytesMut::from(&asked[..]),
                |input| decoder.decode(input),
                BatchSize::SmallInput,
            );
        });
        group.bench_function("encode request", |bencher| {
            let mut out = Outgoing::new();
            bencher.iter(|| {
                request::encode(black_box(&command), &mut out);
                out.advance(out.len());
            });
        });

        group.throughput(Throughput::Bytes(answered.len() as u64));
        group.bench_function("decode reply", |bencher| {
            let mut decoder = ReplyDecoder::new(Limits::REPLY);
            bencher.iter_batched_ref(
                || BytesMut::from(&answered[..]),
                |input| decoder.decode(shape, input),
                BatchSize::SmallInput,
            );
        });
        group.bench_function("encode reply", |bencher| {
            let mut out = Outgoing::new();
            bencher.iter(|| {
                reply::encode(black_box(&answer), &mut out);
                out.advance(out.len());
            });
        });
    }
}

/// Each request joins the queue, is written and answered, while as many others are owed as on a busy lane.
fn owed_replies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("owed replies");
    for others in [0_usize, 64, 1024] {
        let deadline = Instant::now() + Duration::from_secs(2);
        let mut owed = Owed::new();
        for number in 0..others {
            owed.push(Shape::Code, deadline, 40, number);
            owed.wrote(40);
        }
        group.bench_function(format!("push, write, answer beside {others}"), |bencher| {
            bencher.iter(|| {
                owed.push(Shape::Code, black_box(deadline), 40, 7);
                owed.wrote(40);
                owed.answered()
            });
        });
    }
}

criterion_group!(benches, codecs, owed_replies);
criterion_main!(benches);
