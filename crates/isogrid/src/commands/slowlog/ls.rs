//! `isogrid slowlog ls`: the newest slow operations of all nodes, in the order of their time.

use clap::Args;
use isogrid_client::{SlowLog, SlowOperation};
use serde_json::Value;

use super::show::{COLUMNS, cells, object};
use crate::cli::Global;
use crate::connect::operator;
use crate::exit::{CommandResult, Exit};
use crate::output::{Format, print_json, print_table, table, tell};

/// How many.
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// At most so many, the newest
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
}

pub(super) async fn run(args: &LsArgs, global: &Global) -> CommandResult {
    let log = operator(&global.endpoint).await?.slow_log().await?;
    let newest = newest(&log, args.limit);
    if global.output == Format::Json {
        print_json(&newest.iter().map(|(node, slow)| object(node, slow)).collect::<Vec<Value>>())?;
    } else if newest.is_empty() {
        tell(none(&log));
    } else {
        let mut rows = table(&COLUMNS);
        for (node, slow) in newest {
            rows.add_row(cells(node, slow));
        }
        print_table(&rows)?;
    }
    if log.missing.is_empty() {
        return Ok(Exit::Ok);
    }
    tell(format!("did not answer: {}", log.missing.join(", ")));
    Ok(Exit::Partial)
}

/// The newest of all nodes, the oldest of them first.
fn newest(log: &SlowLog, limit: usize) -> Vec<(&str, &SlowOperation)> {
    let mut all: Vec<(&str, &SlowOperation)> = Vec::new();
    for node in &log.nodes {
        all.extend(node.operations.iter().map(|slow| (node.node_id.as_str(), slow)));
    }
    all.sort_by_key(|(_, slow)| slow.at_ms);
    all.split_off(all.len().saturating_sub(limit))
}

/// Why there is nothing to list.
fn none(log: &SlowLog) -> String {
    let thresholds = log.nodes.iter().map(|node| node.threshold);
    match thresholds.filter(|threshold| !threshold.is_zero()).min() {
        Some(threshold) => format!("no operation took {} ms or longer", threshold.as_millis()),
        None => "slow_log.threshold_ms is 0: nothing is timed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use isogrid_client::NodeSlowLog;

    use super::*;

    fn node(name: &str, at: &[u64]) -> NodeSlowLog {
        let mut node = NodeSlowLog::default();
        (node.node_id, node.threshold) = (name.into(), Duration::from_millis(100));
        for at_ms in at {
            let mut slow = SlowOperation::default();
            slow.at_ms = *at_ms;
            node.operations.push(slow);
        }
        node
    }

    #[test]
    fn the_newest_of_all_nodes_come_in_the_order_of_their_time() {
        let mut log = SlowLog::default();
        log.nodes = vec![node("a", &[1, 4]), node("b", &[2, 3])];
        let shown: Vec<_> =
            newest(&log, 3).iter().map(|(node, slow)| (*node, slow.at_ms)).collect();
        assert_eq!(shown, [("b", 2), ("b", 3), ("a", 4)]);
        assert_eq!(none(&log), "no operation took 100 ms or longer");
        assert!(none(&SlowLog::default()).contains("threshold_ms is 0"));
    }
}
