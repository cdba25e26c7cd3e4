//! `isogrid map put MAP KEY VALUE`: write a value.

use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use isogrid_client::{Grid, Put};
use isogrid_core::limits::VALUE_BYTES_HARD_MAX;
use isogrid_core::{Error, ErrorCode, Version};
use serde_json::json;

use crate::duration;
use crate::exit::{CommandResult, Exit, Failure};
use crate::output::{Format, print_json, tell};

use super::byte_map;

/// What is written, and when.
#[derive(Debug, Args)]
pub(crate) struct PutArgs {
    /// The map
    map: String,

    /// The key
    key: String,

    /// The value; `-` reads it from standard input
    #[arg(allow_hyphen_values = true)]
    value: String,

    /// The entry expires after this, as in 10s
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    ttl: Option<Duration>,

    /// Only if there is no such key
    #[arg(long, conflicts_with = "if_version")]
    if_absent: bool,

    /// Only if the entry has this version
    #[arg(long, value_name = "VERSION")]
    if_version: Option<u64>,
}

pub(super) async fn run(grid: &Grid, args: &PutArgs, format: Format) -> CommandResult {
    let value = read_value(&args.value)?;
    let map = byte_map(grid, &args.map);
    let mut put = map.put(args.key.as_bytes(), &value);
    if let Some(ttl) = args.ttl {
        put = put.ttl(ttl);
    }
    let stored = match (args.if_absent, args.if_version) {
        (true, _) => put.if_absent().await?,
        (false, Some(version)) => put.if_version(Version(version)).await?,
        (false, None) => Put::Stored(put.await?),
    };
    match stored {
        Put::Stored(version) => {
            report(args, format, true, Some(version))?;
            Ok(Exit::Ok)
        }
        Put::Conflict(current) => {
            report(args, format, false, current.map(|entry| entry.version))?;
            Ok(Exit::Failed)
        }
    }
}

fn read_value(argument: &str) -> Result<Bytes, Failure> {
    if argument != "-" {
        return Ok(Bytes::copy_from_slice(argument.as_bytes()));
    }
    let mut value = Vec::new();
    // One byte more than any node takes tells a value that is too large from one that just fits.
    std::io::stdin().lock().take(VALUE_BYTES_HARD_MAX as u64 + 1).read_to_end(&mut value)?;
    if value.len() > VALUE_BYTES_HARD_MAX {
        let detail = format!("standard input has more than {VALUE_BYTES_HARD_MAX} bytes");
        return Err(Error::new(ErrorCode::ValueTooLarge, detail).into());
    }
    Ok(value.into())
}

fn report(
    args: &PutArgs,
    format: Format,
    stored: bool,
    version: Option<Version>,
) -> Result<(), Failure> {
    if format == Format::Json {
        return print_json(&json!({ "stored": stored, "version": version.map(|v| v.0) }));
    }
    match (stored, version) {
        (true, Some(version)) => tell(format!("stored, version {version}")),
        (true, None) => tell("stored"),
        (false, Some(version)) => {
            tell(format!("not stored: {:?} is there with version {version}", args.key));
        }
        (false, None) => tell(format!("not stored: there is no {:?}", args.key)),
    }
    Ok(())
}
