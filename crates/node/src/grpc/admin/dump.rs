//! The data of partitions for a backup of the cluster: records page by page, one partition after the other, and between the
//! pages what is committed meanwhile in all of them. Nothing is gathered here: a caller that takes nothing is not told more.
//!
//! ```text
//!   partition ── begun ──► page, page, … last page ──┐
//!       └────────────────► entries, entries, … ──────┴──► entries, until the caller hangs up
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use isogrid_core::{Error, ErrorCode, Hlc, LogPosition, PartitionId, Result};
use isogrid_proto::pb::{self, dump_reply::Piece};
use isogrid_replica::dump::{DumpMode, Held, without_requests};
use isogrid_replica::readers::Refused;
use isogrid_store::WalkCursor;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::clock;
use crate::engine::{Dumped, Signal};
use crate::node::Shared;

/// The stream of a backup.
pub(in crate::grpc) type Pieces = Pin<Box<dyn Stream<Item = Result<pb::DumpReply, Status>> + Send>>;

/// About how many bytes one message has, and for how many bytes a partition's lock is held.
const PIECE_BYTES_MAX: usize = 256 << 10;

/// How often a caller hears that the node is there, and it is looked whether it still leads.
const PULSE: Duration = Duration::from_millis(500);

/// The partitions that a caller wants, and what it has of them.
pub(super) fn dump(
    shared: &Arc<Shared>,
    request: &pb::DumpRequest,
    stopping: CancellationToken,
) -> Result<Pieces> {
    let wanted = request.partitions.iter().map(wanted).collect::<Result<VecDeque<_>>>()?;
    let mut dump = Dump {
        shared: Arc::clone(shared),
        signal: Arc::default(),
        wanted,
        open: BTreeMap::new(),
        bases: VecDeque::new(),
        told: VecDeque::new(),
        is_turn_of_news: false,
        entries: Vec::new(),
    };
    dump.begin_early();
    Ok(Box::pin(futures::stream::unfold(Some((dump, stopping)), |state| async move {
        let (mut dump, stopping) = state?;
        tokio::select! {
            piece = dump.next() => Some((Ok(piece), Some((dump, stopping)))),
            () = stopping.cancelled() => None,
        }
    })))
}

fn wanted(one: &pb::DumpedPartition) -> Result<(PartitionId, Option<Held>)> {
    let number = u16::try_from(one.partition).map_err(|_| {
        Error::new(ErrorCode::PartitionInvalid, format!("partition {}", one.partition))
    })?;
    let held = one.after.as_ref().map(|after| Held {
        loss_generation: one.loss_generation,
        position: LogPosition::new(after.epoch, after.seq),
    });
    Ok((PartitionId(number), held))
}

/// Tells the clock, and fences partitions.
pub(super) fn fence(
    shared: &Shared,
    core: usize,
    request: &pb::FenceRequest,
) -> Result<pb::FenceReply> {
    let engine = &shared.engine;
    if request.clock != 0 {
        let partitions: Vec<PartitionId> = request
            .partitions
            .iter()
            .filter_map(|number| u16::try_from(*number).ok().map(PartitionId))
            .collect();
        engine.fence(core, Hlc(request.clock), &partitions)?;
    }
    Ok(pb::FenceReply { clock: engine.clock_of_cut().0, now_ms: clock::now().0 })
}

/// A dump that is under way.
struct Dump {
    shared: Arc<Shared>,
    signal: Arc<Signal>,
    /// Not begun yet.
    wanted: VecDeque<(PartitionId, Option<Held>)>,
    /// Begun; their entries are told as they are committed.
    open: BTreeMap<PartitionId, (Dumped, Option<Held>)>,
    /// Those of which records are still to be told, and how far each walk is.
    bases: VecDeque<(PartitionId, WalkCursor)>,
    /// To be said next.
    told: VecDeque<pb::DumpReply>,
    is_turn_of_news: bool,
    entries: Vec<u8>,
}

impl Dump {
    /// Partitions of which the caller has something begin at once: their logs may still reach back, and do not for long.
    fn begin_early(&mut self) {
        let (early, later) =
            std::mem::take(&mut self.wanted).into_iter().partition(|(_, held)| held.is_some());
        self.wanted = later;
        let early: VecDeque<(PartitionId, Option<Held>)> = early;
        for (partition, held) in early {
            self.begin(partition, held);
        }
    }

    fn begin(&mut self, partition: PartitionId, held: Option<Held>) {
        let dumped = match self.shared.engine.begin_dump(partition, held, &self.signal) {
            Ok(dumped) => dumped,
            Err(refused) => return self.refuse(partition, refused),
        };
        self.open.insert(partition, (dumped, held));
        let mode = match dumped.mode {
            DumpMode::Whole => "whole",
            DumpMode::Changes { .. } => "changes",
            DumpMode::Entries => "entries",
        };
        if dumped.mode != DumpMode::Entries {
            self.bases.push_back((partition, WalkCursor::default()));
        }
        let begun = pb::DumpBegun {
            mode: mode.to_owned(),
            from: Some(position(dumped.from)),
            loss_generation: dumped.loss_generation,
        };
        self.told.push_back(piece(partition, Piece::Begun(begun)));
    }

    /// The next message: records and news by turns, so that neither waits for the end of the other.
    async fn next(&mut self) -> pb::DumpReply {
        loop {
            if let Some(told) = self.told.pop_front() {
                return told;
            }
            self.is_turn_of_news = !self.is_turn_of_news;
            if self.bases.is_empty() && self.wanted.is_empty() {
                self.shared.doors.backed_up(clock::now());
                let signal = Arc::clone(&self.signal);
                match tokio::time::timeout(PULSE, signal.next()).await {
                    Ok(partition) => self.tell_entries(partition),
                    Err(_) => return self.pulse(),
                }
                continue;
            }
            // Others on this core come first between two pages.
            tokio::task::yield_now().await;
            match self.signal.take() {
                Some(partition) if self.is_turn_of_news => self.tell_entries(partition),
                Some(partition) => {
                    self.signal.raise(partition);
                    self.tell_records();
                }
                None => self.tell_records(),
            }
        }
    }

    /// The next page of records, of the next partition if none is begun.
    fn tell_records(&mut self) {
        let Some((partition, from)) = self.bases.pop_front() else {
            if let Some((partition, held)) = self.wanted.pop_front() {
                self.begin(partition, held);
            }
            return;
        };
        let Some((dumped, _)) = self.open.get(&partition) else { return };
        match self.shared.engine.dump_page(dumped, from, PIECE_BYTES_MAX) {
            Ok(page) => {
                if let Some(next) = page.next {
                    self.bases.push_front((partition, next));
                }
                let told = pb::DumpPage {
                    records: page.records.into(),
                    kept: page.kept,
                    as_of: Some(position(page.as_of)),
                    is_last: page.next.is_none(),
                };
                self.told.push_back(piece(partition, Piece::Page(told)));
            }
            Err(refused) => self.refuse(partition, refused),
        }
    }

    /// What was committed in a partition since it was last looked at.
    fn tell_entries(&mut self, partition: PartitionId) {
        let Some((dumped, held)) = self.open.get(&partition).copied() else { return };
        let mut bytes = std::mem::take(&mut self.entries);
        bytes.clear();
        match self.shared.engine.dump_entries(&dumped, PIECE_BYTES_MAX, &mut bytes) {
            Ok(_) if bytes.is_empty() => {}
            Ok(_) => {
                let mut plain = Vec::with_capacity(bytes.len());
                let read = without_requests(&bytes, &mut plain);
                debug_assert!(read.is_ok(), "the log holds valid entries");
                self.told.push_back(piece(partition, Piece::Entries(plain.into())));
                // There may be more.
                self.signal.raise(partition);
            }
            Err(Refused::Lagged { .. } | Refused::Compacted { .. }) => {
                // The caller took them too slowly, and the log went on.
                self.close(partition);
                self.begin(partition, held);
            }
            Err(refused) => self.refuse(partition, refused),
        }
        self.entries = bytes;
    }

    /// Nothing has happened for a while.
    fn pulse(&mut self) -> pb::DumpReply {
        let lost: Vec<(PartitionId, Refused)> = self
            .open
            .iter()
            .filter_map(|(partition, (dumped, _))| {
                let refused = self.shared.engine.check_dump(dumped).err()?;
                Some((*partition, refused))
            })
            .collect();
        for (partition, refused) in lost {
            self.refuse(partition, refused);
        }
        self.told.pop_front().unwrap_or_default()
    }

    fn refuse(&mut self, partition: PartitionId, refused: Refused) {
        self.close(partition);
        let code = match refused {
            Refused::Closed | Refused::NotReady => ErrorCode::NotOwner,
            Refused::Behind => ErrorCode::TooFarBehind,
            Refused::Lagged { .. } | Refused::Compacted { .. } => ErrorCode::PositionLost,
        };
        let detail = format!("partition {}", partition.0);
        let refused = pb::DumpRefused { error: code as u32, detail };
        self.told.push_back(piece(partition, Piece::Refused(refused)));
    }

    fn close(&mut self, partition: PartitionId) {
        self.bases.retain(|(other, _)| *other != partition);
        if let Some((dumped, _)) = self.open.remove(&partition) {
            self.shared.engine.end_dump(&dumped);
        }
    }
}

impl Drop for Dump {
    fn drop(&mut self) {
        for (dumped, _) in self.open.values() {
            self.shared.engine.end_dump(dumped);
        }
    }
}

fn piece(partition: PartitionId, piece: Piece) -> pb::DumpReply {
    pb::DumpReply { partition: partition.0.into(), piece: Some(piece) }
}

fn position(position: LogPosition) -> pb::LogPosition {
    pb::LogPosition { epoch: position.epoch.0, seq: position.seq }
}
