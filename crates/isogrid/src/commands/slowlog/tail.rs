//! `isogrid slowlog tail`: slow operations as they come, until the reader has seen enough.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use clap::Args;
use isogrid_client::{Operator, SlowLog, SlowOperation};

use super::show::{cells, object};
use crate::cli::Global;
use crate::connect::operator;
use crate::duration;
use crate::exit::{CommandResult, Exit, Failure};
use crate::output::{Format, stdout, tell, write_json};

/// How it is followed.
#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    /// How long between two looks
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "1s")]
    interval: Duration,

    /// Begin with so many that there are already
    #[arg(long, value_name = "N", default_value_t = 10)]
    lines: usize,
}

/// Follows them. A node that does not answer is told once, and asked again.
pub(super) async fn run(args: &TailArgs, global: &Global) -> CommandResult {
    let mut seen = Seen::default();
    let mut asked: Option<Operator> = None;
    let mut is_first = true;
    loop {
        match look(&mut asked, global).await {
            Ok(log) => {
                let fresh = seen.take(&log);
                let skipped = if is_first { fresh.len().saturating_sub(args.lines) } else { 0 };
                is_first = false;
                show(&fresh[skipped..], global.output)?;
            }
            Err(failure) if is_first || failure.exit() == Exit::Usage => return Err(failure),
            Err(failure) => failure.text().iter().for_each(tell),
        }
        tokio::time::sleep(args.interval).await;
    }
}

async fn look(asked: &mut Option<Operator>, global: &Global) -> Result<SlowLog, Failure> {
    let operator = match asked.take() {
        Some(operator) => operator,
        None => operator(&global.endpoint).await?,
    };
    let log = operator.slow_log().await?;
    *asked = Some(operator);
    Ok(log)
}

fn show(fresh: &[(String, SlowOperation)], format: Format) -> Result<(), Failure> {
    let mut out = stdout();
    for (node, slow) in fresh {
        match format {
            Format::Json => write_json(&mut out, &object(node, slow))?,
            Format::Table => writeln!(out, "{}", cells(node, slow).join("  "))?,
        }
    }
    out.flush()?;
    Ok(())
}

/// What was shown: the last number of each node's life.
#[derive(Default)]
struct Seen(BTreeMap<(String, u64), u64>);

impl Seen {
    /// What was not shown yet, in the order of its time.
    fn take(&mut self, log: &SlowLog) -> Vec<(String, SlowOperation)> {
        let mut fresh = Vec::new();
        for node in &log.nodes {
            let last = self.0.entry((node.node_id.clone(), node.incarnation)).or_default();
            let more = node.operations.iter().filter(|slow| slow.number > *last);
            fresh.extend(more.map(|slow| (node.node_id.clone(), slow.clone())));
            *last = node.operations.last().map_or(*last, |slow| slow.number.max(*last));
        }
        fresh.sort_by_key(|(_, slow)| slow.at_ms);
        fresh
    }
}

#[cfg(test)]
mod tests {
    use isogrid_client::NodeSlowLog;

    use super::*;

    #[test]
    fn each_operation_is_shown_once_also_when_its_node_starts_anew() {
        let log = |incarnation, numbers: &[u64]| {
            let mut node = NodeSlowLog::default();
            (node.node_id, node.incarnation) = ("a".into(), incarnation);
            for number in numbers {
                let mut slow = SlowOperation::default();
                slow.number = *number;
                node.operations.push(slow);
            }
            let mut log = SlowLog::default();
            log.nodes.push(node);
            log
        };
        let mut seen = Seen::default();
        let mut shown = |log: SlowLog| -> Vec<u64> {
            seen.take(&log).iter().map(|(_, slow)| slow.number).collect()
        };
        assert_eq!(shown(log(1, &[1, 2])), [1, 2]);
        assert_eq!(shown(log(1, &[1, 2, 3])), [3]);
        assert_eq!(shown(log(1, &[])), [] as [u64; 0]);
        assert_eq!(shown(log(2, &[1])), [1]);
    }
}
