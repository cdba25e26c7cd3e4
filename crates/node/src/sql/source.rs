//! [`GridSource`]: the maps of the cluster as statements see them: page by page, each from whoever leads its partition.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use isogrid_core::{
    Error, ErrorCode, MapIndex, MapSchema, Moment, NextStep, Outcome, PartitionCount, PartitionId,
    Result, View,
};
use isogrid_query::{
    FoundPage, IndexStanding, MapDefinition, NodePlace, Page, PagePlace, Row, SeekPlace, Source,
    Write, Written,
};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;

use super::asking::{ask, ask_index, ask_keys, ask_sizes};
use super::write::Writer;
use crate::grpc::sql::definition;
use crate::node::Shared;

/// How often something is asked for again where its partition has nobody who leads it.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(50);

/// After so long a page is not being read: it waits, for a primary or for other nodes.
const TURN_MAX: Duration = Duration::from_millis(5);

/// The maps of the cluster.
pub(super) struct GridSource {
    shared: Arc<Shared>,
    writer: Arc<Writer>,
    /// Those that serve operations: writes go on there when their statement ends.
    cores: Vec<Handle>,
    /// One page at a time on each core, so that operations get their turn in between.
    turns: Vec<Arc<Semaphore>>,
}

impl fmt::Debug for GridSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GridSource")
    }
}

impl GridSource {
    pub(super) fn new(shared: Arc<Shared>, cores: Vec<Handle>) -> Self {
        let turns = cores.iter().map(|_| Arc::new(Semaphore::new(1))).collect();
        GridSource { shared, writer: Arc::default(), cores, turns }
    }

    /// Takes a page of a partition that this node leads in its turn, so that operations get theirs in between. One whose answer has to
    /// wait for something gives its turn away.
    async fn in_turn<T: Send + 'static>(
        &self,
        core: usize,
        page: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let turn = Arc::clone(&self.turns[core]).acquire_owned().await;
        self.on_core(core, async move {
            let mut page = std::pin::pin!(page);
            match tokio::time::timeout(TURN_MAX, page.as_mut()).await {
                Ok(answer) => answer,
                Err(_) => {
                    drop(turn);
                    page.await
                }
            }
        })
        .await
    }

    /// Does something on a core: a partition that is read is held up meanwhile, and on a thread that gives way to others it would be for
    /// long.
    async fn on_core<T: Send + 'static>(
        &self,
        core: usize,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        if is_on_core() {
            return work.await;
        }
        self.cores[core].spawn(work).await.unwrap_or_else(|ended| {
            let code = if ended.is_panic() { ErrorCode::Internal } else { ErrorCode::ShuttingDown };
            Err(Error::new(code, "while records were read"))
        })
    }

    /// The core whose links are used for a partition.
    fn core(&self, partition: PartitionId) -> usize {
        usize::from(partition.0) % self.cores.len()
    }
}

impl GridSource {
    /// Asks for many things in one batch, and again for those that were not answered.
    async fn all<
        W: Clone,
        T: Default + Send + 'static,
        F: Future<Output = Result<Vec<Result<T>>>> + Send + 'static,
    >(
        &self,
        wanted: &[W],
        first: PartitionId,
        ask: impl Fn(Arc<Shared>, usize, Vec<W>) -> F,
    ) -> Result<Vec<T>> {
        let mut found: Vec<T> = wanted.iter().map(|_| T::default()).collect();
        let mut left: VecDeque<usize> = (0..wanted.len()).collect();
        let (mut at_once, mut tries) = (wanted.len(), 1);
        while !left.is_empty() {
            let asked: Vec<usize> = left.drain(..at_once.min(left.len())).collect();
            let these = asked.iter().map(|place| wanted[*place].clone()).collect();
            let core = self.core(first);
            let asking = ask(Arc::clone(&self.shared), core, these);
            let answers = self.on_core(core, asking).await?;
            let (count, before) = (asked.len(), left.len());
            let mut waits = false;
            for (place, answer) in asked.into_iter().zip(answers) {
                match answer {
                    Ok(one) => found[place] = one,
                    // The others took all the room of the reply.
                    Err(error) if error.code() == ErrorCode::ReplyTooLarge => left.push_back(place),
                    Err(error) if tries < TRIES && passes(&error) => {
                        waits = true;
                        left.push_back(place);
                    }
                    Err(error) => return Err(error),
                }
            }
            // As many as there was room for.
            at_once = (count - (left.len() - before)).max(1);
            if waits {
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(found)
    }
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

    fn is_here(&self, partition: PartitionId) -> bool {
        let view = self.shared.views.borrow();
        view.table.owner(partition) == Some(&self.shared.node_id)
    }

    async fn sizes(
        &self,
        map: &str,
        partition: PartitionId,
        places: &[(&str, SeekPlace)],
        most: u32,
    ) -> Result<(u64, Vec<Option<u64>>)> {
        let (shared, core) = (Arc::clone(&self.shared), self.core(partition));
        let owned = |(index, place): &(&str, SeekPlace)| ((*index).to_owned(), place.clone());
        let places = places.iter().map(owned).collect();
        let asking = ask_sizes(shared, core, (map.to_owned(), partition), places, most);
        let mut sizes = self.on_core(core, asking).await?.into_iter();
        let records = sizes.next().flatten().unwrap_or(0);
        Ok((records, sizes.collect()))
    }

    /// A partition that moves, or loses its node, goes on elsewhere from the same cursor.
    async fn page(
        &self,
        map: &str,
        place: PagePlace,
        filter: &[u8],
        rows_max: u32,
    ) -> Result<Page> {
        let mut tries = 1;
        loop {
            let (shared, core) = (Arc::clone(&self.shared), self.core(place.partition));
            let asked = (map.to_owned(), filter.to_vec());
            let asking = ask(shared, core, asked, place, rows_max);
            let page = match self.is_here(place.partition) && !is_on_core() {
                true => self.in_turn(core, asking).await,
                false => asking.await,
            };
            match page {
                Err(error) if tries < TRIES && passes(&error) => {
                    tries += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                other => return other,
            }
        }
    }

    fn let_go(&self, map: &str, partition: PartitionId, moment: Moment) {
        let (shared, core) = (Arc::clone(&self.shared), self.core(partition));
        let place = PagePlace { partition, cursor: 0, view: View::Done(moment) };
        let asking = ask(shared, core, (map.to_owned(), Vec::new()), place, 1);
        // Without it the state is given up in a while.
        drop(self.cores[core].spawn(asking));
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

    async fn records(&self, map: &str, keys: &[Bytes]) -> Result<Vec<Option<Row>>> {
        let Some(first) = keys.first() else { return Ok(Vec::new()) };
        let partition = self.partitions().partition_of_key(first);
        self.all(keys, partition, |shared, core, keys| ask_keys(shared, core, map.to_owned(), keys))
            .await
    }

    async fn seek(
        &self,
        map: &str,
        index: &str,
        places: &[SeekPlace],
        rows_max: u32,
    ) -> Result<Vec<Option<FoundPage>>> {
        let Some(first) = places.first() else { return Ok(Vec::new()) };
        let ask = |shared, core, places| {
            ask_index(shared, core, (map.to_owned(), index.to_owned()), places, rows_max)
        };
        self.all(places, first.partition, ask).await
    }
}

/// Whether this is a thread that serves operations: what is small is answered there.
fn is_on_core() -> bool {
    Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread
}

/// Whether another try may go well.
fn passes(error: &Error) -> bool {
    matches!(error.next_step(), NextStep::RetryLater | NextStep::Redirect | NextStep::CheckOutcome)
        && !matches!(error.code(), ErrorCode::ShuttingDown | ErrorCode::ViewLost)
}
