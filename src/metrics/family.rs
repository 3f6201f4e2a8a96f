//! The shapes that a row's handles come in: one, one for each value of a label, a grid of two labels, a cube of three.

use std::marker::PhantomData;

use ::metrics::{Counter, Gauge, Histogram, Label as Pair};

use super::Row;
use super::label::Label;
use super::registry::Registry;

/// What Prometheus calls the type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts by size, in fixed buckets.
    Histogram,
}

impl Kind {
    /// The word of the text format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One handle of the `metrics` crate.
pub trait Handle: Sized {
    /// What it is.
    const KIND: Kind;

    /// Makes the handle of this row and these labels.
    #[doc(hidden)]
    fn make(registry: &mut Registry, row: &'static Row, labels: Vec<Pair>) -> Self;
}

impl Handle for Counter {
    const KIND: Kind = Kind::Counter;

    fn make(registry: &mut Registry, row: &'static Row, labels: Vec<Pair>) -> Self {
        registry.counter(row, labels)
    }
}

impl Handle for Gauge {
    const KIND: Kind = Kind::Gauge;

    fn make(registry: &mut Registry, row: &'static Row, labels: Vec<Pair>) -> Self {
        registry.gauge(row, labels)
    }
}

impl Handle for Histogram {
    const KIND: Kind = Kind::Histogram;

    fn make(registry: &mut Registry, row: &'static Row, labels: Vec<Pair>) -> Self {
        registry.histogram(row, labels)
    }
}

/// All handles of one row.
pub trait Family: Sized {
    /// What they are.
    const KIND: Kind;
    /// The names of the labels.
    const LABELS: &'static [&'static str];

    /// Makes them all, at zero.
    #[doc(hidden)]
    fn register(registry: &mut Registry, row: &'static Row) -> Self;
}

impl<H: Handle> Family for H {
    const KIND: Kind = H::KIND;
    const LABELS: &'static [&'static str] = &[];

    fn register(registry: &mut Registry, row: &'static Row) -> Self {
        H::make(registry, row, Vec::new())
    }
}

/// One handle for each value of a label.
pub struct By<H, L> {
    handles: Box<[H]>,
    label: PhantomData<fn(L)>,
}

impl<H, L: Label> By<H, L> {
    /// The handle of this value.
    #[inline]
    pub fn of(&self, value: L) -> &H {
        &self.handles[value.index()]
    }
}

impl<H: Handle, L: Label> Family for By<H, L> {
    const KIND: Kind = H::KIND;
    const LABELS: &'static [&'static str] = &[L::NAME];

    fn register(registry: &mut Registry, row: &'static Row) -> Self {
        let handles = L::ALL.iter().map(|value| H::make(registry, row, vec![pair(*value)]));
        Self {
            handles: handles.collect(),
            label: PhantomData,
        }
    }
}

/// One handle for each pair of values of two labels.
pub struct Grid<H, A, B> {
    handles: Box<[H]>,
    labels: PhantomData<fn(A, B)>,
}

impl<H, A: Label, B: Label> Grid<H, A, B> {
    /// The handle of these two values.
    #[inline]
    pub fn of(&self, first: A, second: B) -> &H {
        &self.handles[first.index() * B::ALL.len() + second.index()]
    }
}

impl<H: Handle, A: Label, B: Label> Family for Grid<H, A, B> {
    const KIND: Kind = H::KIND;
    const LABELS: &'static [&'static str] = &[A::NAME, B::NAME];

    fn register(registry: &mut Registry, row: &'static Row) -> Self {
        let mut handles = Vec::with_capacity(A::ALL.len() * B::ALL.len());
        for first in A::ALL {
            for second in B::ALL {
                handles.push(H::make(registry, row, vec![pair(*first), pair(*second)]));
            }
        }
        Self {
            handles: handles.into(),
            labels: PhantomData,
        }
    }
}

/// One handle for each three values of three labels.
pub struct Cube<H, A, B, C> {
    handles: Box<[H]>,
    labels: PhantomData<fn(A, B, C)>,
}

impl<H, A: Label, B: Label, C: Label> Cube<H, A, B, C> {
    /// The handle of these three values.
    #[inline]
    pub fn of(&self, first: A, second: B, third: C) -> &H {
        &self.handles[(first.index() * B::ALL.len() + second.index()) * C::ALL.len() + third.index()]
    }
}

impl<H: Handle, A: Label, B: Label, C: Label> Family for Cube<H, A, B, C> {
    const KIND: Kind = H::KIND;
    const LABELS: &'static [&'static str] = &[A::NAME, B::NAME, C::NAME];

    fn register(registry: &mut Registry, row: &'static Row) -> Self {
        let mut handles = Vec::with_capacity(A::ALL.len() * B::ALL.len() * C::ALL.len());
        for first in A::ALL {
            for second in B::ALL {
                for third in C::ALL {
                    let labels = vec![pair(*first), pair(*second), pair(*third)];
                    handles.push(H::make(registry, row, labels));
                }
            }
        }
        Self {
            handles: handles.into(),
            labels: PhantomData,
        }
    }
}

/// One handle for each fault that the caller named, so that the decoder's list is not kept twice.
pub struct Listed<H> {
    handles: Box<[H]>,
}

impl<H> Listed<H> {
    /// The handle of the fault at this place of the list given to [`Metrics::new`](super::Metrics::new).
    ///
    /// # Panics
    ///
    /// When the list is shorter.
    #[inline]
    pub fn of(&self, index: usize) -> &H {
        &self.handles[index]
    }
}

impl<H: Handle> Family for Listed<H> {
    const KIND: Kind = H::KIND;
    const LABELS: &'static [&'static str] = &["fault"];

    fn register(registry: &mut Registry, row: &'static Row) -> Self {
        let faults = registry.faults();
        let handles = faults
            .iter()
            .map(|fault| H::make(registry, row, vec![Pair::new("fault", *fault)]));
        Self {
            handles: handles.collect(),
        }
    }
}

fn pair<L: Label>(value: L) -> Pair {
    Pair::from_static_parts(L::NAME, value.as_str())
}
