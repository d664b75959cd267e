//! What the listeners answered, how long it took and how large it was.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet},
    metrics::MetricType,
};

use super::connections::ListenerLabel;

/// The upper bounds of the buckets of durations, in microseconds. A document takes some 10 µs; a
/// request that takes 10 s is answered with 503.
const DURATIONS: [u64; 12] = [
    100, 500, 1_000, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000,
];
/// The upper bounds of the buckets of sizes, in bytes. An offer's document takes 1 to 4 KiB; none is
/// larger than 1 MiB.
const SIZES: [u64; 7] = [256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576];

#[derive(Clone, Debug, Hash, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
struct ResponseLabels {
    /// A path in the notation of openapi.yaml, or `none`.
    route: &'static str,
    status: u16,
}

/// How many values are at most each bound and above the one before it, and what they add up to.
#[derive(Clone, Copy, Debug)]
struct Histogram<const BOUNDS: usize> {
    bounds: &'static [u64; BOUNDS],
    buckets: [u64; BOUNDS],
    larger: u64,
    sum: u64,
}

impl<const BOUNDS: usize> Histogram<BOUNDS> {
    fn new(bounds: &'static [u64; BOUNDS]) -> Self {
        Self { bounds, buckets: [0; BOUNDS], larger: 0, sum: 0 }
    }

    fn observe(&mut self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        *self.buckets.get_mut(bucket).unwrap_or(&mut self.larger) += 1;
        self.sum = self.sum.wrapping_add(value);
    }

    fn add(&mut self, other: &Self) {
        let counts = self.buckets.iter_mut().chain([&mut self.larger, &mut self.sum]);
        for (count, more) in counts.zip(other.buckets.iter().chain([&other.larger, &other.sum])) {
            *count = count.wrapping_add(*more);
        }
    }

    /// Encodes it in a unit of which one has `per_unit` of what was observed.
    fn encode(&self, mut to: MetricEncoder<'_>, per_unit: f64) -> fmt::Result {
        let bounds = self.bounds.iter().map(|bound| *bound as f64 / per_unit);
        let larger = (f64::INFINITY, self.larger);
        let buckets: Vec<(f64, u64)> = bounds.zip(self.buckets).chain([larger]).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        to.encode_histogram::<NoLabelSet>(self.sum as f64 / per_unit, count, &buckets, None)
    }
}

#[derive(Debug)]
struct Counts {
    /// A few dozen at most, those that come most often first.
    responses: Vec<(ResponseLabels, u64)>,
    durations: Histogram<{ DURATIONS.len() }>,
    sizes: Histogram<{ SIZES.len() }>,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            responses: Vec::new(),
            durations: Histogram::new(&DURATIONS),
            sizes: Histogram::new(&SIZES),
        }
    }
}

impl Counts {
    fn responded(&mut self, labels: &ResponseLabels, times: u64) {
        match self.responses.iter_mut().find(|(known, _)| known == labels) {
            Some((_, count)) => *count += times,
            None => self.responses.push((labels.clone(), times)),
        }
    }

    fn add(&mut self, other: &Self) {
        self.durations.add(&other.durations);
        self.sizes.add(&other.sizes);
        for (labels, count) in &other.responses {
            self.responded(labels, *count);
        }
    }
}

/// Counts the answers of one thread of one listener, so that no cache line goes from core to core
/// for a request. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct AnswerCounter {
    listener: &'static str,
    /// Only a scrape ever waits for it, or is waited for.
    counts: Arc<Mutex<Counts>>,
}

impl AnswerCounter {
    /// Counts an answer to a request for a route. `size` is the length of its body, if it is known.
    pub(crate) fn answered(
        &self,
        route: &'static str,
        status: u16,
        took: Duration,
        size: Option<u64>,
    ) {
        let mut counts = self.counts();
        counts.responded(&ResponseLabels { route, status }, 1);
        counts.durations.observe(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        if let Some(size) = size {
            counts.sizes.observe(size);
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answers of every thread. A scrape adds them up.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers(Arc<Mutex<Vec<AnswerCounter>>>);

impl Answers {
    /// A counter for one more thread of a listener.
    pub(super) fn counter(&self, listener: &'static str) -> AnswerCounter {
        let counter = AnswerCounter { listener, counts: Arc::default() };
        self.counters().push(counter.clone());
        counter
    }

    fn counters(&self) -> MutexGuard<'_, Vec<AnswerCounter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What every listener answered, by its name.
    fn by_listener(&self) -> Vec<(ListenerLabel, Counts)> {
        let mut listeners: Vec<(ListenerLabel, Counts)> = Vec::new();
        for counter in &*self.counters() {
            let label = ListenerLabel { listener: counter.listener };
            let known = listeners.iter().position(|(known, _)| *known == label);
            let index = known.unwrap_or_else(|| {
                listeners.push((label, Counts::default()));
                listeners.len() - 1
            });
            if let Some((_, counts)) = listeners.get_mut(index) {
                counts.add(&counter.counts());
            }
        }
        listeners
    }
}

impl Collector for Answers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let listeners = self.by_listener();
        let mut all = Counts::default();
        listeners.iter().for_each(|(_, counts)| all.add(counts));
        let help = "HTTP responses on both listeners.";
        let mut to = encoder.encode_descriptor("http_requests", help, None, MetricType::Counter)?;
        for (labels, count) in &all.responses {
            to.encode_family(labels)?.encode_counter::<NoLabelSet, _, u64>(count, None)?;
        }
        let help = "Time from a request's head to the head of its answer, by listener.";
        let name = "http_request_duration_seconds";
        let mut to = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (listener, counts) in &listeners {
            counts.durations.encode(to.encode_family(listener)?, 1e6)?;
        }
        let help = "Length of the bodies of answers as they are sent, by listener.";
        let name = "http_response_size_bytes";
        let mut to = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (listener, counts) in &listeners {
            counts.sizes.encode(to.encode_family(listener)?, 1.0)?;
        }
        Ok(())
    }
}
