//! Every recorded exchange with the real server on an on-memory hash, asked of both kinds of store.
//!
//! The decoder and the encoder here are the test's own, so that the store is held against the recorded
//! bytes alone.

use bytes::{Buf, BufMut, Bytes};
use serde_json::Value;

use super::tests::{ask, in_a_file};
use super::*;

const TRANSCRIPTS: &str = include_str!("../../../tests/data/transcripts/binary.jsonl");

#[test]
fn the_recorded_exchanges_of_the_real_server() {
    let lines = TRANSCRIPTS
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut steps = 0;
    for script in lines.filter(|script| script["db"] == "*") {
        steps += replay(&script, &Embedded::new());
        let (_folder, store) = in_a_file();
        steps += replay(&script, &store);
    }
    assert!(steps > 180, "{steps} steps");
}

fn replay(script: &Value, store: &Embedded) -> usize {
    let steps = script["steps"].as_array().unwrap();
    let (mut met, mut expected) = (Vec::new(), Vec::new());
    for step in steps {
        let answer = answers(store, hex(&step["send"]));
        let recorded = hex(&step["recv"]);
        let what = format!("{}: {}", script["scenario"], step["do"]);
        match step["compare"].as_str() {
            None => assert_eq!(answer, recorded, "{what}"),
            Some("set") => assert_eq!(keys(&answer), keys(&recorded), "{what}"),
            Some("set-member") => {
                met.push(answer);
                expected.push(recorded);
            }
            Some("volatile") => assert_eq!(names(&answer), names(&recorded), "{what}"),
            other => panic!("{what}: {other:?}"),
        }
    }
    met.sort();
    expected.sort();
    assert_eq!(met, expected, "{}", script["scenario"]);
    steps.len()
}

fn answers(store: &Embedded, mut requests: Bytes) -> Vec<u8> {
    let mut answers = Vec::new();
    while requests.has_remaining() {
        let command = decode(&mut requests);
        let reply = ask(store, &command);
        if !matches!(command, Command::PutNr { .. }) {
            encode(&reply, &mut answers);
        }
    }
    answers
}

fn hex(text: &Value) -> Bytes {
    let digits = text.as_str().unwrap().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn keys(answer: &[u8]) -> Vec<Bytes> {
    let mut input = Bytes::copy_from_slice(answer);
    assert_eq!(input.get_u8(), 0);
    let count = input.get_u32();
    let mut keys: Vec<_> = (0..count).map(|_| string(&mut input)).collect();
    keys.sort();
    keys
}

/// The names of `stat` lines, but for the counts, which are not the store's to tell; of a number, its size alone.
fn names(answer: &[u8]) -> (Vec<String>, usize) {
    let text = String::from_utf8_lossy(&answer[5..]);
    let names: Vec<_> = text
        .lines()
        .filter_map(|line| Some(line.split_once('\t')?.0.to_owned()))
        .filter(|name| !name.starts_with("cnt_"))
        .collect();
    let size = if names.is_empty() { answer.len() } else { 0 };
    (names, size)
}

fn string(input: &mut Bytes) -> Bytes {
    let size = input.get_u32() as usize;
    input.split_to(size)
}

fn pair(input: &mut Bytes) -> (Bytes, Bytes) {
    let (key, value) = (input.get_u32() as usize, input.get_u32() as usize);
    (input.split_to(key), input.split_to(value))
}

fn decode(input: &mut Bytes) -> Command {
    assert_eq!(input.get_u8(), 0xC8);
    match input.get_u8() {
        number @ (0x10 | 0x11 | 0x12 | 0x18) => {
            let (key, value) = pair(input);
            match number {
                0x10 => Command::Put { key, value },
                0x11 => Command::PutKeep { key, value },
                0x12 => Command::PutCat { key, value },
                _ => Command::PutNr { key, value },
            }
        }
        0x13 => {
            let (key, value, width) = (input.get_u32() as usize, input.get_u32() as usize, input.get_i32());
            Command::PutShl {
                key: input.split_to(key),
                value: input.split_to(value),
                width,
            }
        }
        0x20 => Command::Out { key: string(input) },
        0x30 => Command::Get { key: string(input) },
        0x31 => {
            let count = input.get_u32();
            Command::Mget {
                keys: (0..count).map(|_| string(input)).collect(),
            }
        }
        0x38 => Command::Vsiz { key: string(input) },
        0x50 => Command::IterInit,
        0x51 => Command::IterNext,
        number => decode_rest(number, input),
    }
}

fn decode_rest(number: u8, input: &mut Bytes) -> Command {
    match number {
        0x58 => {
            let (prefix, max) = (input.get_u32() as usize, input.get_i32());
            Command::FwmKeys {
                prefix: input.split_to(prefix),
                max,
            }
        }
        0x60 => {
            let (key, number) = (input.get_u32() as usize, input.get_i32());
            Command::AddInt {
                key: input.split_to(key),
                number,
            }
        }
        0x61 => {
            let (key, integral, fractional) = (input.get_u32() as usize, input.get_i64(), input.get_i64());
            Command::AddDouble {
                key: input.split_to(key),
                integral,
                fractional,
            }
        }
        0x68 => {
            let (name, options) = (input.get_u32() as usize, input.get_u32());
            let (key, value) = (input.get_u32() as usize, input.get_u32() as usize);
            Command::Ext {
                function: input.split_to(name),
                options,
                key: input.split_to(key),
                value: input.split_to(value),
            }
        }
        0x70 => Command::Sync,
        0x71 => Command::Optimize {
            parameters: string(input),
        },
        0x72 => Command::Vanish,
        0x80 => Command::Rnum,
        0x81 => Command::Size,
        0x88 => Command::Stat,
        0x90 => {
            let (name, options, count) = (input.get_u32() as usize, input.get_u32(), input.get_u32());
            Command::Misc {
                function: input.split_to(name),
                options,
                arguments: (0..count).map(|_| string(input)).collect(),
            }
        }
        other => panic!("no transcript has {other:#x}"),
    }
}

fn encode(reply: &Reply, out: &mut Vec<u8>) {
    out.put_u8(reply.code());
    match reply {
        Reply::Code(_) => {}
        Reply::Value(value) => put_strings(out, std::slice::from_ref(value)),
        Reply::Number(number) => out.put_i32(*number),
        Reply::Double { integral, fractional } => {
            out.put_i64(*integral);
            out.put_i64(*fractional);
        }
        Reply::Count(count) => out.put_u64(*count),
        Reply::Records(records) => {
            out.put_u32(records.len() as u32);
            for (key, value) in records {
                out.put_u32(key.len() as u32);
                out.put_u32(value.len() as u32);
                out.extend_from_slice(key);
                out.extend_from_slice(value);
            }
        }
        Reply::Keys(strings) | Reply::Strings { strings, .. } => {
            out.put_u32(strings.len() as u32);
            put_strings(out, strings);
        }
    }
}

fn put_strings(out: &mut Vec<u8>, strings: &[Bytes]) {
    for string in strings {
        out.put_u32(string.len() as u32);
        out.extend_from_slice(string);
    }
}
