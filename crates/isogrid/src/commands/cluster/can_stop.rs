//! `isogrid cluster can-stop [NODE]`: yes with the proof, or no with what stands in the way. Exits with 0 or 3.

use std::time::{Duration, Instant};

use clap::Args;
use isogrid_client::{Operator, StopBlocker, StopProof, StopVerdict};
use serde_json::{Value, json};

use crate::commands::status::json::position;
use crate::exit::{CommandResult, Exit, Failure};
use crate::output::{Format, print, print_json, table, table_text};

use super::{LOOK_INTERVAL, WaitArgs, ask_patiently, counted};

/// How many reasons are listed for people; `-o json` has all.
const BLOCKERS_SHOWN_MAX: usize = 20;

/// Which node.
#[derive(Debug, Args)]
pub(crate) struct CanStopArgs {
    /// The node; the one at --endpoint unless named
    node: Option<String>,

    #[command(flatten)]
    wait: WaitArgs,
}

pub(super) async fn run(operator: &Operator, args: &CanStopArgs, format: Format) -> CommandResult {
    let node = match &args.node {
        Some(node) => node.clone(),
        None => operator.status(false).await?.answered_by,
    };
    report(operator, &node, args.wait, format).await
}

/// Asks, waits if that is wanted, and shows the answer.
pub(super) async fn report(
    operator: &Operator,
    node: &str,
    wait: WaitArgs,
    format: Format,
) -> CommandResult {
    let verdict = verdict(operator, node, wait).await?;
    show(node, &verdict, format)?;
    Ok(match verdict {
        StopVerdict::Yes(_) => Exit::Ok,
        StopVerdict::No(_) => Exit::NotReady,
    })
}

/// The last answer: the first yes, or what it was when the time had passed.
async fn verdict(operator: &Operator, node: &str, wait: WaitArgs) -> Result<StopVerdict, Failure> {
    let begun = Instant::now();
    loop {
        let ask = async || operator.can_stop(node).await;
        let verdict = if wait.wait { ask_patiently(ask).await? } else { ask().await? };
        let is_late = wait.timeout.is_some_and(|timeout| begun.elapsed() >= timeout);
        if !wait.wait || is_late || matches!(verdict, StopVerdict::Yes(_)) {
            return Ok(verdict);
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

fn show(node: &str, verdict: &StopVerdict, format: Format) -> Result<(), Failure> {
    match (format, verdict) {
        (Format::Json, _) => print_json(&object(node, verdict)),
        (Format::Table, StopVerdict::Yes(proof)) => print(&format!(
            "yes: others have all of the {} that {node} holds\n",
            counted(proof.len() as u64, "partition")
        )),
        (Format::Table, StopVerdict::No(blockers)) => print(&text(node, blockers)),
    }
}

/// What stands in the way of a stop, in words.
pub(super) fn reason(blocker: &StopBlocker) -> String {
    match blocker.why.as_str() {
        "leads" => "it leads the partition".into(),
        "too_few_copies" => {
            format!("{} of {} others have everything", blocker.have, blocker.need)
        }
        "still_member" => "it is to leave and still holds a copy".into(),
        "quorum" => format!(
            "the council needs {} of its voters without it, and {} are up",
            blocker.need, blocker.have
        ),
        "not_flushed" => "it has not written everything to disk yet".into(),
        other => other.to_owned(),
    }
}

fn text(node: &str, blockers: &[StopBlocker]) -> String {
    let longest = blockers.iter().map(|blocker| blocker.estimate).max().unwrap_or(Duration::ZERO);
    let mut text = format!(
        "no: {} in the way of a stop of {node}, the slowest for about {:.0} s\n\n",
        match blockers.len() {
            1 => "one thing stands".into(),
            count => format!("{count} things stand"),
        },
        longest.as_secs_f64().ceil()
    );
    let mut rows = table(&["partition", "why", "about"]);
    for blocker in blockers.iter().take(BLOCKERS_SHOWN_MAX) {
        rows.add_row([
            blocker.partition.map_or_else(|| "-".into(), |partition| partition.to_string()),
            reason(blocker),
            format!("{:.0} s", blocker.estimate.as_secs_f64().ceil()),
        ]);
    }
    text.push_str(&table_text(&rows));
    if blockers.len() > BLOCKERS_SHOWN_MAX {
        text.push_str(&format!("and {} more\n", blockers.len() - BLOCKERS_SHOWN_MAX));
    }
    text
}

fn object(node: &str, verdict: &StopVerdict) -> Value {
    let proven = |proof: &StopProof| {
        json!({
            "partition": proof.partition,
            "held_by": proof.held_by,
            "up_to": position(proof.up_to),
        })
    };
    let blocking = |blocker: &StopBlocker| {
        json!({
            "partition": blocker.partition,
            "why": blocker.why,
            "have": blocker.have,
            "need": blocker.need,
            "estimate_ms": blocker.estimate.as_millis() as u64,
        })
    };
    match verdict {
        StopVerdict::Yes(proof) => json!({
            "node": node,
            "can_stop": true,
            "proof": proof.iter().map(proven).collect::<Vec<Value>>(),
        }),
        StopVerdict::No(blockers) => json!({
            "node": node,
            "can_stop": false,
            "blockers": blockers.iter().map(blocking).collect::<Vec<Value>>(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_no_says_what_stands_in_the_way() {
        let mut blocker = StopBlocker::default();
        (blocker.partition, blocker.why) = (Some(7), "too_few_copies".into());
        (blocker.have, blocker.need) = (1, 2);
        blocker.estimate = Duration::from_millis(1_200);
        let shown = text("node-1", std::slice::from_ref(&blocker));
        assert!(
            shown.starts_with(
                "no: one thing stands in the way of a stop of node-1, the slowest for about 2 s\n"
            ),
            "{shown}"
        );
        assert!(shown.contains("1 of 2 others have everything"), "{shown}");
        let object = object("node-1", &StopVerdict::No(vec![blocker]));
        assert_eq!(
            (object["can_stop"].as_bool(), object["blockers"][0]["need"].as_u64()),
            (Some(false), Some(2))
        );
    }
}
