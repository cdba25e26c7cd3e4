//! `isogrid map`: read and write maps. Keys and values are bytes as they are.

mod big_keys;
pub(crate) mod change;
mod clear;
mod create;
mod del;
mod drop;
mod export;
mod files;
mod get;
mod hot_keys;
mod import;
mod index;
mod info;
mod ls;
mod put;
mod rename_key;
mod scan;
mod watch;

use bytes::Bytes;
use clap::Subcommand;
use isogrid_client::{Grid, Map, Operator, Raw};

use crate::cli::Global;
use crate::connect::{with_grid, with_operator};
use crate::exit::CommandResult;
use crate::output::Format;

/// What to do with a map.
#[derive(Debug, Subcommand)]
pub(crate) enum MapCommand {
    /// Write a value
    Put(put::PutArgs),
    /// Write the value of a key to standard output, and nothing else
    Get(get::GetArgs),
    /// Remove keys
    Del(del::DelArgs),
    /// Move a record to another key of the same partition, in one step
    RenameKey(rename_key::RenameKeyArgs),
    /// List the maps with their sizes and settings
    Ls,
    /// List the entries of a map
    Scan(scan::ScanArgs),
    /// Write the entries of a map to a file: JSON lines, Parquet or CSV
    Export(export::ExportArgs),
    /// Write the entries of a file into a map
    Import(import::ImportArgs),
    /// Follow what changes in a map
    Watch(watch::WatchArgs),
    /// Show one map
    Info(info::InfoArgs),
    /// Show the keys that are asked for most, from samples
    HotKeys(hot_keys::HotKeysArgs),
    /// Show the largest records
    BigKeys(big_keys::BigKeysArgs),
    /// Create a map with settings of its own
    Create(create::CreateArgs),
    /// Change the settings of a map, while it is in use
    Alter(create::AlterArgs),
    /// Find records by their fields: create, drop and list indexes
    #[command(subcommand)]
    Index(index::IndexCommand),
    /// Drop a map with all its entries
    Drop(drop::DropArgs),
    /// Remove all entries of a map
    Clear(clear::ClearArgs),
}

pub(crate) use hot_keys::map_object as hot_object;
pub(crate) use ls::object;

/// A map of bytes.
type ByteMap = Map<Bytes, Bytes, Raw>;

fn byte_map(grid: &Grid, name: &str) -> ByteMap {
    grid.raw_map(name)
}

pub(crate) fn run(command: MapCommand, global: &Global) -> CommandResult {
    let format = global.output;
    match command {
        MapCommand::Put(args) => {
            with_grid(global, async |grid| put::run(&grid, &args, format).await)
        }
        MapCommand::Get(args) => {
            with_grid(global, async |grid| get::run(&grid, &args, format).await)
        }
        MapCommand::Del(args) => {
            with_grid(global, async |grid| del::run(&grid, &args, format).await)
        }
        MapCommand::RenameKey(args) => {
            with_grid(global, async |grid| rename_key::run(&grid, &args, format).await)
        }
        MapCommand::Scan(args) => {
            with_grid(global, async |grid| scan::run(&grid, &args, format).await)
        }
        MapCommand::Export(args) => {
            with_grid(global, async |grid| export::run(&grid, &args, format).await)
        }
        MapCommand::Import(args) => {
            with_grid(global, async |grid| import::run(&grid, &args, global).await)
        }
        MapCommand::Watch(args) => {
            with_grid(global, async |grid| watch::run(&grid, &args, format).await)
        }
        MapCommand::Clear(args) => {
            with_grid(global, async |grid| clear::run(&grid, &args, format).await)
        }
        other => with_operator(global, async |operator| manage(other, &operator, format).await),
    }
}

/// The commands about maps, not about what is in them.
async fn manage(command: MapCommand, operator: &Operator, format: Format) -> CommandResult {
    match command {
        MapCommand::Ls => ls::run(operator, format).await,
        MapCommand::Info(args) => info::run(operator, &args, format).await,
        MapCommand::HotKeys(args) => hot_keys::run(operator, &args, format).await,
        MapCommand::BigKeys(args) => big_keys::run(operator, &args, format).await,
        MapCommand::Create(args) => create::create(operator, &args, format).await,
        MapCommand::Alter(args) => create::alter(operator, &args, format).await,
        MapCommand::Index(command) => index::run(operator, command, format).await,
        MapCommand::Drop(args) => drop::run(operator, &args, format).await,
        _ => unreachable!("the commands about entries are run on the grid"),
    }
}
