//! `isogrid map`: read and write maps. Keys and values are bytes as they are.

mod clear;
mod del;
mod get;
mod info;
mod ls;
mod put;
mod scan;

use bytes::Bytes;
use clap::Subcommand;
use isogrid_client::{Grid, Map, Raw};

use crate::cli::Global;
use crate::connect::with_grid;
use crate::exit::CommandResult;

/// What to do with a map.
#[derive(Debug, Subcommand)]
pub(crate) enum MapCommand {
    /// Write a value
    Put(put::PutArgs),
    /// Write the value of a key to standard output, and nothing else
    Get(get::GetArgs),
    /// Remove keys
    Del(del::DelArgs),
    /// List the maps with their sizes and settings
    Ls,
    /// List the entries of a map
    Scan(scan::ScanArgs),
    /// Show one map
    Info(info::InfoArgs),
    /// Remove all entries of a map
    Clear(clear::ClearArgs),
}

/// A map of bytes.
type ByteMap = Map<Bytes, Bytes, Raw>;

fn byte_map(grid: &Grid, name: &str) -> ByteMap {
    grid.raw_map(name)
}

pub(crate) fn run(command: MapCommand, global: &Global) -> CommandResult {
    let format = global.output;
    with_grid(global, async |grid| match command {
        MapCommand::Put(args) => put::run(&grid, &args, format).await,
        MapCommand::Get(args) => get::run(&grid, &args, format).await,
        MapCommand::Del(args) => del::run(&grid, &args, format).await,
        MapCommand::Ls => ls::run(&grid, format).await,
        MapCommand::Scan(args) => scan::run(&grid, &args, format).await,
        MapCommand::Info(args) => info::run(&grid, &args, format).await,
        MapCommand::Clear(args) => clear::run(&grid, &args, format).await,
    })
}
