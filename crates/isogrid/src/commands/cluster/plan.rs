//! `isogrid cluster rebalance --plan`: what the cluster still moves by itself, or would move without some nodes.

use clap::Args;
use isogrid_client::{Operator, Plan, PlannedMove};
use serde_json::{Value, json};

use crate::exit::{CommandResult, Exit};
use crate::output::{Format, print, print_json, table, table_text};
use crate::text::size;

use super::counted;

/// How many steps are listed for people; `-o json` has all.
const STEPS_SHOWN_MAX: usize = 40;

/// What is planned.
#[derive(Debug, Args)]
pub(crate) struct RebalanceArgs {
    /// Show the plan. The cluster carries it out by itself: there is nothing to start
    #[arg(long, required = true)]
    plan: bool,

    /// As if this node were to leave; may be given several times
    #[arg(long, value_name = "NODE")]
    without: Vec<String>,
}

pub(super) async fn run(
    operator: &Operator,
    args: &RebalanceArgs,
    format: Format,
) -> CommandResult {
    let plan = operator.plan(&args.without).await?;
    match format {
        Format::Json => print_json(&object(&plan))?,
        Format::Table => print(&text(&plan))?,
    }
    Ok(Exit::Ok)
}

/// A plan as JSON.
pub(super) fn object(plan: &Plan) -> Value {
    let name = |name: &str| (!name.is_empty()).then(|| name.to_owned());
    let step = |step: &PlannedMove| {
        json!({
            "partition": step.partition,
            "kind": step.kind,
            "from": name(&step.from),
            "to": name(&step.to),
            "bytes": step.bytes,
        })
    };
    json!({
        "moves": plan.moves.iter().map(step).collect::<Vec<Value>>(),
        "bytes_total": plan.bytes_total,
        "partitions_short": plan.partitions_short,
    })
}

/// A plan for people.
pub(super) fn text(plan: &Plan) -> String {
    let mut text = format!("{}\n", summary(plan));
    if plan.moves.is_empty() {
        return text;
    }
    let mut rows = table(&["partition", "step", "from", "to", "bytes"]);
    let or_dash = |name: &str| if name.is_empty() { "-".to_owned() } else { name.to_owned() };
    for step in plan.moves.iter().take(STEPS_SHOWN_MAX) {
        rows.add_row([
            step.partition.to_string(),
            step.kind.clone(),
            or_dash(&step.from),
            or_dash(&step.to),
            if step.kind == "copy" { size(step.bytes) } else { "-".into() },
        ]);
    }
    text.push('\n');
    text.push_str(&table_text(&rows));
    if plan.moves.len() > STEPS_SHOWN_MAX {
        text.push_str(&format!("and {} more\n", plan.moves.len() - STEPS_SHOWN_MAX));
    }
    text
}

/// A plan in one line.
pub(super) fn summary(plan: &Plan) -> String {
    let of = |kind: &str| plan.moves.iter().filter(|step| step.kind == kind).count() as u64;
    let (copies, primaries) = (of("copy"), of("primary"));
    let mut text = match (copies, primaries) {
        (0, 0) if plan.moves.is_empty() => "nothing to move".to_owned(),
        _ => format!(
            "{} of partitions to make ({}), {} to hand over, {} to give up",
            if copies == 1 { "1 copy".into() } else { format!("{copies} copies") },
            size(plan.bytes_total),
            if primaries == 1 { "1 primary".into() } else { format!("{primaries} primaries") },
            of("retire"),
        ),
    };
    if plan.partitions_short > 0 {
        let short = counted(plan.partitions_short, "partition");
        text.push_str(&format!("; too few nodes: {short} with fewer copies than wanted"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_told_in_one_line_and_in_steps() {
        let mut plan = Plan::default();
        assert_eq!(text(&plan), "nothing to move\n");
        for kind in ["copy", "copy", "primary"] {
            let mut step = PlannedMove::default();
            (step.kind, step.to, step.bytes) = (kind.into(), "node-2".into(), 1_024);
            plan.moves.push(step);
        }
        (plan.bytes_total, plan.partitions_short) = (2_048, 1);
        let text = text(&plan);
        assert!(text.starts_with(
            "2 copies of partitions to make (2.0 KiB), 1 primary to hand over, 0 to give up; too few nodes: 1 partition \
             with fewer copies than wanted\n"
        ), "{text}");
        assert_eq!(text.lines().count(), 6, "{text}");
        assert_eq!(object(&plan)["moves"].as_array().map(Vec::len), Some(3));
    }
}
