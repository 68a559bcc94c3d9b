//! Shapes of what is counted: means, percentiles, sizes. Plain values; adding never allocates.

/// Count, sum, least and greatest of some values: Java's `AvgMinMaxCounter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinMaxAvg {
    /// How many.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
    min: u64,
    max: u64,
}

impl Default for MinMaxAvg {
    fn default() -> Self {
        Self { count: 0, sum: 0, min: u64::MAX, max: 0 }
    }
}

impl MinMaxAvg {
    /// Values that somebody else has added up.
    pub fn of(count: u64, sum: u64, min: u64, max: u64) -> Self {
        if count == 0 { Self::default() } else { Self { count, sum, min, max } }
    }

    /// Takes one value.
    #[inline]
    pub fn put(&mut self, value: u64) {
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Takes all of another core's.
    pub fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// The least, 0 if there is none.
    pub fn min(&self) -> u64 {
        if self.count == 0 { 0 } else { self.min }
    }

    /// The greatest, 0 if there is none.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The mean to four decimal places, as Java rounds it; 0 if there is none.
    #[expect(clippy::cast_precision_loss)] // a mean for people
    pub fn average(&self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        (self.sum as f64 / self.count as f64 * 10_000.0).round() / 10_000.0
    }
}

/// Values below this have a bucket of their own.
const EXACT: usize = 32;
/// Buckets for each doubling above it, so that a percentile is less than 1/16 off.
const PER_DOUBLING: usize = 16;
/// Doublings above it: up to 2^22 ms, more than an hour. Longer counts as that.
const DOUBLINGS: usize = 17;
const BUCKETS: usize = EXACT + DOUBLINGS * PER_DOUBLING;

/// Times in ms with percentiles. Apache samples; this counts every one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Times {
    /// What needs no buckets.
    pub all: MinMaxAvg,
    buckets: Box<[u32; BUCKETS]>,
}

impl Default for Times {
    fn default() -> Self {
        Self { all: MinMaxAvg::default(), buckets: Box::new([0; BUCKETS]) }
    }
}

impl Times {
    /// Takes one time.
    #[inline]
    pub fn put(&mut self, ms: u64) {
        self.all.put(ms);
        let count = &mut self.buckets[bucket_of(ms)];
        *count = count.saturating_add(1);
    }

    /// Takes all of another core's.
    pub fn add(&mut self, other: &Self) {
        self.all.add(&other.all);
        for (mine, theirs) in self.buckets.iter_mut().zip(other.buckets.iter()) {
            *mine = mine.saturating_add(*theirs);
        }
    }

    /// The value that `per_mille` thousandths do not exceed, 0 if there is none.
    pub fn percentile(&self, per_mille: u64) -> u64 {
        assert!(per_mille <= 1000);
        let wanted = (self.all.count * per_mille).div_ceil(1000);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted && seen > 0 {
                return greatest_in(bucket).min(self.all.max());
            }
        }
        self.all.max()
    }

    /// Forgets everything, in place.
    pub fn reset(&mut self) {
        self.all = MinMaxAvg::default();
        self.buckets.fill(0);
    }
}

fn bucket_of(ms: u64) -> usize {
    let ms = usize::try_from(ms).unwrap_or(usize::MAX);
    if ms < EXACT {
        return ms;
    }
    let power = ms.ilog2();
    let doubling = usize::try_from(power - EXACT.ilog2()).expect("below 64");
    let within = (ms >> (power - PER_DOUBLING.ilog2())) & (PER_DOUBLING - 1);
    (EXACT + doubling * PER_DOUBLING + within).min(BUCKETS - 1)
}

fn greatest_in(bucket: usize) -> u64 {
    let greatest = match bucket.checked_sub(EXACT) {
        None => bucket,
        Some(above) => {
            let (doubling, within) = (above / PER_DOUBLING, above % PER_DOUBLING);
            let low = EXACT << doubling;
            low + (within + 1) * (low / PER_DOUBLING) - 1
        }
    };
    u64::try_from(greatest).expect("a usize fits")
}

/// Sizes of replies: Java's `BufferStats`. `None` until there was one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// The last one, the least and the greatest, in bytes.
    pub seen: Option<(u64, u64, u64)>,
}

impl Sizes {
    /// Takes one size.
    #[inline]
    pub fn put(&mut self, bytes: u64) {
        let (_, least, greatest) = self.seen.unwrap_or((bytes, bytes, bytes));
        self.seen = Some((bytes, least.min(bytes), greatest.max(bytes)));
    }

    /// Takes another core's. Whose reply was the last is not known then; the other's is shown.
    pub fn add(&mut self, other: &Self) {
        if let Some((last, least, greatest)) = other.seen {
            let (_, mine_least, mine_greatest) = self.seen.unwrap_or((last, least, greatest));
            self.seen = Some((last, least.min(mine_least), greatest.max(mine_greatest)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_the_bucket_that_ends_closest_above_it() {
        let mut before = 0;
        for ms in (0..5000).chain((5000..4_000_000).step_by(997)) {
            let bucket = bucket_of(ms);
            let greatest = greatest_in(bucket);
            assert!(greatest >= ms, "{ms} in {bucket} up to {greatest}");
            assert!(greatest - ms <= ms / 16, "{ms} in {bucket} up to {greatest}");
            assert!(bucket >= before, "{ms}: buckets are in order");
            before = bucket;
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_of_all_values() {
        let mut times = Times::default();
        assert_eq!(times.percentile(500), 0);
        for ms in 1..=1000 {
            times.put(ms);
        }
        for (per_mille, wanted) in [(500, 500), (950, 950), (990, 990), (999, 999), (1000, 1000)] {
            let got = times.percentile(per_mille);
            assert!(got >= wanted && got <= wanted + wanted / 16, "{per_mille}: {got}");
        }
    }

    #[test]
    fn the_mean_is_rounded_as_java_does() {
        let mut latency = MinMaxAvg::default();
        for (value, wanted) in [(1, 1.0), (13, 7.0), (3, 5.6667)] {
            latency.put(value);
            assert!((latency.average() - wanted).abs() < 1e-9, "{latency:?}");
        }
        assert_eq!((latency.min(), latency.max()), (1, 13));
    }
}
