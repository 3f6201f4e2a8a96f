//! One whole request, cut from what a connection has sent so far.

use crate::support::frame;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub opcode: u8,
    /// The name of the function, for `misc` and `ext`.
    pub function: String,
    /// Keys, values and other byte strings in their order.
    pub arguments: Vec<Vec<u8>>,
    /// The number that some commands carry: a maximum, a width, an addend.
    pub number: i32,
    /// The frame as it came.
    pub bytes: Vec<u8>,
}

/// What stands at the head of the bytes received so far.
pub enum Cut {
    Whole(Request),
    More,
    /// Not a request at all.
    Bad,
}

impl Request {
    pub fn cut(bytes: &[u8]) -> Cut {
        let mut reader = Reader { bytes, at: 0 };
        match reader.request() {
            Some(Ok(mut request)) => {
                request.bytes = bytes[..reader.at].to_vec();
                Cut::Whole(request)
            }
            Some(Err(())) => Cut::Bad,
            None => Cut::More,
        }
    }

    /// Whether it stores a value under `key`, by whatever command.
    pub fn writes(&self, key: &str) -> bool {
        let opcodes = [
            frame::PUT,
            frame::PUTKEEP,
            frame::PUTCAT,
            frame::PUTSHL,
            frame::PUTNR,
            frame::ADDINT,
        ];
        opcodes.contains(&self.opcode) && self.names(key)
            || self.is_misc(&["put", "putkeep", "putcat"]) && self.names(key)
            || self.is_misc(&["putlist"]) && self.arguments.iter().step_by(2).any(|one| one == key.as_bytes())
    }

    /// Whether it deletes `key`, by whatever command.
    pub fn deletes(&self, key: &str) -> bool {
        self.opcode == frame::OUT && self.names(key)
            || self.is_misc(&["out", "outlist"]) && self.arguments.iter().any(|one| one == key.as_bytes())
    }

    /// Whether it is what a client's `get` of `key` becomes: `get`, or `mget` of that key alone. The
    /// guard's own look-ups ask for two keys, or for many such pairs.
    pub fn reads(&self, key: &str) -> bool {
        self.opcode == frame::GET && self.names(key)
            || self.opcode == frame::MGET && self.arguments.len() == 1 && self.names(key)
    }

    /// Whether it is the guard's own look at a key and its hidden record.
    pub fn looks_at(&self, key: &str) -> bool {
        let name = format!("timestamp.{key}").into_bytes();
        let mut pairs = self.arguments.windows(2);
        self.opcode == frame::MGET && pairs.any(|pair| pair[0] == key.as_bytes() && pair[1] == name)
    }

    /// The same request for another key.
    pub fn for_key(&self, key: &str) -> Self {
        let mut other = self.clone();
        if let Some(first) = other.arguments.first_mut() {
            *first = key.as_bytes().to_vec();
        }
        other
    }

    fn names(&self, key: &str) -> bool {
        self.arguments.first().is_some_and(|first| first == key.as_bytes())
    }

    pub fn is_misc(&self, functions: &[&str]) -> bool {
        self.opcode == frame::MISC && functions.contains(&self.function.as_str())
    }
}

/// Reads numbers and strings; nothing means that more bytes are needed.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

type Read<T> = Option<Result<T, ()>>;

impl Reader<'_> {
    fn request(&mut self) -> Read<Request> {
        if self.take(1)? != [0xC8] {
            return Some(Err(()));
        }
        let opcode = self.take(1)?[0];
        let (mut function, mut arguments, mut number) = (String::new(), Vec::new(), 0);
        match opcode {
            frame::PUT | frame::PUTKEEP | frame::PUTCAT | frame::PUTNR => {
                let (key, value) = (self.size()?, self.size()?);
                arguments = vec![self.take(key)?, self.take(value)?];
            }
            frame::OUT | frame::GET | frame::VSIZ | frame::OPTIMIZE => {
                let key = self.size()?;
                arguments = vec![self.take(key)?];
            }
            frame::FWMKEYS | frame::ADDINT => {
                let key = self.size()?;
                number = i32::from_be_bytes(self.take(4)?.try_into().expect("four bytes"));
                arguments = vec![self.take(key)?];
            }
            frame::MGET => {
                let count = self.size()?;
                arguments = self.list(count)?;
            }
            frame::EXT => {
                let (name, _options, key, value) = (self.size()?, self.size()?, self.size()?, self.size()?);
                function = self.name(name)?;
                arguments = vec![self.take(key)?, self.take(value)?];
            }
            frame::MISC => {
                let (name, _options, count) = (self.size()?, self.size()?, self.size()?);
                function = self.name(name)?;
                arguments = self.list(count)?;
            }
            frame::REPL => drop(self.take(12)?),
            frame::ITERINIT
            | frame::ITERNEXT
            | frame::SYNC
            | frame::VANISH
            | frame::RNUM
            | frame::SIZE
            | frame::STAT => {}
            _ => return Some(Err(())),
        }
        Some(Ok(Request {
            opcode,
            function,
            arguments,
            number,
            bytes: Vec::new(),
        }))
    }

    fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        let found = self.bytes.get(self.at..self.at.checked_add(count)?)?.to_vec();
        self.at += count;
        Some(found)
    }

    fn size(&mut self) -> Option<usize> {
        let bytes: [u8; 4] = self.take(4)?.try_into().expect("four bytes");
        Some(u32::from_be_bytes(bytes) as usize)
    }

    fn name(&mut self, count: usize) -> Option<String> {
        Some(String::from_utf8_lossy(&self.take(count)?).into_owned())
    }

    fn list(&mut self, count: usize) -> Option<Vec<Vec<u8>>> {
        (0..count)
            .map(|_| {
                let size = self.size()?;
                self.take(size)
            })
            .collect()
    }
}
