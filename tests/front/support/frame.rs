//! Requests, written from the protocol's description and not from the crate's own codecs: a fault
//! in those must not be able to hide itself.

/// What a primed lane sends of a request that is still to come.
pub const AHEAD: [u8; 1] = [0xC8];

pub const PUT: u8 = 0x10;
pub const PUTKEEP: u8 = 0x11;
pub const PUTCAT: u8 = 0x12;
pub const PUTSHL: u8 = 0x13;
pub const PUTNR: u8 = 0x18;
pub const ADDDOUBLE: u8 = 0x61;
pub const COPY: u8 = 0x73;
pub const OUT: u8 = 0x20;
pub const GET: u8 = 0x30;
pub const MGET: u8 = 0x31;
pub const VSIZ: u8 = 0x38;
pub const ITERINIT: u8 = 0x50;
pub const ITERNEXT: u8 = 0x51;
pub const FWMKEYS: u8 = 0x58;
pub const ADDINT: u8 = 0x60;
pub const EXT: u8 = 0x68;
pub const SYNC: u8 = 0x70;
pub const OPTIMIZE: u8 = 0x71;
pub const VANISH: u8 = 0x72;
pub const RESTORE: u8 = 0x74;
pub const SETMST: u8 = 0x78;
pub const RNUM: u8 = 0x80;
pub const SIZE: u8 = 0x81;
pub const STAT: u8 = 0x88;
pub const MISC: u8 = 0x90;
pub const REPL: u8 = 0xA0;

/// A size or count as it goes over the wire.
pub fn size(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("a size of 32 bits").to_be_bytes()
}

fn assemble(opcode: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut frame = vec![0xC8, opcode];
    for part in parts {
        frame.extend_from_slice(part);
    }
    frame
}

/// A command of two bytes.
pub fn bare(opcode: u8) -> Vec<u8> {
    assemble(opcode, &[])
}

/// A command on one key: out, get, vsiz.
pub fn keyed(opcode: u8, key: &str) -> Vec<u8> {
    assemble(opcode, &[&size(key.len()), key.as_bytes()])
}

/// A command with a path: copy.
pub fn path(opcode: u8, path: &str) -> Vec<u8> {
    keyed(opcode, path)
}

pub fn restore(path: &str, timestamp: u64) -> Vec<u8> {
    let options = [0; 4];
    let fields = [&size(path.len())[..], &timestamp.to_be_bytes(), &options].concat();
    assemble(RESTORE, &[&fields, path.as_bytes()])
}

pub fn setmst(host: &str, port: u32) -> Vec<u8> {
    let timestamp_and_options = [0; 12];
    let fields = [&size(host.len())[..], &port.to_be_bytes(), &timestamp_and_options].concat();
    assemble(SETMST, &[&fields, host.as_bytes()])
}

/// The update log from its first entry on, as server 7.
pub fn repl() -> Vec<u8> {
    assemble(REPL, &[&1u64.to_be_bytes(), &7u32.to_be_bytes()])
}

/// A command that stores: put, putkeep, putcat, putnr.
pub fn store(opcode: u8, key: &str, value: &[u8]) -> Vec<u8> {
    assemble(opcode, &[&size(key.len()), &size(value.len()), key.as_bytes(), value])
}

pub fn mget(keys: &[&str]) -> Vec<u8> {
    let mut frame = assemble(MGET, &[&size(keys.len())]);
    for key in keys {
        frame.extend_from_slice(&size(key.len()));
        frame.extend_from_slice(key.as_bytes());
    }
    frame
}

pub fn fwmkeys(prefix: &str, max: i32) -> Vec<u8> {
    assemble(FWMKEYS, &[&size(prefix.len()), &max.to_be_bytes(), prefix.as_bytes()])
}

pub fn copy(path: &str) -> Vec<u8> {
    keyed(COPY, path)
}

pub fn putshl(key: &str, value: &[u8], width: u32) -> Vec<u8> {
    let sizes = [size(key.len()), size(value.len()), width.to_be_bytes()].concat();
    assemble(PUTSHL, &[&sizes, key.as_bytes(), value])
}

pub fn adddouble(key: &str, integral: i64) -> Vec<u8> {
    let fields = [&size(key.len())[..], &integral.to_be_bytes(), &[0; 8]].concat();
    assemble(ADDDOUBLE, &[&fields, key.as_bytes()])
}

pub fn addint(key: &str, number: i32) -> Vec<u8> {
    assemble(ADDINT, &[&size(key.len()), &number.to_be_bytes(), key.as_bytes()])
}

pub fn ext(function: &str, key: &str, value: &[u8]) -> Vec<u8> {
    let options = [0; 4];
    let sizes = [size(function.len()), options, size(key.len()), size(value.len())].concat();
    assemble(EXT, &[&sizes, function.as_bytes(), key.as_bytes(), value])
}

pub fn misc(function: &str, arguments: &[&[u8]]) -> Vec<u8> {
    let options = [0; 4];
    let sizes = [size(function.len()), options, size(arguments.len())].concat();
    let mut frame = assemble(MISC, &[&sizes, function.as_bytes()]);
    for argument in arguments {
        frame.extend_from_slice(&size(argument.len()));
        frame.extend_from_slice(argument);
    }
    frame
}
