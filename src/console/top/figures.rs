//! What a running ttguard says of itself at one moment.

use serde::de::DeserializeOwned;

use super::super::page::{self, Unasked};
use crate::admin::api::{Backend, Status};
use crate::config::AdminSettings;
use crate::recent::{clients, history, refusals};

/// The documents behind the dashboard.
#[derive(Debug)]
pub struct Figures {
    /// What is so now, and what has been counted.
    pub status: Status,
    /// The stores.
    pub backends: Vec<Backend>,
    /// The last refusals, newest first.
    pub refusals: Vec<refusals::Shown>,
    /// The clients that are refused most often, those first.
    pub clients: Vec<clients::Shown>,
    /// The last minutes.
    pub recent: history::Shown,
}

impl Figures {
    /// Asks for all of them, one after the other: the listener serves a few connections at a time.
    pub fn fetch(admin: &AdminSettings) -> Result<Self, Unasked> {
        Ok(Self {
            status: document(admin, "/api/status")?,
            backends: document(admin, "/api/backends")?,
            refusals: document(admin, "/api/refusals")?,
            clients: document(admin, "/api/clients")?,
            recent: document(admin, "/api/history/recent")?,
        })
    }

    /// The last of a figure's samples; nothing where there is none, or nothing was measured.
    pub fn last(&self, name: &str) -> Option<f64> {
        self.samples(name).next().flatten()
    }

    /// How often in a second, within each sample, newest first.
    pub fn rates(&self, name: &str) -> impl Iterator<Item = f64> {
        let lengths = self.samples("seconds").map(Option::unwrap_or_default);
        let counts = self.samples(name).map(Option::unwrap_or_default);
        counts.zip(lengths).map(|(count, length)| match length > 0.0 {
            true => count / length,
            false => 0.0,
        })
    }

    /// A figure's samples, newest first.
    fn samples(&self, name: &str) -> impl Iterator<Item = Option<f64>> {
        let column = self.recent.columns.get(name).and_then(|column| column.as_array());
        column.into_iter().flatten().rev().map(|value| value.as_f64())
    }
}

fn document<T: DeserializeOwned>(admin: &AdminSettings, path: &str) -> Result<T, Unasked> {
    let body = page::get(admin, path)?;
    serde_json::from_str(&body).map_err(|error| Unasked::new(&admin.address, format_args!("{path}: {error}")))
}
