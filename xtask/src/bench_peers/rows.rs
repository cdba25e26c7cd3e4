//! The figures that are compared, each with what was promised for it.

use super::load::{Load, Operation, Sample};
use super::loads::{
    BATCHES, CONNECTIONS, PIPELINES, SINGLE, one_in_flight_isogrid, one_in_flight_redis,
};
use super::report::Report;
use super::start::{Start, Starts};

/// What a figure is counted in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Unit {
    /// Operations per second.
    PerSecond,
    /// Nanoseconds.
    Nanoseconds,
    /// Microseconds.
    Microseconds,
    /// Milliseconds.
    Milliseconds,
    /// Bytes.
    Bytes,
    /// Millions of bytes.
    Megabytes,
}

/// What was promised. A ratio is Isogrid's figure divided by that of redis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Target {
    /// Nothing: the figure is for information.
    None,
    /// The ratio is so large or larger.
    RatioAtLeast(f64),
    /// The ratio is so small or smaller.
    RatioAtMost(f64),
    /// Isogrid's figure is so small or smaller.
    AtMost(f64),
}

/// One line of the comparison.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// What is compared.
    pub(super) figure: String,
    /// In what.
    pub(super) unit: Unit,
    /// The figure of redis.
    pub(super) redis: f64,
    /// The figure of Isogrid.
    pub(super) isogrid: f64,
    /// The promise.
    pub(super) target: Target,
}

impl Row {
    /// Isogrid's figure divided by that of redis, if that is not zero.
    pub(super) fn ratio(&self) -> Option<f64> {
        (self.redis > 0.0).then(|| self.isogrid / self.redis)
    }

    /// Whether the promise is kept, if there is one. A zero is no figure: it was too little to be counted.
    pub(super) fn is_met(&self) -> Option<bool> {
        if self.isogrid <= 0.0 {
            return None;
        }
        match self.target {
            Target::None => None,
            Target::RatioAtLeast(bound) => Some(self.ratio()? >= bound),
            Target::RatioAtMost(bound) => Some(self.ratio()? <= bound),
            Target::AtMost(bound) => Some(self.isogrid <= bound),
        }
    }
}

/// All lines for which there are figures.
pub(super) fn rows(report: &Report) -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend(throughput(report));
    rows.extend(processor_time(report));
    rows.extend(latency(report));
    rows.extend(memory(report));
    rows.extend(starts(report));
    rows
}

/// Two loads side by side.
struct Pair {
    figure: String,
    redis: Load,
    isogrid: Load,
    target: Target,
}

impl Pair {
    fn row(self, report: &Report, unit: Unit, figure: fn(&Sample) -> f64) -> Option<Row> {
        let redis = report.median(self.redis, figure)?;
        let isogrid = report.median(self.isogrid, figure)?;
        Some(Row { figure: self.figure, unit, redis, isogrid, target: self.target })
    }
}

fn throughput(report: &Report) -> Vec<Row> {
    let [low, middle, high] = PIPELINES;
    let mut pairs = Vec::new();
    for operation in [Operation::Get, Operation::Set] {
        let batches = match operation {
            Operation::Get => Target::RatioAtLeast(5.0),
            Operation::Set => Target::None,
        };
        for (what, load, pipeline, target) in [
            ("1,024 single-op callers", SINGLE, high, Target::RatioAtLeast(3.0)),
            ("1,024 single-op callers", SINGLE, middle, Target::None),
            ("1,024 single-op callers", SINGLE, low, Target::None),
            ("50 callers with batches of 64", BATCHES, high, batches),
        ] {
            pairs.push(Pair {
                figure: format!("{operation}/s, {what}, against P={pipeline}"),
                redis: Load::redis(operation, CONNECTIONS, pipeline),
                isogrid: Load::isogrid(operation, load.0, load.1),
                target,
            });
        }
    }
    let row = |pair: Pair| pair.row(report, Unit::PerSecond, |sample| sample.ops_per_second);
    pairs.into_iter().filter_map(row).collect()
}

fn processor_time(report: &Report) -> Vec<Row> {
    let [_, _, high] = PIPELINES;
    let mut rows = Vec::new();
    for (operation, server_ns) in [(Operation::Get, 200.0), (Operation::Set, 250.0)] {
        for (what, load, client_ns) in
            [("single-op callers", SINGLE, 350.0), ("batches of 64", BATCHES, 150.0)]
        {
            let pair = |process: &str, bound| Pair {
                figure: format!("{process} CPU per {operation}, {what}, against P={high}"),
                redis: Load::redis(operation, CONNECTIONS, high),
                isogrid: Load::isogrid(operation, load.0, load.1),
                target: Target::AtMost(bound),
            };
            let server = pair("server", server_ns);
            rows.extend(server.row(report, Unit::Nanoseconds, |s| s.server_cpu_ns_per_op));
            let client = pair("client", client_ns);
            rows.extend(client.row(report, Unit::Nanoseconds, |s| s.client_cpu_ns_per_op));
        }
    }
    rows
}

fn latency(report: &Report) -> Vec<Row> {
    let mut rows = Vec::new();
    for operation in [Operation::Get, Operation::Set] {
        let pair = |percentile: &str, target| Pair {
            figure: format!("one {operation} in flight, {percentile}"),
            redis: one_in_flight_redis(operation),
            isogrid: one_in_flight_isogrid(operation),
            target,
        };
        let median = pair("p50", Target::RatioAtMost(1.3));
        rows.extend(median.row(report, Unit::Microseconds, |sample| sample.p50_us));
        // With one under way, the time of one is the inverse of how many there are: exact for both, where
        // redis-benchmark rounds its percentiles up.
        let mean = pair("mean of ops/s", Target::None);
        rows.extend(mean.row(report, Unit::Microseconds, |sample| 1e6 / sample.ops_per_second));
        let worst = pair("p99", Target::None);
        rows.extend(worst.row(report, Unit::Microseconds, |sample| sample.p99_us));
    }
    rows
}

fn memory(report: &Report) -> Vec<Row> {
    let largest = report.memory.iter().map(|memory| memory.entries).max();
    let row = |memory: &super::memory::PerEntry| Row {
        figure: format!("memory per entry of 16 + 100 B, {} entries", count(memory.entries)),
        unit: Unit::Bytes,
        redis: memory.redis_bytes,
        isogrid: memory.isogrid_bytes,
        target: match Some(memory.entries) == largest {
            true => Target::RatioAtMost(0.75),
            false => Target::None,
        },
    };
    report.memory.iter().map(row).collect()
}

/// `5M`, `100k`, `1234`.
pub(super) fn count(number: u32) -> String {
    match number {
        0 => "0".to_owned(),
        _ if number.is_multiple_of(1_000_000) => format!("{}M", number / 1_000_000),
        _ if number.is_multiple_of(1_000) => format!("{}k", number / 1_000),
        _ => number.to_string(),
    }
}

fn starts(report: &Report) -> Vec<Row> {
    let row = |figure: &str, unit, value: fn(&Start) -> f64, target| {
        let redis = Starts::median(&report.starts.redis, value)?;
        let isogrid = Starts::median(&report.starts.isogrid, value)?;
        Some(Row { figure: figure.to_owned(), unit, redis, isogrid, target })
    };
    let connectable = Target::AtMost(50.0);
    let resident = Target::AtMost(20.0);
    [
        row("start to connectable", Unit::Milliseconds, |s| s.connectable_ms, connectable),
        row("memory when idle", Unit::Megabytes, |s| s.resident_bytes as f64 / 1e6, resident),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(redis: f64, isogrid: f64, target: Target) -> Row {
        Row { figure: String::new(), unit: Unit::Bytes, redis, isogrid, target }
    }

    #[test]
    fn the_bound_itself_is_kept() {
        assert_eq!(row(1.0, 3.0, Target::RatioAtLeast(3.0)).is_met(), Some(true));
        assert_eq!(row(1.0, 2.9, Target::RatioAtLeast(3.0)).is_met(), Some(false));
        assert_eq!(row(4.0, 3.0, Target::RatioAtMost(0.75)).is_met(), Some(true));
        assert_eq!(row(4.0, 3.1, Target::RatioAtMost(0.75)).is_met(), Some(false));
        assert_eq!(row(0.0, 200.0, Target::AtMost(200.0)).is_met(), Some(true));
        assert_eq!(row(0.0, 201.0, Target::AtMost(200.0)).is_met(), Some(false));
    }

    #[test]
    fn what_was_not_measured_is_neither_kept_nor_broken() {
        assert_eq!(row(1.0, 1.0, Target::None).is_met(), None);
        assert_eq!(row(0.0, 1.0, Target::RatioAtMost(1.0)).is_met(), None);
        assert_eq!(row(1.0, 0.0, Target::AtMost(200.0)).is_met(), None);
    }

    #[test]
    fn counts_are_short() {
        assert_eq!([0, 1_234, 100_000, 5_000_000].map(count), ["0", "1234", "100k", "5M"]);
    }
}
