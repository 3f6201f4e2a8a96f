//! Every record of a server into lines.

use std::io::{self, BufWriter, Write};

use super::tsv::Form;
use super::walk::Walk;
use super::{Fault, place_of, progress, shown};
use crate::config::{TransferFile, TransferSettings};
use crate::files;

/// Writes every record as a line; gives how many those were.
///
/// A server has one iterator for all its clients, so nobody else may use it meanwhile.
///
/// # Errors
/// A record that is no line, a file or connection that breaks, or a count that shows that records may be missing: then
/// what has been written is not to be trusted as the whole.
pub fn run(settings: &TransferSettings) -> Result<u64, Fault> {
    let place = place_of(&settings.server)?;
    let mut walk = if settings.stored {
        Walk::of_stored(&place)?
    } else {
        Walk::of_visible(&place)?
    };
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
    if (before.min(after)..=before.max(after)).contains(&walk.met()) {
        return Ok(count);
    }
    Err(Fault::Incomplete(format!(
        "{count} records were written, and the server counted {before} before and {after} afterwards: its records \
         changed meanwhile, or somebody else used its iterator"
    )))
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
                match files::replace(path) {
                    Ok(file) => Ok(Self {
                        name,
                        writer: Box::new(BufWriter::with_capacity(1 << 16, file)),
                    }),
                    Err(error) => Err(Fault::Unusable {
                        file: name,
                        error,
                        allowed: "a path where a file of lines is or may be made, or - for standard output",
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
