//! Logs to standard error or to a file, as text or as JSON, and a limit on how often one line is written.

mod filter;
mod output;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::Subscriber;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layered, SubscriberExt};
use tracing_subscriber::util::TryInitError;
use tracing_subscriber::{Layer, Registry, reload};

use self::output::Output;
use crate::files::Problem;

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people; in colour on a terminal.
    #[default]
    Text,
    /// One JSON object a line, its fields at the top level.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The level is not one.
    #[error("log level: {0:?} is none; allowed: {allowed}", allowed = filter::ALLOWED)]
    Level(String),
    /// The file cannot be opened.
    #[error(
        "log.file: cannot write to {file}: {problem}; allowed: an ordinary file that can be written, \"\" for standard error"
    )]
    File {
        /// Its name.
        file: String,
        /// What is wrong with it.
        problem: Problem,
    },
    /// Logging was set up before.
    #[error(transparent)]
    Twice(#[from] TryInitError),
}

/// What [`init`] has set up.
struct Logs {
    set_level: SetLevel,
    output: Output,
}

type SetLevel = Box<dyn Fn(Targets) -> bool + Send + Sync>;

static LOGS: OnceLock<Logs> = OnceLock::new();

/// Sends the logs of this process to standard error, or to a file that is created where there is none. To be called
/// once, by the binary.
///
/// `level` is `error`, `warn`, `info`, `debug`, `trace` or `off`, or finer, as in
/// `info,ttguard::backend=debug`.
pub fn init(format: Format, level: &str, file: Option<PathBuf>) -> Result<(), Error> {
    use tracing_subscriber::util::SubscriberInitExt;
    let colour = file.is_none() && std::io::stderr().is_terminal();
    let output = Output::open(file)?;
    let (subscriber, set_level) = subscriber(format, level, colour, output.clone())?;
    subscriber.try_init()?;
    let _ = LOGS.set(Logs { set_level, output });
    Ok(())
}

/// What [`set_level`] takes.
pub const LEVELS_ALLOWED: &str = filter::ALLOWED;

/// Changes how much is logged, from now on; false where `level` is none, or where [`init`] was not called.
pub fn set_level(level: &str) -> bool {
    match (LOGS.get(), filter::parse(level)) {
        (Some(logs), Some(filter)) => (logs.set_level)(filter),
        _ => false,
    }
}

/// Opens the log's file again, which may have been moved away; without a file nothing happens. When it cannot be
/// opened, the log goes on where it was.
pub fn reopen() {
    match LOGS.get().map(|logs| logs.output.reopen()) {
        Some(Err(error)) => tracing::error!(%error, "the log goes on in its old file"),
        Some(Ok(())) => tracing::info!("the log was opened again"),
        None => {}
    }
}

type Subscribing = (Box<dyn Subscriber + Send + Sync>, SetLevel);

/// What filters comes first, and has no say but by level and module: what is not written costs nothing.
type Filtering = Layered<reload::Layer<Targets, Registry>, Registry>;

fn subscriber<W>(format: Format, level: &str, colour: bool, writer: W) -> Result<Subscribing, Error>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let targets = filter::parse(level).ok_or_else(|| Error::Level(level.to_owned()))?;
    let (targets, handle) = reload::Layer::new(targets);
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colour);
    let lines: Box<dyn Layer<Filtering> + Send + Sync> = match format {
        Format::Text => lines.boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    Ok((
        Box::new(Registry::default().with(targets).with(lines)),
        Box::new(move |filter| handle.reload(filter).is_ok()),
    ))
}

/// At most one line an interval from one place in the code.
///
/// ```
/// use std::time::{Duration, Instant};
/// use ttguard::logging::RateLimit;
///
/// static REFUSED: RateLimit = RateLimit::new(Duration::from_secs(1));
/// if let Some(suppressed) = REFUSED.admit(Instant::now()) {
///     tracing::warn!(suppressed, "refused a stale write");
/// }
/// ```
pub struct RateLimit {
    interval: Duration,
    window: Mutex<Window>,
}

struct Window {
    /// When the next line may be written; `None` before the first.
    ends: Option<Instant>,
    suppressed: u64,
}

impl RateLimit {
    /// A limit of one line an `interval`; fit for a `static`.
    pub const fn new(interval: Duration) -> Self {
        Self {
            interval,
            window: Mutex::new(Window {
                ends: None,
                suppressed: 0,
            }),
        }
    }

    /// Whether a line may be written now: if so, how many were suppressed since the last one.
    pub fn admit(&self, now: Instant) -> Option<u64> {
        let mut window = self.window.lock();
        if window.ends.is_some_and(|ends| now < ends) {
            window.suppressed += 1;
            return None;
        }
        window.ends = Some(now + self.interval);
        Some(std::mem::take(&mut window.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, level: &str) -> String {
        let written = Written::default();
        let writer = written.clone();
        let (subscriber, _) = subscriber(format, level, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(lane = 3, "connected");
            tracing::debug!("too fine");
        });
        let bytes = written.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn text_is_one_line_for_people() {
        let text = logged(Format::Text, "info");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("INFO") && text.contains("connected lane=3"), "{text}");
    }

    #[test]
    fn json_is_one_object_a_line() {
        let line: serde_json::Value = serde_json::from_str(&logged(Format::Json, "info")).unwrap();
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["message"], "connected");
        assert_eq!(line["lane"], 3);
    }

    #[test]
    fn the_level_may_name_a_module() {
        assert_eq!(logged(Format::Text, "warn"), "");
        assert_eq!(logged(Format::Text, "off"), "");
        assert_eq!(logged(Format::Text, "warn,ttguard::logging=debug").lines().count(), 2);
    }

    #[test]
    fn the_level_can_change_while_it_runs() {
        let written = Written::default();
        let writer = written.clone();
        let (subscriber, set_level) = subscriber(Format::Json, "warn", false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("before");
            assert!(set_level(filter::parse("info").unwrap()));
            tracing::info!("after");
        });
        let text = String::from_utf8(written.0.lock().clone()).unwrap();
        assert!(text.contains("after") && !text.contains("before"), "{text}");
    }

    #[test]
    fn a_level_that_is_none_is_refused() {
        for level in ["info=loud", "warn,debgu", "[{k=x*}]=info"] {
            let error = subscriber(Format::Text, level, false, io::sink)
                .err()
                .unwrap()
                .to_string();
            assert!(
                error.starts_with(&format!("log level: {level:?} is none; allowed: ")),
                "{error}"
            );
        }
    }

    #[test]
    fn one_line_an_interval_with_how_many_were_suppressed() {
        let limit = RateLimit::new(Duration::from_secs(1));
        let start = Instant::now();
        let at = |ms| limit.admit(start + Duration::from_millis(ms));
        assert_eq!(at(0), Some(0));
        assert_eq!(at(1), None);
        assert_eq!(at(999), None);
        assert_eq!(at(1000), Some(2));
        assert_eq!(at(1500), None);
        assert_eq!(at(5000), Some(1));
        assert_eq!(at(6000), Some(0));
    }

    #[test]
    fn time_that_steps_back_suppresses_and_does_not_panic() {
        let limit = RateLimit::new(Duration::from_secs(1));
        let start = Instant::now();
        assert_eq!(limit.admit(start + Duration::from_secs(9)), Some(0));
        assert_eq!(limit.admit(start), None);
    }
}
