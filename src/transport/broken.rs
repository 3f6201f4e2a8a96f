//! What broke a stream, kept for both of its halves.
//!
//! Linux tells what broke a connection once, to whoever reads or writes next; reads say end of stream from then on. So
//! an end would pass for the peer's own where there was an error before it, met by either half.

use std::io;
use std::sync::{Arc, OnceLock};

/// The first error of a stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Broken(Arc<OnceLock<Kind>>);

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// The system's own number.
    Os(i32),
    Other(io::ErrorKind),
}

impl Broken {
    /// Passes a result on; where it is an error that ends the stream, it is kept.
    pub(super) fn note<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result
            && !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
        {
            let kind = error.raw_os_error().map_or_else(|| Kind::Other(error.kind()), Kind::Os);
            let _ = self.0.set(kind); // the first one says what happened; later ones follow from it
        }
        result
    }

    /// What is read of the stream: an end that follows an error is that error.
    pub(super) fn judge(&self, read: io::Result<usize>) -> io::Result<usize> {
        match (self.note(read)?, self.error()) {
            (0, Some(error)) => Err(error),
            (count, _) => Ok(count),
        }
    }

    fn error(&self) -> Option<io::Error> {
        Some(match *self.0.get()? {
            Kind::Os(number) => io::Error::from_raw_os_error(number),
            Kind::Other(kind) => kind.into(),
        })
    }
}
