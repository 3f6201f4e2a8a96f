//! Lines into a server: one thread sends, another reads the answers.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use indicatif::ProgressBar;

use super::link::{Answers, Place, Questions, connect};
use super::tsv::Form;
use super::{Fault, progress};
use crate::command::{Command, Shape};
use crate::config::{TransferFile, TransferSettings};
use crate::files::{self, Problem};

/// Records that leave together. The next ones do when those before the last are answered, so that twice as many may be
/// unanswered. One by one, each would cost both sides a system call, and could share nothing with others on its way.
const TOGETHER: u64 = 512;

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

/// What has been answered.
#[derive(Debug, Default)]
struct Tally {
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
    let (name, mut input, size) = open(&settings.file)?;
    let (mut questions, answers) = connect(&Place::of(&settings.server)?)?;
    let template = match size {
        Some(_) => "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta}",
        None => "{spinner} {bytes}, {bytes_per_sec}",
    };
    let bar = progress(size, template);
    // Whoever has sent some waits until their answers are looked for.
    let (lines, sent) = sync_channel(0);
    let (ended, tally) = thread::scope(|scope| {
        let reading = scope.spawn(|| read_answers(answers, sent));
        let mut source = Source {
            form: Form::new(settings.escape),
            name: &name,
            input: &mut input,
            bar: &bar,
        };
        let ended = source.send(&mut questions, lines);
        if matches!(ended, Err(Ended::Line(Fault::File { .. }))) {
            questions.abandon();
        }
        (ended, reading.join())
    });
    bar.finish_and_clear();
    let (tally, broken) = tally.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    if let Some(Fault::Server { server, problem }) = broken {
        let answered = tally.stored + tally.refused.values().map(|(count, _)| count).sum::<u64>();
        let problem =
            format!("{problem}; lines up to {answered} were answered, whether later ones are stored is not known");
        return Err(Fault::Server { server, problem });
    }
    match ended {
        Err(Ended::Line(Fault::Form {
            place,
            problem,
            allowed,
            ..
        })) => Err(Fault::Form {
            place,
            problem,
            allowed,
            so_far: format!(" ({} records before it were stored)", tally.stored),
        }),
        Err(Ended::Line(fault)) => Err(fault),
        Err(Ended::Connection(error)) => Err(Fault::Server {
            server: settings.server.to_string(),
            problem: error.to_string(),
        }),
        Ok(()) => tally.finish(),
    }
}

/// Lines to come.
type Input = BufReader<Box<dyn Read>>;

/// Why no more lines are sent.
enum Ended {
    Line(Fault),
    Connection(io::Error),
}

struct Source<'a> {
    form: Form,
    name: &'a str,
    input: &'a mut Input,
    bar: &'a ProgressBar,
}

impl Source<'_> {
    /// Sends every line, and says to whoever reads the answers which those are.
    fn send(&mut self, questions: &mut Questions, lines: SyncSender<Range<u64>>) -> Result<(), Ended> {
        let mut line = Vec::new();
        // Those that were asked since some were passed on.
        let mut asked = 1..1;
        for number in 1.. {
            line.clear();
            let read = self.input.by_ref().take(LINE_MAX).read_until(b'\n', &mut line);
            let read = read.map_err(|error| {
                let file = self.name.to_owned();
                Ended::Line(Fault::File { file, error })
            });
            let read = match read {
                Ok(0) => break,
                other => other,
            };
            let record = read.and_then(|_| self.record(&line, number));
            let (key, value) = match record {
                Ok(record) => record,
                Err(ended) => {
                    // What came before is sent all the same.
                    pass_on(questions, &lines, &mut asked)?;
                    return Err(ended);
                }
            };
            self.bar.inc(line.len() as u64);
            questions.ask(&Command::Put { key, value }).map_err(Ended::Connection)?;
            asked.end = number + 1;
            // Nobody may wait for the answer to what has not been sent, while the next line is not there yet either.
            if asked.end - asked.start == TOGETHER || self.input.buffer().is_empty() {
                pass_on(questions, &lines, &mut asked)?;
            }
        }
        pass_on(questions, &lines, &mut asked)
    }

    fn record(&self, line: &[u8], number: u64) -> Result<(bytes::Bytes, bytes::Bytes), Ended> {
        let whole = line.strip_suffix(b"\n");
        let record = match whole {
            None if line.len() as u64 == LINE_MAX => Err("is too long".to_owned()),
            whole => self.form.read(whole.unwrap_or(line)),
        };
        record.map_err(|problem| {
            Ended::Line(Fault::Form {
                place: format!("{}:{number}", self.name),
                problem,
                allowed: self.form.allowed(),
                so_far: String::new(),
            })
        })
    }
}

/// Sends what was asked, and has its answers read.
fn pass_on(questions: &mut Questions, lines: &SyncSender<Range<u64>>, asked: &mut Range<u64>) -> Result<(), Ended> {
    questions.flush().map_err(Ended::Connection)?;
    let sent = std::mem::replace(asked, asked.end..asked.end);
    if sent.is_empty() {
        return Ok(());
    }
    let broken = |_| Ended::Connection(io::ErrorKind::BrokenPipe.into());
    lines.send(sent).map_err(broken)
}

/// Opens the file: its name, what it has, and how many bytes, where that is known.
fn open(file: &TransferFile) -> Result<(String, Input, Option<u64>), Fault> {
    let buffered = |source: Box<dyn Read>| BufReader::with_capacity(1 << 16, source);
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

/// Reads an answer for every line that was sent; then, or when there are no more answers, what came of them.
fn read_answers(mut answers: Answers, sent: Receiver<Range<u64>>) -> (Tally, Option<Fault>) {
    let mut tally = Tally::default();
    for line in sent.into_iter().flatten() {
        match answers.next_of(Shape::Code) {
            Ok(reply) => tally.count(reply.code(), line),
            Err(fault) => return (tally, Some(fault)),
        }
    }
    (tally, None)
}

impl Tally {
    fn count(&mut self, code: u8, line: u64) {
        if code == 0 {
            self.stored += 1;
        } else {
            self.refused.entry(code).or_insert((0, line)).0 += 1;
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
