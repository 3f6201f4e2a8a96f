//! Reads of many keys, a piece at a time: as a whole they would hold up everybody on the worker, and on the lane. A server
//! looks keys up one by one too, with others' changes in between.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::{Call, Done, Sequence, answered, outcome};
use crate::command::{Command, Reply};
use crate::engine::apart::{apart, strings_in};
use crate::engine::completion::Told;
use crate::engine::failure::Failure;
use crate::engine::sending::Via;
use crate::engine::stint::Stint;
use crate::metrics::RetryKind;

/// A read of more keys than this goes in pieces.
pub const WHOLE_MAX: usize = 2 * PIECE;

/// Keys of one piece.
const PIECE: usize = 512;

/// Pieces that are under way at once, so that a backend far away is not waited for after each.
const AHEAD: usize = 16;

/// The keys of a piece that is under way, and the answer to come.
type Piece = (Vec<Bytes>, Told);

/// A read in pieces.
struct Pieces {
    keys: std::vec::IntoIter<Bytes>,
    under_way: VecDeque<Piece>,
    /// Bytes of what was read so far.
    bytes: usize,
    stint: Stint,
}

impl Sequence {
    /// `mget` of many keys.
    pub(super) async fn mget(&mut self, keys: Vec<Bytes>) -> Done {
        let ask = |keys| Command::Mget { keys };
        let (mut pieces, mut all) = (Pieces::of(keys), Vec::new());
        while let Some(reply) = self.next_piece(&mut pieces, ask).await? {
            match reply {
                Reply::Records(records) => {
                    pieces.read(records.iter().map(|(key, value)| key.len() + value.len()).sum());
                    all.extend(records);
                }
                other => return Ok(answered(other)),
            }
            self.check_size(&pieces)?;
        }
        self.own_part(ask(Vec::new()), Reply::Records(all)).await
    }

    /// `misc getlist` of many keys.
    pub(super) async fn get_list(&mut self, call: Call) -> Done {
        let Call {
            function,
            options,
            arguments,
        } = call;
        let ask = |arguments| Command::Misc {
            function: function.clone(),
            options,
            arguments,
        };
        let (mut pieces, mut all) = (Pieces::of(arguments), Vec::new());
        while let Some(reply) = self.next_piece(&mut pieces, ask).await? {
            match reply {
                Reply::Strings { code: 0, strings } => {
                    pieces.read(strings.iter().map(Bytes::len).sum());
                    all.extend(strings);
                }
                other => return Ok(answered(other)),
            }
            self.check_size(&pieces)?;
        }
        let reply = Reply::Strings { code: 0, strings: all };
        self.own_part(ask(Vec::new()), reply).await
    }

    /// The answer to the next piece; nothing behind the last.
    async fn next_piece(
        &self,
        pieces: &mut Pieces,
        ask: impl Fn(Vec<Bytes>) -> Command,
    ) -> Result<Option<Reply>, Failure> {
        loop {
            while pieces.under_way.len() < AHEAD && pieces.keys.len() > 0 {
                let via = match pieces.under_way.is_empty() {
                    true => Some(self.via(None, 1).await?),
                    false => self.engine.via(self.link, None, 1),
                };
                let Some(via) = via else {
                    break;
                };
                let keys: Vec<_> = pieces.keys.by_ref().take(PIECE).collect();
                pieces.under_way.push_back(self.send_piece(&via, &ask, keys));
                pieces.stint.breathe().await;
            }
            let Some((keys, reply)) = pieces.under_way.pop_front() else {
                return Ok(None);
            };
            match outcome(reply).await {
                Ok(reply) => return Ok(Some(reply)),
                Err(none) => self.may_repeat(none, true, RetryKind::Read)?,
            }
            let via = self.via(None, 1).await?;
            pieces.under_way.push_front(self.send_piece(&via, &ask, keys));
        }
    }

    fn send_piece(&self, via: &Via, ask: impl Fn(Vec<Bytes>) -> Command, keys: Vec<Bytes>) -> Piece {
        let reply = self.ask(via, &ask(keys.clone()), keys.clone());
        (keys, reply)
    }

    /// All pieces together are held, and sent, as one answer.
    fn check_size(&self, pieces: &Pieces) -> Result<(), Failure> {
        if pieces.bytes > self.engine.settings().limits.reply.frame_max {
            return Err(Failure::ReplyTooLarge);
        }
        Ok(())
    }

    /// Makes the store's answer the client's.
    async fn own_part(&self, command: Command, reply: Reply) -> Done {
        let listener = Arc::clone(&self.listener);
        let strings = strings_in(&reply);
        let looked = apart(strings, move || listener.keys.leave(&command, reply)).await?;
        match self.engine.shown(looked) {
            Some(reply) => Ok(answered(reply)),
            None => Err(Failure::LaneLost),
        }
    }
}

impl Pieces {
    fn of(keys: Vec<Bytes>) -> Self {
        Self {
            keys: keys.into_iter(),
            under_way: VecDeque::new(),
            bytes: 0,
            stint: Stint::begin(),
        }
    }

    /// So many bytes were read.
    fn read(&mut self, bytes: usize) {
        self.bytes += bytes;
    }
}
