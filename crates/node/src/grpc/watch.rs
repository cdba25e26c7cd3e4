//! What changes in a map, told as it is committed: each partition's changes in order, without gaps or repeats, and what a
//! watcher did not get is said.
//!
//! ```text
//!   no token, snapshot ──► offset ──► scan, as puts ──► snapshot done ──┐
//!   no token ───────────► offset ──────────────────────────────────────┼──► committed entries of the map, for ever
//!   token ──────────────► offset of the token ─────────────────────────┘
//! ```
//!
//! Who begins now, without a token and without a snapshot, is told its offsets first, as tokens of events that are none: then a watch
//! whose node is lost before anything happened goes on at the next one without a gap.

mod interest;

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::Stream;
use isogrid_core::{
    Error, ErrorCode, MapId, Op, PartitionId, Receipt, Reply, Result, Scan, View, version_of,
};
use isogrid_proto::operation::page_to_pb;
use isogrid_proto::pb::{self, watch_event::Event};
use isogrid_proto::status::error_to_status;
use isogrid_replica::entry::Entries;
use isogrid_replica::readers::{ReaderId, Refused, WatchOffset};
use isogrid_value::Predicate;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use self::interest::Interest;
use super::batch::{self, Destination, Typed};
use crate::doors::Entered;
use crate::engine::{Deadline, Engine, Signal};
use crate::node::Shared;

/// The stream of a watcher.
pub(super) type Events = Pin<Box<dyn Stream<Item = Result<pb::WatchReply, Status>> + Send>>;

/// About how many bytes of entries one message tells of.
const MESSAGE_BYTES_MAX: usize = 256 << 10;

/// How many watches with filters a node serves at once: each looks into every write of its map.
pub(crate) const LIVE_WATCHES_MAX: usize = 256;

/// How long a page of a snapshot may take, in milliseconds.
const SNAPSHOT_PAGE_MS_MAX: u32 = 10_000;

/// The bytes of one partition's token.
const TOKEN_BYTES: usize = 16;

/// Tells a watcher what happens from now on, or from its tokens on.
pub(super) async fn follow(
    shared: &Arc<Shared>,
    core: usize,
    request: &pb::WatchRequest,
    stopping: CancellationToken,
) -> Result<Events> {
    isogrid_core::limits::check_map_name(&request.map)?;
    let wanted = super::maps::Wanted::of(&shared.engine, [(request.map.as_str(), true)]);
    if let Some(wanted) = wanted {
        shared.relay.maps.provide(wanted).await?;
    }
    let map = shared.engine.map_id(&request.map);
    let map = map.ok_or_else(|| Error::new(ErrorCode::MapUnknown, request.map.clone()))?;
    let mut watcher = Watcher {
        shared: Arc::clone(shared),
        core,
        name: request.map.clone(),
        map,
        prefix: request.key_prefix.clone(),
        filter: Looked::new(&request.filter, &shared.live_watches)?,
        with_snapshot: request.with_snapshot,
        signal: Arc::default(),
        places: BTreeMap::new(),
        begun: Vec::new(),
        snapshots: VecDeque::new(),
        bytes: Vec::new(),
        stopping,
        _counted: shared.engine.map_named(&request.map).map(|info| info.counts.watchers().enter()),
    };
    watcher.begin(request)?;
    Ok(Box::pin(futures::stream::unfold(Some(watcher), |watcher| async move {
        let mut watcher = watcher?;
        match watcher.next().await {
            Some(Ok(events)) => Some((Ok(pb::WatchReply { events }), Some(watcher))),
            Some(Err(error)) => Some((Err(error_to_status(&error)), None)),
            None => None,
        }
    })))
}

/// A filter, and how it came.
struct Looked {
    encoded: Bytes,
    predicate: Predicate,
    /// Its place among the watches that there can be.
    _permit: OwnedSemaphorePermit,
}

impl Looked {
    fn new(encoded: &Bytes, places: &Arc<Semaphore>) -> Result<Option<Self>> {
        if encoded.is_empty() {
            return Ok(None);
        }
        let predicate = Predicate::decode(encoded)?;
        let permit = Arc::clone(places).try_acquire_owned().map_err(|_| {
            let why = format!("{LIVE_WATCHES_MAX} with filters on this node");
            Error::new(ErrorCode::TooManyWatches, why)
        })?;
        Ok(Some(Looked { encoded: encoded.clone(), predicate, _permit: permit }))
    }
}

/// One who watches some partitions of a map.
struct Watcher {
    shared: Arc<Shared>,
    core: usize,
    name: String,
    map: MapId,
    prefix: Bytes,
    filter: Option<Looked>,
    with_snapshot: bool,
    signal: Arc<Signal>,
    places: BTreeMap<PartitionId, Place>,
    /// Partitions that begin now: where, is to be told.
    begun: Vec<PartitionId>,
    /// Partitions whose data are still to be told, and how far each walk is.
    snapshots: VecDeque<(PartitionId, u64)>,
    bytes: Vec<u8>,
    stopping: CancellationToken,
    /// Counts it, as long as the map is there.
    _counted: Option<Entered>,
}

#[derive(Clone, Copy)]
struct Place {
    reader: ReaderId,
    /// What was told.
    offset: WatchOffset,
}

impl Watcher {
    fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    fn begin(&mut self, request: &pb::WatchRequest) -> Result<()> {
        let count =
            self.engine().partitions().ok_or_else(|| Error::new(ErrorCode::NotReady, ""))?;
        let tokens = read_tokens(&request.resume_token)?;
        let named = |number: &u32| {
            let partition = u16::try_from(*number).ok().filter(|number| *number < count.get());
            partition.map(PartitionId).ok_or_else(|| {
                Error::new(ErrorCode::PartitionInvalid, format!("partition {number}"))
            })
        };
        let partitions: Vec<PartitionId> = if request.partitions.is_empty() {
            count.iter().collect()
        } else {
            request.partitions.iter().map(named).collect::<Result<_>>()?
        };
        for partition in partitions {
            self.watch(partition, tokens.get(&partition).copied())?;
        }
        Ok(())
    }

    fn watch(&mut self, partition: PartitionId, token: Option<WatchOffset>) -> Result<()> {
        match self.engine().watch(partition, token, &self.signal) {
            Ok((reader, offset)) => {
                self.places.insert(partition, Place { reader, offset });
                match token {
                    None if self.with_snapshot => self.snapshots.push_back((partition, 0)),
                    None => self.begun.push(partition),
                    Some(_) => {}
                }
            }
            // What came after the token is gone: all that is there is told instead.
            Err(Refused::Compacted { .. } | Refused::Lagged { .. }) if token.is_some() => {
                self.watch(partition, None)?;
                self.begun.retain(|other| *other != partition);
                self.snapshots.retain(|(other, _)| *other != partition);
                self.snapshots.push_back((partition, 0));
            }
            Err(refused) => return Err(why(refused)),
        }
        self.signal.raise(partition);
        Ok(())
    }

    /// What there is to tell next; `None` when the node stops.
    async fn next(&mut self) -> Option<Result<Vec<pb::WatchEvent>>> {
        if !self.begun.is_empty() {
            return Some(Ok(self.beginning()));
        }
        loop {
            let told = match self.snapshots.pop_front() {
                Some((partition, cursor)) => self.snapshot(partition, cursor).await,
                None => {
                    let signal = Arc::clone(&self.signal);
                    let partition = tokio::select! {
                        partition = signal.next() => partition,
                        () = self.stopping.cancelled() => return None,
                    };
                    self.changes(partition)
                }
            };
            match told {
                Ok(events) if events.is_empty() => {}
                told => return Some(told),
            }
        }
    }

    /// Where the partitions begin that begin now.
    fn beginning(&mut self) -> Vec<pb::WatchEvent> {
        let begun = std::mem::take(&mut self.begun);
        let place = |partition: PartitionId| {
            let offset = self.places.get(&partition)?.offset;
            let (partition, token) = (u32::from(partition.0), token(partition, offset));
            Some(pb::WatchEvent { partition, event: None, token })
        };
        begun.into_iter().filter_map(place).collect()
    }

    /// A page of what is there.
    async fn snapshot(
        &mut self,
        partition: PartitionId,
        cursor: u64,
    ) -> Result<Vec<pb::WatchEvent>> {
        let scan = Scan {
            partition,
            cursor,
            entries_max: self.engine().limits().scan_entries_max as u32,
            prefix: &self.prefix,
            glob: b"",
            filter: self.filter.as_ref().map_or(b"", |filter| &filter.encoded),
            with_values: true,
            view: View::Latest,
        };
        let ops = [Typed::plain(&self.name, Op::Scan(scan))];
        let deadline = Deadline::after_ms(SNAPSHOT_PAGE_MS_MAX);
        let to = Destination::new(&self.shared.relay, self.core, deadline);
        let paged = |reply: &Reply<'_>, _: Option<&Receipt>| match reply {
            Reply::Page(page) => Ok((page.next, page_to_pb(page))),
            Reply::Failed(error) => Err(error.clone()),
            _ => Ok((None, pb::Page::default())),
        };
        let page = batch::run(to, &ops, paged).await?.into_iter().next();
        let (next, page) = page.expect("one operation has one answer")?;
        let token =
            self.places.get(&partition).map_or_else(Bytes::new, |p| token(partition, p.offset));
        let put = |entry: pb::PageEntry| {
            event(
                partition,
                Bytes::new(),
                Event::Put(pb::PutEvent { key: entry.key, entry: entry.entry }),
            )
        };
        let begun = (self.filter.is_some() && cursor == 0)
            .then(|| event(partition, Bytes::new(), Event::SnapshotBegun(pb::SnapshotBegun {})));
        let mut events: Vec<pb::WatchEvent> =
            begun.into_iter().chain(page.entries.into_iter().map(put)).collect();
        match next {
            Some(cursor) => self.snapshots.push_front((partition, cursor)),
            None => events.push(event(partition, token, Event::SnapshotDone(pb::SnapshotDone {}))),
        }
        Ok(events)
    }

    /// What was committed in a partition since it was last looked at.
    fn changes(&mut self, partition: PartitionId) -> Result<Vec<pb::WatchEvent>> {
        let Some(place) = self.places.get(&partition).copied() else { return Ok(Vec::new()) };
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let read = self.engine().read_watch(partition, place.reader, MESSAGE_BYTES_MAX, &mut bytes);
        let events = match read {
            Ok(last) => {
                if last != place.offset {
                    self.places.insert(partition, Place { offset: last, ..place });
                    // There may be more.
                    self.signal.raise(partition);
                }
                Ok(self.events(partition, last.loss_generation, &bytes))
            }
            Err(Refused::Lagged { missed }) => self.lagged(partition, place, missed),
            Err(Refused::Compacted { oldest }) => {
                self.lagged(partition, place, oldest.seq.saturating_sub(place.offset.seq))
            }
            Err(refused) => Err(why(refused)),
        };
        self.bytes = bytes;
        events
    }

    /// The watcher was too slow: it is told so, and goes on with what comes now.
    fn lagged(
        &mut self,
        partition: PartitionId,
        place: Place,
        missed: u64,
    ) -> Result<Vec<pb::WatchEvent>> {
        self.engine().close_watch(partition, place.reader);
        let (reader, offset) = self.engine().watch(partition, None, &self.signal).map_err(why)?;
        self.places.insert(partition, Place { reader, offset });
        if self.filter.is_some() {
            self.snapshots.push_back((partition, 0));
            return Ok(Vec::new());
        }
        let lagged = Event::Lagged(pb::Lagged { missed });
        Ok(vec![event(partition, token(partition, offset), lagged)])
    }

    fn events(&self, partition: PartitionId, generation: u32, bytes: &[u8]) -> Vec<pb::WatchEvent> {
        let filter = self.filter.as_ref().map(|filter| &filter.predicate);
        let interest = Interest { map: self.map, prefix: &self.prefix, filter };
        let mut events = Vec::new();
        for encoded in Entries::new(bytes).flatten() {
            let seq = encoded.entry.position.seq;
            let told = interest.changes(&encoded.entry.effect, version_of(seq));
            let mut left = told.iter().flatten().count() as u64;
            for change in told.into_iter().flatten() {
                left -= 1;
                // Who goes on between the halves of a rename hears both again, so that none is missed.
                let offset = WatchOffset {
                    loss_generation: generation,
                    seq: seq.saturating_sub(u64::from(left > 0)),
                };
                events.push(event(partition, token(partition, offset), change));
            }
        }
        events
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        for (partition, place) in &self.places {
            self.shared.engine.close_watch(*partition, place.reader);
        }
    }
}

fn event(partition: PartitionId, token: Bytes, event: Event) -> pb::WatchEvent {
    pb::WatchEvent { partition: u32::from(partition.0), event: Some(event), token }
}

/// Where a watcher goes on: partition u16, zero u16, loss generation u32, number u64, little-endian.
fn token(partition: PartitionId, offset: WatchOffset) -> Bytes {
    let mut bytes = Vec::with_capacity(TOKEN_BYTES);
    bytes.extend(partition.0.to_le_bytes());
    bytes.extend([0; 2]);
    bytes.extend(offset.loss_generation.to_le_bytes());
    bytes.extend(offset.seq.to_le_bytes());
    bytes.into()
}

fn read_tokens(bytes: &[u8]) -> Result<BTreeMap<PartitionId, WatchOffset>> {
    let (tokens, rest) = bytes.as_chunks::<TOKEN_BYTES>();
    if !rest.is_empty() {
        return Err(Error::new(ErrorCode::RequestIncomplete, "a resume token of another length"));
    }
    Ok(tokens.iter().map(read_token).collect())
}

fn read_token(bytes: &[u8; TOKEN_BYTES]) -> (PartitionId, WatchOffset) {
    let [p0, p1, _, _, g0, g1, g2, g3, seq @ ..] = *bytes;
    let offset = WatchOffset {
        loss_generation: u32::from_le_bytes([g0, g1, g2, g3]),
        seq: u64::from_le_bytes(seq),
    };
    (PartitionId(u16::from_le_bytes([p0, p1])), offset)
}

/// What a watcher is told that cannot be served here: it goes on elsewhere, with its tokens.
fn why(refused: Refused) -> Error {
    match refused {
        Refused::Closed | Refused::NotReady => Error::new(ErrorCode::NotOwner, ""),
        Refused::Behind => Error::new(ErrorCode::TooFarBehind, ""),
        Refused::Lagged { .. } | Refused::Compacted { .. } => {
            Error::new(ErrorCode::PositionLost, "")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_as_they_are_written() {
        let offset = WatchOffset { loss_generation: 3, seq: 1 << 40 };
        let bytes = token(PartitionId(258), offset);
        assert_eq!(bytes.len(), TOKEN_BYTES);
        let read = read_tokens(&bytes).expect("one token");
        assert_eq!(read, BTreeMap::from([(PartitionId(258), offset)]));
        assert!(read_tokens(&bytes[1..]).is_err());
    }
}
