//! Logs to standard error, as text or as JSON, and a limit on how often one line is written.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::TryInitError;

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
    #[error("log level {level:?}: {source}")]
    Level {
        /// What was given.
        level: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// Logging was set up before.
    #[error(transparent)]
    Twice(#[from] TryInitError),
}

/// Sends the logs of this process to standard error. To be called once, by the binary.
///
/// `level` is `error`, `warn`, `info`, `debug`, `trace` or `off`, or finer, as in
/// `info,ttguard::backend=debug`.
pub fn init(format: Format, level: &str) -> Result<(), Error> {
    use tracing_subscriber::util::SubscriberInitExt;
    let colour = std::io::stderr().is_terminal();
    subscriber(format, level, colour, std::io::stderr)?.try_init()?;
    Ok(())
}

fn subscriber<W>(
    format: Format,
    level: &str,
    colour: bool,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, Error>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(level).map_err(|source| Error::Level {
        level: level.to_owned(),
        source,
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(colour);
    Ok(match format {
        Format::Text => Box::new(builder.finish()),
        Format::Json => Box::new(builder.json().flatten_event(true).finish()),
    })
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
        let subscriber = subscriber(format, level, false, move || writer.clone()).unwrap();
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
    fn a_level_that_is_none_is_refused() {
        let error = subscriber(Format::Text, "info=loud", false, io::sink).err().unwrap();
        assert!(error.to_string().starts_with("log level \"info=loud\": "), "{error}");
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
