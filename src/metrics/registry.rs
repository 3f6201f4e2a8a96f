//! Where handles come from and where their numbers are read: one recorder, and our histograms.

use std::sync::Arc;

use ::metrics::{Counter, Gauge, Histogram, Key, Label as Pair, Level, Metadata, Recorder, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use metrics_process::Collector;

use super::Row;
use super::histogram::Buckets;
use super::render;

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

/// One proxy's recorder. Never installed globally.
pub struct Registry {
    recorder: PrometheusRecorder,
    histograms: Vec<Measured>,
    process: Collector,
    faults: Arc<[&'static str]>,
}

/// A histogram and the row it belongs to.
struct Measured {
    row: &'static Row,
    labels: Vec<Pair>,
    buckets: Arc<Buckets>,
}

impl Registry {
    /// An empty one; `faults` are the label values of rows that list faults.
    pub fn new(faults: &[&'static str]) -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        // No prefix: `process_*` are names that every dashboard knows.
        let process = Collector::default();
        with_local_recorder(&recorder, || process.describe());
        Self {
            recorder,
            histograms: Vec::new(),
            process,
            faults: faults.into(),
        }
    }

    pub fn faults(&self) -> Arc<[&'static str]> {
        Arc::clone(&self.faults)
    }

    pub fn counter(&mut self, row: &'static Row, labels: Vec<Pair>) -> Counter {
        self.recorder
            .describe_counter(row.name.into(), Some(row.unit), row.help.into());
        self.recorder
            .register_counter(&Key::from_parts(row.name, labels), &METADATA)
    }

    pub fn gauge(&mut self, row: &'static Row, labels: Vec<Pair>) -> Gauge {
        self.recorder
            .describe_gauge(row.name.into(), Some(row.unit), row.help.into());
        self.recorder
            .register_gauge(&Key::from_parts(row.name, labels), &METADATA)
    }

    /// Our own buckets: the recorder's histograms keep every sample until they are rendered.
    pub fn histogram(&mut self, row: &'static Row, labels: Vec<Pair>) -> Histogram {
        let buckets = Arc::new(Buckets::new(row.buckets));
        let handle = Histogram::from_arc(Arc::clone(&buckets));
        self.histograms.push(Measured { row, labels, buckets });
        handle
    }

    pub fn render(&self) -> String {
        with_local_recorder(&self.recorder, || self.process.collect());
        let mut text = render::ordered(&self.recorder.handle().render());
        let mut named = "";
        for Measured { row, labels, buckets } in &self.histograms {
            if row.name != named {
                render::head(&mut text, row);
                named = row.name;
            }
            render::histogram(&mut text, row, labels, &buckets.snapshot());
        }
        text
    }
}
