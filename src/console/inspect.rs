//! `ttguard inspect`: one key, as a running ttguard sees it.

use std::fmt::Write;

use bytes::BytesMut;

use super::page::{self, Unasked};
use crate::admin::key::{KeyReport, LedgerReport, PATH, StampReport, ValueReport};
use crate::config::InspectSettings;
use crate::protocol::http::escape;

/// Asks for the key; gives what is to be printed.
///
/// # Errors
/// No admin listener there, one that asks for a token, or a backend that does not answer it.
pub fn run(settings: &InspectSettings) -> Result<String, Unasked> {
    let mut path = BytesMut::from(PATH);
    path.extend_from_slice(b"?key=");
    escape::encode(&settings.key, &mut path);
    let path = String::from_utf8_lossy(&path);
    let body = page::get(&settings.admin, &path)?;
    let report = serde_json::from_str(&body).map_err(|error| Unasked::new(&settings.admin.address, error))?;
    Ok(if settings.json {
        format!("{body}\n")
    } else {
        in_words(&report)
    })
}

fn in_words(report: &KeyReport) -> String {
    let ledger = match &report.ledger {
        LedgerReport::Absent => {
            "no entry: a write above the horizon is stored, below it the key is read first".to_owned()
        }
        LedgerReport::Stamp { stamp: None } => "nothing is stored".to_owned(),
        LedgerReport::Stamp { stamp: Some(known) } => stamp(known),
        LedgerReport::Unknown => "in doubt: the key is read back before its next write".to_owned(),
    };
    let under_way = match &report.under_way {
        None => "nothing".to_owned(),
        Some(it) => format!(
            "{}, {} writes in flight, {} requests waiting",
            it.state, it.writes, it.waiting
        ),
    };
    let horizon = report.horizon.as_ref().map_or_else(|| "none".to_owned(), stamp);
    let record = match &report.record {
        Some(_) if report.tombstone => format!("a tombstone, {}", value(report.record.as_ref())),
        other => value(other.as_ref()),
    };
    let (own, record) = match &report.backend_error {
        None => (value(report.value.as_ref()), record),
        Some(why) => (format!("not known: {why}"), "not known".to_owned()),
    };
    let mut text = String::new();
    for (name, what) in [
        ("value", own),
        ("timestamp.", record),
        ("ledger", ledger),
        ("horizon", horizon),
        ("under way", under_way),
        ("write now", format!("{} (mode {})", report.write_now, report.mode)),
    ] {
        // A string takes everything.
        let _ = writeln!(text, "{name:10}  {what}");
    }
    text
}

fn value(value: Option<&ValueReport>) -> String {
    match value {
        None => "none".to_owned(),
        Some(ValueReport { bytes, stamp: None }) => format!("{bytes} bytes, no stamp"),
        Some(ValueReport {
            bytes,
            stamp: Some(its),
        }) => format!("{bytes} bytes, stamp {}", stamp(its)),
    }
}

fn stamp(stamp: &StampReport) -> String {
    match stamp.age_seconds {
        Some(age) if age >= 0.0 => format!("{} ({age:.3} s ago)", stamp.digits),
        Some(age) => format!("{} ({:.3} s ahead of the clock)", stamp.digits, -age),
        None => stamp.digits.clone(),
    }
}
