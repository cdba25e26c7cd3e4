//! The page that Prometheus reads: this node's figures as they are when it asks.
//!
//! | module | what it holds |
//! |---|---|
//! | `page`, `histogram` | the format |
//! | `operations` | what was asked and what came of it |
//! | `cluster` | members, partitions, moves, the council |
//! | `replication` | how far others are behind, and what goes between nodes and clients |
//! | `memory` | data, maps, evictions |
//! | `process` | cores and the process |

mod cluster;
mod insight;
mod memory;
mod operations;
mod page;
mod process;
mod replication;

use crate::VERSION;
use crate::engine::Engine;
use crate::node::Shared;
use crate::recovering::Progress;
use crate::storage::DiskFigures;
pub(crate) use isogrid_core::histogram::{Buckets, Histogram, quantile};
pub(crate) use page::CONTENT_TYPE;
use page::Page;

/// All figures of a node.
pub(crate) fn of_node(shared: &Shared) -> String {
    let mut page = about();
    let led = shared.engine.led();
    operations::show(&mut page, &shared.engine);
    cluster::show(&mut page, shared, &led);
    replication::show(&mut page, shared, &led);
    memory::show(&mut page, &shared.engine);
    process::show(&mut page, shared);
    if let Some(disk) = shared.engine.disk_figures() {
        show_disk(&mut page, &disk);
    }
    show_indexes(&mut page, &shared.engine);
    insight::show(&mut page, &shared.engine);
    #[cfg(feature = "sql")]
    {
        show_queries(&mut page, &shared.queries);
        let help = "Connections of PostgreSQL's clients that are open.";
        page.gauge("isogrid_pg_connections", help, shared.pg.open() as f64);
        let help = "Connections of PostgreSQL's clients that were refused: there were too many.";
        page.counter("isogrid_pg_connections_refused_total", help, shared.pg.refused());
    }
    page.finish()
}

/// What a node has to tell that reads its data back from disk.
pub(crate) fn of_recovery(progress: &Progress) -> String {
    let standing = progress.standing();
    let mut page = about();
    let of_ratio =
        "How much of its data on disk a node that starts has back; only while it recovers.";
    page.gauge("isogrid_disk_recovered_ratio", of_ratio, f64::from(standing.percent) / 100.0);
    page.finish()
}

fn about() -> Page {
    let mut page = Page::default();
    page.info("isogrid_build_info", "The version of the program.", &[("version", VERSION)]);
    process::show_process(&mut page);
    page
}

/// The indexes of all maps in what the node leads.
fn show_indexes(page: &mut Page, engine: &Engine) {
    let maps = engine.maps();
    let indexed = maps.iter().filter(|map| !map.settings.indexes.is_empty());
    let (mut entries, mut bytes, mut missing) = (0, 0, 0);
    for index in indexed.flat_map(|map| engine.index_states(map.id)) {
        entries += index.entries;
        bytes += index.bytes;
        missing += index.records - index.built.min(index.records);
    }
    for (name, help, value) in [
        ("isogrid_index_entries", "Keys that indexes have where the node leads.", entries),
        ("isogrid_index_bytes", "Bytes that these indexes take.", bytes),
        (
            "isogrid_index_records_missing",
            "Records that indexes being built do not have yet.",
            missing,
        ),
    ] {
        page.gauge(name, help, value as f64);
    }
}

#[cfg(feature = "sql")]
fn show_queries(page: &mut Page, counts: &isogrid_query::QueryCounts) {
    for (name, help, value) in [
        (
            "isogrid_query_statements_total",
            "Statements of SQL that were begun.",
            counts.statements(),
        ),
        (
            "isogrid_query_failed_total",
            "Statements of SQL that ended with an error.",
            counts.failed(),
        ),
        (
            "isogrid_query_partitions_scanned_total",
            "Partitions that statements walked over.",
            counts.partitions_scanned(),
        ),
        (
            "isogrid_query_partitions_pruned_total",
            "Partitions that statements did not need to walk over.",
            counts.partitions_pruned(),
        ),
        (
            "isogrid_query_index_seeks_total",
            "Pages that indexes gave to statements.",
            counts.index_seeks(),
        ),
        (
            "isogrid_query_rows_scanned_total",
            "Records that statements looked at.",
            counts.rows_scanned(),
        ),
        (
            "isogrid_query_rows_returned_total",
            "Rows of answers to statements.",
            counts.rows_returned(),
        ),
        (
            "isogrid_query_rows_written_total",
            "Records that statements wrote or removed.",
            counts.rows_written(),
        ),
    ] {
        page.counter(name, help, value);
    }
}

fn show_disk(page: &mut Page, disk: &DiskFigures<'_>) {
    let (report, counts) = (&disk.report, disk.counts);
    page.gauge("isogrid_disk_log_bytes", "What the log has on disk.", report.log_bytes as f64);
    page.gauge(
        "isogrid_disk_snapshot_bytes",
        "What the newest snapshots of all partitions have on disk.",
        report.snapshot_bytes as f64,
    );
    if let Some(budget) = report.budget {
        let help = "How much log and snapshots may have together (disk.budget).";
        page.gauge("isogrid_disk_budget_bytes", help, budget as f64);
    }
    if let Some(free) = disk.free_bytes {
        page.gauge("isogrid_disk_free_bytes", "What the file system has free.", free as f64);
    }
    page.gauge(
        "isogrid_disk_over_budget",
        "1 while log and snapshots have as much as they may and writes are refused, else 0.",
        f64::from(u8::from(report.is_over_budget)),
    );
    page.gauge(
        "isogrid_disk_refusing",
        "1 while the disk is full or fails and writes are refused, else 0.",
        f64::from(u8::from(report.is_refusing)),
    );
    page.counter(
        "isogrid_disk_errors_total",
        "Writes and syncs that the disk refused.",
        counts.errors(),
    );
    page.counter(
        "isogrid_disk_log_written_bytes_total",
        "Bytes written to the log.",
        counts.log_bytes(),
    );
    page.counter(
        "isogrid_disk_snapshots_total",
        "Snapshots of partitions that were written.",
        counts.snapshots(),
    );
    page.counter(
        "isogrid_disk_snapshot_written_bytes_total",
        "Bytes of snapshots that were written.",
        counts.snapshot_bytes(),
    );
    page.histogram("isogrid_disk_sync_seconds", "How long a sync of the log took.", &counts.syncs);
    page.gauge(
        "isogrid_disk_recovery_seconds",
        "How long it took to read the data back when the node started.",
        disk.recovered_ms as f64 / 1_000.0,
    );
}
