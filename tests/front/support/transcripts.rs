//! Reads the recorded exchanges with the real server (`tests/data/transcripts/README.md` says what they are).

use std::path::Path;

use serde::{Deserialize, Deserializer};

/// One scenario, played on a server that had just been started.
#[derive(Debug, Deserialize)]
pub struct Exchange {
    /// The server that was recorded.
    pub server: String,
    /// What it was started on.
    pub db: String,
    /// What the steps are about.
    pub scenario: String,
    /// In the order in which they were played, on one connection.
    pub steps: Vec<Step>,
}

/// Bytes sent, and the bytes that came back.
#[derive(Debug, Deserialize)]
pub struct Step {
    /// What it is.
    #[serde(rename = "do")]
    pub doing: String,
    /// One or more requests.
    #[serde(deserialize_with = "hex")]
    pub send: Vec<u8>,
    /// All that came back for them.
    #[serde(deserialize_with = "hex")]
    pub recv: Vec<u8>,
    /// Whether the server closed the connection after these bytes.
    #[serde(default)]
    pub closed: bool,
    /// Whether this step began on a new connection.
    #[serde(default)]
    pub reconnect: bool,
    /// How another answer is held against `recv`; byte by byte where nothing is said.
    pub compare: Option<Compare>,
}

/// In what an answer may differ from the recorded one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compare {
    /// The keys come in any order.
    Set,
    /// One of the keys that are left, whichever.
    SetMember,
    /// Numbers and times differ; the shape and the names hold.
    Volatile,
}

/// The exchanges of a recorded file.
pub fn load(file: &str) -> Vec<Exchange> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/transcripts")
        .join(file);
    let lines = std::fs::read_to_string(&path).expect("a recorded file");
    let exchange = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    lines.lines().map(exchange).collect()
}

fn hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let digits = String::deserialize(deserializer)?;
    let byte = |at| {
        digits
            .get(at..at + 2)
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
    };
    let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
    bytes.ok_or_else(|| serde::de::Error::custom("not hexadecimal"))
}

#[test]
fn every_scenario_is_read_with_all_that_it_says() {
    let exchanges: Vec<Exchange> = ["binary.jsonl", "table.jsonl", "malformed.jsonl"]
        .into_iter()
        .flat_map(load)
        .collect();
    assert!(exchanges.iter().all(|exchange| exchange.server == "ttserver 1.1.41"));
    for db in ["*", "+", "c.tch", "c.tcb", "c.tct"] {
        assert!(exchanges.iter().any(|exchange| exchange.db == db), "{db}");
    }
    let steps: Vec<&Step> = exchanges.iter().flat_map(|exchange| &exchange.steps).collect();
    for compare in [Compare::Set, Compare::SetMember, Compare::Volatile] {
        assert!(steps.iter().any(|step| step.compare == Some(compare)), "{compare:?}");
    }
    assert!(steps.iter().all(|step| !(step.reconnect && step.send.is_empty())));
    assert!(steps.iter().any(|step| step.closed));
}
