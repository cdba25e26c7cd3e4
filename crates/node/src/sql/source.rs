//! [`GridSource`]: the maps of the cluster as statements see them: page by page, each from whoever leads its partition.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use isogrid_core::{
    Error, ErrorCode, MapIndex, MapSchema, NextStep, Op, Outcome, PartitionCount, PartitionId,
    Receipt, Reply, Result, Scan, Seek,
};
use isogrid_query::{
    FoundPage, IndexStanding, MapDefinition, NodePlace, Page, Row, SeekPlace, Source, Write,
    Written,
};
use tokio::runtime::Handle;

use super::write::Writer;
use crate::engine::Deadline;
use crate::grpc::batch::{self, Destination, Typed};
use crate::grpc::sql::definition;
use crate::node::Shared;

/// How long one page may take, and how often it is asked for again where its partition has nobody who leads it.
const PAGE_MS: u32 = 2_000;
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(50);

/// The maps of the cluster.
pub(super) struct GridSource {
    shared: Arc<Shared>,
    writer: Arc<Writer>,
    /// Those that serve operations: writes go on there when their statement ends.
    cores: Vec<Handle>,
}

impl fmt::Debug for GridSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GridSource")
    }
}

impl GridSource {
    pub(super) fn new(shared: Arc<Shared>, cores: Vec<Handle>) -> Self {
        GridSource { shared, writer: Arc::default(), cores }
    }

    /// Does something with the links of a partition's core.
    async fn of_core<T, F: Future<Output = Result<T>>>(
        &self,
        partition: PartitionId,
        work: impl FnOnce(Arc<Shared>, usize) -> F,
    ) -> Result<T> {
        let core = usize::from(partition.0) % self.cores.len();
        work(Arc::clone(&self.shared), core).await
    }
}

/// Takes a page of a partition from whoever leads it.
async fn ask(
    shared: Arc<Shared>,
    core: usize,
    map: String,
    (partition, cursor): (PartitionId, u64),
    rows_max: u32,
) -> Result<Page> {
    let scan = Scan {
        partition,
        cursor,
        entries_max: rows_max.min(shared.engine.limits().scan_entries_max as u32),
        prefix: b"",
        glob: b"",
        filter: b"",
        with_values: true,
    };
    let deadline = Deadline::after_ms(PAGE_MS);
    let to = Destination { relay: &shared.relay, core, session: None, deadline };
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

/// Asks an index of a map for what it has in some places.
async fn ask_index(
    shared: Arc<Shared>,
    core: usize,
    (map, index): (String, String),
    places: Vec<SeekPlace>,
    rows_max: u32,
) -> Result<Vec<Result<Option<FoundPage>>>> {
    let entries_max = rows_max.min(shared.engine.limits().scan_entries_max as u32);
    let mut seeks = Vec::with_capacity(places.len());
    for SeekPlace { partition, from, to } in &places {
        let seek = Seek { partition: *partition, index: &index, from, to, entries_max };
        seeks.push(Typed::plain(&map, Op::Seek(seek)));
    }
    let deadline = Deadline::after_ms(PAGE_MS);
    let to = Destination { relay: &shared.relay, core, session: None, deadline };
    batch::run(to, &seeks, found).await
}

/// The page in a reply; `None` where there is no such map.
fn page(reply: &Reply<'_>, _: Option<&Receipt>) -> Result<Option<Page>> {
    let found = match reply {
        Reply::Page(found) => found,
        Reply::Failed(error) => return Err(error.clone()),
        _ => return Ok(None),
    };
    Ok(Some(Page { rows: found.entries.iter().map(row).collect(), next: found.next }))
}

#[async_trait]
impl Source for GridSource {
    fn partitions(&self) -> PartitionCount {
        self.shared.engine.partitions().unwrap_or_default()
    }

    fn leader(&self, partition: PartitionId) -> Option<String> {
        let view = self.shared.views.borrow();
        view.table.owner(partition).map(ToString::to_string)
    }

    fn place(&self, node: &str) -> Option<NodePlace> {
        let view = self.shared.views.borrow();
        let known = view.nodes.iter().find(|(name, _)| name.to_string() == node);
        known.map(|(_, known)| NodePlace {
            address: known.member.grpc_addr.clone(),
            zone: known.member.zone.clone(),
        })
    }

    fn maps(&self) -> Vec<String> {
        self.shared.control.facts().view.maps.keys().cloned().collect()
    }

    fn map(&self, name: &str) -> Option<MapDefinition> {
        let facts = self.shared.control.facts();
        let copies = facts.view.cluster.as_ref().map_or(1, |cluster| usize::from(cluster.copies));
        facts.view.map(name).map(|map| definition::of(name, map, copies))
    }

    async fn create_map(
        &self,
        name: &str,
        schema: Option<MapSchema>,
        settings: &[(String, String)],
    ) -> Result<bool> {
        definition::create(&self.shared, name, schema, settings).await
    }

    async fn change_map(
        &self,
        name: &str,
        schema: Option<MapSchema>,
        settings: &[(String, String)],
    ) -> Result<()> {
        definition::change(&self.shared, name, schema, settings).await
    }

    async fn set_indexes(&self, map: &str, indexes: Vec<MapIndex>) -> Result<()> {
        definition::set_indexes(&self.shared, map, &indexes).await
    }

    async fn index_standings(&self, map: &str) -> Result<Vec<IndexStanding>> {
        definition::index_standings(&self.shared, map).await
    }

    async fn drop_map(&self, name: &str) -> Result<bool> {
        self.shared.control.drop_map(name).await
    }

    /// A partition that moves, or loses its node, goes on elsewhere from the same cursor.
    async fn page(&self, map: &str, from: (PartitionId, u64), rows_max: u32) -> Result<Page> {
        let mut tries = 1;
        loop {
            let (name, (partition, _)) = (map.to_owned(), from);
            let work = |shared, core| ask(shared, core, name, from, rows_max);
            match self.of_core(partition, work).await {
                Err(error) if tries < TRIES && passes(&error) => {
                    tries += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                other => return other,
            }
        }
    }

    /// What is under way goes on when its statement ends: nobody waits for it then.
    async fn write(&self, map: &str, writes: &[Write], patience: Duration) -> Vec<Result<Written>> {
        let first = writes.first().map(|write| self.partitions().partition_of_key(&write.key));
        let core = first.map_or(0, |partition| usize::from(partition.0)) % self.cores.len();
        let (writer, shared) = (Arc::clone(&self.writer), Arc::clone(&self.shared));
        let (map, count, writes) = (map.to_owned(), writes.len(), writes.to_vec());
        let writing = async move { writer.write((&shared, core), (&map, &writes), patience).await };
        self.cores[core].spawn(writing).await.unwrap_or_else(|ended| {
            let code = if ended.is_panic() { ErrorCode::Internal } else { ErrorCode::ShuttingDown };
            let lost = Error::new(code, "while rows were written").with_outcome(Outcome::Unknown);
            vec![Err(lost); count]
        })
    }

    /// All places in one batch, and those again that were not answered.
    async fn seek(
        &self,
        map: &str,
        index: &str,
        places: &[SeekPlace],
        rows_max: u32,
    ) -> Result<Vec<Option<FoundPage>>> {
        let mut found = vec![None; places.len()];
        let mut left: Vec<usize> = (0..places.len()).collect();
        let (mut at_once, mut tries) = (places.len(), 1);
        while !left.is_empty() {
            let asked: Vec<usize> = left.drain(..at_once.min(left.len())).collect();
            let of = (map.to_owned(), index.to_owned());
            let wanted: Vec<SeekPlace> = asked.iter().map(|place| places[*place].clone()).collect();
            let partition = wanted[0].partition;
            let work = |shared, core| ask_index(shared, core, of, wanted, rows_max);
            let answers = self.of_core(partition, work).await?;
            let (count, mut again) = (asked.len(), Vec::new());
            let mut waits = false;
            for (place, answer) in asked.into_iter().zip(answers) {
                match answer {
                    Ok(page) => found[place] = page,
                    // The others took all the room of the reply.
                    Err(error) if error.code() == ErrorCode::ReplyTooLarge => again.push(place),
                    Err(error) if tries < TRIES && passes(&error) => {
                        waits = true;
                        again.push(place);
                    }
                    Err(error) => return Err(error),
                }
            }
            // As many as there was room for.
            at_once = (count - again.len()).max(1);
            left.extend(again);
            if waits {
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(found)
    }
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
    Ok(Some(FoundPage { rows: found.entries.iter().map(row).collect(), next }))
}

fn row(one: &isogrid_core::PageEntry<'_>) -> Row {
    Row {
        key: Bytes::copy_from_slice(one.key),
        value: Bytes::copy_from_slice(one.entry.value),
        version: one.entry.version.0,
        expires_at_ms: one.entry.expires_at.map(|at| at.0),
    }
}

/// Whether another try may go well.
fn passes(error: &Error) -> bool {
    matches!(error.next_step(), NextStep::RetryLater | NextStep::Redirect | NextStep::CheckOutcome)
        && error.code() != ErrorCode::ShuttingDown
}
