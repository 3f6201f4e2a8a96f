//! Where log lines go.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tracing_subscriber::fmt::MakeWriter;

use super::Error;
use crate::files;

/// Standard error, or a file that can be opened again under the same name.
#[derive(Clone, Debug)]
pub(super) struct Output(Arc<Option<LogFile>>);

#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    file: Mutex<File>,
}

impl Output {
    pub(super) fn open(path: Option<PathBuf>) -> Result<Self, Error> {
        let open = |path: PathBuf| {
            let file = Mutex::new(append_to(&path)?);
            Ok::<_, Error>(LogFile { path, file })
        };
        Ok(Self(Arc::new(path.map(open).transpose()?)))
    }

    /// Whatever is written from now on goes to the file that has its name now.
    pub(super) fn reopen(&self) -> Result<(), Error> {
        if let Some(log) = &*self.0 {
            let file = append_to(&log.path)?;
            *log.file.lock() = file;
        }
        Ok(())
    }
}

fn append_to(path: &Path) -> Result<File, Error> {
    files::append(path).map_err(|problem| Error::File {
        file: path.display().to_string(),
        problem,
    })
}

impl<'a> MakeWriter<'a> for Output {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Output {
    /// A line comes in one piece, so that lines of several threads never mix.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &*self.0 {
            Some(log) => log.file.lock().write(bytes),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_moved_away_is_opened_again_under_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, moved) = (folder.path().join("log"), folder.path().join("log.1"));
        let mut output = Output::open(Some(path.clone())).expect("a log");
        output.write_all(b"one\n").expect("written");
        std::fs::rename(&path, &moved).expect("moved");
        output.write_all(b"two\n").expect("written");
        output.reopen().expect("opened again");
        output.write_all(b"three\n").expect("written");
        assert_eq!(std::fs::read_to_string(&moved).expect("moved"), "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(&path).expect("new"), "three\n");
    }
}
