//! `isogrid map get MAP KEY`: the value of a key, byte for byte.

use std::io::Write;

use clap::Args;
use isogrid_client::Grid;
use serde_json::{Map, Value};

use crate::exit::{CommandResult, Exit};
use crate::output::{Format, print_json, stdout, tell};
use crate::text::put_bytes;

use super::byte_map;

/// Which value.
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// The map
    map: String,

    /// The key
    key: String,
}

pub(super) async fn run(grid: &Grid, args: &GetArgs, format: Format) -> CommandResult {
    let map = byte_map(grid, &args.map);
    let Some(entry) = map.get(args.key.as_bytes()).versioned().await? else {
        tell(format!("no {:?} in map {:?}", args.key, args.map));
        return Ok(Exit::Failed);
    };
    if format == Format::Json {
        let mut object = Map::new();
        put_bytes(&mut object, "key", args.key.as_bytes());
        put_bytes(&mut object, "value", &entry.value);
        object.insert("version".into(), Value::from(entry.version.0));
        object.insert("expires_at_ms".into(), Value::from(entry.expires_at.map(|at| at.0)));
        print_json(&object)?;
        return Ok(Exit::Ok);
    }
    let mut out = stdout();
    out.write_all(&entry.value)?;
    out.flush()?;
    Ok(Exit::Ok)
}
