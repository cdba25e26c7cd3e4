//! `isogrid cluster drain`, `leave`, `restart` and `stay`: what is wanted of a node.

use clap::Args;
use isogrid_client::{Intent, Operator};
use isogrid_core::ErrorCode;
use serde_json::json;

use crate::exit::{CommandResult, Exit, Failure, wrong_argument};
use crate::output::{Format, print, print_json, tell};

use super::{WaitArgs, can_stop, empty, member, named_or_own, plan};

/// Which node is emptied.
#[derive(Debug, Args)]
pub(crate) struct LeavingArgs {
    /// The node
    node: String,

    /// Yes, empty it
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    wait: WaitArgs,
}

/// Which node is restarted.
#[derive(Debug, Args)]
pub(crate) struct RestartArgs {
    /// The node; the one at --endpoint unless named
    node: Option<String>,

    #[command(flatten)]
    wait: WaitArgs,
}

/// Which node stays.
#[derive(Debug, Args)]
pub(crate) struct StayArgs {
    /// The node
    #[arg(required_unless_present = "all")]
    node: Option<String>,

    /// All members: takes back a stop of the whole cluster
    #[arg(long, conflicts_with = "node")]
    all: bool,
}

/// Empties a node, which stays a member.
pub(super) async fn drain(
    operator: &Operator,
    args: &LeavingArgs,
    format: Format,
) -> CommandResult {
    send_away(operator, args, Intent::Drain, format).await
}

/// Empties a node for good.
pub(super) async fn leave(
    operator: &Operator,
    args: &LeavingArgs,
    format: Format,
) -> CommandResult {
    send_away(operator, args, Intent::Leave, format).await
}

async fn send_away(
    operator: &Operator,
    args: &LeavingArgs,
    intent: Intent,
    format: Format,
) -> CommandResult {
    let node = &args.node;
    let status = operator.status(false).await?;
    if let Err(unknown) = member(&status, node) {
        return gone_already(operator, args, intent, (unknown, format)).await;
    }
    if !args.yes {
        return Err(show_plan(operator, node, intent, format).await?);
    }
    let changed = operator.set_intent(std::slice::from_ref(node), intent).await?;
    if changed.is_empty() {
        tell(format!("{node} is to {intent} already"));
    }
    if args.wait.wait {
        return empty::wait(operator, node, (intent, args.wait.timeout), format).await;
    }
    told(node, intent, changed.len(), format)?;
    Ok(Exit::Ok)
}

/// That a node leaves which the cluster has forgotten has been done: whoever says so once more is told that. Any other name
/// is a mistake.
async fn gone_already(
    operator: &Operator,
    args: &LeavingArgs,
    intent: Intent,
    (unknown, format): (Failure, Format),
) -> CommandResult {
    let node = &args.node;
    if intent != Intent::Leave || !args.yes {
        return Err(unknown);
    }
    match operator.set_intent(std::slice::from_ref(node), intent).await {
        Ok(_) if format == Format::Json => {
            print_json(
                &json!({ "node": node, "intent": "leave", "changed": false, "forgotten": true }),
            )?;
        }
        Ok(_) => tell(format!("{node} has left already and is forgotten")),
        Err(error) if error.code() == ErrorCode::NodeUnknown => return Err(unknown),
        Err(error) => return Err(error.into()),
    }
    Ok(Exit::Ok)
}

/// Without `--yes` a plan is shown and nothing is done.
async fn show_plan(
    operator: &Operator,
    node: &str,
    intent: Intent,
    format: Format,
) -> Result<Failure, Failure> {
    let plan = operator.plan(&[node.to_owned()]).await?;
    match format {
        Format::Json => print_json(&plan::object(&plan))?,
        Format::Table => print(&plan::text(&plan))?,
    }
    let outcome = match intent {
        Intent::Leave => "empty it for good",
        _ => "empty it",
    };
    Ok(wrong_argument(format!("this would {outcome}: {node}; say --yes")))
}

fn told(node: &str, intent: Intent, changed: usize, format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => {
            print_json(&json!({ "node": node, "intent": intent.as_str(), "changed": changed > 0 }))
        }
        Format::Table => {
            tell(format!(
                "{node} is to {intent}; `isogrid cluster members` shows what it still holds"
            ));
            Ok(())
        }
    }
}

/// Prepares a restart. Nothing is harmed by it, so nobody is asked for a yes.
pub(super) async fn restart(
    operator: &Operator,
    args: &RestartArgs,
    format: Format,
) -> CommandResult {
    let node = &named_or_own(operator, args.node.as_deref()).await?;
    let changed = operator.set_intent(std::slice::from_ref(node), Intent::Restart).await?;
    if args.wait.wait {
        return can_stop::report(operator, node, args.wait, format).await;
    }
    told(node, Intent::Restart, changed.len(), format)?;
    Ok(Exit::Ok)
}

/// Takes back what was wanted.
pub(super) async fn stay(operator: &Operator, args: &StayArgs, format: Format) -> CommandResult {
    let changed = match &args.node {
        Some(node) => {
            member(&operator.status(false).await?, node)?;
            operator.set_intent(std::slice::from_ref(node), Intent::Stay).await?
        }
        None => operator.set_intent_of_all(Intent::Stay).await?,
    };
    match format {
        Format::Json => print_json(&json!({ "intent": "stay", "changed": changed }))?,
        Format::Table if changed.is_empty() => tell("nothing else was wanted"),
        Format::Table => tell(format!("to stay: {}", changed.join(", "))),
    }
    Ok(Exit::Ok)
}
