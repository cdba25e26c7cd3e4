//! `isogrid clients kill ID…`: end connections.

use clap::Args;
use isogrid_client::Operator;
use serde_json::json;

use crate::exit::{CommandResult, Exit};
use crate::output::{Format, print_json, tell};

/// Which ones.
#[derive(Debug, Args)]
pub(crate) struct KillArgs {
    /// The clients, as `isogrid clients ls` names them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

pub(super) async fn run(operator: &Operator, args: &KillArgs, format: Format) -> CommandResult {
    let (mut ended, mut missing) = (Vec::new(), Vec::new());
    for id in &args.ids {
        match operator.end_client(id).await? {
            true => ended.push(id.as_str()),
            false => missing.push(id.as_str()),
        }
    }
    match format {
        Format::Json => print_json(&json!({ "ended": ended, "missing": missing }))?,
        Format::Table => {
            ended.iter().for_each(|id| tell(format!("ended {id}")));
            missing.iter().for_each(|id| tell(format!("no client {id}")));
        }
    }
    Ok(match (ended.is_empty(), missing.is_empty()) {
        (_, true) => Exit::Ok,
        (true, false) => Exit::Failed,
        (false, false) => Exit::Partial,
    })
}
