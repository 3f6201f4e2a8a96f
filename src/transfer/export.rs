//! Every record of a server into lines.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use bytes::Bytes;

use super::link::{Answers, Questions, connect};
use super::tsv::Form;
use super::{Fault, progress, shown};
use crate::command::{Command, Reply};
use crate::config::{TransferFile, TransferSettings};

/// Records that are asked for ahead. They are read in their order, so that no more than one is held.
const WINDOW: usize = 128;

/// Writes every record as a line; gives how many those were.
///
/// A server has one iterator for all its clients, so nobody else may use it meanwhile.
///
/// # Errors
/// A record that is no line, a file or connection that breaks, or a count that shows that records may be missing: then
/// what has been written is not to be trusted as the whole.
pub fn run(settings: &TransferSettings) -> Result<u64, Fault> {
    let (questions, answers) = connect(&settings.server)?;
    let mut walk = Walk { questions, answers };
    let before = walk.count()?;
    let mut out = Out::open(&settings.file)?;
    let bar = progress(Some(before), "{bar:30} {pos} of {len} records, {per_sec}, {eta}");
    let form = Form::new(settings.escape);
    walk.start()?;
    let (mut line, mut count) = (Vec::new(), 0);
    while let Some((key, value)) = walk.next()? {
        line.clear();
        form.write(&key, &value, &mut line).map_err(|problem| Fault::Form {
            place: format!("the record of {}", shown(&key)),
            problem,
            allowed: form.allowed(),
            so_far: format!(" ({count} records before it were written)"),
        })?;
        out.write(&line)?;
        count += 1;
        bar.inc(1);
    }
    out.finish()?;
    bar.finish_and_clear();
    let after = walk.count()?;
    if (before.min(after)..=before.max(after)).contains(&count) {
        return Ok(count);
    }
    Err(Fault::Incomplete(format!(
        "{count} records were written, and the server counted {before} before and {after} afterwards: its records \
         changed meanwhile, or somebody else used its iterator"
    )))
}

/// The server's records, one after the other.
struct Walk {
    questions: Questions,
    answers: Answers,
}

impl Walk {
    fn ask(&mut self, command: &Command) -> Result<(), Fault> {
        self.questions
            .ask(command)
            .map_err(|error| self.answers.fault(error.to_string()))
    }

    fn flush(&mut self) -> Result<(), Fault> {
        self.questions
            .flush()
            .map_err(|error| self.answers.fault(error.to_string()))
    }

    /// Asks one thing, and waits for the answer.
    fn exchange(&mut self, command: &Command) -> Result<Reply, Fault> {
        self.ask(command)?;
        self.flush()?;
        self.answers.next(command)
    }

    /// How many records there are.
    fn count(&mut self) -> Result<u64, Fault> {
        match self.exchange(&Command::Rnum)? {
            Reply::Count(count) => Ok(count),
            reply => Err(self
                .answers
                .fault(format!("rnum was answered with code {}", reply.code()))),
        }
    }

    fn start(&mut self) -> Result<(), Fault> {
        let reply = self.exchange(&Command::IterInit)?;
        if reply.code() != 0 {
            return Err(self
                .answers
                .fault(format!("iterinit was answered with code {}", reply.code())));
        }
        for _ in 0..WINDOW {
            self.ask(&further())?;
        }
        self.flush()
    }

    /// The next record; nothing when there are no more. To be called until then, and not again.
    fn next(&mut self) -> Result<Option<(Bytes, Bytes)>, Fault> {
        let further = further();
        match self.answers.next(&further)? {
            Reply::Strings { code: 0, strings } => {
                let record = <[Bytes; 2]>::try_from(strings).map_err(|_| {
                    let problem = "keeps no plain keys and values: a table cannot be written as lines of two";
                    self.answers.fault(problem.to_owned())
                })?;
                self.ask(&further)?;
                self.flush()?;
                let [key, value] = record;
                Ok(Some((key, value)))
            }
            _ => {
                // What was asked for ahead is answered in the same way.
                for _ in 1..WINDOW {
                    self.answers.next(&further)?;
                }
                Ok(None)
            }
        }
    }
}

/// Key and value of the next record, in one step: `iternext` and `get` could be two records.
fn further() -> Command {
    Command::Misc {
        function: Bytes::from_static(b"iternext"),
        options: 0,
        arguments: Vec::new(),
    }
}

/// The file that is written.
struct Out {
    name: String,
    writer: Box<dyn Write>,
}

impl Out {
    fn open(file: &TransferFile) -> Result<Self, Fault> {
        match file {
            TransferFile::Standard => Ok(Self {
                name: "standard output".to_owned(),
                writer: Box::new(BufWriter::with_capacity(1 << 16, io::stdout())),
            }),
            TransferFile::Path(path) => {
                let name = path.display().to_string();
                match File::create(path) {
                    Ok(file) => Ok(Self {
                        name,
                        writer: Box::new(BufWriter::with_capacity(1 << 16, file)),
                    }),
                    Err(error) => Err(Fault::Unusable {
                        file: name,
                        error,
                        allowed: "a path where a file may be made, or - for standard output",
                    }),
                }
            }
        }
    }

    fn write(&mut self, line: &[u8]) -> Result<(), Fault> {
        let written = self.writer.write_all(line);
        written.map_err(|error| self.fault(error))
    }

    fn finish(&mut self) -> Result<(), Fault> {
        let flushed = self.writer.flush();
        flushed.map_err(|error| self.fault(error))
    }

    fn fault(&self, error: io::Error) -> Fault {
        let file = self.name.clone();
        Fault::File { file, error }
    }
}
