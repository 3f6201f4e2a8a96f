//! Lines into a server: one thread reads them, another one sends what they say and counts the answers.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};
use std::thread;

use bytes::Bytes;
use indicatif::ProgressBar;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::Instant;

use super::tsv::Form;
use super::{Fault, PATIENCE, connect, place_of, progress};
use crate::client::Connection;
use crate::client::fault::Trouble;
use crate::command::{Command, Shape};
use crate::config::{TransferFile, TransferSettings};
use crate::files::{self, Problem};
use crate::protocol::outgoing::Outgoing;
use crate::protocol::tyrant::request;

/// Records that leave together. The next ones do when those before the last are answered, so that twice as many may be
/// unanswered. One by one, each would cost both sides a system call, and could share nothing with others on its way.
const TOGETHER: u64 = 512;

/// Bytes that leave together: large records are fewer.
const PIECE: usize = 64 * 1024;

/// Bytes of a line, at most: more than the largest record that a server takes has as an escaped line.
const LINE_MAX: u64 = 2 << 30;

/// What a server says of a refused record, by its code; ttguard's own words where it is one.
const REASONS: [(u8, &str); 5] = [
    (2, "stale"),
    (3, "future"),
    (4, "unstamped"),
    (5, "denied"),
    (6, "unavailable"),
];

/// Records that leave together.
#[derive(Default)]
struct Piece {
    out: Outgoing,
    lines: u64,
}

/// What has been answered.
#[derive(Debug, Default)]
struct Tally {
    /// Lines whose records were sent, or are about to be.
    asked: u64,
    answered: u64,
    stored: u64,
    /// By code: how many, and the line of the first.
    refused: BTreeMap<u8, (u64, u64)>,
}

/// Stores the records of every line, in their order, with `put`. Gives how many those were.
///
/// # Errors
/// A line that is none, a connection that breaks, or records that the server did not store: in each case what was stored
/// before stays.
pub fn run(settings: &TransferSettings) -> Result<u64, Fault> {
    let (name, input, size) = open(&settings.file)?;
    let mut connection = connect(&place_of(&settings.server)?)?;
    let template = match size {
        Some(_) => "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta}",
        None => "{spinner} {bytes}, {bytes_per_sec}",
    };
    let bar = progress(size, template);
    let mut tally = Tally::default();
    let (read, stored) = thread::scope(|scope| {
        let (pieces, to_send) = channel(1);
        let source = Source {
            form: Form::new(settings.escape),
            name: &name,
            input,
            bar: &bar,
        };
        let reading = scope.spawn(|| source.read(pieces));
        let stored = connection.run(async |connection| store(connection, to_send, &mut tally).await);
        (reading.join(), stored)
    });
    bar.finish_and_clear();
    let read = read.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    match (stored.map_err(Fault::from), read) {
        (Err(Fault::Server { server, problem }), _) => {
            let answered = tally.answered;
            let problem =
                format!("{problem}; lines up to {answered} were answered, whether later ones are stored is not known");
            Err(Fault::Server { server, problem })
        }
        (
            _,
            Err(Fault::Form {
                place,
                problem,
                allowed,
                ..
            }),
        ) => Err(Fault::Form {
            place,
            problem,
            allowed,
            so_far: format!(" ({} records before it were stored)", tally.stored),
        }),
        (Err(fault), _) | (_, Err(fault)) => Err(fault),
        (Ok(()), Ok(())) => tally.finish(),
    }
}

/// Sends the pieces as they come, and counts what is answered to each of their lines, until there are no more.
async fn store(connection: &mut Connection, pieces: Receiver<Piece>, tally: &mut Tally) -> Result<(), Trouble> {
    let result = exchange(connection, pieces, tally).await;
    if let Err(Trouble::Broken(_)) = &result {
        // No more can be sent, but what was answered before that may not have been read.
        connection.out = Outgoing::new();
        let deadline = Some(Instant::now() + PATIENCE);
        while tally.answered < tally.asked
            && let Ok(reply) = connection.next(Shape::Code, deadline).await
        {
            tally.count(reply.code());
        }
    }
    result
}

async fn exchange(connection: &mut Connection, mut pieces: Receiver<Piece>, tally: &mut Tally) -> Result<(), Trouble> {
    let (mut heard, mut is_over) = (Instant::now(), false);
    loop {
        while tally.answered < tally.asked
            && let Some(reply) = connection.take(Shape::Code)?
        {
            tally.count(reply.code());
        }
        let owed = tally.asked - tally.answered;
        let is_sent = connection.out.is_empty();
        if owed == 0 && is_sent {
            if is_over {
                return Ok(());
            }
            heard = Instant::now();
        }
        tokio::select! {
            biased;
            piece = pieces.recv(), if is_sent && owed <= TOGETHER && !is_over => match piece {
                Some(Piece { out, lines }) => {
                    connection.out.append(out);
                    tally.asked += lines;
                }
                None => is_over = true,
            },
            more = connection.more(Some(heard + PATIENCE)), if owed > 0 || !is_sent => {
                more?;
                heard = Instant::now();
            }
        }
    }
}

/// Lines to come.
type Input = BufReader<Box<dyn Read + Send>>;

struct Source<'a> {
    form: Form,
    name: &'a str,
    input: Input,
    bar: &'a ProgressBar,
}

impl Source<'_> {
    /// Reads every line, and passes on what it says, for as long as that is sent.
    fn read(mut self, pieces: Sender<Piece>) -> Result<(), Fault> {
        let (mut line, mut piece) = (Vec::new(), Piece::default());
        for number in 1.. {
            let (key, value) = match self.record(&mut line, number) {
                Ok(Some(record)) => record,
                ended => {
                    // What came before is sent all the same.
                    let _ = pieces.blocking_send(piece);
                    return ended.map(|_| ());
                }
            };
            self.bar.inc(line.len() as u64);
            request::encode(&Command::Put { key, value }, &mut piece.out);
            piece.lines += 1;
            let is_whole = piece.lines == TOGETHER || piece.out.len() >= PIECE;
            // Nobody may wait for the answer to what has not been sent, while the next line is not there yet either.
            if (is_whole || self.input.buffer().is_empty()) && pieces.blocking_send(std::mem::take(&mut piece)).is_err()
            {
                break;
            }
        }
        Ok(())
    }

    /// The next line's record; nothing when there are no more.
    fn record(&mut self, line: &mut Vec<u8>, number: u64) -> Result<Option<(Bytes, Bytes)>, Fault> {
        line.clear();
        let read = self.input.by_ref().take(LINE_MAX).read_until(b'\n', line);
        let read = read.map_err(|error| {
            let file = self.name.to_owned();
            Fault::File { file, error }
        })?;
        if read == 0 {
            return Ok(None);
        }
        let whole = line.strip_suffix(b"\n");
        let record = match whole {
            None if line.len() as u64 == LINE_MAX => Err("is too long".to_owned()),
            whole => self.form.read(whole.unwrap_or(line)),
        };
        record.map(Some).map_err(|problem| Fault::Form {
            place: format!("{}:{number}", self.name),
            problem,
            allowed: self.form.allowed(),
            so_far: String::new(),
        })
    }
}

/// Opens the file: its name, what it has, and how many bytes, where that is known.
fn open(file: &TransferFile) -> Result<(String, Input, Option<u64>), Fault> {
    let buffered = |source: Box<dyn Read + Send>| BufReader::with_capacity(1 << 16, source);
    match file {
        TransferFile::Standard => Ok(("standard input".to_owned(), buffered(Box::new(io::stdin())), None)),
        TransferFile::Path(path) => {
            let name = path.display().to_string();
            let opened = files::open_stream(path).and_then(|file| {
                let metadata = file.metadata()?;
                Ok::<_, Problem>((file, metadata.is_file().then_some(metadata.len())))
            });
            match opened {
                Ok((file, size)) => Ok((name, buffered(Box::new(file)), size)),
                Err(error) => Err(Fault::Unusable {
                    file: name,
                    error,
                    allowed: "a file that can be read, or - for standard input",
                }),
            }
        }
    }
}

impl Tally {
    /// The next line's record was answered with this code.
    fn count(&mut self, code: u8) {
        self.answered += 1;
        if code == 0 {
            self.stored += 1;
        } else {
            self.refused.entry(code).or_insert((0, self.answered)).0 += 1;
        }
    }

    fn finish(self) -> Result<u64, Fault> {
        if self.refused.is_empty() {
            return Ok(self.stored);
        }
        let reason = |code: u8| {
            REASONS
                .iter()
                .find(|(known, _)| *known == code)
                .map_or("failed", |(_, name)| name)
        };
        let refused: Vec<_> = self
            .refused
            .iter()
            .map(|(code, (count, line))| {
                let reason = reason(*code);
                format!("{count} with code {code} ({reason}), the first in line {line}")
            })
            .collect();
        Err(Fault::Refused(format!(
            "{} records are stored; the server refused {}",
            self.stored,
            refused.join("; ")
        )))
    }
}
