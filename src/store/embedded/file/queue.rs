//! The way to the committer: changes from all threads, in one order.

use std::collections::VecDeque;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::mpsc::UnboundedSender;

use crate::command::{Command, Reply};
use crate::store::embedded::records::Fault;

/// Jobs that are committed together, at most. With more the answers to the first would wait for too many others.
const BATCH_JOBS: usize = 2048;

/// Bytes of jobs that are committed together, at most, but for one job that is larger.
const BATCH_BYTES: usize = 16 << 20;

/// The answer to a job, once its outcome cannot be lost any more; a fault only where something was asked.
pub type Outcome = Result<Reply, Fault>;

/// What the committer is to do.
#[derive(Debug)]
pub enum Work {
    /// A client's command. `now` is the time since the epoch.
    Command { command: Command, now: Duration },
    /// Give so many free pages back to the system; answers how many are left.
    Shrink { pages: u32 },
    /// Write the log back into the file, and cut it.
    Checkpoint,
}

impl Work {
    /// About how many bytes it holds.
    fn weight(&self) -> usize {
        match self {
            Self::Command { command, .. } => weight(command),
            Self::Shrink { .. } | Self::Checkpoint => 0,
        }
    }
}

/// About how many bytes a command holds.
pub fn weight(command: &Command) -> usize {
    const FRAME: usize = 64;
    let strings = match command {
        Command::Put { key, value }
        | Command::PutKeep { key, value }
        | Command::PutCat { key, value }
        | Command::PutShl { key, value, .. }
        | Command::PutNr { key, value } => key.len() + value.len(),
        Command::Misc { arguments, .. } => arguments.iter().map(|argument| FRAME + argument.len()).sum(),
        Command::Mget { keys } => keys.iter().map(|key| FRAME + key.len()).sum(),
        _ => 0,
    };
    FRAME + strings
}

/// Who is told the outcome.
#[derive(Debug)]
pub enum ReplyTo {
    /// A worker's line, in the order in which its jobs came.
    Line(UnboundedSender<Outcome>),
    /// A thread that waits.
    Caller(Sender<Outcome>),
}

impl ReplyTo {
    /// Tells the outcome. Whoever asked may have gone.
    pub fn send(&self, outcome: Outcome) {
        match self {
            Self::Line(line) => drop(line.send(outcome)),
            Self::Caller(caller) => drop(caller.send(outcome)),
        }
    }
}

/// One thing to do.
#[derive(Debug)]
pub struct Job {
    pub work: Work,
    pub reply_to: ReplyTo,
}

/// What the committer finds.
#[derive(Debug)]
pub enum Taken {
    /// The oldest jobs, as many as go together.
    Jobs(Vec<Job>),
    /// Nothing came in time.
    Nothing,
    /// Nothing will come any more.
    Closed,
}

#[derive(Default)]
struct Inner {
    jobs: VecDeque<Job>,
    closed: bool,
}

/// Jobs that wait for the committer. Whoever adds to it bounds what it has in it: a worker's line by its own limits, any
/// other thread by waiting for its one job.
#[derive(Default)]
pub struct Queue {
    inner: Mutex<Inner>,
    ready: Condvar,
}

impl Queue {
    /// Adds a job behind all others. On a closed queue it is answered with a fault.
    pub fn push(&self, job: Job) {
        let mut inner = self.inner.lock();
        if inner.closed {
            drop(inner);
            return job.reply_to.send(Err(Fault::Closing));
        }
        inner.jobs.push_back(job);
        drop(inner);
        self.ready.notify_one();
    }

    /// No more jobs are taken in; those that are there are still carried out.
    pub fn close(&self) {
        self.inner.lock().closed = true;
        self.ready.notify_one();
    }

    /// Waits for jobs, until `deadline` where there is one, and takes as many as go together.
    pub fn take(&self, deadline: Option<Instant>) -> Taken {
        let mut inner = self.inner.lock();
        while inner.jobs.is_empty() {
            if inner.closed {
                return Taken::Closed;
            }
            match deadline {
                None => self.ready.wait(&mut inner),
                Some(deadline) => {
                    if self.ready.wait_until(&mut inner, deadline).timed_out() && inner.jobs.is_empty() {
                        return Taken::Nothing;
                    }
                }
            }
        }
        let mut bytes = 0;
        let fitting = inner.jobs.iter().take(BATCH_JOBS).take_while(|job| {
            bytes += job.work.weight();
            bytes <= BATCH_BYTES
        });
        let count = fitting.count().max(1);
        Taken::Jobs(inner.jobs.drain(..count).collect())
    }
}
