//! The life of the process: it starts, says so, listens to signals, and ends in order.
//!
//! | signal | what |
//! | --- | --- |
//! | SIGTERM, SIGINT | drain; the second one ends the process at once |
//! | SIGHUP | read the settings again |
//! | SIGUSR1 | open the log's file again |
//!
//! Where systemd started the process it is told of all that, and its watchdog is fed for as long as every worker shows
//! signs of life.
//!
//! # Handing over to another process
//!
//! Two guards that write to one backend know nothing of each other: the one would let in what is stale by what the
//! other has just stored. So only one of them writes at any time: the one that holds the lock of the
//! [pid file](pid_file). With `takeover` the new process connects to the backend, listens beside the old one, tells it
//! to drain, and serves reads meanwhile; its guarded writes are held until the old one has answered what it was asked,
//! has fenced its lanes and has let go of the lock. Then the horizon is set anew, since the old one may have let in
//! stamps until that moment, and every key is read back before its first write is judged by it. What changes all records
//! at once is not held. Where the old one was
//! killed, or did not see its lanes end, writes are held for `start_hold` more. One that does not end in the time that an
//! orderly end may take, since it is stopped (SIGSTOP) or stuck, still has clients in its queue: the new one then says so,
//! is not ready any more, and kills it where `takeover_kill` allows.

mod exit;
mod notify;
pub mod pid_file;
mod predecessor;
mod signals;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

pub use self::exit::Exit;
use self::pid_file::{Claim, Heir, PidFile, PidFileError};
use self::predecessor::Predecessor;
use crate::admin;
use crate::config::{BackendUrl, Settings, UsageError};
use crate::front::control::{Control, ReadSettings, Standing};
use crate::front::server::{self, Departure, Ending, Inheritance, Server, StartError};
use crate::logging;

/// So many times `connect_timeout` a process that takes over waits for the backend before it leaves everything as it was.
const CONNECT_TRIES: u32 = 10;

/// Serves until a signal says otherwise. `read` reads the settings again, as they were read at the start.
pub fn serve(settings: Settings, read: ReadSettings) -> ExitCode {
    match try_serve(settings, read) {
        Ok(Ending::AtOnce) => Exit::AtOnce.into(),
        Ok(Ending::InOrder(Departure { drained: true, .. })) => Exit::Drained.into(),
        Ok(Ending::InOrder(_)) => Exit::Cut.into(),
        Err(error) => {
            // Nobody may read it.
            let _ = writeln!(io::stderr(), "ttguard: {error}");
            error.exit().into()
        }
    }
}

/// Why the process does not serve.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error(transparent)]
    Log(#[from] logging::Error),
    #[error(transparent)]
    PidFile(#[from] PidFileError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("the backend cannot be reached: the process that runs goes on")]
    Unreachable,
    #[error(
        "backend: {0} writes to {1} already; allowed: one ttguard at a time, so end that one, or wait for its turn with \
         standby = true"
    )]
    Claimed(String, BackendUrl),
    #[error("claim: {1} cannot keep one: {0}; allowed: claim = false, where no other ttguard writes to it")]
    Unkeepable(&'static str, BackendUrl),
    #[error("the claim of the store was lost to {0}")]
    Deposed(String),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl ServeError {
    /// What an operator has to mend is told from what went wrong by itself.
    fn exit(&self) -> Exit {
        match self {
            Self::Start(StartError::Io(_)) | Self::Io(_) | Self::Unreachable | Self::Deposed(_) => Exit::Failed,
            Self::PidFile(error) if !error.is_mistake() => Exit::Failed,
            _ => Exit::Usage,
        }
    }
}

fn try_serve(settings: Settings, read: ReadSettings) -> Result<Ending, ServeError> {
    begin_log(&settings)?;
    let guard = settings.guard_in_words();
    let connect_patience = settings.pairing.connect_timeout * CONNECT_TRIES;
    let terms = ClaimTerms::of(&settings);
    let (pid_file, heir) = claim(&settings)?;
    let overdue = Overdue::of(&settings);
    // As soon as may be: later the number may be another process's.
    let predecessor = heir
        .as_ref()
        .map(|heir| Predecessor::open(heir.predecessor(), &overdue.pid_file));
    let mut server = Server::begin(
        settings,
        Inheritance {
            sockets: ttguard_descriptors::handed_over()?,
            admin_token: std::env::var(admin::access::VARIABLE).ok(),
            has_predecessor: heir.is_some(),
            resolver: None,
        },
    )?;
    let control = server.control();
    control.read_settings_by(read);
    control.tell_reloads(notify::reload);
    if heir.is_some() {
        wait_for_backend(&control, connect_patience)?;
    } else {
        terms.refuse(control.claim_within(terms.patience))?;
    }
    server.listen()?;
    let ready_line = ready_line(&server, &guard);
    let pid_file = Arc::new(Mutex::new(pid_file));
    let succeed = {
        let (control, pid_file) = (Arc::clone(&control), Arc::clone(&pid_file));
        move || match (heir, predecessor) {
            (Some(heir), Some(predecessor)) => {
                let (tell, ended) = mpsc::channel();
                overdue.watch(predecessor, Arc::clone(&control), ended);
                succeed(heir, control, pid_file, tell)
            }
            _ => Ok(()),
        }
    };
    let control_at_end = Arc::clone(&control);
    let signals = signals::attend(control, move || {
        print(&ready_line);
        notify::ready();
        if let Err(error) = succeed() {
            tracing::error!(%error, "the process that runs cannot be told to stop: guarded writes are held until it ends");
        }
    });
    let ending = server.run(signals)?;
    terms.refuse(control_at_end.claim())?;
    if let (Some(file), Ending::InOrder(Departure { fenced: true, .. })) = (pid_file.lock().take(), ending) {
        file.leave_in_order();
    }
    Ok(ending)
}

/// On what terms the process goes on with the claim of its store.
struct ClaimTerms {
    backend: BackendUrl,
    /// It waits for its turn.
    is_standby: bool,
    /// How long it may take to know how things stand.
    patience: Duration,
}

impl ClaimTerms {
    fn of(settings: &Settings) -> Self {
        Self {
            backend: settings.backend.clone(),
            is_standby: settings.standby,
            patience: settings.claim_timeout + settings.pairing.connect_timeout,
        }
    }

    /// Says why the process is not to write to the store, where it does not wait for its turn.
    fn refuse(&self, standing: Standing) -> Result<(), ServeError> {
        let backend = self.backend.clone();
        match standing {
            _ if self.is_standby => Ok(()),
            Standing::Waiting {
                holder, is_alive: true, ..
            } => Err(ServeError::Claimed(holder, backend)),
            Standing::Deposed { by } => Err(ServeError::Deposed(by)),
            Standing::Unkeepable(why) => Err(ServeError::Unkeepable(why, backend)),
            _ => Ok(()),
        }
    }
}

fn begin_log(settings: &Settings) -> Result<(), logging::Error> {
    let format = match settings.log.format {
        crate::config::LogFormat::Text => logging::Format::Text,
        crate::config::LogFormat::Json => logging::Format::Json,
    };
    logging::init(format, settings.log.level.name(), settings.log.file.clone())
}

/// The pid file, where there is one: ours, or another process's that is to be taken over.
fn claim(settings: &Settings) -> Result<(Option<PidFile>, Option<Heir>), PidFileError> {
    let claim = settings
        .pid_file
        .as_deref()
        .map(|path| PidFile::claim(path, settings.takeover));
    Ok(match claim.transpose()? {
        None => (None, None),
        Some(Claim::Ours(file)) => (Some(file), None),
        Some(Claim::Theirs(heir)) => (None, Some(heir)),
    })
}

/// Lines for people and scripts go to standard output. A reader that has seen enough is no failure.
fn print(text: &str) {
    let mut out = std::io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// The line that says that clients can come.
fn ready_line(server: &Server, guard: &str) -> String {
    let listen: Vec<_> = server.listen.iter().map(ToString::to_string).collect();
    let admin = server
        .admin_address
        .map_or_else(|| "off".to_owned(), |address| format!("http://{address}"));
    let backend = &server.backend;
    format!(
        "ttguard: listening on {}, backend {backend}, admin {admin}, {guard}\n",
        listen.join(", ")
    )
}

/// Nobody is told to stop before this process could do its work.
fn wait_for_backend(control: &Control, patience: Duration) -> Result<(), ServeError> {
    let deadline = Instant::now() + patience;
    while !control.is_connected() {
        if Instant::now() >= deadline {
            return Err(ServeError::Unreachable);
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// What happens when the process before does not end.
struct Overdue {
    pid_file: PathBuf,
    patience: Duration,
    may_kill: bool,
}

impl Overdue {
    fn of(settings: &Settings) -> Self {
        Self {
            pid_file: settings.pid_file.clone().unwrap_or_default(),
            patience: server::end_patience(settings),
            may_kill: settings.takeover_kill,
        }
    }

    /// Looks, on a thread of its own, that the process before ends in time. Its end drops the other end of `ended`.
    fn watch(self, predecessor: std::io::Result<Predecessor>, control: Arc<Control>, ended: mpsc::Receiver<()>) {
        let watched = predecessor.and_then(|predecessor| {
            let watching = move || predecessor::watch(&predecessor, &control, &ended, self.patience, self.may_kill);
            thread::Builder::new().name("predecessor".to_owned()).spawn(watching)
        });
        if let Err(error) = watched {
            tracing::warn!(%error, "the process before cannot be watched");
        }
    }
}

/// Tells the process that runs to drain, and takes its place once it has ended. Then `tell` is dropped.
fn succeed(
    heir: Heir,
    control: Arc<Control>,
    pid_file: Arc<Mutex<Option<PidFile>>>,
    tell: mpsc::Sender<()>,
) -> std::io::Result<()> {
    let predecessor = heir.predecessor();
    heir.dismiss()?;
    tracing::info!(
        predecessor,
        "taking over: guarded writes are held until the process before has ended"
    );
    thread::Builder::new()
        .name("heir".to_owned())
        .spawn(move || match heir.inherit() {
            Ok((file, in_order)) => {
                drop(tell);
                *pid_file.lock() = Some(file);
                control.predecessor_gone(in_order);
                tracing::info!(predecessor, in_order, "the process before has ended");
            }
            Err(error) => {
                // Nobody will say that it has ended: that it is overdue is right from then on.
                let _ = tell.send(());
                control.predecessor_overdue("the pid file cannot be taken over".to_owned());
                tracing::error!(%error, "the pid file cannot be taken over: guarded writes are held");
            }
        })?;
    Ok(())
}
