//! `isogrid map drop MAP --yes`: a map with all its entries.

use clap::Args;
use isogrid_client::Operator;
use serde_json::json;

use crate::exit::{CommandResult, Exit, wrong_argument};
use crate::output::{Format, print_json, tell};
use crate::text::thousands;

/// Which map.
#[derive(Debug, Args)]
pub(crate) struct DropArgs {
    /// The map
    map: String,

    /// Yes, drop it
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(operator: &Operator, args: &DropArgs, format: Format) -> CommandResult {
    if !args.yes {
        let detail = match operator.map(&args.map).await? {
            Some(map) => format!(
                "this would drop map {:?} with all its {} entries; say --yes",
                args.map,
                thousands(map.entries)
            ),
            None => format!("there is no map {:?}", args.map),
        };
        return Err(wrong_argument(detail));
    }
    let existed = operator.drop_map(&args.map).await?;
    match format {
        Format::Json => print_json(&json!({ "map": args.map, "dropped": existed }))?,
        Format::Table if existed => tell(format!("dropped map {:?}", args.map)),
        Format::Table => tell(format!("no map {:?}", args.map)),
    }
    Ok(if existed { Exit::Ok } else { Exit::Failed })
}
