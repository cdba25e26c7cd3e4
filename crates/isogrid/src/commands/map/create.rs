//! `isogrid map create MAP` and `isogrid map alter MAP`: a map with its settings and its mode.

use clap::Args;
use isogrid_client::{MapChange, MapExpect, Operator};
use serde_json::json;

use crate::exit::{CommandResult, Exit, wrong_argument};
use crate::output::{Format, print, print_json};

use super::change::{ChangeArgs, difference_object, difference_text};

/// Which map, and what is set.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// The map
    map: String,

    #[command(flatten)]
    change: ChangeArgs,

    /// Only show what would change
    #[arg(long)]
    dry_run: bool,

    /// If there is such a map, alter it
    #[arg(long)]
    or_alter: bool,
}

/// Which map, and what is changed.
#[derive(Debug, Args)]
pub(crate) struct AlterArgs {
    /// The map
    map: String,

    #[command(flatten)]
    change: ChangeArgs,

    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
}

/// Creates a map.
pub(super) async fn create(
    operator: &Operator,
    args: &CreateArgs,
    format: Format,
) -> CommandResult {
    let expect = if args.or_alter { MapExpect::Any } else { MapExpect::New };
    put(operator, &args.map, (args.change.change(), expect), args.dry_run, format).await
}

/// Changes a map.
pub(super) async fn alter(operator: &Operator, args: &AlterArgs, format: Format) -> CommandResult {
    let change = args.change.change();
    if change == MapChange::default() {
        let detail = "nothing to alter; say what, as in `--backups 2` (`isogrid map alter --help`)";
        return Err(wrong_argument(detail));
    }
    put(operator, &args.map, (change, MapExpect::Existing), args.dry_run, format).await
}

async fn put(
    operator: &Operator,
    map: &str,
    (change, expect): (MapChange, MapExpect),
    dry_run: bool,
    format: Format,
) -> CommandResult {
    let outcome = operator.put_map(map, change, expect, dry_run).await?;
    let before = outcome.before.as_ref();
    match format {
        Format::Json => print_json(&json!({
            "map": outcome.after.name,
            "created": before.is_none(),
            "dry_run": dry_run,
            "changes": difference_object(before, &outcome.after),
        }))?,
        Format::Table => print(&difference_text(before, &outcome.after))?,
    }
    Ok(Exit::Ok)
}
