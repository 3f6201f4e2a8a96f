//! Every path that this program opens, makes, replaces or removes: what lies there is looked at first.
//!
//! A path can lead to what nobody meant. A FIFO holds up whoever opens it, a link makes another file of it, a second
//! name (a hard link) another owner's; a file that all may write to says what anyone likes. So each use of a path goes
//! through one of these functions, and each says in words what is wrong:
//!
//! | what is there | [`read`] | [`hold`] | [`append`], [`replace`] | [`create`] | [`clear_socket`] |
//! | --- | --- | --- | --- | --- | --- |
//! | nothing | refused | made | made | made, 0600 | fine |
//! | an ordinary file | read | opened | opened, but for a database | refused | refused |
//! | one that all may write to | refused | refused | as any other | refused | refused |
//! | one that has a second name | read | refused | refused | refused | refused |
//! | a link | followed | refused | refused | refused | refused |
//! | a socket | refused | refused | refused | refused | removed where nobody listens |
//! | a folder, a FIFO, a device | refused | refused | refused | refused | refused |
//!
//! What is read may lie behind a link, since that is how orchestrators hand files over. The folders on the way are the
//! operator's: who may write to them may put anything there. [`open_stream`] is for a file that somebody names at a shell,
//! and takes a FIFO too.

use std::fmt;
use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// What there can be at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An ordinary file.
    File,
    /// A directory.
    Folder,
    /// A symbolic link, whatever it leads to.
    Link,
    /// A pipe with a name.
    Fifo,
    /// A Unix socket.
    Socket,
    /// A device.
    Device,
}

impl Kind {
    fn of(kind: FileType) -> Self {
        if kind.is_file() {
            Self::File
        } else if kind.is_dir() {
            Self::Folder
        } else if kind.is_symlink() {
            Self::Link
        } else if kind.is_fifo() {
            Self::Fifo
        } else if kind.is_socket() {
            Self::Socket
        } else {
            Self::Device
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "an ordinary file",
            Self::Folder => "a folder",
            Self::Link => "a symbolic link",
            Self::Fifo => "a FIFO",
            Self::Socket => "a socket",
            Self::Device => "a device",
        })
    }
}

/// Why a path cannot be used; reads on behind its name.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// Something else lies there.
    #[error("is {0}")]
    Is(Kind),
    /// The file has a second name, by which it is something else's.
    #[error("has a second name (a hard link)")]
    Shared,
    /// What it says is anybody's word.
    #[error("can be written to by all (chmod o-w)")]
    Writable,
    /// It holds more bytes than what is expected there can have.
    #[error("has more than {0} bytes")]
    TooLarge(u64),
    /// It is a store of ours or of another program.
    #[error("holds a database")]
    Database,
    /// Somebody listens at it.
    #[error("is a socket that a process listens at")]
    Alive,
    /// The system refuses.
    #[error(transparent)]
    System(#[from] io::Error),
}

impl Problem {
    /// Whether there is nothing at the path.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::System(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

impl From<Problem> for io::Error {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::System(error) => error,
            other => Self::new(io::ErrorKind::InvalidInput, other.to_string()),
        }
    }
}

/// What lies at a path, itself and not what it leads to; nothing where there is nothing.
pub fn look(path: &Path) -> io::Result<Option<(Kind, Metadata)>> {
    match path.symlink_metadata() {
        Ok(found) => Ok(Some((Kind::of(found.file_type()), found))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The whole of a file that an operator wrote, of at most `max` bytes.
///
/// # Errors
/// Where it is no ordinary file, all may write to it, it is larger, or it cannot be read.
pub fn read(path: &Path, max: u64) -> Result<Vec<u8>, Problem> {
    // Before it is opened: that alone does something to a device.
    judge(&std::fs::metadata(path)?, Names::Any, Writers::Few)?;
    let file = open(OpenOptions::new().read(true), path, 0)?;
    judge(&file.metadata()?, Names::Any, Writers::Few)?;
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(Problem::TooLarge(max));
    }
    Ok(bytes)
}

/// The same as text.
///
/// # Errors
/// As [`read`], and where it is no UTF-8.
pub fn read_text(path: &Path, max: u64) -> Result<String, Problem> {
    let text = String::from_utf8(read(path, max)?);
    text.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "is no UTF-8 text").into())
}

/// Opens an ordinary file to read from it, whatever its size; not by a link.
///
/// # Errors
/// Where something else lies there, nothing does, or it cannot be read.
pub fn open_to_read(path: &Path) -> Result<File, Problem> {
    opened(OpenOptions::new().read(true), path, Names::Any, Writers::Any)
}

/// Opens a file that says whose something is (a pid file, a lock), or makes it. Nothing in it is changed.
///
/// # Errors
/// Where something else lies there, it has a second name, all may write to it, or it cannot be opened or made.
pub fn hold(path: &Path) -> Result<File, Problem> {
    hold_as(path, 0o644)
}

/// As [`hold`], but one that is made is for this user alone: whoever can read a file can lock it.
///
/// # Errors
/// As [`hold`].
pub fn hold_alone(path: &Path) -> Result<File, Problem> {
    hold_as(path, 0o600)
}

fn hold_as(path: &Path, mode: u32) -> Result<File, Problem> {
    let mut options = OpenOptions::new();
    opened(
        options.read(true).write(true).create(true).truncate(false).mode(mode),
        path,
        Names::One,
        Writers::Few,
    )
}

/// Opens a file of lines to write behind its end, or makes it.
///
/// # Errors
/// Where something else lies there, it has a second name, it is a database, or it cannot be opened or made.
pub fn append(path: &Path) -> Result<File, Problem> {
    let mut options = OpenOptions::new();
    let mut file = opened(
        options.read(true).create(true).append(true),
        path,
        Names::One,
        Writers::Any,
    )?;
    no_database(&mut file)?;
    Ok(file)
}

/// Opens a file of lines to write it anew, or makes it.
///
/// # Errors
/// As [`append`].
pub fn replace(path: &Path) -> Result<File, Problem> {
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false);
    let mut file = opened(options, path, Names::One, Writers::Any)?;
    no_database(&mut file)?;
    file.set_len(0)?;
    file.rewind()?;
    Ok(file)
}

/// Opens what somebody names at a shell to read it to its end: an ordinary file, or a FIFO, whose other end is waited for.
///
/// # Errors
/// Where something else lies there, nothing does, or it cannot be read.
pub fn open_stream(path: &Path) -> Result<File, Problem> {
    match Kind::of(std::fs::metadata(path)?.file_type()) {
        Kind::File | Kind::Fifo => Ok(File::open(path)?),
        other => Err(Problem::Is(other)),
    }
}

/// What the files of databases begin with that this program or its neighbours have.
const DATABASES: [&[u8]; 2] = [b"SQLite format 3\0", b"ToKyO CaBiNeT\n"];

fn no_database(file: &mut File) -> Result<(), Problem> {
    let mut head = Vec::new();
    Read::by_ref(file).take(16).read_to_end(&mut head)?;
    if DATABASES.iter().any(|database| head.starts_with(database)) {
        return Err(Problem::Database);
    }
    Ok(())
}

/// Makes a file that was not there, for this user alone.
///
/// # Errors
/// Where there is anything, or it cannot be made.
pub fn create(path: &Path) -> Result<File, Problem> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    match open(&options, path, libc::O_NOFOLLOW) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match look(path)? {
            Some((kind, _)) => Err(Problem::Is(kind)),
            None => Err(error.into()),
        },
        other => Ok(other?),
    }
}

/// The folder at a path, by the one name that it has without links.
///
/// # Errors
/// Where there is none, or all may write to it.
pub fn folder(path: &Path) -> Result<PathBuf, Problem> {
    let found = std::fs::metadata(path)?;
    match Kind::of(found.file_type()) {
        Kind::Folder if found.permissions().mode() & 0o002 != 0 => Err(Problem::Writable),
        Kind::Folder => Ok(path.canonicalize()?),
        other => Err(Problem::Is(other)),
    }
}

/// Has nothing but a socket at a path, so that its name can be given to another one. Says whether there is one.
///
/// # Errors
/// Where anything else lies there.
pub fn only_socket(path: &Path) -> Result<bool, Problem> {
    match look(path)? {
        None => Ok(false),
        Some((Kind::Socket, _)) => Ok(true),
        Some((other, _)) => Err(Problem::Is(other)),
    }
}

/// Removes a socket that a process has left behind.
///
/// # Errors
/// Where somebody listens at it, or anything else lies there.
pub fn clear_socket(path: &Path) -> Result<(), Problem> {
    if !only_socket(path)? {
        return Ok(());
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(std::fs::remove_file(path)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // A socket whose queue is full, or of another kind, has a process too.
        _ => Err(Problem::Alive),
    }
}

/// Whether a name leads to the file that was opened.
///
/// # Errors
/// Where the system does not say.
pub fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let opened = file.metadata()?;
    Ok(look(path)?.is_some_and(|(_, named)| (named.dev(), named.ino()) == (opened.dev(), opened.ino())))
}

/// Whether a file may have a second name.
#[derive(Clone, Copy, PartialEq)]
enum Names {
    One,
    Any,
}

/// Whether all may write to a file.
#[derive(Clone, Copy, PartialEq)]
enum Writers {
    Few,
    Any,
}

fn opened(options: &OpenOptions, path: &Path, names: Names, writers: Writers) -> Result<File, Problem> {
    if let Some((_, found)) = look(path)? {
        judge(&found, names, writers)?;
    }
    let file = open(options, path, libc::O_NOFOLLOW)?;
    // It may have changed in between; what was opened cannot.
    judge(&file.metadata()?, names, writers)?;
    Ok(file)
}

fn judge(found: &Metadata, names: Names, writers: Writers) -> Result<(), Problem> {
    match Kind::of(found.file_type()) {
        Kind::File if names == Names::One && found.nlink() > 1 => Err(Problem::Shared),
        Kind::File if writers == Writers::Few && found.permissions().mode() & 0o002 != 0 => Err(Problem::Writable),
        Kind::File => Ok(()),
        other => Err(Problem::Is(other)),
    }
}

/// Neither waits for the other end of a pipe, nor makes a terminal its own.
fn open(options: &OpenOptions, path: &Path, flags: i32) -> io::Result<File> {
    let mut options = options.clone();
    options.custom_flags(flags | libc::O_NONBLOCK | libc::O_NOCTTY);
    options.open(path)
}

/// What tells one state of a file from the next without a look into it; nothing where there is no file.
pub type State = Option<(u64, u64, u64, [i64; 4])>;

/// In which state the file at a path is. What is behind links counts, so that a link that leads elsewhere is a change.
pub fn state(path: &Path) -> State {
    let there = std::fs::metadata(path).ok()?;
    let times = [there.mtime(), there.mtime_nsec(), there.ctime(), there.ctime_nsec()];
    Some((there.dev(), there.ino(), there.len(), times))
}

#[cfg(test)]
mod tests;
