//! A client's connection: what was asked on it, and whether each answer belongs to its question.

mod judge;

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use ttguard::command::Verb;
use ttguard::config::Pipelining;
use ttguard::protocol::outgoing::Outgoing;
use ttguard::protocol::tyrant::limits::Limits;
use ttguard::protocol::tyrant::opcode::Opcode;
use ttguard::protocol::tyrant::reply::ReplyDecoder;
use ttguard::protocol::tyrant::request;
use ttguard::transport::{Reader, Writer};

use self::judge::judge;
use crate::client::within;
use crate::faults::Fault;
use crate::question::Question;
use crate::server::unit_of_log;
use crate::tap::is_marked;
use crate::world::World;

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// An answer.
    Answer,
    /// The connection is over.
    End,
    /// Nothing.
    Silence,
}

/// One connection of a client.
pub struct Conversation {
    pub world: Rc<World>,
    pub id: u64,
    /// The guard has ended it.
    pub ended: bool,
    reader: Reader,
    writer: Option<Writer>,
    decoder: ReplyDecoder,
    input: BytesMut,
    owed: VecDeque<Question>,
    /// Bytes that came back so far.
    heard: u64,
    /// Bytes of all questions so far, and of all answers.
    asked_bytes: u64,
    answered_bytes: u64,
    /// When the last slow question was answered: what was asked behind it could not be answered before.
    clear_from: u64,
}

impl Conversation {
    /// A connection that has just been opened.
    pub fn new(world: &Rc<World>, (id, reader, writer): (u64, Reader, Writer)) -> Self {
        Self {
            world: Rc::clone(world),
            id,
            ended: false,
            reader,
            writer: Some(writer),
            decoder: ReplyDecoder::new(Limits::REPLY),
            input: BytesMut::new(),
            owed: VecDeque::new(),
            heard: 0,
            asked_bytes: 0,
            answered_bytes: 0,
            clear_from: 0,
        }
    }

    /// Answers that are owed.
    pub fn owes(&self) -> usize {
        self.owed.len()
    }

    /// The bytes of a question, which counts as asked from now on.
    pub fn encode(&mut self, mut question: Question) -> Bytes {
        let world = &self.world;
        question.asked_at = world.steps();
        question.asked_clock = world.clock.now();
        let command = &question.command;
        world.trace(&[11, self.id], || format!("#{} asks {command:?}", self.id));
        let mut out = Outgoing::new();
        request::encode(&question.command, &mut out);
        world.accounts.borrow_mut().asked(question.command.verb());
        self.asked_bytes += out.len() as u64;
        question.end = self.asked_bytes;
        if !matches!(question.command.verb(), Verb::PutNr | Verb::Repl) {
            self.owed.push_back(question);
        }
        out.take()
    }

    /// Sends a question; false when the connection takes no more.
    pub async fn send(&mut self, question: Question) -> bool {
        self.send_together(vec![question]).await
    }

    /// Sends questions in one go.
    pub async fn send_together(&mut self, questions: Vec<Question>) -> bool {
        let forbids = self.world.plan.settings.pairing.pipelining == Pipelining::Forbid;
        let mut bytes = Vec::new();
        for question in questions {
            if forbids && self.owes() > 0 && self.input.is_empty() {
                self.world.network.give_up(self.id, bytes.len(), self.heard);
            }
            bytes.extend_from_slice(&self.encode(question));
        }
        self.write(&bytes).await
    }

    /// Sends bytes; false when the connection does not take them.
    pub async fn write(&mut self, bytes: &[u8]) -> bool {
        let Some(writer) = &self.writer else {
            return false;
        };
        let mut out = Outgoing::new();
        out.put_slice(bytes);
        let writing = async {
            while !out.is_empty() {
                if writer.writable().await.is_err() || writer.write_ready(&mut out).is_err() {
                    return false;
                }
            }
            true
        };
        within(Duration::from_secs(3), writing).await.unwrap_or(false)
    }

    /// Says that nothing more will be asked.
    pub fn finish(&mut self) {
        if let Some(writer) = &self.writer {
            let _ = writer.shutdown_write();
        }
    }

    /// Ends the connection with a reset.
    pub fn reset(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.reset();
        }
    }

    /// Waits for an answer for at most a while, and holds it against its question.
    pub async fn hear(&mut self, patience: Duration) -> Heard {
        loop {
            if let Some(heard) = self.decode() {
                return heard;
            }
            match within(patience, self.reader.read(&mut self.input)).await {
                None => return Heard::Silence,
                Some(Ok(count)) if count > 0 => self.heard += count as u64,
                Some(_) => {
                    self.ended = true;
                    return Heard::End;
                }
            }
        }
    }

    /// Follows the update log for at most a while: its units come in their order, and no others.
    pub async fn follow_log(&mut self, tag: u64, patience: Duration) {
        let until = self.world.now() + patience.as_millis() as u64;
        let mut next = 0;
        loop {
            loop {
                let unit = unit_of_log(tag, next);
                let known = unit.len().min(self.input.len());
                if self.input[..known] != unit.as_bytes()[..known] {
                    let heard = String::from_utf8_lossy(&self.input).into_owned();
                    return self
                        .world
                        .violated("I3", || format!("#{}: {heard:?} in the log, {unit:?} is next", self.id));
                }
                if known < unit.len() {
                    break;
                }
                self.input.advance(known);
                next += 1;
                self.world.strike(Fault::Replicated);
            }
            let left = Duration::from_millis(until.saturating_sub(self.world.now()));
            match within(left, self.reader.read(&mut self.input)).await {
                Some(Ok(count)) if count > 0 => {}
                _ => return,
            }
        }
    }

    /// An answer to this has been heard.
    fn check_in_time(&mut self, question: &Question) {
        let (world, ends) = (&self.world, (question.end, self.answered_bytes));
        let (patience, is_slow) = self.patience(&question.command);
        world
            .network
            .check_in_time(world, self.id, ends, self.clear_from, patience);
        if is_slow {
            let answered_at = world.network.answered_at(self.id, self.answered_bytes);
            self.clear_from = answered_at.unwrap_or(0);
        }
    }

    fn decode(&mut self) -> Option<Heard> {
        if self.input.is_empty() {
            return None;
        }
        let Some(question) = self.owed.front() else {
            self.world
                .violated("I4", || format!("#{}: an answer that nobody asked for", self.id));
            self.ended = true;
            return Some(Heard::End);
        };
        let shape = Opcode::of(question.command.verb()).shape;
        let before = self.input.len();
        match self.decoder.decode(shape, &mut self.input) {
            Ok(None) => None,
            Ok(Some(reply)) => {
                let question = self.owed.pop_front()?;
                self.world.trace(&[12, self.id, u64::from(reply.code())], || {
                    format!("#{} is answered {reply:?} to {:?}", self.id, question.command)
                });
                let accounts = &self.world.accounts;
                accounts.borrow_mut().heard(question.command.verb(), &reply);
                if is_marked(&reply) {
                    self.world.violated("I11", || {
                        format!("#{}: {reply:?} was read on a lane after it was given up", self.id)
                    });
                }
                self.answered_bytes += (before - self.input.len()) as u64;
                self.check_in_time(&question);
                judge(&self.world, &question, &reply);
                Some(Heard::Answer)
            }
            Err(fault) => {
                self.world
                    .violated("I3", || format!("#{}: an answer that is none: {fault}", self.id));
                self.ended = true;
                Some(Heard::End)
            }
        }
    }
}
