//! Where handles come from and where their numbers are read: one recorder, and our histograms.

use std::sync::Arc;

use ::metrics::{Counter, Gauge, Histogram, Key, Label as Pair, Level, Metadata, Recorder, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use metrics_process::Collector;

use super::Row;
use super::counter::{Allotment, Cells};
use super::histogram::{Buckets, Snapshot};
use super::render;

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

/// One proxy's recorder. Never installed globally.
pub struct Registry {
    recorder: PrometheusRecorder,
    allotment: Allotment,
    counters: Vec<Counted>,
    histograms: Vec<Measured>,
    process: Collector,
    faults: Arc<[&'static str]>,
}

/// A counter and the row it belongs to.
struct Counted {
    row: &'static Row,
    labels: Vec<Pair>,
    cells: Arc<Cells>,
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
            allotment: Allotment::default(),
            counters: Vec::new(),
            histograms: Vec::new(),
            process,
            faults: faults.into(),
        }
    }

    pub fn faults(&self) -> Arc<[&'static str]> {
        Arc::clone(&self.faults)
    }

    /// Our own cells: workers would share those of the recorder, and wait for each other at every request.
    pub fn counter(&mut self, row: &'static Row, labels: Vec<Pair>) -> Counter {
        let cells = self.allotment.next();
        let handle = Counter::from_arc(Arc::clone(&cells));
        self.counters.push(Counted { row, labels, cells });
        handle
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
        for Counted { row, labels, cells } in &self.counters {
            if row.name != named {
                render::head(&mut text, row);
                named = row.name;
            }
            render::counter(&mut text, row, labels, cells.sum());
        }
        for Measured { row, labels, buckets } in &self.histograms {
            if row.name != named {
                render::head(&mut text, row);
                named = row.name;
            }
            render::histogram(&mut text, row, labels, &buckets.snapshot());
        }
        text
    }

    /// One line for each series that is not 0, without heads; of histograms their counts and sums.
    pub fn render_moved(&self) -> String {
        let mut text = self.recorder.handle().render();
        for Counted { row, labels, cells } in &self.counters {
            match cells.sum() {
                0 => {}
                count => render::counter(&mut text, row, labels, count),
            }
        }
        for Measured { row, labels, buckets } in &self.histograms {
            let snapshot = buckets.snapshot();
            if snapshot.counts.iter().any(|count| *count > 0) {
                render::totals(&mut text, row, labels, &snapshot);
            }
        }
        text
    }

    /// The sum of a row's counters that have all these label values.
    pub fn count(&self, name: &str, labels: &[&str]) -> u64 {
        let of_these = |counted: &&Counted| counted.row.name == name && has(&counted.labels, labels);
        let counted = self.counters.iter().filter(of_these);
        counted.map(|counted| counted.cells.sum()).sum()
    }

    /// The sum of all histograms of a row.
    pub fn measured(&self, name: &str) -> Snapshot {
        let mut sum = Snapshot::default();
        for measured in self.histograms.iter().filter(|measured| measured.row.name == name) {
            sum.add(&measured.buckets.snapshot());
        }
        sum
    }
}

fn has(labels: &[Pair], values: &[&str]) -> bool {
    values
        .iter()
        .all(|value| labels.iter().any(|label| label.value() == *value))
}
