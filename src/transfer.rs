//! `ttguard import` and `ttguard export`: records between any Tyrant server, ttguard or not, and a file of lines, as
//! `tcrmgr importtsv` and `tcrmgr list -pv` have them.
//!
//! Requests are pipelined, and what is held of them is bounded by a few records and the buffers of the connection,
//! however many there are.

mod export;
mod import;
mod tsv;
pub(crate) mod walk;

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::client::blocking::Blocking;
use crate::client::fault::{self, Trouble};
use crate::client::place::Place;
use crate::config::Address;
use crate::files::Problem;
pub use export::run as export;
pub use import::run as import;

/// How long the server may be silent while something is owed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why not everything was moved.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A line, or a record, that the form of the file cannot hold.
    #[error("{place}: {problem}; allowed: {allowed}{so_far}")]
    Form {
        /// The line of the file, or the record of the server.
        place: String,
        /// What is wrong with it.
        problem: String,
        /// What would be right.
        allowed: &'static str,
        /// What has been moved before.
        so_far: String,
    },
    /// The file that was named cannot be opened or made.
    #[error("{file}: {error}; allowed: {allowed}")]
    Unusable {
        /// Its name.
        file: String,
        /// What is wrong with it.
        error: Problem,
        /// What would be right.
        allowed: &'static str,
    },
    /// The file cannot be read or written to its end.
    #[error("{file}: {error}")]
    File {
        /// Its name.
        file: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// The server cannot be reached, or does not answer as it should.
    #[error("{server}: {problem}")]
    Server {
        /// Its address.
        server: String,
        /// What happened.
        problem: String,
    },
    /// The server has refused records; all others are stored.
    #[error("{0}")]
    Refused(String),
    /// What was written may not be all that there is.
    #[error("{0}")]
    Incomplete(String),
}

impl Fault {
    /// Whether it is a mistake in what was given, rather than a failure.
    pub fn is_mistake(&self) -> bool {
        matches!(self, Self::Form { .. } | Self::Unusable { .. })
    }
}

impl From<fault::Fault> for Fault {
    fn from(fault::Fault { server, trouble }: fault::Fault) -> Self {
        let problem = match trouble {
            Trouble::TimedOut => format!("no answer for {} seconds", PATIENCE.as_secs()),
            other => other.to_string(),
        };
        Self::Server { server, problem }
    }
}

/// Where the server is: once for all connections of a run.
pub(crate) fn place_of(server: &Address) -> Result<Place, Fault> {
    let place = Place::of(server, PATIENCE).map_err(|error| fault::Fault {
        server: server.to_string(),
        trouble: Trouble::Connect(error),
    });
    Ok(place?)
}

/// Connects to the server.
pub(crate) fn connect(place: &Place) -> Result<Blocking, Fault> {
    Ok(Blocking::connect(place, PATIENCE)?)
}

/// A bar on a terminal, nothing elsewhere. `total` is in what `template` counts, where it is known.
pub(crate) fn progress(total: Option<u64>, template: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
    let bar = bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A key as it is shown to people: short, and on one line.
pub(crate) fn shown(key: &[u8]) -> String {
    let key = String::from_utf8_lossy(key);
    crate::config::quoted(&key.escape_debug().to_string())
}
