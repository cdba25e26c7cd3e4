//! What a run was worth: faults injected, operations checked, paths visited, violations. Of one seed, or of many merged.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::client::History;
use crate::client::history::Outcome;
use crate::faults::Fault;
use crate::invariant::Violation;
use crate::network::NetworkCounts;
use crate::sometimes::Sometimes;
use crate::time::{SimTime, format_duration};

/// How the operations of the clients ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OperationCounts {
    /// Executed and answered, conditions that did not hold included.
    pub acknowledged: u64,
    /// Proven not to have been applied.
    pub refused: u64,
    /// Nobody knows.
    pub unknown: u64,
}

impl OperationCounts {
    /// Of a history.
    pub fn of(history: &History) -> Self {
        let mut counts = OperationCounts::default();
        for operation in history.operations() {
            match operation.outcome {
                Outcome::Applied(_) | Outcome::Conflict(_) => counts.acknowledged += 1,
                Outcome::NotApplied => counts.refused += 1,
                Outcome::Unknown => counts.unknown += 1,
            }
        }
        counts
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.acknowledged + self.refused + self.unknown
    }
}

/// A violation and the seed that shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeedViolation {
    /// The seed.
    pub seed: u64,
    /// What happened.
    pub violation: Violation,
}

/// What a run was worth.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// How many seeds.
    pub seeds: u64,
    /// The seeds with violations.
    pub failed_seeds: Vec<u64>,
    /// Faults injected, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Operations of clients.
    pub operations: OperationCounts,
    /// The fewest operations of one seed.
    pub operations_min: Option<u64>,
    /// The fewest faults of one seed.
    pub faults_min: Option<u64>,
    /// Checks of invariants.
    pub checks: u64,
    /// What oracles could not decide within their bounds.
    pub undecided: u64,
    /// Events that happened.
    pub events: u64,
    /// Virtual time, in nanoseconds.
    pub virtual_ns: u64,
    /// What the network did.
    pub network: NetworkCounts,
    /// Paths visited.
    pub paths: Sometimes,
    /// Violations seen, those that are not kept included.
    pub violations_count: u64,
    /// The first violations.
    pub violations: Vec<SeedViolation>,
}

impl Summary {
    /// How many violations are kept; more are only counted.
    pub const VIOLATIONS_MAX: usize = 100;

    /// One seed, nothing seen yet, these paths expected.
    pub fn of_seed(paths: Sometimes) -> Self {
        Summary { seeds: 1, paths, ..Summary::default() }
    }

    /// A fault was injected.
    pub fn count_fault(&mut self, fault: &Fault) {
        *self.faults.entry(fault.kind()).or_default() += 1;
    }

    /// A seed has ended: what it had is the least of any so far.
    pub fn close_seed(&mut self) {
        self.operations_min = Some(self.operations.total());
        self.faults_min = Some(self.faults_total());
    }

    /// Violations were found in this seed.
    pub fn add_violations(&mut self, seed: u64, found: impl IntoIterator<Item = Violation>) {
        for violation in found {
            self.violations_count += 1;
            if self.failed_seeds.last() != Some(&seed) {
                self.failed_seeds.push(seed);
            }
            if self.violations.len() < Self::VIOLATIONS_MAX {
                self.violations.push(SeedViolation { seed, violation });
            }
        }
    }

    /// Whether nothing was violated.
    pub fn is_good(&self) -> bool {
        self.violations_count == 0
    }

    /// How many faults were injected.
    pub fn faults_total(&self) -> u64 {
        self.faults.values().sum()
    }

    /// Adds another summary.
    pub fn add(&mut self, other: &Summary) {
        self.seeds += other.seeds;
        self.failed_seeds.extend(&other.failed_seeds);
        for (kind, count) in &other.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        self.operations.acknowledged += other.operations.acknowledged;
        self.operations.refused += other.operations.refused;
        self.operations.unknown += other.operations.unknown;
        self.operations_min = least(self.operations_min, other.operations_min);
        self.faults_min = least(self.faults_min, other.faults_min);
        self.checks += other.checks;
        self.undecided += other.undecided;
        self.events += other.events;
        self.virtual_ns = self.virtual_ns.saturating_add(other.virtual_ns);
        self.network.add(&other.network);
        self.paths.add(&other.paths);
        self.violations_count += other.violations_count;
        let room = Self::VIOLATIONS_MAX.saturating_sub(self.violations.len());
        self.violations.extend(other.violations.iter().take(room).cloned());
    }

    /// As one JSON object.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a summary has only names and numbers")
    }

    /// As text for a terminal: the figures, the faults, the paths, and what went wrong.
    pub fn to_text(&self) -> String {
        let mut sections = vec![self.figures()];
        let faults = self.faults.iter().map(|(kind, count)| [(*kind).to_owned(), grouped(*count)]);
        sections.push(two_columns(["FAULT", "INJECTED"], faults));
        let paths = self.paths.iter().map(|(name, count)| [name.to_owned(), grouped(count)]);
        sections.push(two_columns(["PATH", "VISITED"], paths));
        let never = self.paths.never_reached();
        if !never.is_empty() {
            sections.push(format!("never visited: {}\n", never.join(", ")));
        }
        if !self.is_good() {
            sections.push(self.failures());
        }
        sections.retain(|section| !section.is_empty());
        sections.join("\n")
    }

    fn figures(&self) -> String {
        let operations = &self.operations;
        // Whole milliseconds read better.
        let virtual_time = SimTime(self.virtual_ns / 1_000_000 * 1_000_000).elapsed();
        let rows = [
            ("seeds", grouped(self.seeds)),
            ("virtual time", format_duration(virtual_time)),
            ("events", grouped(self.events)),
            ("faults", grouped(self.faults_total())),
            ("  least of a seed", grouped(self.faults_min.unwrap_or(0))),
            ("operations", grouped(operations.total())),
            ("  least of a seed", grouped(self.operations_min.unwrap_or(0))),
            ("  acknowledged", grouped(operations.acknowledged)),
            ("  refused", grouped(operations.refused)),
            ("  unknown", grouped(operations.unknown)),
            ("messages", grouped(self.network.sent)),
            ("  lost or cut", grouped(self.network.lost + self.network.cut)),
            ("invariant checks", grouped(self.checks)),
            ("undecided", grouped(self.undecided)),
            ("violations", grouped(self.violations_count)),
        ];
        two_columns(["FIGURE", "VALUE"], rows.map(|(name, value)| [name.to_owned(), value]))
    }

    fn failures(&self) -> String {
        let mut text = String::new();
        for failed in &self.violations {
            text.push_str(&format!("seed {}: {}\n", failed.seed, failed.violation));
        }
        let more = self.violations_count - self.violations.len() as u64;
        if more > 0 {
            text.push_str(&format!("and {} more\n", grouped(more)));
        }
        text
    }
}

/// The smaller of two that may not be known.
fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

/// A table with a head line and no frame; nothing at all without rows.
fn two_columns(head: [&str; 2], rows: impl IntoIterator<Item = [String; 2]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head).add_rows(rows);
    if table.is_empty() {
        return String::new();
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.lines().map(|line| format!("{}\n", line.trim_end().trim_start_matches(' '))).collect()
}

/// A number with commas between the thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::NodeIndex;

    fn of_seed(seed: u64, is_failing: bool) -> Summary {
        let mut paths = Sometimes::expecting(&["failover during migration", "stale retry"]);
        paths.reached("stale retry");
        let mut summary = Summary::of_seed(paths);
        summary.count_fault(&Fault::Pause { node: NodeIndex(1) });
        summary.operations = OperationCounts { acknowledged: 1_900, refused: 40, unknown: 60 };
        summary.virtual_ns = 60_000_000_000;
        summary.close_seed();
        if is_failing {
            summary.add_violations(seed, [Violation::new("survive", "k7 lost v41")]);
        }
        summary
    }

    #[test]
    fn seeds_add_up_and_the_table_says_what_is_missing() {
        let mut all = Summary::default();
        all.add(&of_seed(1, false));
        all.add(&of_seed(2, true));
        assert_eq!((all.seeds, all.operations.total(), all.faults_total()), (2, 4_000, 2));
        assert_eq!((all.operations_min, all.faults_min), (Some(2_000), Some(1)));
        assert_eq!(all.failed_seeds, [2]);
        assert!(!all.is_good());
        let text = all.to_text();
        let has = |wanted: &str| {
            let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(text.lines().any(|line| squeezed(line) == wanted), "{wanted:?} in\n{text}");
        };
        has("operations 4,000");
        has("virtual time 120s");
        has("pause 2");
        has("stale retry 2");
        has("never visited: failover during migration");
        has("seed 2: survive: k7 lost v41");
    }

    #[test]
    fn json_has_every_figure() {
        let json = of_seed(5, true).to_json();
        for wanted in [
            r#""failed_seeds":[5]"#,
            r#""acknowledged":1900"#,
            r#""faults":{"pause":1}"#,
            r#""stale retry":1"#,
            r#""rule":"survive""#,
        ] {
            assert!(json.contains(wanted), "{wanted} in {json}");
        }
    }

    #[test]
    fn too_many_violations_are_counted_and_not_kept() {
        let mut summary = Summary::default();
        summary.add_violations(1, (0..150).map(|_| Violation::new("rule", "what")));
        let mut all = Summary::default();
        all.add(&summary);
        all.add(&summary);
        assert_eq!((all.violations.len(), all.violations_count), (100, 300));
        assert!(all.to_text().contains("and 200 more"));
    }

    #[test]
    fn thousands_are_grouped() {
        let texts = [0, 12, 999, 1_000, 123_456, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "12", "999", "1,000", "123,456", "1,234,567"]);
    }
}
