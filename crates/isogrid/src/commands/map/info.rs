//! `isogrid map info MAP`: one map.

use clap::Args;
use isogrid_client::Operator;

use crate::exit::{CommandResult, Exit};
use crate::output::{Format, print, print_json, tell};
use crate::text::{size, thousands};

use super::change::{settings_of, shown};
use super::ls::object;

/// Which map.
#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// The map
    map: String,
}

pub(super) async fn run(operator: &Operator, args: &InfoArgs, format: Format) -> CommandResult {
    let Some(map) = operator.map(&args.map).await? else {
        tell(format!("no map {:?}", args.map));
        return Ok(Exit::Failed);
    };
    if format == Format::Json {
        print_json(&object(&map))?;
        return Ok(Exit::Ok);
    }
    let each = map.bytes.checked_div(map.entries).unwrap_or(0);
    let mut lines = vec![
        ("map", map.name.clone()),
        ("id", map.id.to_string()),
        ("entries", thousands(map.entries)),
        ("bytes", format!("{} ({} per entry)", size(map.bytes), size(each))),
    ];
    lines.extend(settings_of(&map).map(|(name, value)| (name, shown(name, &value))));
    let text: String =
        lines.into_iter().map(|(name, value)| format!("{name:<15}  {value}\n")).collect();
    print(&text)?;
    Ok(Exit::Ok)
}
