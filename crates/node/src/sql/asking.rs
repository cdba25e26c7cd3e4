//! What is asked of partitions for statements, as operations of one batch, and what their replies say.

use std::sync::Arc;

use bytes::Bytes;
use isogrid_core::{
    Entry, Error, ErrorCode, Op, PageEntry, PartitionId, Receipt, Reply, Result, Scan, Seek,
};
use isogrid_query::{FoundPage, Page, PagePlace, Row, SeekPlace};

use crate::engine::Deadline;
use crate::grpc::batch::{self, Destination, Typed};
use crate::node::Shared;

/// How long one page may take, and how long it may take to guess.
const PAGE_MS: u32 = 2_000;
const SIZES_MS: u32 = 100;

/// Takes a page of a partition from whoever leads it.
pub(super) async fn ask(
    shared: Arc<Shared>,
    core: usize,
    (map, filter): (String, Vec<u8>),
    PagePlace { partition, cursor, view }: PagePlace,
    rows_max: u32,
) -> Result<Page> {
    let scan = Scan {
        partition,
        cursor,
        view,
        entries_max: rows_max.min(shared.engine.limits().scan_entries_max as u32),
        prefix: b"",
        glob: b"",
        filter: &filter,
        with_values: true,
    };
    let deadline = Deadline::after_ms(PAGE_MS);
    let to = Destination::new(&shared.relay, core, deadline);
    let mut pages = batch::run(to, &[Typed::plain(&map, Op::Scan(scan))], page).await?;
    match pages.pop().unwrap_or(Ok(None))? {
        Some(page) => Ok(page),
        None if cursor == 0 => Ok(Page::default()),
        None => {
            let detail = format!("{map} was dropped while it was read");
            Err(Error::new(ErrorCode::MapUnknown, detail))
        }
    }
}

/// Asks for the records of some keys.
pub(super) async fn ask_keys(
    shared: Arc<Shared>,
    core: usize,
    map: String,
    keys: Vec<Bytes>,
) -> Result<Vec<Result<Option<Row>>>> {
    let gets: Vec<Typed<'_>> = keys.iter().map(|key| Typed::plain(&map, Op::Get { key })).collect();
    let deadline = Deadline::after_ms(PAGE_MS);
    let to = Destination::new(&shared.relay, core, deadline);
    let found = batch::run(to, &gets, entry).await?;
    let row = |(key, entry): (Bytes, Result<Option<Row>>)| {
        entry.map(|entry| entry.map(|entry| Row { key, ..entry }))
    };
    Ok(keys.iter().cloned().zip(found).map(row).collect())
}

/// How many records a partition has, and then for each place of an index how many that has there.
pub(super) async fn ask_sizes(
    shared: Arc<Shared>,
    core: usize,
    (map, partition): (String, PartitionId),
    places: Vec<(String, SeekPlace)>,
    most: u32,
) -> Result<Vec<Option<u64>>> {
    let mut ops = vec![Typed::plain(&map, Op::Len { partition })];
    for (index, SeekPlace { partition, from, to, view }) in &places {
        let seek = Seek { partition: *partition, index, from, to, entries_max: most, view: *view };
        ops.push(Typed::plain(&map, Op::Seek(seek)));
    }
    let deadline = Deadline::after_ms(SIZES_MS);
    let to = Destination::new(&shared.relay, core, deadline);
    batch::run(to, &ops, size).await
}

fn size(reply: &Reply<'_>, _: Option<&Receipt>) -> Option<u64> {
    match reply {
        Reply::Count(records) => Some(*records),
        Reply::Sought(found) => Some(found.entries.len() as u64),
        _ => None,
    }
}

/// The record in a reply, but for its key.
fn entry(reply: &Reply<'_>, _: Option<&Receipt>) -> Result<Option<Row>> {
    match reply {
        Reply::Found(entry) => {
            let value = Bytes::copy_from_slice(entry.value);
            Ok(Some(row(Bytes::new(), value, entry)))
        }
        Reply::Failed(error) => Err(error.clone()),
        _ => Ok(None),
    }
}

/// Asks an index of a map for what it has in some places.
pub(super) async fn ask_index(
    shared: Arc<Shared>,
    core: usize,
    (map, index): (String, String),
    places: Vec<SeekPlace>,
    rows_max: u32,
) -> Result<Vec<Result<Option<FoundPage>>>> {
    let entries_max = rows_max.min(shared.engine.limits().scan_entries_max as u32);
    let mut seeks = Vec::with_capacity(places.len());
    for SeekPlace { partition, from, to, view } in &places {
        let (partition, view) = (*partition, *view);
        let seek = Seek { partition, index: &index, from, to, entries_max, view };
        seeks.push(Typed::plain(&map, Op::Seek(seek)));
    }
    let deadline = Deadline::after_ms(PAGE_MS);
    let to = Destination::new(&shared.relay, core, deadline);
    batch::run(to, &seeks, found).await
}

/// The page in a reply; `None` where there is no such map.
fn page(reply: &Reply<'_>, _: Option<&Receipt>) -> Result<Option<Page>> {
    let found = match reply {
        Reply::Page(found) => found,
        Reply::Failed(error) => return Err(error.clone()),
        _ => return Ok(None),
    };
    Ok(Some(Page { rows: rows(&found.entries), next: found.next, at: found.at }))
}

/// What an index has, in a reply; nothing where there is no such map, and `None` where the index has not all records.
fn found(reply: &Reply<'_>, _: Option<&Receipt>) -> Result<Option<FoundPage>> {
    let found = match reply {
        Reply::Sought(found) => found,
        // A node of an earlier version has no indexes.
        Reply::Failed(error)
            if matches!(error.code(), ErrorCode::IndexNotReady | ErrorCode::ProtocolUnknown) =>
        {
            return Ok(None);
        }
        Reply::Failed(error) => return Err(error.clone()),
        _ => return Ok(Some(FoundPage::default())),
    };
    let next = found.next.map(Bytes::copy_from_slice);
    Ok(Some(FoundPage { rows: rows(&found.entries), next, at: found.at }))
}

/// The records of a page, all in one piece of memory: whoever asks for a page makes room for it while the partition waits.
fn rows(entries: &[PageEntry<'_>]) -> Vec<Row> {
    let bytes = entries.iter().map(|one| one.key.len() + one.entry.value.len()).sum();
    let mut all = Vec::with_capacity(bytes);
    for one in entries {
        all.extend_from_slice(one.key);
        all.extend_from_slice(one.entry.value);
    }
    let mut left = Bytes::from(all);
    let row = |one: &PageEntry<'_>| {
        let key = left.split_to(one.key.len());
        let value = left.split_to(one.entry.value.len());
        row(key, value, &one.entry)
    };
    entries.iter().map(row).collect()
}

fn row(key: Bytes, value: Bytes, entry: &Entry<'_>) -> Row {
    let expires_at_ms = entry.expires_at.map(|at| at.0);
    Row { key, value, version: entry.version.0, expires_at_ms }
}
