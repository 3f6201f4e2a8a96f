//! The committer: the one thread that changes the file.
//!
//! It takes what came while it was busy, carries it out in one transaction, has that on the device where the settings say
//! so, and only then answers. So many writes share one wait for the device, no thread that serves clients waits for it, and
//! nobody reads what may yet be lost.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::draft::sync_folder;
use super::place::beside;
use super::queue::{Job, Outcome, Queue, Taken, Work};
use super::table::Table;
use crate::command::{Command, Reply};
use crate::config::{StoreSettings, Sync};
use crate::logging::RateLimit;
use crate::store::embedded::answer::{is_read, settled};
use crate::store::embedded::answering::{Answering, State};
use crate::store::embedded::records::Fault;

/// What the thread works with.
pub struct Committer {
    connection: Connection,
    path: PathBuf,
    state: Arc<State>,
    queue: Arc<Queue>,
    settings: StoreSettings,
    /// When what was committed is to be on the device, at the latest; nothing where it is, or where the system decides.
    due: Option<Instant>,
    /// Nothing could be written when it was tried last.
    failing: bool,
}

impl Committer {
    /// Over a connection that may write to the file at `path`.
    pub fn new(
        connection: Connection,
        path: PathBuf,
        state: Arc<State>,
        queue: Arc<Queue>,
        settings: StoreSettings,
    ) -> Self {
        Self {
            connection,
            path,
            state,
            queue,
            settings,
            due: None,
            failing: false,
        }
    }

    /// Works until the queue is closed and empty.
    pub fn run(mut self) {
        loop {
            match self.queue.take(self.due) {
                Taken::Jobs(jobs) => self.work_off(jobs),
                Taken::Nothing => {}
                Taken::Closed => break,
            }
            if self.due.is_some_and(|due| due <= Instant::now()) {
                self.sync_log();
            }
        }
        self.sync_log();
    }

    /// In their order; the log is written back between two transactions.
    fn work_off(&mut self, jobs: Vec<Job>) {
        let mut together = Vec::with_capacity(jobs.len());
        for job in jobs {
            if matches!(job.work, Work::Checkpoint) {
                self.carry_out(std::mem::take(&mut together));
                job.answer(self.checkpoint());
            } else {
                together.push(job);
            }
        }
        self.carry_out(together);
    }

    /// All together; where that fails, half and half, so that only those fail that cannot be done.
    fn carry_out(&mut self, mut jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        match self.attempt(&jobs) {
            Ok(outcomes) => {
                for (job, outcome) in jobs.into_iter().zip(outcomes) {
                    job.answer(outcome);
                }
            }
            Err(fault) if jobs.len() == 1 || matches!(fault, Fault::Locked) => {
                self.note(&fault);
                jobs.into_iter().for_each(|job| job.answer(Err(fault.clone())));
            }
            Err(_) => {
                let rest = jobs.split_off(jobs.len() / 2);
                self.carry_out(jobs);
                self.carry_out(rest);
            }
        }
    }

    /// Carries out all jobs in one transaction. After an error nothing of it has been done.
    fn attempt(&mut self, jobs: &[Job]) -> Result<Vec<Outcome>, Fault> {
        let iterator = self.state.iterator.lock().clone();
        let outcomes = self.transact(jobs);
        if outcomes.is_err() {
            *self.state.iterator.lock() = iterator;
        }
        outcomes
    }

    fn transact(&mut self, jobs: &[Job]) -> Result<Vec<Outcome>, Fault> {
        let changes = self.connection.total_changes();
        // It begins as a writer: a reader that meets a commit half way takes the writer's lock for a moment to look again,
        // and a transaction that has begun by reading is not made to wait for that, but fails.
        let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        let table = Table::new(&self.connection, &self.path);
        let at = Answering {
            state: &self.state,
            records: &table,
        };
        let mut outcomes = Vec::with_capacity(jobs.len());
        for job in jobs {
            let outcome = match &job.work {
                Work::Command { command, now } => at.execute(command, *now),
                Work::Shrink { pages } => shrink(&self.connection, *pages),
                Work::Checkpoint => unreachable!("the log has a turn of its own"),
            };
            match outcome {
                // A change that failed may have been made in part.
                Err(fault) if job.changes() => return Err(fault),
                // The engine has taken the whole transaction back.
                outcome if self.connection.is_autocommit() => return Err(outcome.err().unwrap_or(Fault::Full)),
                outcome => outcomes.push(outcome),
            }
        }
        table.close_books()?;
        let wants_sync = table.wants_sync();
        transaction.commit()?;
        // From here on it has been done: there is no way back.
        if self.connection.total_changes() != changes {
            self.written();
        }
        if wants_sync && !self.sync_log() {
            for (job, outcome) in jobs.iter().zip(&mut outcomes) {
                if job.asks_for_sync() {
                    *outcome = Err(Fault::Full);
                }
            }
        }
        Ok(outcomes)
    }

    /// Something was written.
    fn written(&mut self) {
        if std::mem::take(&mut self.failing) {
            tracing::info!(path = %self.path.display(), "the store can write again");
        }
        if self.settings.sync == Sync::Interval && self.due.is_none() {
            self.due = Some(Instant::now() + self.settings.sync_interval);
        }
    }

    /// Says what is wrong: when it begins, and now and then.
    fn note(&mut self, fault: &Fault) {
        static LOG: RateLimit = RateLimit::new(Duration::from_secs(10));
        // One record's damage keeps no other from being written.
        let begins = !matches!(fault, Fault::Damaged) && !std::mem::replace(&mut self.failing, true);
        let admitted = LOG.admit(Instant::now());
        if begins || admitted.is_some() {
            let path = self.path.display();
            tracing::error!(%path, %fault, "a write failed, and was answered with code 6; reads go on");
        }
    }

    /// Has the log on the device; says whether it is.
    fn sync_log(&mut self) -> bool {
        if self.settings.sync == Sync::Always {
            return true;
        }
        self.due = None;
        let log = beside(&self.path, "-wal");
        let synced = File::open(&log).and_then(|file| {
            file.sync_data()?;
            // The log may be a new one.
            sync_folder(&log)
        });
        match synced {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(path = %log.display(), %error, "what was written could not be had on the device");
                false
            }
        }
    }

    /// Writes the log back into the file and cuts it, unless someone reads from it just now.
    fn checkpoint(&self) -> Outcome {
        self.connection.busy_timeout(Duration::ZERO)?;
        let written = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        self.connection.busy_timeout(super::connection::BUSY)?;
        written?;
        Ok(Reply::OK)
    }
}

/// Gives free pages back to the system; answers how many are left.
fn shrink(connection: &Connection, pages: u32) -> Outcome {
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    let left: i64 = connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    Ok(Reply::Count(u64::try_from(left).unwrap_or(0)))
}

impl Job {
    /// Tells whoever asked, who may have gone.
    fn answer(self, outcome: Outcome) {
        let outcome = match &self.work {
            Work::Command { command, .. } => settled(command, outcome),
            Work::Shrink { .. } | Work::Checkpoint => outcome,
        };
        self.reply_to.send(outcome);
    }

    fn changes(&self) -> bool {
        match &self.work {
            Work::Command { command, .. } => !is_read(command),
            Work::Shrink { .. } | Work::Checkpoint => true,
        }
    }

    fn asks_for_sync(&self) -> bool {
        match &self.work {
            Work::Command { command, .. } => match command {
                Command::Sync => true,
                Command::Misc { function, .. } => function.starts_with(b"sync"),
                _ => false,
            },
            Work::Shrink { .. } | Work::Checkpoint => false,
        }
    }
}
