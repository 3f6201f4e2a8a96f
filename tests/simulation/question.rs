//! What clients ask: every value names its write, so that every answer can be held against what was asked.

mod lists;
mod unordered;

use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use fastrand::Rng;
use ttguard::command::Command;
use ttguard::protocol::outgoing::Outgoing;
use ttguard::protocol::tyrant::request;

use crate::faults::Fault;
use crate::history::{Asked, POISON};
use crate::plan::{Database, Line, MAPPED};
use crate::world::World;

/// A question and what is needed to judge its answer.
#[derive(Debug)]
pub struct Question {
    pub command: Command,
    /// Keys and numbers of the writes that it asks for.
    pub writes: Vec<(Bytes, usize)>,
    /// The step at which it was asked.
    pub asked_at: u64,
    /// The guard's clock at that moment.
    pub asked_clock: u64,
    /// Which byte of its connection its last one is.
    pub end: u64,
}

impl Question {
    fn new(command: Command) -> Self {
        Self {
            command,
            writes: Vec::new(),
            asked_at: 0,
            asked_clock: 0,
            end: 0,
        }
    }

    fn writing(command: Command, writes: Vec<(Bytes, usize)>) -> Self {
        Self {
            writes,
            ..Self::new(command)
        }
    }
}

/// Makes up one client's questions.
pub struct Asker {
    world: Rc<World>,
    random: Rng,
    /// Milliseconds by which the client's clock is wrong.
    skew: i64,
}

impl Asker {
    /// The questions of this client.
    pub fn new(world: &Rc<World>, client: usize, random: Rng) -> Self {
        let skew = world.plan.clients.skew[client];
        if skew != 0 {
            world.strike(Fault::SkewedClock);
        }
        Self {
            world: Rc::clone(world),
            random,
            skew,
        }
    }

    /// A key with a digit of its own, by which a fixed-length database knows it.
    fn key(&mut self) -> Bytes {
        let plan = &self.world.plan.clients;
        if plan.lists && self.world.plan.database == Database::Tree && self.random.u8(..8) == 0 {
            return Bytes::from_static(b"d6");
        }
        if plan.unordered && self.random.u8(..5) == 0 {
            return Bytes::from_static(b"m8");
        }
        Bytes::from(format!("k{}", self.random.usize(..plan.keys)))
    }

    fn stamp(&mut self, key: &Bytes) -> u64 {
        let world = Rc::clone(&self.world);
        let plan = &world.plan.clients;
        if world.strikes(plan.jump) {
            world.strike(Fault::ClockJumped);
            self.skew += self.random.i64(-2000..2000);
        }
        if world.strikes(plan.equal)
            && let Some(stamp) = world.history.borrow().latest_stamp(key)
        {
            world.strike(Fault::EqualStamps);
            return stamp;
        }
        let late = self.random.u64(..=plan.lateness);
        let now = world.clock.right().saturating_add_signed(self.skew) - late;
        now / plan.grain * plan.grain
    }

    fn value(&mut self, key: &Bytes, kind: Asked) -> (Bytes, usize) {
        let stamp = self.stamp(key);
        self.value_of(key, stamp, kind)
    }

    fn value_of(&mut self, key: &Bytes, stamp: u64, kind: Asked) -> (Bytes, usize) {
        let padding = if self.world.strikes(self.world.plan.clients.large) {
            3000
        } else {
            self.random.usize(..12)
        };
        let number = self.world.history.borrow().next_number();
        let name = String::from_utf8_lossy(key).into_owned();
        let value = Bytes::from(format!("{stamp:013}#{number}#{name}{}", "~".repeat(padding)));
        self.note(key, &value, kind);
        (value, number)
    }

    fn note(&self, key: &Bytes, value: &Bytes, kind: Asked) {
        self.world.history.borrow_mut().asked(&self.world, key, value, kind);
    }

    /// The next question.
    pub fn ask(&mut self) -> Question {
        let plan = self.world.plan.clients.clone();
        let roll = self.random.u32(..100);
        match roll {
            0..40 => self.put(),
            40..44 => self.put_silently(),
            44..46 if self.world.plan.settings.rules.ext.contains_key(MAPPED) => self.put_by_script(),
            44..46 => self.put_silently(),
            46..49 => self.put_keep(),
            49..56 if plan.deletes => self.out(),
            56..64 if plan.lists => self.write_list(),
            64..70 if plan.lists => self.read_list(),
            70..76 if plan.unordered => self.unordered(),
            76..80 if plan.control => self.control(),
            80..84 => {
                let key = self.key();
                Question::new(Command::Vsiz { key })
            }
            84..88 => {
                let keys = vec![self.key(), Bytes::from_static(b"k0")];
                Question::new(Command::Mget { keys })
            }
            _ => {
                let key = self.key();
                Question::new(Command::Get { key })
            }
        }
    }

    /// What a script says.
    pub fn recite(&mut self, said: Line) -> Question {
        let key = Bytes::from_static(b"k0");
        match said {
            Line::Put(stamp) => {
                let (value, number) = self.value_of(
                    &key,
                    self.world.clock.right() - self.world.now() + stamp,
                    Asked::Repeatable,
                );
                let writes = vec![(key.clone(), number)];
                Question::writing(Command::Put { key, value }, writes)
            }
            Line::PutSilently(stamp) => {
                let (value, _) = self.value_of(
                    &key,
                    self.world.clock.right() - self.world.now() + stamp,
                    Asked::Repeatable,
                );
                Question::new(Command::PutNr { key, value })
            }
            Line::PutList(stamp) => {
                let stamp = self.world.clock.right() - self.world.now() + stamp;
                let (mut arguments, mut writes) = (Vec::new(), Vec::new());
                for key in [key, Bytes::from_static(b"k1")] {
                    let (value, number) = self.value_of(&key, stamp, Asked::Repeatable);
                    arguments.extend([key.clone(), value]);
                    writes.push((key, number));
                }
                Self::misc("putlist", arguments, writes)
            }
            Line::Out => {
                self.world.history.borrow_mut().out_asked(&key);
                Question::new(Command::Out { key })
            }
            Line::Get => Question::new(Command::Get { key }),
        }
    }

    fn put(&mut self) -> Question {
        let key = self.key();
        self.put_of(key)
    }

    fn put_of(&mut self, key: Bytes) -> Question {
        let (value, number) = self.value(&key, Asked::Repeatable);
        let writes = vec![(key.clone(), number)];
        Question::writing(Command::Put { key, value }, writes)
    }

    fn put_silently(&mut self) -> Question {
        let key = self.key();
        let (value, _) = self.value(&key, Asked::Repeatable);
        Question::new(Command::PutNr { key, value })
    }

    fn put_keep(&mut self) -> Question {
        let key = self.key();
        let (value, number) = self.value(&key, Asked::Once);
        let writes = vec![(key.clone(), number)];
        Question::writing(Command::PutKeep { key, value }, writes)
    }

    /// A script function that stands for a guarded put.
    fn put_by_script(&mut self) -> Question {
        let key = self.key();
        let (value, number) = self.value(&key, Asked::Repeatable);
        self.world.strike(Fault::MappedScript);
        Self::script(MAPPED, key, value, number)
    }

    fn script(function: &'static str, key: Bytes, value: Bytes, number: usize) -> Question {
        let command = Command::Ext {
            function: Bytes::from_static(function.as_bytes()),
            options: 0,
            key: key.clone(),
            value,
        };
        Question::writing(command, vec![(key, number)])
    }

    /// A request for the update log, and the tag that its units bear.
    pub fn follow_log(&mut self) -> (Question, u64) {
        let tag = self.random.u64(..1 << 40);
        let command = Command::Repl {
            timestamp: tag,
            server_id: 1,
        };
        (Question::new(command), tag)
    }

    fn out(&mut self) -> Question {
        let key = self.key();
        self.world.history.borrow_mut().out_asked(&key);
        Question::new(Command::Out { key })
    }

    fn misc(function: &'static str, arguments: Vec<Bytes>, writes: Vec<(Bytes, usize)>) -> Question {
        let function = Bytes::from_static(function.as_bytes());
        let command = Command::Misc {
            function,
            options: 0,
            arguments,
        };
        Question::writing(command, writes)
    }

    /// What is no request.
    pub fn bad_frame(&mut self, random: &mut Rng) -> Vec<u8> {
        match random.u8(..4) {
            0 => vec![0x00],
            1 => vec![0xC8, 0x99],
            // A put whose key has a size below 0.
            2 => vec![0xC8, 0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 1],
            _ => b"GET / HTTP/1.1\r\n".to_vec(),
        }
    }

    /// A request that must never be carried out.
    pub fn poison(&self) -> Bytes {
        let (key, value) = (Bytes::from_static(POISON), Bytes::from_static(b"poison"));
        let mut out = Outgoing::new();
        request::encode(&Command::Put { key, value }, &mut out);
        BytesMut::from(&out.take()[..]).freeze()
    }

    /// Questions that ask everything of a key.
    pub fn probes(&mut self, key: usize) -> Vec<Question> {
        let key = Bytes::from(format!("k{key}"));
        let (value, number) = self.value(&key, Asked::Repeatable);
        let put = Command::Put {
            key: key.clone(),
            value,
        };
        vec![
            Question::new(Command::Get { key: key.clone() }),
            Question::writing(put, vec![(key.clone(), number)]),
            Question::new(Command::Get { key }),
        ]
    }
}
