//! One synchronous client.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::frames::Frames;
use super::oracle::{Fate, NO_STAMP};
use super::question::{Draw, Question};
use super::run::{Plan, Run};
use super::schedule::{Pacer, Schedule};
use super::tally::Tally;
use super::trouble::Trouble;
use crate::client::Connection;
use crate::command::{Reply, Shape, Verb};
use crate::protocol::tyrant::opcode::Opcode;

/// Between two tries to connect again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);

/// The code of `get` and `out` for a key without a record.
const NO_RECORD: u8 = 1;

/// The codes with which ttguard says that it sent nothing to the store: stale, future, unstamped, denied.
const REFUSALS: std::ops::RangeInclusive<u8> = 2..=5;

/// What the clients of one thread share.
#[derive(Debug)]
pub(super) struct Bench {
    pub draw: Draw,
    pub frames: Frames,
    pub tally: Tally,
}

/// A client and its connection.
#[derive(Debug)]
pub(super) struct Client {
    run: Arc<Run>,
    bench: Rc<RefCell<Bench>>,
    /// Among all clients of the run.
    number: usize,
    link: Option<Connection>,
    question: Question,
    /// The oldest stamp that may be read, for each key of the question.
    claims: Vec<u32>,
    /// Whether the last request was owed no answer.
    unanswered: bool,
}

/// What came back.
#[derive(Debug)]
struct Answer {
    /// Nothing where none is owed.
    code: Option<u8>,
    /// Bytes of the question.
    sent: usize,
    /// Bytes of the answer.
    received: u64,
}

impl Client {
    /// A client that is connected.
    pub fn new(run: Arc<Run>, bench: Rc<RefCell<Bench>>, number: usize, link: Connection) -> Self {
        Self {
            run,
            bench,
            number,
            link: Some(link),
            question: Question::new(),
            claims: Vec::new(),
            unanswered: false,
        }
    }

    /// Writes its share of the first records.
    pub async fn fill(&mut self) -> Result<(), Trouble> {
        while let Some(place) = self.run.next_to_fill() {
            self.bench.borrow_mut().draw.fill(place, &mut self.question);
            let code = self.exchange().await?.code.unwrap_or_default();
            // That a newer record is there already is as good.
            if code != 0 && !REFUSALS.contains(&code) {
                return Err(Trouble::Failed(code));
            }
            self.run.done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Asks until the plan is over.
    pub async fn work(mut self, plan: Plan) {
        match self.run.load.rate {
            None => self.closed_loop(&plan).await,
            Some(rate) => self.open_loop(&plan, rate).await,
        }
        if self.unanswered {
            self.close().await;
        }
        let mut bench = self.bench.borrow_mut();
        bench.tally.finished = bench.tally.finished.max(Some(Instant::now()));
    }

    async fn closed_loop(&mut self, plan: &Plan) {
        let mut intended = Instant::now();
        while self.admitted(plan, intended) {
            intended = self.request(plan, intended).await;
        }
    }

    async fn open_loop(&mut self, plan: &Plan, rate: u64) {
        let pacer = Pacer::new();
        let mut schedule = Schedule::new(plan.begin, rate, self.run.load.connections, self.number);
        loop {
            let due = schedule.due();
            if plan.end.is_some_and(|end| due >= end) {
                return;
            }
            pacer.wait(due).await;
            if plan.end.is_some_and(|end| Instant::now() >= end) || !self.admitted(plan, due) {
                break;
            }
            schedule.advance();
            self.request(plan, due).await;
        }
        // Where their number ends the requests, none is left over.
        if let Some(end) = plan.end {
            let end = end.min(Instant::now());
            self.bench.borrow_mut().tally.unsent += schedule.left_before(end);
        }
    }

    /// Whether a request that is meant to start then is still part of the plan.
    fn admitted(&self, plan: &Plan, intended: Instant) -> bool {
        if self.run.stopped() {
            return false;
        }
        match plan.end {
            Some(end) => intended < end,
            None => !plan.measures(intended) || self.run.take_turn(),
        }
    }

    /// Draws a question, asks it, and counts what came of it; gives the time when it was done.
    async fn request(&mut self, plan: &Plan, intended: Instant) -> Instant {
        self.bench.borrow_mut().draw.next(&mut self.question);
        self.unanswered = self.question.verb == Verb::PutNr;
        let result = self.exchange().await;
        let now = Instant::now();
        match result {
            Ok(answer) => {
                self.run.done.fetch_add(1, Ordering::Relaxed);
                if plan.measures(intended) {
                    let in_time = plan.end.is_none_or(|end| now < end);
                    let latency = now.saturating_duration_since(intended);
                    self.count(&answer, latency, in_time);
                }
            }
            Err(Trouble::Wrong(wrong)) => {
                self.run.done.fetch_add(1, Ordering::Relaxed);
                self.bench.borrow_mut().tally.wrong(wrong, &self.question);
                if wrong.breaks_the_order() {
                    self.link = None;
                }
            }
            Err(trouble) => {
                self.bench.borrow_mut().tally.error(&trouble);
                self.link = None;
                if matches!(trouble, Trouble::Connect(_)) {
                    sleep(RECONNECT_PAUSE).await;
                    return Instant::now();
                }
            }
        }
        now
    }

    fn count(&self, answer: &Answer, latency: Duration, in_time: bool) {
        let mut bench = self.bench.borrow_mut();
        let tally = &mut bench.tally;
        if self.question.stores() && self.question.late {
            match answer.code {
                Some(0) => tally.late.accepted += 1,
                Some(_) => tally.late.refused += 1,
                None => {}
            }
        }
        if let Some(verb) = tally.of(self.question.verb) {
            verb.done(answer.sent, answer.received, answer.code, latency, in_time);
        }
    }

    /// Asks the question, and checks the answer.
    async fn exchange(&mut self) -> Result<Answer, Trouble> {
        let run = &self.run;
        let timeout = run.load.timeout;
        let link = match &mut self.link {
            Some(link) => link,
            none => none.insert(run.connect().await?),
        };
        let question = &self.question;
        let asked = Instant::now();
        let stamp = run.clock.stamp(asked, question.late);
        let relative = if question.stores() {
            run.clock.relative(stamp)
        } else {
            NO_STAMP
        };
        run.oracle.open(question, relative, &mut self.claims);
        let sent = self.bench.borrow_mut().frames.write(question, stamp, &mut link.out);
        let before = link.received();
        let result = answer(link, question.verb, asked + timeout).await;
        let received = link.received() - before;
        run.oracle
            .close(question, relative, &mut self.claims, fate(question.verb, &result));
        let reply = result?;
        if let Some(reply) = &reply {
            run.checker
                .check(question, &self.claims, reply)
                .map_err(Trouble::Wrong)?;
            self.bench.borrow_mut().tally.checked += u64::from(!question.writes());
        }
        Ok(Answer {
            code: reply.map(|reply| reply.code()),
            sent,
            received,
        })
    }

    /// Waits until what was sent without an answer has been carried out: a server answers in the order of the
    /// questions.
    async fn close(&mut self) {
        self.question.verb = Verb::Get;
        // It is no part of the load, but wrong is wrong.
        if let Err(Trouble::Wrong(wrong)) = self.exchange().await {
            self.bench.borrow_mut().tally.wrong(wrong, &self.question);
        }
    }
}

/// Sends what is to be sent, and awaits the answer; nothing where none is owed.
async fn answer(link: &mut Connection, verb: Verb, deadline: Instant) -> Result<Option<Reply>, Trouble> {
    match Opcode::of(verb).shape {
        Shape::Nothing => link.flush(Some(deadline)).await.map(|()| None),
        shape => link.only(shape, Some(deadline)).await.map(Some),
    }
    .map_err(Trouble::from)
}

/// What became of a write with this answer.
fn fate(verb: Verb, result: &Result<Option<Reply>, Trouble>) -> Fate {
    let code = match result {
        Ok(Some(reply)) => reply.code(),
        Ok(None) | Err(_) => return Fate::Unknown,
    };
    match (verb, code) {
        (_, 0) | (Verb::Out, NO_RECORD) => Fate::Stored,
        (_, code) if REFUSALS.contains(&code) => Fate::Refused,
        _ => Fate::Unknown,
    }
}
