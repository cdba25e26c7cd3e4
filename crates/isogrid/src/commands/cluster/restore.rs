//! `isogrid cluster restore`: writes a backup into a running cluster, whatever its size: maps are made as they were, and their
//! entries are written as any client writes them, with the expiry they had.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use clap::Args;
use futures::{StreamExt, TryStreamExt};
use isogrid_backup::manifest::MapDefinition;
use isogrid_backup::verify::verify;
use isogrid_backup::{Chain, Image};
use isogrid_client::{Grid, Map, MapChange, MapExpect, Operator, Raw};
use isogrid_core::{MapSchema, Timestamp, limits};
use serde_json::json;

use super::place::{StoreArgs, backup_or_newest};
use crate::exit::{CommandResult, Exit, Failure, wrong_argument};
use crate::output::{Format, print, print_json, tell};
use crate::progress;
use crate::text::thousands;

/// How many entries are written together, and how many bytes.
const BATCH_OPS: usize = 500;
const BATCH_BYTES: usize = 1 << 20;

/// How many such batches are under way.
const BATCHES_UNDER_WAY: usize = 4;

/// What is restored, and how.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// Where the backups are: a folder, or s3://BUCKET[/PREFIX]
    #[arg(long, value_name = "PLACE")]
    from: String,

    /// Which one; without it, the newest
    #[arg(long, value_name = "ID")]
    backup: Option<String>,

    /// Only this map; may be given several times
    #[arg(long = "map", value_name = "MAP")]
    maps: Vec<String>,

    /// Clear maps that have entries, and fill them from the backup
    #[arg(long)]
    overwrite: bool,

    #[command(flatten)]
    store: StoreArgs,
}

/// An entry on its way.
struct Entry {
    map: u32,
    key: Vec<u8>,
    value: Bytes,
    expires_at: Option<Timestamp>,
}

pub(super) async fn run(
    operator: &Operator,
    grid: &Grid,
    args: &RestoreArgs,
    format: Format,
) -> CommandResult {
    let place = args.store.open(&args.from, false)?;
    let id = backup_or_newest(&place, args.backup.as_deref()).await?;
    let chain = Chain::read(&place, &id).await?;
    let maps = chosen(&chain.newest().maps, &args.maps)?;
    // Before anything is touched: nobody wants half a backup in the place of what was there.
    if let Some(fault) = verify(&place, &id).await?.faults.into_iter().next() {
        return Err(fault.into());
    }
    let created = prepare(operator, grid, &maps, args.overwrite).await?;
    let handles: BTreeMap<u32, Map<Bytes, Bytes, Raw>> =
        maps.iter().map(|map| (map.id, grid.raw_map(&map.name))).collect();
    let total = chain.newest().partitions_total;
    let bar = progress::bar("partitions", Some(total.into()));
    let (mut written, mut expired) = (0, 0);
    for partition in 0..total {
        let (batches, gone) = batches(chain.image(&place, partition).await?, &handles);
        expired += gone;
        let writing = batches.into_iter().map(|batch| write(grid, &handles, batch));
        let writing = futures::stream::iter(writing).buffer_unordered(BATCHES_UNDER_WAY);
        written += writing.try_fold(0, async |sum, count| Ok(sum + count)).await?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    for map in maps.iter().filter(|map| created.contains(&map.name)) {
        let indexes = Some(map.indexes.clone()).filter(|indexes| !indexes.is_empty());
        let change = MapChange { schema: map.schema.clone(), indexes, ..MapChange::default() };
        if change != MapChange::default() {
            operator.put_map(&map.name, change, MapExpect::Existing, false).await?;
        }
    }
    match format {
        Format::Json => print_json(&json!({
            "backup": id,
            "maps": maps.iter().map(|map| map.name.as_str()).collect::<Vec<_>>(),
            "maps_created": created,
            "entries": written,
            "expired": expired,
        }))?,
        Format::Table => print(&format!(
            "restored {id}: {} entries in {} {}; {} had expired\n",
            thousands(written),
            maps.len(),
            if maps.len() == 1 { "map" } else { "maps" },
            thousands(expired)
        ))?,
    }
    Ok(Exit::Ok)
}

/// The maps of the backup that were asked for; without names, all.
fn chosen(maps: &[MapDefinition], names: &[String]) -> Result<Vec<MapDefinition>, Failure> {
    if names.is_empty() {
        return Ok(maps.to_vec());
    }
    if let Some(unknown) = names.iter().find(|name| !maps.iter().any(|map| map.name == **name)) {
        let there: Vec<&str> = maps.iter().map(|map| map.name.as_str()).collect();
        let detail = format!("the backup has no map {unknown:?}; it has {}", there.join(", "));
        return Err(wrong_argument(detail));
    }
    let wanted: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    Ok(maps.iter().filter(|map| wanted.contains(map.name.as_str())).cloned().collect())
}

/// Makes the maps that are missing, as they were, and clears the others if that is wanted. Returns the names of those made.
async fn prepare(
    operator: &Operator,
    grid: &Grid,
    maps: &[MapDefinition],
    overwrite: bool,
) -> Result<Vec<String>, Failure> {
    let mut there = BTreeMap::new();
    for map in maps {
        limits::check_map_name(&map.name)?;
        if let Some(info) = operator.map(&map.name).await? {
            there.insert(map.name.as_str(), info.entries);
        }
    }
    if let Some((name, entries)) = there.iter().find(|(_, entries)| **entries > 0 && !overwrite) {
        let detail = format!(
            "map {name:?} has {} entries, nothing was written: say --overwrite to clear it, or choose maps with --map",
            thousands(*entries)
        );
        return Err(wrong_argument(detail));
    }
    let mut created = Vec::new();
    for map in maps {
        match there.get(map.name.as_str()) {
            None => {
                let made = operator.put_map(&map.name, change(map), MapExpect::Any, false).await;
                if made.is_err() {
                    tell(format!(
                        "map {:?} cannot be made with the settings that it had; make it with others (isogrid map create), and restore again",
                        map.name
                    ));
                }
                made?;
                created.push(map.name.clone());
            }
            Some(entries) if *entries > 0 => {
                grid.raw_map(&map.name).clear().await?;
            }
            Some(_) => {}
        }
    }
    Ok(created)
}

fn change(map: &MapDefinition) -> MapChange {
    MapChange {
        eviction: Some(map.eviction.clone()),
        entries_max: Some(map.entries_max),
        bytes_max: Some(map.bytes_max),
        backups: Some(map.backups),
        acknowledge: Some(map.acknowledge.clone()),
        min_in_sync: Some(map.min_in_sync),
        read: Some(map.read.clone()),
        read_lag_ms_max: Some(map.read_lag_ms_max),
        durability: Some(map.durability.clone()),
        schema: map.schema.as_ref().and_then(partitioning),
        // What was twice somewhere before an index was unique is restored too, so indexes come after the records.
        indexes: None,
        require_pruned: Some(map.require_pruned),
    }
}

/// What of a map's columns its records fit for sure. A column that was added later may not fit those that were there, so it comes
/// after them.
fn partitioning(schema: &MapSchema) -> Option<MapSchema> {
    let column = schema.column(schema.partition_by.as_ref()?)?.clone();
    Some(MapSchema { columns: vec![column], partition_by: schema.partition_by.clone() })
}

/// The entries of the wanted maps in batches, and how many of them have expired.
fn batches(image: Image, wanted: &BTreeMap<u32, Map<Bytes, Bytes, Raw>>) -> (Vec<Vec<Entry>>, u64) {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Timestamp(since_epoch.as_millis() as u64);
    let (mut batches, mut bytes, mut expired) = (vec![Vec::new()], 0, 0);
    for (map, key, record) in image.into_records() {
        if !wanted.contains_key(&map) {
            continue;
        }
        if record.expires_at.is_some_and(|at| at <= now) {
            expired += 1;
            continue;
        }
        let entry = Entry { map, key, value: record.value.into(), expires_at: record.expires_at };
        let size = entry.key.len() + entry.value.len();
        let is_full = batches.last().is_some_and(|batch| {
            batch.len() >= BATCH_OPS || bytes + size > BATCH_BYTES && !batch.is_empty()
        });
        if is_full {
            batches.push(Vec::new());
            bytes = 0;
        }
        bytes += size;
        if let Some(batch) = batches.last_mut() {
            batch.push(entry);
        }
    }
    (batches, expired)
}

/// Writes a batch; a second time is as good as once.
async fn write(
    grid: &Grid,
    maps: &BTreeMap<u32, Map<Bytes, Bytes, Raw>>,
    batch: Vec<Entry>,
) -> Result<u64, Failure> {
    let mut pipeline = grid.pipeline();
    let mut tickets = Vec::with_capacity(batch.len());
    for entry in &batch {
        let Some(map) = maps.get(&entry.map) else { continue };
        let mut put = map.put(entry.key.as_slice(), &entry.value);
        if let Some(at) = entry.expires_at {
            put = put.expires_at(UNIX_EPOCH + Duration::from_millis(at.0));
        }
        tickets.push(pipeline.push(put));
    }
    if tickets.is_empty() {
        return Ok(0);
    }
    let count = tickets.len() as u64;
    let mut replies = pipeline.send().await?;
    for ticket in tickets {
        replies.take(ticket)?;
    }
    Ok(count)
}
