//! One connection of the scripted backend: a thread that reads, obeys the rules and answers.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;

use super::request::{Cut, Request};
use super::rule::{Act, End};
use super::state::{Record, Shared};
use crate::support::frame;

/// What to do after a request.
enum Next {
    Read,
    End(End),
}

pub struct Connection {
    shared: Arc<Shared>,
    number: usize,
    stream: TcpStream,
    buffer: Vec<u8>,
    silent: bool,
}

impl Connection {
    pub fn new(shared: Arc<Shared>, number: usize, stream: TcpStream) -> Self {
        Self {
            shared,
            number,
            stream,
            buffer: Vec::new(),
            silent: false,
        }
    }

    pub fn run(mut self) {
        let end = self.serve();
        if end == End::Rst {
            let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        } else {
            self.end_in_order();
        }
        let (shared, number) = (Arc::clone(&self.shared), self.number);
        let kept = shared.record(number, |record| {
            record.ended = true;
            record.stream.take()
        });
        // The socket closes with its last owner, and only then does anybody hear of the end.
        drop(kept);
        drop(self);
        shared.changed.notify_all();
    }

    /// Says that nothing more comes, and waits for the peer to end too: a socket that is closed with bytes unread is reset.
    fn end_in_order(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        let _ = self.stream.set_read_timeout(Some(Duration::from_secs(1)));
        while matches!(self.stream.read(&mut [0; 4096]), Ok(1..)) {}
    }

    fn serve(&mut self) -> End {
        loop {
            match Request::cut(&self.buffer) {
                Cut::Whole(request) => {
                    self.buffer.drain(..request.bytes.len());
                    if let Next::End(end) = self.obey(&request) {
                        return end;
                    }
                }
                Cut::More => {
                    if !self.read() {
                        return self.end_wanted();
                    }
                }
                Cut::Bad => {
                    self.shared.record(self.number, |record| record.bad = true);
                    return End::Fin;
                }
            }
        }
    }

    fn read(&mut self) -> bool {
        let mut bytes = [0; 65536];
        let count = self.stream.read(&mut bytes).unwrap_or(0);
        self.buffer.extend_from_slice(&bytes[..count]);
        // A primed lane's first byte is no part of a request that anyone asked for.
        let partial = count == 0 && !self.buffer.is_empty() && self.buffer != frame::AHEAD;
        let left = self.buffer.len();
        self.shared.record(self.number, |record| {
            record.peer_gone |= count == 0;
            record.partial |= partial;
            record.unread = left;
        });
        count > 0
    }

    fn end_wanted(&self) -> End {
        self.shared
            .record(self.number, |record: &mut Record| record.end_wanted)
            .unwrap_or(End::Fin)
    }

    fn obey(&mut self, request: &Request) -> Next {
        let left = self.buffer.len();
        let act = self.shared.arrived(self.number, request, left);
        if let Some(Act::Refuse(end)) = act {
            return Next::End(end);
        }
        if let Some(Act::HoldRequest(gate)) = act
            && !self.shared.stand_before(gate, self.number)
        {
            return Next::End(self.end_wanted());
        }
        let mut answer = match act {
            Some(Act::Fail(code)) => vec![code],
            Some(Act::AnswerFor(key)) => self.shared.apply(&request.for_key(key)),
            Some(Act::Rewound) => {
                self.shared.apply(&Request {
                    opcode: frame::ITERINIT,
                    ..request.clone()
                });
                self.shared.apply(request)
            }
            _ => self.shared.apply(request),
        };
        match act {
            Some(Act::HoldAnswer(gate)) if !self.shared.stand_before(gate, self.number) => {
                return Next::End(self.end_wanted());
            }
            Some(Act::HoldRest(bytes, gate)) => {
                let rest = answer.split_off(bytes);
                self.answer(&answer);
                if !self.shared.stand_before(gate, self.number) {
                    return Next::End(self.end_wanted());
                }
                answer = rest;
            }
            Some(Act::Cut(bytes, end)) => {
                answer.truncate(bytes);
                self.answer(&answer);
                return Next::End(end);
            }
            Some(Act::Lose(end)) => return Next::End(end),
            Some(Act::ExtraByte) => answer.push(0),
            Some(Act::WrongCode(code)) => answer.iter_mut().take(1).for_each(|byte| *byte = code),
            Some(Act::Announce(size)) => answer[1..5].copy_from_slice(&size.to_be_bytes()),
            Some(Act::Silence) => self.silent = true,
            _ => {}
        }
        self.answer(&answer);
        Next::Read
    }

    /// A peer that is gone is no reason to stop: what it sent is still carried out, as by a real server.
    fn answer(&mut self, bytes: &[u8]) {
        if !self.silent {
            let _ = self.stream.write_all(bytes);
        }
    }
}
