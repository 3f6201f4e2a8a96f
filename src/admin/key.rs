//! `/api/key?key=KEY`: what there is to know of one key.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use hyper::StatusCode;
use serde::{Deserialize, Serialize};

use super::State;
use super::reply::{self, Soon};
use crate::protocol::http::escape;

/// Where it is.
pub const PATH: &str = "/api/key";

/// What was found, or in one line why not, as soon as either is known.
pub type Inquiry = Pin<Box<dyn Future<Output = Result<KeyReport, String>> + Send>>;

/// A stamp.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StampReport {
    /// All its digits: a number of so many would lose some in a browser.
    pub digits: String,
    /// How far behind the clock of ttguard it lies, in seconds; negative where it is ahead; nothing where stamps are no
    /// time.
    pub age_seconds: Option<f64>,
}

/// A stored value. Of its bytes nothing but the stamp is ever shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValueReport {
    /// Its size in bytes.
    pub bytes: usize,
    /// Its stamp, where it has one.
    pub stamp: Option<StampReport>,
}

/// What the ledger knows of the key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "known", rename_all = "snake_case")]
pub enum LedgerReport {
    /// No entry: no stamp above the horizon.
    Absent,
    /// The newest stamp that is confirmed; nothing where the key is known to have none.
    Stamp {
        /// It.
        stamp: Option<StampReport>,
    },
    /// The key is read back before its next verdict.
    Unknown,
}

/// What is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnderWayReport {
    /// `flying` (writes are sent), `reading` (it is being read back), `fencing` (the end of a lost lane is awaited) or
    /// `reserved` (someone is about to be judged).
    pub state: String,
    /// Writes that are sent and not answered.
    pub writes: u32,
    /// Requests that wait for it.
    pub waiting: usize,
}

/// What there is to know of one key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyReport {
    /// Why the backend could not be asked, where it could not: then value, record and tombstone say nothing.
    pub backend_error: Option<String>,
    /// What the backend holds under the key.
    pub value: Option<ValueReport>,
    /// What the backend holds under `timestamp.KEY`.
    pub record: Option<ValueReport>,
    /// Whether that is what a delete left: there is no value.
    pub tombstone: bool,
    /// What the ledger knows.
    pub ledger: LedgerReport,
    /// No key without an entry in the ledger has a stamp above this; nothing where any could.
    pub horizon: Option<StampReport>,
    /// What is under way, if anything.
    pub under_way: Option<UnderWayReport>,
    /// What a write that is stamped now would get: `stored`, `stale`, `tie`, and `unknown` where stamps are no time or
    /// the backend could not be asked. What is under way may change it.
    pub write_now: String,
    /// The mode: in `observe` everything is stored.
    pub mode: String,
}

/// The answer to a request for [`PATH`] with this query.
pub(super) fn respond<'a>(state: &'a State, query: &'a str) -> Soon<'a> {
    Box::pin(async move {
        let given = query.split('&').find_map(|pair| pair.strip_prefix("key="));
        let key = given.and_then(|text| escape::decode(Bytes::copy_from_slice(text.as_bytes())));
        let Some(key) = key else {
            return reply::plain(
                StatusCode::BAD_REQUEST,
                "key: missing, or its escapes are wrong; allowed: ?key=KEY\n",
            );
        };
        match (state.inquire)(key).await {
            Ok(report) => reply::json(&report),
            Err(why) => reply::plain(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        }
    })
}
