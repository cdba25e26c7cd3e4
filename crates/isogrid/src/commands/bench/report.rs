//! The figures of a run, as one JSON object or for people.

use std::time::Duration;

use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::output::{Format, print, print_json};
use crate::text::thousands;

use super::plan::Plan;
use super::tally::Tally;

/// The figures of a run.
pub(super) struct Report<'a> {
    /// What was measured.
    pub(super) plan: &'a Plan,
    /// What all threads have seen.
    pub(super) tally: Tally,
    /// The processor time of this process during the measurement.
    pub(super) cpu: Duration,
}

impl Report<'_> {
    /// All operations done are 0, some 4, none 1: a measurement of nothing is no success.
    pub(super) fn exit(&self) -> Exit {
        match (self.tally.operations, self.tally.failed() + self.tally.not_started) {
            (0, _) => Exit::Failed,
            (_, 0) => Exit::Ok,
            _ => Exit::Partial,
        }
    }

    pub(super) fn print(&self, format: Format) -> Result<(), Failure> {
        match format {
            Format::Json => print_json(&self.object()),
            Format::Table => print(&self.text()),
        }
    }

    fn seconds(&self) -> f64 {
        self.plan.measured.as_secs_f64()
    }

    fn ops_per_second(&self) -> f64 {
        (self.tally.operations as f64 / self.seconds()).round()
    }

    fn cpu_ns_per_op(&self) -> f64 {
        let operations = self.tally.operations.max(1) as f64;
        (self.cpu.as_nanos() as f64 / operations * 10.0).round() / 10.0
    }

    fn object(&self) -> Value {
        let Report { plan, tally, .. } = self;
        let by_code: serde_json::Map<String, Value> = tally
            .errors
            .iter()
            .map(|(code, operations)| (code.to_string(), Value::from(*operations)))
            .collect();
        json!({
            "ops_per_second": self.ops_per_second(),
            "latency_us": {
                "p50": tally.percentile_us(50.0),
                "p99": tally.percentile_us(99.0),
                "p999": tally.percentile_us(99.9),
                "max": tally.max_us(),
            },
            "errors": tally.failed(),
            "errors_by_code": by_code,
            "client_cpu_ns_per_op": self.cpu_ns_per_op(),
            "operations": tally.operations,
            "misses": tally.misses,
            "not_started": tally.not_started,
            "seconds": self.seconds(),
            "callers": plan.callers,
            "threads": plan.threads,
            "batch": plan.batch,
            "reads": plan.reads_percent,
            "rate": plan.rate,
            "keys": plan.keys,
            "value_bytes": plan.value.len(),
            "map": plan.map,
        })
    }

    fn text(&self) -> String {
        let Report { plan, tally, .. } = self;
        let load = match plan.rate {
            0 => format!("{} callers", thousands(plan.callers as u64)),
            rate => format!("{} operations/s started on schedule", thousands(rate)),
        };
        let mut text = format!(
            "{} % reads, {load}, batch {}, {} keys, {} B values, {} s\n\n\
             operations/s   {}\n\
             latency        p50 {:.1} us  p99 {:.1} us  p99.9 {:.1} us  max {:.1} us\n\
             client CPU     {:.0} ns per operation\n\
             operations     {}\n\
             misses         {}\n\
             errors         {}\n",
            plan.reads_percent,
            plan.batch,
            thousands(plan.keys),
            plan.value.len(),
            self.seconds(),
            thousands(self.ops_per_second() as u64),
            tally.percentile_us(50.0),
            tally.percentile_us(99.0),
            tally.percentile_us(99.9),
            tally.max_us(),
            self.cpu_ns_per_op(),
            thousands(tally.operations),
            thousands(tally.misses),
            thousands(tally.failed()),
        );
        for (code, operations) in &tally.errors {
            let what = code.explanation().what;
            text.push_str(&format!("  {code}      {}  {what}\n", thousands(*operations)));
        }
        if tally.not_started > 0 {
            text.push_str(&format!("not started    {}\n", thousands(tally.not_started)));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::bench::plan::value;
    use isogrid_core::ErrorCode;

    fn plan() -> Plan {
        Plan {
            endpoint: "127.0.0.1:7700".into(),
            map: "bench".into(),
            callers: 8,
            threads: 1,
            keys: 1_000,
            reads_percent: 100,
            batch: 1,
            rate: 0,
            ttl: None,
            value: value(100),
            warmup: Duration::ZERO,
            measured: Duration::from_secs(2),
        }
    }

    #[test]
    fn the_object_has_the_promised_fields() {
        let plan = plan();
        let mut tally = Tally::default();
        tally.operations = 1_000;
        tally.errors.insert(ErrorCode::MemoryFull, 3);
        let report = Report { plan: &plan, tally, cpu: Duration::from_micros(500) };
        let object = report.object();
        assert_eq!(object["ops_per_second"], 500.0);
        assert_eq!(object["client_cpu_ns_per_op"], 500.0);
        assert_eq!(object["errors"], 3);
        assert_eq!(object["errors_by_code"]["IG-0301"], 3);
        for figure in ["p50", "p99", "p999", "max"] {
            assert!(object["latency_us"][figure].is_number(), "{figure}");
        }
        assert_eq!(report.exit(), Exit::Partial);
        assert!(report.text().contains("IG-0301      3  memory mark reached"));
    }

    #[test]
    fn a_run_without_any_success_has_failed() {
        let plan = plan();
        let mut tally = Tally::default();
        tally.not_started = 1;
        let report = Report { plan: &plan, tally, cpu: Duration::ZERO };
        assert_eq!(report.exit(), Exit::Failed);
        let report = Report { plan: &plan, tally: Tally::default(), cpu: Duration::ZERO };
        assert_eq!(report.exit(), Exit::Failed, "a measurement of nothing");
    }
}
