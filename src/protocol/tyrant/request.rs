//! Requests: bytes to [`Command`] and back.
//!
//! Layouts are those of the server's own source (`ttserver.c`, the `do_*` functions) and of its protocol page.
//! Every request is the magic byte, the command's number, a header of fixed length that holds all sizes, and then
//! the bytes that they announce. `mget` and `misc` end in a counted list, each element after its own size.

mod encode;
mod fault;
mod list;
mod short;

use bytes::{Buf, Bytes, BytesMut};
use nom::number::streaming::{be_i32, be_i64, be_u32, be_u64};

use super::dialect::{Dialect, Layout};
use super::limits::Limits;
use super::opcode::MAGIC;
use super::scan::Scan;
use super::sizes::{SizeFault, header};
use crate::command::function::{Function, Part};
use crate::command::{Command, Verb};

pub use encode::{
    MGET_COUNT_AT, MISC_COUNT_AT, add_to_list, encode, encode_behind_magic, encode_mget_behind_magic,
    encode_putlist_behind_magic, put_size_behind_magic,
};
pub use fault::RequestFault;
use list::{Asked, List};

/// The magic byte and the command's number, which every request begins with.
const PREFIX: usize = 2;

/// Bytes that a function name may have: the server's `TTADDRBUFSIZ` less the final NUL.
const NAME_MAX: usize = 1023;

type Decoded = Result<Option<Command>, RequestFault>;

/// Turns the bytes of one connection into commands, one whole command at a time.
#[derive(Debug)]
pub struct RequestDecoder {
    limits: Limits,
    dialect: Dialect,
    /// Where the look through the list at the head of the input stopped for want of bytes.
    scan: Option<Scan>,
    /// A list that has come whole, and is taken apart.
    list: Option<List>,
}

impl RequestDecoder {
    /// A decoder for one connection, which accepts frames up to `limits`, in the dialect of 1.1.41.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            dialect: Dialect::Tyrant,
            scan: None,
            list: None,
        }
    }

    /// The same for a client that speaks `dialect`.
    pub fn in_dialect(self, dialect: Dialect) -> Self {
        Self { dialect, ..self }
    }

    /// Takes the next command off the front of `input`, or `None` when it is not all there.
    ///
    /// The arguments are slices of `input`, not copies. Bytes leave `input` with a whole command only: after `None`
    /// call again with the same bytes and more behind them. No memory is taken for bytes that have only been announced.
    ///
    /// # Errors
    /// What the peer did wrong, as soon as the header says so. The input stays as it is, so the same fault comes back
    /// whenever it is asked again, and nothing behind it is ever taken for a request.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Command>, RequestFault> {
        loop {
            let decoded = self.decode_some(input)?;
            if decoded.is_some() || !self.is_busy() {
                return Ok(decoded);
            }
        }
    }

    /// Whether a long list has come whole and is being taken apart: [`Self::decode_some`] is to be called again, whatever
    /// lies in the input, which the list has left already.
    pub fn is_busy(&self) -> bool {
        self.list.is_some()
    }

    /// As [`Self::decode`], but it takes no more than a part of a long list apart at once: where it [is
    /// busy](Self::is_busy) with one, others can have their turn before it goes on.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn decode_some(&mut self, input: &mut BytesMut) -> Result<Option<Command>, RequestFault> {
        if let Some(list) = self.list.take() {
            return Ok(self.take_apart(list));
        }
        let Some(&magic) = input.first() else {
            return Ok(None);
        };
        if magic != MAGIC {
            return Err(RequestFault::BadMagic(magic));
        }
        let Some(&number) = input.get(1) else {
            return Ok(None);
        };
        let request = self.dialect.request(number);
        let (verb, layout) = request.ok_or(RequestFault::UnknownCommand(number))?;
        match (verb, layout) {
            (Verb::SetMst, Layout::Short) => self.short_setmst(input),
            (Verb::Restore, Layout::Short) => self.short_restore(input),
            (Verb::Copy, Layout::CopyOrRestore) => self.copy_or_restore(input),
            (verb, _) => self.body(verb, input),
        }
    }

    fn body(&mut self, verb: Verb, input: &mut BytesMut) -> Decoded {
        match verb {
            Verb::Put => self.pair(input, |[key, value]| Command::Put { key, value }),
            Verb::PutKeep => self.pair(input, |[key, value]| Command::PutKeep { key, value }),
            Verb::PutCat => self.pair(input, |[key, value]| Command::PutCat { key, value }),
            Verb::PutShl => self.putshl(input),
            Verb::PutNr => self.pair(input, |[key, value]| Command::PutNr { key, value }),
            Verb::Out => self.single(input, Part::Key, |[key]| Command::Out { key }),
            Verb::Get => self.single(input, Part::Key, |[key]| Command::Get { key }),
            Verb::Mget => self.mget(input),
            Verb::Vsiz => self.single(input, Part::Key, |[key]| Command::Vsiz { key }),
            Verb::IterInit => bare(input, Command::IterInit),
            Verb::IterNext => bare(input, Command::IterNext),
            Verb::FwmKeys => self.fwmkeys(input),
            Verb::AddInt => self.addint(input),
            Verb::AddDouble => self.adddouble(input),
            Verb::Ext => self.ext(input),
            Verb::Sync => bare(input, Command::Sync),
            Verb::Optimize => self.single(input, Part::Other, |[parameters]| Command::Optimize { parameters }),
            Verb::Vanish => bare(input, Command::Vanish),
            Verb::Copy => self.single(input, Part::Other, |[path]| Command::Copy { path }),
            Verb::Restore => self.restore(input),
            Verb::SetMst => self.setmst(input),
            Verb::Rnum => bare(input, Command::Rnum),
            Verb::Size => bare(input, Command::Size),
            Verb::Stat => bare(input, Command::Stat),
            Verb::Misc => self.misc(input),
            Verb::Repl => repl(input),
        }
    }

    fn single(&self, input: &mut BytesMut, part: Part, command: impl FnOnce([Bytes; 1]) -> Command) -> Decoded {
        let Some(size) = header(be_i32, input.get(PREFIX..)) else {
            return Ok(None);
        };
        let sizes = [self.limits.part(part, size)?];
        Ok(self.cut(input, 4, sizes)?.map(command))
    }

    fn pair(&self, input: &mut BytesMut, command: impl FnOnce([Bytes; 2]) -> Command) -> Decoded {
        let Some((key, value)) = header((be_i32, be_i32), input.get(PREFIX..)) else {
            return Ok(None);
        };
        let sizes = [self.limits.key(key)?, self.limits.value(value)?];
        Ok(self.cut(input, 8, sizes)?.map(command))
    }

    fn putshl(&self, input: &mut BytesMut) -> Decoded {
        let Some((key, value, width)) = header((be_i32, be_i32, be_i32), input.get(PREFIX..)) else {
            return Ok(None);
        };
        let sizes = [self.limits.key(key)?, self.limits.value(value)?];
        if width < 0 {
            return Err(RequestFault::NegativeWidth(width));
        }
        let command = |[key, value]: [Bytes; 2]| Command::PutShl { key, value, width };
        Ok(self.cut(input, 12, sizes)?.map(command))
    }

    fn fwmkeys(&self, input: &mut BytesMut) -> Decoded {
        let Some((prefix, max)) = header((be_i32, be_i32), input.get(PREFIX..)) else {
            return Ok(None);
        };
        let sizes = [self.limits.key(prefix)?];
        Ok(self
            .cut(input, 8, sizes)?
            .map(|[prefix]| Command::FwmKeys { prefix, max }))
    }

    fn addint(&self, input: &mut BytesMut) -> Decoded {
        let Some((key, number)) = header((be_i32, be_i32), input.get(PREFIX..)) else {
            return Ok(None);
        };
        let sizes = [self.limits.key(key)?];
        Ok(self.cut(input, 8, sizes)?.map(|[key]| Command::AddInt { key, number }))
    }

    fn adddouble(&self, input: &mut BytesMut) -> Decoded {
        let Some((key, integral, fractional)) = header((be_i32, be_i64, be_i64), input.get(PREFIX..)) else {
            return Ok(None);
        };
        let sizes = [self.limits.key(key)?];
        let command = |[key]: [Bytes; 1]| Command::AddDouble {
            key,
            integral,
            fractional,
        };
        Ok(self.cut(input, 20, sizes)?.map(command))
    }

    fn ext(&self, input: &mut BytesMut) -> Decoded {
        let fields = (be_i32, be_u32, be_i32, be_i32);
        let Some((function, options, key, value)) = header(fields, input.get(PREFIX..)) else {
            return Ok(None);
        };
        let sizes = [name_size(function)?, self.limits.key(key)?, self.limits.value(value)?];
        let command = |[function, key, value]: [Bytes; 3]| Command::Ext {
            function,
            options,
            key,
            value,
        };
        Ok(self.cut(input, 16, sizes)?.map(command))
    }

    fn restore(&self, input: &mut BytesMut) -> Decoded {
        let Some((path, timestamp, options)) = header((be_i32, be_u64, be_u32), input.get(PREFIX..)) else {
            return Ok(None);
        };
        let sizes = [self.limits.argument(path)?];
        let command = |[path]: [Bytes; 1]| Command::Restore {
            path,
            timestamp,
            options,
        };
        Ok(self.cut(input, 16, sizes)?.map(command))
    }

    fn setmst(&self, input: &mut BytesMut) -> Decoded {
        let fields = (be_i32, be_i32, be_u64, be_u32);
        let Some((host, port, timestamp, options)) = header(fields, input.get(PREFIX..)) else {
            return Ok(None);
        };
        let sizes = [self.limits.argument(host)?];
        if port < 0 {
            return Err(RequestFault::NegativePort(port));
        }
        let command = |[host]: [Bytes; 1]| Command::SetMst {
            host,
            port,
            timestamp,
            options,
        };
        Ok(self.cut(input, 20, sizes)?.map(command))
    }

    fn mget(&mut self, input: &mut BytesMut) -> Decoded {
        let Some(count) = header(be_i32, input.get(PREFIX..)) else {
            return Ok(None);
        };
        let count = self.limits.count(count)?;
        let list = PREFIX + 4;
        let Some(mut frame) = self.scanned(input, list, count, |_| Part::Key)? else {
            return Ok(None);
        };
        frame.advance(list);
        Ok(self.take_apart(List::new(Asked::Mget, frame, count)))
    }

    fn misc(&mut self, input: &mut BytesMut) -> Decoded {
        let Some((function, options, count)) = header((be_i32, be_u32, be_i32), input.get(PREFIX..)) else {
            return Ok(None);
        };
        let function = name_size(function)?;
        let count = self.limits.count(count)?;
        let name = PREFIX + 12;
        // No argument's size is there before all of the name is.
        let parts = Function::parts(input.get(name..name + function).unwrap_or_default());
        let Some(mut frame) = self.scanned(input, name + function, count, parts)? else {
            return Ok(None);
        };
        frame.advance(name);
        let function = frame.split_to(function);
        let asked = Asked::Misc { function, options };
        Ok(self.take_apart(List::new(asked, frame, count)))
    }

    /// Takes the next part of a list apart; what it asks, once that was the last.
    fn take_apart(&mut self, mut list: List) -> Option<Command> {
        if list.go_on() {
            return Some(list.command());
        }
        self.list = Some(list);
        None
    }

    /// Takes a frame off `input` whose header of `fields` bytes is followed by parts of these sizes.
    fn cut<const N: usize>(
        &self,
        input: &mut BytesMut,
        fields: usize,
        sizes: [usize; N],
    ) -> Result<Option<[Bytes; N]>, RequestFault> {
        let head = PREFIX + fields;
        let size = sizes.iter().fold(head, |sum, size| sum.saturating_add(*size));
        if input.len() < self.limits.frame(size)? {
            return Ok(None);
        }
        let mut frame = input.split_to(size).freeze();
        frame.advance(head);
        Ok(Some(sizes.map(|size| frame.split_to(size))))
    }

    /// Takes a frame off `input` that ends in a list of `count` elements, the first of which begins at `list`. `part`
    /// says of an element by its place what it is.
    fn scanned(
        &mut self,
        input: &mut BytesMut,
        list: usize,
        count: usize,
        part: impl Fn(usize) -> Part,
    ) -> Result<Option<Bytes>, RequestFault> {
        let scan = self.scan.get_or_insert_with(|| Scan::new(list, count));
        let Some(size) = scan.run::<1>(input, &self.limits, part)? else {
            return Ok(None);
        };
        self.scan = None;
        Ok(Some(input.split_to(size).freeze()))
    }
}

/// The bytes of a function name announced as `size`.
fn name_size(size: i32) -> Result<usize, RequestFault> {
    match usize::try_from(size) {
        Ok(bytes) if bytes <= NAME_MAX => Ok(bytes),
        Ok(_) => Err(RequestFault::NameTooLong(size.unsigned_abs())),
        Err(_) => Err(SizeFault::NegativeSize(size).into()),
    }
}

/// A command that is its number and nothing else.
fn bare(input: &mut BytesMut, command: Command) -> Decoded {
    input.advance(PREFIX);
    Ok(Some(command))
}

fn repl(input: &mut BytesMut) -> Decoded {
    let Some((timestamp, server_id)) = header((be_u64, be_u32), input.get(PREFIX..)) else {
        return Ok(None);
    };
    if timestamp == 0 {
        return Err(RequestFault::ZeroTimestamp);
    }
    if server_id == 0 {
        return Err(RequestFault::ZeroServerId);
    }
    input.advance(PREFIX + 12);
    Ok(Some(Command::Repl { timestamp, server_id }))
}

#[cfg(test)]
mod tests;
