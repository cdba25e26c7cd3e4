//! A batch: operations on their way to their partitions, each with what is asked beside it.

use std::sync::Arc;

use isogrid_core::{Error, ErrorCode, MapId, Op, Result, Target, Timestamp, Traces};
use isogrid_proto::frame::{self, FrameHead, OpOptions};
use isogrid_replica::{Now, ReadMode, Ticks};
use isogrid_store::KeyHash;

use super::routed::Asked;
use super::slot::tag_of;
use super::{Engine, MapInfo, Partitions};
use crate::clock;

/// The most operations that a batch can number, whatever is configured: their index shares 32 bits with the partition.
pub(crate) const BATCH_OPS_HARD_MAX: usize = 1 << 16;

/// The number of a map that does not exist. The store answers for it as for an empty map.
const NO_MAP: MapId = MapId(u32::MAX);

/// Until when the caller waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(pub(super) Option<Ticks>);

impl Deadline {
    /// A deadline so many milliseconds from now; zero for none.
    pub(crate) fn after_ms(ms: u32) -> Self {
        Self((ms != 0).then(|| clock::ticks().plus_ms(u64::from(ms))))
    }

    /// No deadline.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    pub(super) fn has_passed(self, now: Ticks) -> bool {
        self.0.is_some_and(|at| now >= at)
    }

    /// The same moment on the wall clock.
    pub(super) fn on_wall(self, now: Now) -> Option<Timestamp> {
        self.0.map(|at| Timestamp(now.wall.0 + at.ms_since(now.ticks)))
    }

    /// How many milliseconds are left; `None` without a deadline.
    pub(crate) fn left_ms(self) -> Option<u64> {
        self.0.map(|at| at.ms_since(clock::ticks()))
    }
}

/// An operation on its way to its partition.
pub(super) struct Routed<'a> {
    pub(super) op: Op<'a>,
    options: OpOptions,
    mode: ReadMode,
    pub(super) hash: KeyHash,
    pub(super) map: MapId,
    pub(super) partition: u16,
}

/// Operations to be executed together.
pub(crate) struct Batch<'a> {
    engine: &'a Engine,
    pub(super) partitions: Option<&'a Partitions>,
    pub(super) head: FrameHead,
    pub(super) ops: Vec<Routed<'a>>,
    /// `partition << 16 | index`: sorts by partition, and keeps the order within it.
    pub(super) order: Vec<u32>,
    /// Operations that were refused before they reached a partition.
    pub(super) refused: Vec<(usize, Error)>,
    /// The maps of the batch, by the caller's index.
    pub(super) maps: Vec<NamedMap>,
    /// Whether an operation may change data. Reads never do, so a batch of reads leaves the accounts alone.
    pub(super) may_change: bool,
    /// Which of its operations belong to traces.
    pub(super) traces: Traces,
}

pub(super) struct NamedMap {
    pub(super) info: Option<Arc<MapInfo>>,
}

impl<'a> Batch<'a> {
    /// A batch that names these maps and will hold about so many operations.
    pub(crate) fn new(
        engine: &'a Engine,
        head: FrameHead,
        maps: impl IntoIterator<Item = &'a str>,
        ops: usize,
    ) -> Self {
        let resolve = |name| NamedMap { info: engine.maps.find(name) };
        Self {
            engine,
            partitions: engine.partitions.get(),
            head,
            ops: Vec::with_capacity(ops),
            order: Vec::with_capacity(ops),
            refused: Vec::new(),
            maps: maps.into_iter().map(resolve).collect(),
            may_change: false,
            traces: Traces::default(),
        }
    }

    /// Adds an operation on the map with this index. One that cannot be executed gets its error as its reply.
    #[inline]
    pub(crate) fn push(&mut self, map: usize, mut op: Op<'a>, options: OpOptions) {
        let index = self.ops.len();
        let entries_max = match &mut op {
            Op::Scan(scan) => Some(&mut scan.entries_max),
            Op::Seek(seek) => Some(&mut seek.entries_max),
            _ => None,
        };
        if let Some(entries_max) = entries_max {
            *entries_max = (*entries_max).min(self.engine.limits.scan_entries_max as u32);
        }
        let mode = self.mode(map, &options);
        let (map, partition, hash) = match self.route(map, &op) {
            Ok(place) => {
                self.may_change |= !op.is_read();
                self.order.push(u32::from(place.1) << 16 | index as u32);
                place
            }
            Err(error) => {
                self.refused.push((index, error));
                let map = self.maps[map].info.as_ref().map_or(NO_MAP, |info| info.id);
                (map, 0, KeyHash::default())
            }
        };
        self.ops.push(Routed { op, options, mode, hash, map, partition });
    }

    /// Says which of its operations belong to traces.
    pub(crate) fn traced(mut self, traces: Traces) -> Self {
        self.traces = traces;
        self
    }

    /// How a read is done: as it says itself, else as its map says.
    #[inline]
    fn mode(&self, map: usize, options: &OpOptions) -> ReadMode {
        match options.mode {
            None => self.maps[map].info.as_ref().map_or(ReadMode::Lease, |info| info.read),
            Some(frame::ReadMode::Lease) => ReadMode::Lease,
            Some(frame::ReadMode::Confirmed) => ReadMode::Confirmed,
            Some(frame::ReadMode::Backup { staleness_ms }) => {
                ReadMode::Backup { staleness_ms_max: u64::from(staleness_ms) }
            }
            Some(frame::ReadMode::Any) => ReadMode::Any,
        }
    }

    #[inline]
    fn route(&mut self, map: usize, op: &Op<'_>) -> Result<(MapId, u16, KeyHash)> {
        let partitions = self.partitions.ok_or_else(|| {
            Error::new(ErrorCode::NotReady, "the node has not joined its cluster yet")
        })?;
        let (partition, hash) = partitions.place(op)?;
        if let Target::Key(key) = op.target() {
            self.engine.limits.check_key(key)?;
        }
        if let Some(key) = op.second_key() {
            self.engine.limits.check_key(key)?;
        }
        self.engine.limits.check_value(op.value().unwrap_or_default())?;
        let id = self.maps[map].info.as_ref().map_or(NO_MAP, |info| info.id);
        if id == NO_MAP && op.may_grow() {
            // Whoever made the batch has made its maps; this one was dropped since.
            return Err(Error::new(ErrorCode::NotReady, "the map is being made"));
        }
        if let Some(shape) = self.maps[map].info.as_ref().and_then(|info| info.shape.as_ref()) {
            shape.check(op)?;
        }
        Ok((id, partition.0, hash))
    }

    /// How many operations it has.
    pub(crate) fn len(&self) -> usize {
        self.ops.len()
    }

    /// What is asked beside an operation.
    #[inline]
    pub(super) fn asked(&self, routed: &Routed<'_>, deadline: Option<Timestamp>) -> Asked {
        let at_least = routed.options.at_least.map(|at_least| at_least.position);
        let tag = tag_of(&self.head, &routed.options);
        Asked { tag, mode: routed.mode, at_least, deadline }
    }
}
