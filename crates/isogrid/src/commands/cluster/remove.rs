//! `isogrid cluster remove NODE`: forget a node that is down and holds nothing.

use clap::Args;
use isogrid_client::Operator;
use serde_json::json;

use crate::exit::{CommandResult, Exit, wrong_argument};
use crate::output::{Format, print_json, tell};

use super::{counted, member};

/// Which node.
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// The node
    node: String,

    /// Yes, forget it
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(operator: &Operator, args: &RemoveArgs, format: Format) -> CommandResult {
    let node = &args.node;
    let status = operator.status(false).await?;
    let member = member(&status, node)?;
    if !args.yes {
        let held = counted(member.primaries + member.backups, "partition");
        let mut detail =
            format!("this would forget {node}, which is {} and holds {held}", member.state);
        if member.state != "down" || member.primaries + member.backups > 0 {
            detail.push_str(&format!(
                "; that is refused: use `isogrid cluster leave {node}` first, then stop it"
            ));
        } else {
            detail.push_str("; say --yes");
        }
        return Err(wrong_argument(detail));
    }
    operator.remove_node(node).await?;
    match format {
        Format::Json => print_json(&json!({ "node": node, "removed": true }))?,
        Format::Table => tell(format!("{node} is forgotten")),
    }
    Ok(Exit::Ok)
}
