//! Commands to bytes.

use bytes::Bytes;

use super::super::opcode::{MAGIC, Opcode};
use crate::command::{Command, Verb};
use crate::protocol::outgoing::Outgoing;

/// Adds `command` to `out`: exactly the bytes that it was decoded from.
///
/// Large arguments are not copied. A command that did not come from a decoder is written as it is, so whoever makes
/// one keeps it within what the server accepts.
pub fn encode(command: &Command, out: &mut Outgoing) {
    out.put_u8(MAGIC);
    encode_behind_magic(command, out);
}

/// The same without the first byte, which has gone ahead.
pub fn encode_behind_magic(command: &Command, out: &mut Outgoing) {
    out.put_u8(Opcode::of(command.verb()).number);
    match command {
        Command::Put { key, value }
        | Command::PutKeep { key, value }
        | Command::PutCat { key, value }
        | Command::PutNr { key, value } => {
            sizes(out, [key, value]);
            bytes(out, [key, value]);
        }
        Command::PutShl { key, value, width } => {
            sizes(out, [key, value]);
            out.put_slice(&width.to_be_bytes());
            bytes(out, [key, value]);
        }
        Command::Out { key: only }
        | Command::Get { key: only }
        | Command::Vsiz { key: only }
        | Command::Optimize { parameters: only }
        | Command::Copy { path: only } => strings(out, [only]),
        Command::Mget { keys } => {
            out.put_slice(&(keys.len() as u32).to_be_bytes());
            strings(out, keys);
        }
        Command::FwmKeys {
            prefix: only,
            max: number,
        }
        | Command::AddInt { key: only, number } => {
            sizes(out, [only]);
            out.put_slice(&number.to_be_bytes());
            out.put_bytes(only);
        }
        Command::AddDouble {
            key,
            integral,
            fractional,
        } => {
            sizes(out, [key]);
            out.put_slice(&integral.to_be_bytes());
            out.put_slice(&fractional.to_be_bytes());
            out.put_bytes(key);
        }
        Command::Ext {
            function,
            options,
            key,
            value,
        } => {
            sizes(out, [function]);
            out.put_slice(&options.to_be_bytes());
            sizes(out, [key, value]);
            bytes(out, [function, key, value]);
        }
        Command::Restore {
            path,
            timestamp,
            options,
        } => {
            sizes(out, [path]);
            out.put_slice(&timestamp.to_be_bytes());
            out.put_slice(&options.to_be_bytes());
            out.put_bytes(path);
        }
        Command::SetMst {
            host,
            port,
            timestamp,
            options,
        } => {
            sizes(out, [host]);
            out.put_slice(&port.to_be_bytes());
            out.put_slice(&timestamp.to_be_bytes());
            out.put_slice(&options.to_be_bytes());
            out.put_bytes(host);
        }
        Command::Misc {
            function,
            options,
            arguments,
        } => {
            sizes(out, [function]);
            out.put_slice(&options.to_be_bytes());
            out.put_slice(&(arguments.len() as u32).to_be_bytes());
            out.put_bytes(function);
            strings(out, arguments);
        }
        Command::Repl { timestamp, server_id } => {
            out.put_slice(&timestamp.to_be_bytes());
            out.put_slice(&server_id.to_be_bytes());
        }
        Command::IterInit
        | Command::IterNext
        | Command::Sync
        | Command::Vanish
        | Command::Rnum
        | Command::Size
        | Command::Stat => {}
    }
}

/// The same as [`encode_behind_magic`] for an `mget` of these keys, to which others may be [added](add_to_list).
pub fn encode_mget_behind_magic(keys: &[Bytes], out: &mut Outgoing) {
    out.put_u8(Opcode::of(Verb::Mget).number);
    out.put_slice(&(keys.len() as u32).to_be_bytes());
    strings(out, keys);
}

/// Where the count of its keys lies in an `mget`, behind [`MAGIC`].
pub const MGET_COUNT_AT: usize = 1;

/// Where the count of its arguments lies in a `misc`, behind [`MAGIC`]: behind the size of its function and its options.
pub const MISC_COUNT_AT: usize = 1 + 4 + 4;

/// How many bytes of a `put` lie behind [`MAGIC`].
pub fn put_size_behind_magic(key: &Bytes, value: &Bytes) -> usize {
    1 + 4 + 4 + key.len() + value.len()
}

/// The same as [`encode_behind_magic`] for a `misc putlist` of one record, to which others may be [added](add_to_list).
pub fn encode_putlist_behind_magic(key: &Bytes, value: &Bytes, out: &mut Outgoing) {
    let (function, options) = (b"putlist", 0u32);
    out.put_u8(Opcode::of(Verb::Misc).number);
    out.put_slice(&(function.len() as u32).to_be_bytes());
    out.put_slice(&options.to_be_bytes());
    out.put_slice(&2u32.to_be_bytes());
    out.put_slice(function);
    strings(out, [key, value]);
}

/// Adds strings to the `mget` or `misc` at the end of `out`, which will have `count` of them then; the last `behind`
/// bytes are its count and all that follows. Returns false, and adds nothing, where the count can no longer be changed.
pub fn add_to_list<'a>(
    added: impl IntoIterator<Item = &'a Bytes>,
    count: u32,
    behind: usize,
    out: &mut Outgoing,
) -> bool {
    let may = out.overwrite(behind, &count.to_be_bytes());
    if may {
        strings(out, added);
    }
    may
}

fn sizes<const N: usize>(out: &mut Outgoing, parts: [&Bytes; N]) {
    for part in parts {
        out.put_slice(&(part.len() as u32).to_be_bytes());
    }
}

fn bytes<const N: usize>(out: &mut Outgoing, parts: [&Bytes; N]) {
    for part in parts {
        out.put_bytes(part);
    }
}

/// Each string after its own size.
fn strings<'a>(out: &mut Outgoing, strings: impl IntoIterator<Item = &'a Bytes>) {
    for string in strings {
        sizes(out, [string]);
        out.put_bytes(string);
    }
}
