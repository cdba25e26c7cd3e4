//! From streams of partitions to objects, until every partition has reached one cut. A partition whose primary is lost begins
//! anew at the next one, and then another cut is chosen: all others only go on.
//!
//! ```text
//!   open streams ──► records and entries ──► all based ──► clocks ──► fence ──► all behind the cut ──► objects, parts
//!        ▲                  │                                             │
//!        └── primary lost ◄─┴─────────────────────────────────────────────┘
//! ```

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::{BoxStream, SelectAll};
use indicatif::ProgressBar;
use isogrid_backup::collect::{Begun, Page};
use isogrid_backup::manifest::{Manifest, Mode, ObjectRef, Part};
use isogrid_backup::{Collector, Place};
use isogrid_client::{DumpAsk, DumpPiece, MapInfo};
use isogrid_core::{Error, ErrorCode, Hlc};

use super::cluster::{Cluster, Heard};
use crate::exit::Failure;
use crate::progress;

/// How large an object grows.
const OBJECT_BYTES: usize = 8 << 20;

/// How many bytes may wait for their objects, of all partitions.
const BUFFERED_BYTES_MAX: usize = 64 << 20;

/// How often it is looked who leads what was lost, and a fence is put up again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// For how long a partition may have nobody who tells it, or a cut may not be reached.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a partition may begin anew.
const BEGINNINGS_MAX: u32 = 20;

/// A cut that all partitions have reached.
pub(super) struct Cut {
    pub(super) clock: Hlc,
    pub(super) clocks_apart_ms: u64,
    pub(super) maps: Vec<MapInfo>,
    pub(super) parts: Vec<Part>,
}

/// One partition.
pub(super) struct Partition {
    ask: DumpAsk,
    /// The stream that tells it.
    pub(super) stream: Option<u64>,
    pub(super) collector: Option<Collector>,
    beginnings: u32,
    /// Since when nobody tells it, or only refuses to.
    lost_since: Option<Instant>,
}

/// A cut that is being reached.
#[derive(Clone, Copy)]
pub(super) struct Aim {
    pub(super) clock: Hlc,
    pub(super) clocks_apart_ms: u64,
    pub(super) since: Instant,
}

/// A backup under way.
pub(super) struct Rounds<'a> {
    place: &'a Place,
    id: &'a str,
    pub(super) cluster: Cluster,
    pub(super) partitions: BTreeMap<u32, Partition>,
    /// Who leads the partitions of each stream.
    pub(super) nodes: BTreeMap<u64, String>,
    streams: SelectAll<BoxStream<'static, Heard>>,
    streams_begun: u64,
    pub(super) aim: Option<Aim>,
    /// Objects that were put and belong to no part any more.
    useless: Vec<ObjectRef>,
    pub(super) last_error: Option<Failure>,
    bar: ProgressBar,
}

impl<'a> Rounds<'a> {
    /// A backup of so many partitions, building on a parent if there is one.
    pub(super) fn new(
        (place, id): (&'a Place, &'a str),
        cluster: Cluster,
        parent: Option<&Manifest>,
        total: u32,
    ) -> Self {
        let partition = |partition| {
            let before = parent.and_then(|parent| parent.part(partition));
            let held = before.map(|part| (part.cut.into(), part.loss_generation));
            let ask = DumpAsk { partition, held };
            let lost_since = Some(Instant::now());
            (partition, Partition { ask, stream: None, collector: None, beginnings: 0, lost_since })
        };
        Rounds {
            place,
            id,
            cluster,
            partitions: (0..total).map(partition).collect(),
            nodes: BTreeMap::new(),
            streams: SelectAll::new(),
            streams_begun: 0,
            aim: None,
            useless: Vec::new(),
            last_error: None,
            bar: progress::bar("bytes", None),
        }
    }

    /// Until every partition has reached one cut, and all objects are put.
    pub(super) async fn run(&mut self) -> Result<Cut, Failure> {
        if self.partitions.is_empty() {
            return Err(
                Error::new(ErrorCode::StillJoining, "the cluster has no partitions yet").into()
            );
        }
        let mut look_again = tokio::time::interval(LOOK_AGAIN);
        loop {
            tokio::select! {
                Some((stream, heard)) = self.streams.next() => self.hear(stream, heard).await?,
                _ = look_again.tick() => self.look().await?,
            }
            if let Some(aim) = self.aim {
                if self.all(|collector| collector.reaches(aim.clock)) {
                    return self.finish(aim).await;
                }
            } else if self.all(Collector::is_based) {
                self.choose_cut().await?;
            }
        }
    }

    fn all(&self, is_so: impl Fn(&Collector) -> bool) -> bool {
        self.partitions.values().all(|one| one.collector.as_ref().is_some_and(&is_so))
    }

    /// Asks for what nobody tells, puts the fence up again where it is not seen, and gives up what takes too long.
    async fn look(&mut self) -> Result<(), Failure> {
        let waits_for = self.partitions.iter().find(|(_, one)| {
            let is_overdue = one.lost_since.is_some_and(|since| since.elapsed() > PATIENCE);
            one.stream.is_none() && is_overdue
        });
        if let Some((partition, _)) = waits_for {
            let why = self.last_error.take().and_then(|failure| match failure {
                Failure::Error(error) => Some(format!(": {error}")),
                Failure::Io(_) => None,
            });
            let detail = format!(
                "partition {partition} was told by nobody for {} s{}",
                PATIENCE.as_secs(),
                why.unwrap_or_default()
            );
            return Err(Error::new(ErrorCode::NoPrimary, detail).into());
        }
        if let Some(aim) = self.aim {
            if aim.since.elapsed() > PATIENCE {
                let detail = format!("the cut was not reached in {} s", PATIENCE.as_secs());
                return Err(Error::new(ErrorCode::NoPrimary, detail).into());
            }
            // A primary that hands over puts up none.
            self.fence(aim.clock).await?;
        }
        if self.partitions.values().any(|one| one.stream.is_none()) {
            self.open_streams().await;
        }
        Ok(())
    }

    /// Asks the leaders of all partitions that nobody tells. Who cannot be reached is asked again.
    async fn open_streams(&mut self) {
        let table = match self.cluster.table().await {
            Ok(table) => table,
            Err(error) => {
                self.last_error = Some(error.into());
                return;
            }
        };
        let mut asks: BTreeMap<String, Vec<DumpAsk>> = BTreeMap::new();
        for entry in table.partitions.iter().filter(|entry| !entry.primary.is_empty()) {
            let partition = self.partitions.get(&entry.partition);
            if let Some(lost) = partition.filter(|one| one.stream.is_none()) {
                asks.entry(entry.primary.clone()).or_default().push(lost.ask);
            }
        }
        for (node, asks) in asks {
            self.streams_begun += 1;
            let number = self.streams_begun;
            match self.cluster.dump(&node, number, &asks).await {
                Ok(stream) => {
                    self.streams.push(stream);
                    self.nodes.insert(number, node);
                    for ask in asks {
                        if let Some(one) = self.partitions.get_mut(&ask.partition) {
                            one.stream = Some(number);
                        }
                    }
                }
                Err(error) => self.last_error = Some(error.into()),
            }
        }
    }

    async fn hear(
        &mut self,
        stream: u64,
        heard: Result<(u32, DumpPiece), Option<isogrid_client::Error>>,
    ) -> Result<(), Failure> {
        let (partition, piece) = match heard {
            Ok(piece) => piece,
            Err(why) => {
                self.last_error = why.map(Failure::from).or(self.last_error.take());
                let told = self.partitions.iter().filter(|(_, one)| one.stream == Some(stream));
                let lost: Vec<u32> = told.map(|(partition, _)| *partition).collect();
                for partition in lost {
                    // It may have waited for its turn until now.
                    self.partitions.entry(partition).and_modify(|one| one.lost_since = None);
                    self.lose(partition);
                }
                return Ok(());
            }
        };
        let told = self.partitions.get_mut(&partition).filter(|one| one.stream == Some(stream));
        let Some(one) = told else { return Ok(()) };
        match (piece, &mut one.collector) {
            (DumpPiece::Begun { mode, from, loss_generation }, _) => {
                let mode = mode_of(&mode)?;
                self.begin(partition, Begun { mode, from, loss_generation })?;
            }
            (DumpPiece::Page { records, kept, as_of, is_last }, Some(collector)) => {
                self.bar.inc(records.len() as u64);
                collector.page(Page { records: &records, kept: &kept, as_of, is_last })?;
            }
            (DumpPiece::Entries(entries), Some(collector)) => {
                self.bar.inc(entries.len() as u64);
                collector.entries(&entries)?;
            }
            (DumpPiece::Refused(error), _) => {
                self.last_error = Some(error.into());
                self.lose(partition);
            }
            (other, _) => {
                let detail = format!("partition {partition} begins with {other:?}");
                return Err(Error::new(ErrorCode::Internal, detail).into());
            }
        }
        self.put_full(partition).await
    }

    fn begin(&mut self, partition: u32, begun: Begun) -> Result<(), Failure> {
        self.forget(partition);
        let Some(one) = self.partitions.get_mut(&partition) else { return Ok(()) };
        one.lost_since = None;
        one.beginnings += 1;
        if one.beginnings > BEGINNINGS_MAX {
            let detail = format!(
                "partition {partition} began {BEGINNINGS_MAX} times: its log goes on faster than it is taken"
            );
            return Err(Error::new(ErrorCode::PositionLost, detail).into());
        }
        one.collector = Some(Collector::new(partition, begun));
        Ok(())
    }

    /// Nobody tells a partition any more.
    fn lose(&mut self, partition: u32) {
        self.forget(partition);
        if let Some(one) = self.partitions.get_mut(&partition) {
            one.stream = None;
            one.lost_since.get_or_insert_with(Instant::now);
        }
    }

    /// What a partition has counts no more. If a cut was chosen, it is another one now.
    fn forget(&mut self, partition: u32) {
        let Some(one) = self.partitions.get_mut(&partition) else { return };
        let Some(mut collector) = one.collector.take() else { return };
        self.useless.append(&mut collector.part_mut().objects);
        if self.aim.take().is_some() {
            self.hold(false);
        }
    }

    pub(super) fn hold(&mut self, is_held: bool) {
        for one in self.partitions.values_mut() {
            if let Some(collector) = &mut one.collector {
                collector.hold(is_held);
            }
        }
    }

    /// Puts objects that are full, or the largest when too much waits.
    async fn put_full(&mut self, partition: u32) -> Result<(), Failure> {
        if self.buffered(partition) >= OBJECT_BYTES {
            self.put(partition).await?;
        }
        let all: usize = self.partitions.keys().map(|partition| self.buffered(*partition)).sum();
        if all > BUFFERED_BYTES_MAX {
            let largest = self.partitions.keys().copied().max_by_key(|one| self.buffered(*one));
            self.put(largest.unwrap_or(partition)).await?;
        }
        Ok(())
    }

    fn buffered(&self, partition: u32) -> usize {
        let one = self.partitions.get(&partition);
        one.and_then(|one| one.collector.as_ref()).map_or(0, Collector::buffered)
    }

    async fn put(&mut self, partition: u32) -> Result<(), Failure> {
        let Some(one) = self.partitions.get_mut(&partition) else { return Ok(()) };
        let Some(collector) = &mut one.collector else { return Ok(()) };
        let object = collector.take_object();
        if object.is_empty() {
            return Ok(());
        }
        let number = collector.part_mut().objects.len();
        let beginning = one.beginnings;
        let path = format!("objects/{}/p{partition:05}-{beginning}-{number:04}", self.id);
        let put = self.place.put(&path, object).await?;
        collector.part_mut().objects.push(put);
        Ok(())
    }

    async fn finish(&mut self, aim: Aim) -> Result<Cut, Failure> {
        // No more is taken, and nodes hear that their readers have gone.
        self.streams.clear();
        let maps = self.cluster.maps().await?;
        let numbers: Vec<u32> = self.partitions.keys().copied().collect();
        let mut parts = Vec::with_capacity(numbers.len());
        for partition in numbers {
            let one = self.partitions.get_mut(&partition);
            if let Some(collector) = one.and_then(|one| one.collector.as_mut()) {
                collector.finish(aim.clock)?;
            }
            self.put(partition).await?;
            let one = self.partitions.get_mut(&partition);
            if let Some(collector) = one.and_then(|one| one.collector.as_mut()) {
                parts.push(collector.part_mut().clone());
            }
        }
        self.place.discard(&self.useless).await;
        self.bar.finish_and_clear();
        Ok(Cut { clock: aim.clock, clocks_apart_ms: aim.clocks_apart_ms, maps, parts })
    }

    /// Removes what was put: the backup comes to nothing.
    pub(super) async fn discard(&mut self) {
        self.bar.finish_and_clear();
        let collectors = self.partitions.values_mut().filter_map(|one| one.collector.as_mut());
        for collector in collectors {
            self.useless.append(&mut collector.part_mut().objects);
        }
        self.place.discard(&self.useless).await;
    }
}

fn mode_of(mode: &str) -> Result<Mode, Failure> {
    match mode {
        "whole" => Ok(Mode::Whole),
        "changes" => Ok(Mode::Changes),
        "entries" => Ok(Mode::Entries),
        other => {
            let detail = format!("a node begins a partition with {other:?}");
            Err(Error::new(ErrorCode::ProtocolUnknown, detail).into())
        }
    }
}
