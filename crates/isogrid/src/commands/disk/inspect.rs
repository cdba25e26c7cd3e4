//! `isogrid disk inspect`: lists what is there.

use clap::Args;
use isogrid_core::{Effect, PartitionId};
use isogrid_replica::entry::Entries;
use isogrid_wal::{Item, OsDisk, Record};
use serde_json::{Map, Value, json};

use super::{FolderArgs, unusable};
use crate::exit::{CommandResult, Exit, Failure};
use crate::output::{Format, stdout, write_json};
use crate::text::{escaped, put_bytes, size};

/// What to list.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    folder: FolderArgs,

    /// List the records of the log too
    #[arg(long)]
    records: bool,

    /// List the entries within the records too
    #[arg(long)]
    entries: bool,

    /// Records and snapshots of this partition only
    #[arg(long, value_name = "NUMBER")]
    partition: Option<u16>,
}

pub(super) fn run(args: &InspectArgs, format: Format) -> CommandResult {
    let folder = args.folder.data()?;
    let mut out = Out { args, format, to: stdout(), failed: None };
    let disk = OsDisk::look(&folder);
    isogrid_wal::inspect(&disk, |item| out.item(&item)).map_err(|why| unusable(&folder, &why))?;
    match out.failed {
        Some(failure) => Err(failure),
        None => Ok(Exit::Ok),
    }
}

/// Where the list goes.
struct Out<'a, W> {
    args: &'a InspectArgs,
    format: Format,
    to: W,
    failed: Option<Failure>,
}

impl<W: std::io::Write> Out<'_, W> {
    fn item(&mut self, item: &Item<'_>) {
        if self.failed.is_none()
            && let Err(failure) = self.print(item)
        {
            self.failed = Some(failure);
        }
    }

    fn is_wanted(&self, partition: PartitionId) -> bool {
        self.args.partition.is_none_or(|wanted| wanted == partition.0)
    }

    fn print(&mut self, item: &Item<'_>) -> Result<(), Failure> {
        match item {
            Item::Segment { number, header, file_bytes, end } => self.line(
                &format!(
                    "segment {number}: {}{}",
                    size(*file_bytes),
                    if header.is_none() { ", its header is damaged" } else { "" }
                ),
                json!({ "segment": number, "file_bytes": file_bytes, "end": end, "is_sound": header.is_some() }),
            ),
            Item::Record { place, record, .. } => self.record(&place.to_string(), record),
            Item::UnknownRecord { header } => self.line(
                &format!("  a record of kind {} of a newer version", header.kind),
                json!({ "unknown_kind": header.kind }),
            ),
            Item::Bad { place, partition, why } => self.line(
                &format!("  {place} DAMAGED: {why}"),
                json!({ "place": place.to_string(), "partition": partition.map(|p| p.0), "damage": why }),
            ),
            Item::Snapshot(info) if self.is_wanted(info.partition) => self.line(
                &format!(
                    "snapshot {}: at {}, {} records, {} ({} on disk), log from {}",
                    info.path,
                    info.position,
                    info.records,
                    size(info.bytes),
                    size(info.file_bytes),
                    info.replay_from
                ),
                json!({
                    "snapshot": info.path,
                    "partition": info.partition.0,
                    "epoch": info.position.epoch.0,
                    "seq": info.position.seq,
                    "records": info.records,
                    "bytes": info.bytes,
                    "file_bytes": info.file_bytes,
                    "replay_from": info.replay_from.to_string(),
                }),
            ),
            Item::Snapshot(_) => Ok(()),
            Item::BadSnapshot(damage) => self.line(
                &format!("snapshot DAMAGED: {damage}"),
                json!({ "snapshot": damage.file, "damage": damage.why, "offset": damage.offset }),
            ),
            Item::Temporary(path) => self.line(
                &format!("left over: {path}"),
                json!({ "left_over": path }),
            ),
        }
    }

    fn record(&mut self, place: &str, record: &Record<'_>) -> Result<(), Failure> {
        if !self.args.records && !self.args.entries {
            return Ok(());
        }
        match *record {
            Record::Entries { partition, first, last, entries } if self.is_wanted(partition) => {
                self.line(
                    &format!(
                        "  {place} partition {}: entries {first} to {last}, {}",
                        partition.0,
                        size(entries.len() as u64)
                    ),
                    json!({
                        "place": place,
                        "partition": partition.0,
                        "first": first.to_string(),
                        "last": last.to_string(),
                        "bytes": entries.len(),
                    }),
                )?;
                if self.args.entries { self.entries(partition, entries) } else { Ok(()) }
            }
            Record::Reset { partition } if self.is_wanted(partition) => self.line(
                &format!("  {place} partition {}: what was before is void", partition.0),
                json!({ "place": place, "partition": partition.0, "reset": true }),
            ),
            Record::ImageBegun { partition, position } if self.is_wanted(partition) => self.line(
                &format!(
                    "  {place} partition {}: what follows is for an image at {position}",
                    partition.0
                ),
                json!({
                    "place": place,
                    "partition": partition.0,
                    "image_begun": position.to_string(),
                }),
            ),
            Record::Durable { place: synced } if self.args.partition.is_none() => self.line(
                &format!("  {place} synced up to {synced}"),
                json!({ "place": place, "synced_to": synced.to_string() }),
            ),
            _ => Ok(()),
        }
    }

    fn entries(&mut self, partition: PartitionId, entries: &[u8]) -> Result<(), Failure> {
        for entry in Entries::new(entries) {
            let Ok(encoded) = entry else {
                return self.line("    an entry CANNOT BE READ", json!({ "unreadable": true }));
            };
            let (position, effect) = (encoded.entry.position, encoded.entry.effect);
            let mut object = Map::new();
            object.insert("partition".into(), partition.0.into());
            object.insert("entry".into(), position.to_string().into());
            let what = describe(&effect, &mut object);
            self.line(&format!("    {position} {what}"), Value::Object(object))?;
        }
        Ok(())
    }

    fn line(&mut self, text: &str, object: Value) -> Result<(), Failure> {
        match self.format {
            Format::Json => write_json(&mut self.to, &object),
            Format::Table => Ok(writeln!(self.to, "{text}")?),
        }
    }
}

/// What an entry changes, for people, and for machines into the object.
fn describe(effect: &Effect<'_>, object: &mut Map<String, Value>) -> String {
    match *effect {
        Effect::Nothing => {
            object.insert("effect".into(), "nothing".into());
            "nothing".to_owned()
        }
        Effect::Put { map, key, value, expires_at } => {
            object.insert("effect".into(), "put".into());
            object.insert("map".into(), map.0.into());
            put_bytes(object, "key", key);
            object.insert("value_bytes".into(), value.len().into());
            object.insert("expires_at_ms".into(), expires_at.map(|at| at.0).into());
            let expires =
                expires_at.map_or(String::new(), |at| format!(", expires at {} ms", at.0));
            format!("put map {} {}: {}{expires}", map.0, escaped(key), size(value.len() as u64))
        }
        Effect::Remove { map, key, cause } => {
            object.insert("effect".into(), "remove".into());
            object.insert("map".into(), map.0.into());
            put_bytes(object, "key", key);
            let cause = format!("{cause:?}").to_lowercase();
            object.insert("cause".into(), cause.as_str().into());
            format!("remove map {} {}: {cause}", map.0, escaped(key))
        }
        Effect::Rename { map, from, to, value, expires_at } => {
            object.insert("effect".into(), "rename".into());
            object.insert("map".into(), map.0.into());
            put_bytes(object, "from", from);
            put_bytes(object, "to", to);
            object.insert("value_bytes".into(), value.len().into());
            object.insert("expires_at_ms".into(), expires_at.map(|at| at.0).into());
            let (from, to) = (escaped(from), escaped(to));
            format!("rename map {} {from} to {to}: {}", map.0, size(value.len() as u64))
        }
        Effect::Clear { map } => {
            object.insert("effect".into(), "clear".into());
            object.insert("map".into(), map.0.into());
            format!("clear map {}", map.0)
        }
        Effect::EndSessions(ended) => {
            object.insert("effect".into(), "end_sessions".into());
            object.insert("watermark".into(), ended.watermark.0.into());
            format!("end sessions below {}", ended.watermark.0)
        }
    }
}
