//! `isogrid status`: the members of the cluster and how they are.

use isogrid_client::{ClusterStatus, Grid, MemberStatus};
use serde_json::{Value, json};

use crate::cli::Global;
use crate::connect::with_grid;
use crate::exit::{CommandResult, Exit, Failure};
use crate::output::{Format, print, print_json, print_table, table};
use crate::text::{size, thousands};

pub(crate) fn run(global: &Global) -> CommandResult {
    with_grid(global, async |grid| show(&grid, global.output).await)
}

async fn show(grid: &Grid, format: Format) -> CommandResult {
    let status = grid.status().await?;
    match format {
        Format::Json => print_json(&object(&status))?,
        Format::Table => tables(&status)?,
    }
    Ok(if status.health == "healthy" { Exit::Ok } else { Exit::NotReady })
}

fn tables(status: &ClusterStatus) -> Result<(), Failure> {
    let safe = if status.safe { "safe" } else { "not safe" };
    print(&format!(
        "{}, {safe}: cluster {}, {} partitions, {} unassigned, table version {}\n\n",
        status.health,
        status.cluster_id,
        status.partitions_total,
        status.partitions_unassigned,
        status.table_version,
    ))?;
    let mut rows = table(&[
        "node",
        "state",
        "grpc",
        "version",
        "up",
        "cores",
        "conns",
        "maps",
        "entries",
        "data",
        "resident",
        "limit",
        "operations",
    ]);
    for member in &status.members {
        rows.add_row([
            member.node_id.clone(),
            member.state.clone(),
            member.grpc_addr.clone(),
            member.version.clone(),
            uptime(member.uptime.as_secs()),
            member.cores.to_string(),
            thousands(member.connections.into()),
            thousands(member.maps.into()),
            thousands(member.entries),
            size(member.data_bytes),
            size(member.resident_bytes),
            size(member.memory_limit_bytes),
            thousands(member.operations_total),
        ]);
    }
    print_table(&rows)
}

/// How long it runs, in its two largest units.
fn uptime(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

fn object(status: &ClusterStatus) -> Value {
    json!({
        "health": status.health,
        "safe": status.safe,
        "cluster": status.cluster_id,
        "table_version": status.table_version,
        "partitions": status.partitions_total,
        "partitions_unassigned": status.partitions_unassigned,
        "members": status.members.iter().map(member).collect::<Vec<Value>>(),
    })
}

fn member(member: &MemberStatus) -> Value {
    let workers: Vec<Value> = member
        .workers
        .iter()
        .map(
            |worker| json!({ "name": worker.name, "state": worker.state, "rounds": worker.rounds }),
        )
        .collect();
    json!({
        "node": member.node_id,
        "state": member.state,
        "grpc": member.grpc_addr,
        "gossip": member.gossip_addr,
        "http": member.http_addr,
        "zone": member.zone,
        "version": member.version,
        "uptime_ms": member.uptime.as_millis() as u64,
        "cores": member.cores,
        "connections": member.connections,
        "maps": member.maps,
        "entries": member.entries,
        "data_bytes": member.data_bytes,
        "resident_bytes": member.resident_bytes,
        "memory_limit_bytes": member.memory_limit_bytes,
        "operations_total": member.operations_total,
        "workers": workers,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptime_has_its_two_largest_units() {
        for (seconds, shown) in [(5, "5s"), (65, "1m5s"), (3_660, "1h1m"), (90_000, "1d1h")] {
            assert_eq!(uptime(seconds), shown);
        }
    }
}
