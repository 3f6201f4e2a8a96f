//! Writes that share one request: what is on its way to the server anyway takes more records along.
//!
//! A server of 1.1.41 reads and answers each request by itself, with a system call for each answer: more than half of
//! what a small `put` costs it. A `misc putlist` of many records has one answer. The server stores them in their order
//! (`do_misc` in `ttserver.c`, `tcadbmisc` of Tokyo Cabinet 1.4.48), as so many `put`s would. At the first that it cannot
//! store it ends and says so, but not which one that was: then it is not known of any of them whether it is stored.

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::{Lane, LaneFault, REQUESTS_MAX};
use crate::command::{Command, Reply, Shape};
use crate::pairing::owed::{Joinable, Owed};
use crate::protocol::outgoing::Outgoing;
use crate::protocol::tyrant::opcode::MAGIC;
use crate::protocol::tyrant::reply::{ReplyDecoder, Taken};
use crate::protocol::tyrant::request::{self, MISC_COUNT_AT};
use crate::store::completion::Completion;

/// Bytes that a request should not have more of: nobody has an answer before all of it is stored.
const REQUEST_MAX: usize = 32 * 1024;

/// Bytes of what is stored for one client, from which on it leaves by itself: what is larger is not copied into the
/// outgoing bytes, and costs the server more than an answer does.
const WRITE_MAX: usize = 4096;

impl<P: Completion> Lane<P> {
    /// As [`Self::submit`], for a `put` or a `misc putlist` that may share one request with others that are stored at the
    /// same time. The answer is a code: 0, or what a request says that was not shared. Where one that is shared fails,
    /// each completion is told [so](Completion::undone).
    pub fn submit_write(&self, command: &Command, deadline: Instant, completion: P) -> usize {
        let size = stored_by(command).map(|string| 4 + string.len()).sum();
        if !(1..=WRITE_MAX).contains(&size) {
            return self.submit(command, deadline, completion);
        }
        self.note_change(&completion);
        let (mut owed, mut out) = (self.owed.borrow_mut(), self.out.borrow_mut());
        let before = out.len();
        match self.add_to_putlist(&mut owed, &mut out, command, size) {
            Some(newest) => owed.join(newest, deadline, size, Some(completion)),
            None => self.begin_write(&mut owed, &mut out, command, deadline, completion),
        }
        let bytes = out.len() - before;
        drop((owed, out));
        self.wake_by(deadline);
        bytes
    }

    /// Adds what a command stores, in so many bytes, to the newest request, where that may have more; returns which.
    fn add_to_putlist(
        &self,
        owed: &mut Owed<Option<P>>,
        out: &mut Outgoing,
        command: &Command,
        size: usize,
    ) -> Option<Joinable> {
        let newest = owed.joinable()?;
        if newest.shape != Shape::Strings || newest.requests >= REQUESTS_MAX {
            return None;
        }
        if self.listed.get() == 0 {
            self.make_putlist(owed, out, newest)?;
        }
        let behind = (owed.queued() - self.count_at.get()) as usize;
        let listed = self.listed.get() + stored_by(command).count() as u32;
        if behind + size > REQUEST_MAX || !request::add_to_list(stored_by(command), listed, behind, out) {
            return None;
        }
        self.listed.set(listed);
        Some(newest)
    }

    /// Makes a `putlist` of the newest request, which is a `put`.
    fn make_putlist(&self, owed: &mut Owed<Option<P>>, out: &mut Outgoing, newest: Joinable) -> Option<()> {
        let first = owed.tags_from(owed.len() - 1).next()?.as_ref()?;
        let (key, value) = first.record()?;
        let before = request::put_size_behind_magic(key, value);
        if !out.cut(before) {
            return None;
        }
        let start = out.len();
        request::encode_putlist_behind_magic(key, value, out);
        self.count_at.set(owed.queued() - before as u64 + MISC_COUNT_AT as u64);
        self.listed.set(2);
        owed.ask_newest_otherwise(newest, before, out.len() - start);
        Some(())
    }

    /// Begins a request that others may share.
    fn begin_write(
        &self,
        owed: &mut Owed<Option<P>>,
        out: &mut Outgoing,
        command: &Command,
        deadline: Instant,
        completion: P,
    ) {
        let before = out.len();
        if !owed.is_primed() {
            out.put_u8(MAGIC);
        }
        let count_at = out.len() - before + MISC_COUNT_AT;
        request::encode_behind_magic(command, out);
        let size = out.len() - before;
        if let Command::Misc { arguments, .. } = command {
            self.count_at.set(owed.queued() + count_at as u64);
            self.listed.set(arguments.len() as u32);
            owed.push_shared(Shape::Strings, deadline, size, Some(completion));
        } else {
            self.listed.set(0);
            owed.push_joinable(Shape::Code, Shape::Strings, deadline, size, Some(completion));
        }
    }

    /// Takes the answer to the oldest `requests`, which share it; returns false when it is not all there.
    pub(super) fn take_stored(
        &self,
        requests: usize,
        decoder: &mut ReplyDecoder,
        input: &mut BytesMut,
        now: Instant,
    ) -> Result<bool, LaneFault> {
        let before = input.len();
        let code = match decoder.decode_or_drop(Shape::Strings, input)? {
            None => return Ok(false),
            Some(Taken::Reply(Reply::Strings { code, strings })) if strings.is_empty() => code,
            // What stores says nothing more.
            Some(_) => return Err(LaneFault::Mismatch),
        };
        let mut bytes = before - input.len();
        for _ in 0..requests {
            let completion = self.owed.borrow_mut().take(0).flatten();
            let bytes = std::mem::take(&mut bytes);
            match completion {
                Some(completion) if code == 0 || requests == 1 => completion.answered(Reply::Code(code), bytes, now),
                Some(completion) => completion.undone(code, bytes, now),
                None => {}
            }
        }
        Ok(true)
    }
}

/// The keys and values that a `put` or a `putlist` stores; nothing for any other command.
fn stored_by(command: &Command) -> impl Iterator<Item = &Bytes> {
    let (record, list): (Option<[&Bytes; 2]>, &[Bytes]) = match command {
        Command::Put { key, value } => (Some([key, value]), &[]),
        Command::Misc {
            function, arguments, ..
        } if function == "putlist" => (None, arguments),
        _ => (None, &[]),
    };
    record.into_iter().flatten().chain(list)
}
