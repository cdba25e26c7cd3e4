//! [`Page`]: figures in Prometheus's text format, version 0.0.4.

use std::fmt::{Display, Write};

use super::Histogram;

/// What the page is, for who asks for it.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page that is being written.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
}

/// The labels of one figure of a family, as they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Labels(String);

impl Labels {
    pub(super) fn of(labels: &[(&str, &str)]) -> Self {
        let written: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
        Labels(written.join(","))
    }

    /// The same and one more.
    fn and(&self, label: &str, value: &str) -> Self {
        let comma = if self.0.is_empty() { "" } else { "," };
        Labels(format!("{}{comma}{label}=\"{value}\"", self.0))
    }
}

impl Display for Labels {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(formatter, "{{{}}}", self.0) }
    }
}

impl Page {
    /// A figure that goes up and down.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.gauges(name, help, [(Labels::default(), value)]);
    }

    /// A figure that is 1 or 0.
    pub(super) fn flag(&mut self, name: &str, help: &str, is_so: bool) {
        self.gauge(name, help, f64::from(u8::from(is_so)));
    }

    /// A figure that only goes up while the node runs.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.counters(name, help, [(Labels::default(), value)]);
    }

    /// Figures of one family that go up and down.
    pub(super) fn gauges(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels, f64)>,
    ) {
        self.family(name, (help, "gauge"), samples);
    }

    /// Figures of one family that only go up while the node runs.
    pub(super) fn counters(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels, u64)>,
    ) {
        self.family(name, (help, "counter"), samples);
    }

    /// Seconds that only become more.
    pub(super) fn seconds(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels, f64)>,
    ) {
        self.family(name, (help, "counter"), samples);
    }

    /// Words, as the labels of a 1.
    pub(super) fn info(&mut self, name: &str, help: &str, labels: &[(&str, &str)]) {
        self.gauges(name, help, [(Labels::of(labels), 1.0)]);
    }

    /// How often something took how long.
    pub(super) fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.head(name, help, "histogram");
        self.buckets(name, &Labels::default(), histogram);
    }

    /// The same of several things.
    pub(super) fn histograms(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels, Histogram)>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_some() {
            self.head(name, help, "histogram");
        }
        for (labels, histogram) in samples {
            self.buckets(name, &labels, &histogram);
        }
    }

    /// The text.
    pub(super) fn finish(self) -> String {
        self.text
    }

    fn buckets(&mut self, name: &str, labels: &Labels, histogram: &Histogram) {
        let counted = histogram.counted();
        let mut until_here = 0;
        for (bound, count) in &counted.buckets {
            until_here += count;
            self.line(&format!("{name}_bucket"), &labels.and("le", bound), until_here);
        }
        self.line(&format!("{name}_bucket"), &labels.and("le", "+Inf"), counted.count);
        self.line(&format!("{name}_sum"), labels, counted.seconds);
        self.line(&format!("{name}_count"), labels, counted.count);
    }

    /// A family that has nothing to show is not there.
    fn family<T: Display>(
        &mut self,
        name: &str,
        (help, kind): (&str, &str),
        samples: impl IntoIterator<Item = (Labels, T)>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_some() {
            self.head(name, help, kind);
        }
        for (labels, value) in samples {
            self.line(name, &labels, value);
        }
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &Labels, value: impl Display) {
        let _ = writeln!(self.text, "{name}{labels} {value}");
    }
}
/// A label's value as the format wants it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn figures_are_written_as_prometheus_reads_them() {
        let mut page = Page::default();
        page.info("a_info", "Words.", &[("said", "\"a\\b\"\n")]);
        page.gauge("b_ratio", "A share.", 0.25);
        page.counter("c_total", "A count.", 7);
        let expected = "\
# HELP a_info Words.
# TYPE a_info gauge
a_info{said=\"\\\"a\\\\b\\\"\\n\"} 1
# HELP b_ratio A share.
# TYPE b_ratio gauge
b_ratio 0.25
# HELP c_total A count.
# TYPE c_total counter
c_total 7
";
        assert_eq!(page.finish(), expected);
    }

    #[test]
    fn the_buckets_of_a_histogram_add_up() {
        let histogram = Histogram::default();
        for micros in [50, 51, 20_000, 60_000_000] {
            histogram.record(Duration::from_micros(micros));
        }
        let mut page = Page::default();
        page.histogram("t_seconds", "A time.", &histogram);
        let text = page.finish();
        let value = |start: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(start));
            line.unwrap_or_else(|| panic!("{start} in {text}")).trim().to_owned()
        };
        assert_eq!(value("t_seconds_bucket{le=\"0.00005\"}"), "1", "up to the bound");
        assert_eq!(value("t_seconds_bucket{le=\"0.0001\"}"), "2");
        assert_eq!(value("t_seconds_bucket{le=\"0.01\"}"), "2");
        assert_eq!(value("t_seconds_bucket{le=\"0.025\"}"), "3");
        assert_eq!(value("t_seconds_bucket{le=\"10\"}"), "3");
        assert_eq!(value("t_seconds_bucket{le=\"+Inf\"}"), "4");
        assert_eq!(value("t_seconds_count"), "4");
        assert_eq!(value("t_seconds_sum"), "60.020101");
    }
}
