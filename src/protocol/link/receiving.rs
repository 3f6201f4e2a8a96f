//! Frames out of bytes.

use std::collections::HashMap;

use bytes::{Buf, BytesMut};
use nom::Parser;
use nom::number::streaming::{be_u8, be_u32, be_u64};

use super::{Fault, HEAD, Kind, LONG, TOTAL};

/// How much is taken of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of one body.
    pub body_max: usize,
    /// Bodies that may be under way in pieces at once.
    pub pieces_max: usize,
}

/// What has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A frame with all of its body.
    Whole {
        /// What it is.
        kind: Kind,
        /// Its id.
        id: u64,
        /// Its body.
        body: BytesMut,
    },
    /// A body of so many bytes has begun to come in pieces. [`Receiving::drop_rest`] has it dropped as it comes.
    Begun {
        /// What it is.
        kind: Kind,
        /// Its id.
        id: u64,
        /// Bytes of the whole.
        total: usize,
    },
    /// The last byte of a body has come that was dropped.
    Dropped {
        /// What it was.
        kind: Kind,
        /// Its id.
        id: u64,
        /// Bytes of the whole.
        total: usize,
    },
}

/// What has come of a body that comes in pieces.
#[derive(Debug)]
struct Pieces {
    kind: Kind,
    total: usize,
    come: usize,
    /// Nothing where it is dropped.
    body: Option<BytesMut>,
}

/// Cuts what comes on a link into frames.
#[derive(Debug)]
pub struct Receiving {
    bounds: Bounds,
    under_way: HashMap<u64, Pieces>,
    /// Bytes that are kept of bodies that are not whole.
    kept: usize,
}

struct Head {
    kind: Kind,
    is_long: bool,
    id: u64,
    length: usize,
    total: Option<u64>,
}

impl Receiving {
    /// Nothing has come.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            under_way: HashMap::new(),
            kept: 0,
        }
    }

    /// Bytes that are kept of bodies that are not whole.
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// Takes the next frame off the front of `input`; nothing when it is not all there.
    ///
    /// # Errors
    /// What the other side did wrong. The same comes back whenever it is asked again.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Received>, Fault> {
        while let Some(head) = self.head(input)? {
            let size = HEAD + head.total.map_or(0, |_| TOTAL);
            if input.len() < size + head.length {
                return Ok(None);
            }
            input.advance(size);
            let piece = input.split_to(head.length);
            if head.kind == Kind::Part {
                if let Some(received) = self.part(head.id, piece) {
                    return Ok(Some(received));
                }
            } else if let Some(total) = head.total {
                return Ok(Some(self.begin(&head, total as usize, piece)));
            } else {
                return Ok(Some(Received::Whole {
                    kind: head.kind,
                    id: head.id,
                    body: piece,
                }));
            }
        }
        Ok(None)
    }

    /// The head of the next frame, once it is there, and within all bounds.
    fn head(&self, input: &[u8]) -> Result<Option<Head>, Fault> {
        if let Some(&number) = input.first() {
            let kind = Kind::numbered(number & !LONG).ok_or(Fault::Kind(number))?;
            if number & LONG != 0 && !kind.may_be_long() {
                return Err(Fault::Kind(number));
            }
        }
        let read: nom::IResult<&[u8], _> = (be_u8, be_u64, be_u32).parse(input);
        let Ok((rest, (number, id, length))) = read else {
            return Ok(None);
        };
        let kind = Kind::numbered(number & !LONG).ok_or(Fault::Kind(number))?;
        let is_long = number & LONG != 0;
        let max = kind.most();
        if length as usize > max {
            return Err(Fault::Piece { size: length, max });
        }
        let mut head = Head {
            kind,
            is_long,
            id,
            length: length as usize,
            total: None,
        };
        if kind == Kind::Part {
            let pieces = self.under_way.get(&id).ok_or(Fault::Stray(id))?;
            if head.length == 0 || pieces.come + head.length > pieces.total {
                return Err(Fault::Stray(id));
            }
        }
        if head.is_long {
            let read: nom::IResult<&[u8], u64> = be_u64.parse(rest);
            let Ok((_, total)) = read else {
                return Ok(None);
            };
            head.total = Some(self.check_total(&head, total)?);
        }
        Ok(Some(head))
    }

    fn check_total(&self, head: &Head, total: u64) -> Result<u64, Fault> {
        let max = self.bounds.body_max;
        if total > max as u64 || total <= head.length as u64 {
            return Err(Fault::Whole { size: total, max });
        }
        if self.under_way.len() >= self.bounds.pieces_max {
            return Err(Fault::Pieces(self.bounds.pieces_max));
        }
        if self.under_way.contains_key(&head.id) {
            return Err(Fault::Stray(head.id));
        }
        Ok(total)
    }

    fn begin(&mut self, head: &Head, total: usize, piece: BytesMut) -> Received {
        self.kept += piece.len();
        self.under_way.insert(
            head.id,
            Pieces {
                kind: head.kind,
                total,
                come: piece.len(),
                body: Some(piece),
            },
        );
        Received::Begun {
            kind: head.kind,
            id: head.id,
            total,
        }
    }

    /// A further piece, which the head has been checked of. What is whole with it.
    fn part(&mut self, id: u64, piece: BytesMut) -> Option<Received> {
        let pieces = self.under_way.get_mut(&id)?;
        pieces.come += piece.len();
        if let Some(body) = &mut pieces.body {
            body.extend_from_slice(&piece);
            self.kept += piece.len();
        }
        if pieces.come < pieces.total {
            return None;
        }
        let Pieces { kind, total, body, .. } = self.under_way.remove(&id)?;
        Some(match body {
            Some(body) => {
                self.kept -= body.len();
                Received::Whole { kind, id, body }
            }
            None => Received::Dropped { kind, id, total },
        })
    }

    /// What has [begun](Received::Begun) is dropped as it comes.
    pub fn drop_rest(&mut self, id: u64) {
        if let Some(body) = self.under_way.get_mut(&id).and_then(|pieces| pieces.body.take()) {
            self.kept -= body.len();
        }
    }
}
