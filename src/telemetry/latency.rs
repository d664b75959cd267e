//! How long answers take.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, TypedMetric},
};

/// The upper bounds of the buckets, in microseconds. A document takes some 10 µs; a request that
/// takes 10 s is answered with 503.
const BOUNDS: [u64; 12] = [
    100, 500, 1_000, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000,
];

/// A histogram of durations. It is updated for every request on every core, so it has no lock, which
/// the library's own histogram has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latency(Arc<Cells>);

#[derive(Debug, Default)]
struct Cells {
    /// How many durations are at most each bound, and above the one before it.
    buckets: [AtomicU64; BOUNDS.len()],
    /// How many are above every bound.
    longer: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Latency {
    /// Counts an answer.
    pub(crate) fn observe(&self, took: Duration) {
        let bucket = BOUNDS.partition_point(|bound| Duration::from_micros(*bound) < took);
        let bucket = self.0.buckets.get(bucket).unwrap_or(&self.0.longer);
        bucket.fetch_add(1, Ordering::Relaxed);
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.0.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

impl EncodeMetric for Latency {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let bounds = BOUNDS.map(|bound| Duration::from_micros(bound).as_secs_f64());
        let counts = self.0.buckets.iter().map(|count| count.load(Ordering::Relaxed));
        let longer = (f64::INFINITY, self.0.longer.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.into_iter().zip(counts).chain([longer]).collect();
        // Summed up here, so that the count is that of the buckets while requests are answered.
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = Duration::from_nanos(self.0.nanoseconds.load(Ordering::Relaxed)).as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for Latency {
    const TYPE: MetricType = MetricType::Histogram;
}
