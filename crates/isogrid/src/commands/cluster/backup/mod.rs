//! `isogrid cluster backup`: writes a consistent image of a cluster to a folder or an object store, while writes go on.
//!
//! | module | what it does |
//! |---|---|
//! | `cluster` | the nodes: who leads what, their clocks, their streams |
//! | `cut` | where the backup cuts |
//! | `rounds` | from streams to objects, until every partition has reached one cut |
//! | `name` | names of backups |

mod cluster;
mod cut;
mod name;
mod rounds;

use clap::Args;
use isogrid_backup::Place;
use isogrid_backup::manifest::{FORMAT, Manifest, MapDefinition, Mode, path_of};
use isogrid_client::{MapInfo, Operator};
use serde_json::{Value, json};

use self::cluster::Cluster;
use self::rounds::Rounds;
use super::place::StoreArgs;
use crate::exit::{CommandResult, Exit, Failure};
use crate::output::{Format, print, print_json, print_table, table, tell};
use crate::text::{size, thousands};

/// Beyond so many milliseconds the clocks of the nodes may be too far apart for the cut to keep the order of a client's
/// writes: a node believes no clock that is further ahead.
const CLOCKS_APART_MS_MAX: u64 = 5_000;

/// Where the backup goes.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// Where the backups are: a folder, or s3://BUCKET[/PREFIX]
    #[arg(long, value_name = "PLACE")]
    to: String,

    /// Take everything, even if an earlier backup is there to build on
    #[arg(long, conflicts_with = "list")]
    full: bool,

    /// Only list the backups that are there
    #[arg(long)]
    list: bool,

    #[command(flatten)]
    store: StoreArgs,
}

impl BackupArgs {
    /// Whether the cluster is not asked.
    pub(super) fn is_offline(&self) -> bool {
        self.list
    }
}

/// Lists the backups at a place.
pub(super) async fn list(args: &BackupArgs, format: Format) -> CommandResult {
    let place = args.store.open(&args.to, false)?;
    let mut rows = table(&["backup", "parent", "cluster", "cut", "maps", "objects", "bytes"]);
    let mut objects = Vec::new();
    for id in place.backups().await? {
        let manifest = place.manifest(&id).await?;
        rows.add_row([
            id,
            manifest.parent.clone().unwrap_or_else(|| "-".to_owned()),
            manifest.cluster_name.clone(),
            name::time(manifest.cut_clock >> 16),
            manifest.maps.len().to_string(),
            manifest.objects().count().to_string(),
            size(manifest.bytes()),
        ]);
        objects.push(object(&manifest));
    }
    match format {
        Format::Json => print_json(&objects)?,
        Format::Table => print_table(&rows)?,
    }
    Ok(Exit::Ok)
}

pub(super) async fn run(operator: &Operator, args: &BackupArgs, format: Format) -> CommandResult {
    let place = args.store.open(&args.to, true)?;
    let status = operator.status(false).await?;
    let cluster = Cluster::new(operator, &status);
    let total = operator.partitions(&[]).await?.partitions_total;
    let newest = place.backups().await?.pop();
    let newest = match newest {
        // A full one is what helps when the newest is damaged.
        Some(id) if args.full => place.manifest(&id).await.ok(),
        Some(id) => Some(place.manifest(&id).await?),
        None => None,
    };
    let fits = |newest: &Manifest| {
        !args.full && newest.cluster_id == status.cluster_id && newest.partitions_total == total
    };
    let after_ms = newest.as_ref().map_or(0, |newest| newest.started_ms + 1);
    let started_ms = name::now_ms().max(after_ms);
    let id = name::of(started_ms);
    let parent = newest.filter(fits);
    let mut rounds = Rounds::new((&place, &id), cluster, parent.as_ref(), total);
    let cut = match rounds.run().await {
        Ok(cut) => cut,
        Err(failure) => {
            rounds.discard().await;
            return Err(failure);
        }
    };
    let manifest = Manifest {
        format: FORMAT,
        id,
        parent: parent.map(|parent| parent.id),
        cluster_id: status.cluster_id,
        cluster_name: status.cluster_name,
        started_ms,
        finished_ms: name::now_ms(),
        cut_clock: cut.clock.0,
        clocks_apart_ms: cut.clocks_apart_ms,
        partitions_total: total,
        maps: cut.maps.iter().map(definition).collect(),
        partitions: cut.parts,
    };
    write(&place, &manifest).await?;
    told(&manifest, format)
}

/// With its manifest the backup exists.
async fn write(place: &Place, manifest: &Manifest) -> Result<(), Failure> {
    let bytes = manifest.encode()?;
    place.put(&path_of(&manifest.id), bytes).await?;
    Ok(())
}

fn told(manifest: &Manifest, format: Format) -> CommandResult {
    if manifest.clocks_apart_ms > CLOCKS_APART_MS_MAX {
        tell(format!(
            "warning: the clocks of the nodes are {} ms apart; writes that a client made one after the other on such nodes may \
             be cut between",
            manifest.clocks_apart_ms
        ));
    }
    match format {
        Format::Json => print_json(&object(manifest))?,
        Format::Table => print(&format!(
            "{}: {} records, {} entries, {} objects, {}; {}\n",
            manifest.id,
            thousands(manifest.partitions.iter().map(|part| part.records).sum()),
            thousands(manifest.partitions.iter().map(|part| part.entries).sum()),
            thousands(manifest.objects().count() as u64),
            size(manifest.bytes()),
            match &manifest.parent {
                Some(parent) => format!("builds on {parent}"),
                None => "full".to_owned(),
            }
        ))?,
    }
    Ok(Exit::Ok)
}

/// A backup as JSON.
fn object(manifest: &Manifest) -> Value {
    let of_mode = |mode| manifest.partitions.iter().filter(|part| part.mode == mode).count();
    json!({
        "backup": manifest.id,
        "parent": manifest.parent,
        "cluster": manifest.cluster_name,
        "cluster_id": manifest.cluster_id,
        "started_ms": manifest.started_ms,
        "finished_ms": manifest.finished_ms,
        "cut_ms": manifest.cut_clock >> 16,
        "clocks_apart_ms": manifest.clocks_apart_ms,
        "maps": manifest.maps.iter().map(|map| map.name.as_str()).collect::<Vec<_>>(),
        "partitions": {
            "whole": of_mode(Mode::Whole),
            "changes": of_mode(Mode::Changes),
            "entries": of_mode(Mode::Entries),
        },
        "records": manifest.partitions.iter().map(|part| part.records).sum::<u64>(),
        "entries": manifest.partitions.iter().map(|part| part.entries).sum::<u64>(),
        "objects": manifest.objects().count(),
        "bytes": manifest.bytes(),
    })
}

fn definition(map: &MapInfo) -> MapDefinition {
    MapDefinition {
        id: map.id,
        name: map.name.clone(),
        eviction: map.eviction.clone(),
        entries_max: map.entries_max,
        bytes_max: map.bytes_max,
        backups: map.backups,
        acknowledge: map.acknowledge.clone(),
        min_in_sync: map.min_in_sync,
        read: map.read.clone(),
        read_lag_ms_max: map.read_lag_ms_max,
        durability: map.durability.clone(),
        schema: map.schema.clone(),
        indexes: map.indexes.iter().map(|one| one.index.clone()).collect(),
        require_pruned: map.require_pruned,
    }
}
