//! What a backup of the cluster asks of nodes: the data of partitions, and a fence at the cut.

use std::time::Duration;

use bytes::Bytes;
use isogrid_core::{ErrorCode, LogPosition};
use isogrid_proto::pb::{self, dump_reply::Piece};
use tonic::Streaming;

use super::Operator;
use crate::error::{Error, Result};

/// A node says something every half a second; one that is silent for so long is given up.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// A partition whose data are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DumpAsk {
    /// Which.
    pub partition: u32,
    /// What the caller has of it: everything up to this position, of the history with this loss generation.
    pub held: Option<(LogPosition, u32)>,
}

/// A piece of a partition's data.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum DumpPiece {
    /// The partition begins, or begins anew: what was told of it before does not count.
    Begun {
        /// whole, changes or entries.
        mode: String,
        /// The entries follow this one.
        from: LogPosition,
        /// How often its history was declared lost before.
        loss_generation: u32,
    },
    /// Records.
    Page {
        /// As encoded entries of a log.
        records: Bytes,
        /// Versions of records that are there as the caller has them.
        kept: Vec<u64>,
        /// What the page shows, committed or not.
        as_of: LogPosition,
        /// Whether it is the last one.
        is_last: bool,
    },
    /// Committed entries.
    Entries(Bytes),
    /// The partition is given up at this node.
    Refused(Error),
}

/// A stream of partitions' data. Dropping it ends it.
#[derive(Debug)]
pub struct Dump {
    address: String,
    pieces: Streaming<pb::DumpReply>,
}

impl Dump {
    /// The next piece and its partition; `None` when the node ends the stream.
    ///
    /// # Errors
    ///
    /// `ConnectionLost` if the connection breaks, or the node is silent for long.
    pub async fn next(&mut self) -> Result<Option<(u32, DumpPiece)>> {
        let lost =
            |why: &str| Error::new(ErrorCode::ConnectionLost, format!("{}: {why}", self.address));
        loop {
            let reply = match tokio::time::timeout(SILENCE_MAX, self.pieces.message()).await {
                Ok(Ok(Some(reply))) => reply,
                Ok(Ok(None)) => return Ok(None),
                Ok(Err(status)) => return Err(lost(status.message())),
                Err(_) => return Err(lost("the node is silent")),
            };
            // A message without a piece only says that the node is there.
            if let Some(piece) = reply.piece {
                return Ok(Some((reply.partition, of_wire(piece))));
            }
        }
    }
}

fn of_wire(piece: Piece) -> DumpPiece {
    let position = |position: Option<pb::LogPosition>| {
        position.map_or(LogPosition::START, |at| LogPosition::new(at.epoch, at.seq))
    };
    match piece {
        Piece::Begun(begun) => DumpPiece::Begun {
            mode: begun.mode,
            from: position(begun.from),
            loss_generation: begun.loss_generation,
        },
        Piece::Page(page) => DumpPiece::Page {
            records: page.records,
            kept: page.kept,
            as_of: position(page.as_of),
            is_last: page.is_last,
        },
        Piece::Entries(entries) => DumpPiece::Entries(entries),
        Piece::Refused(refused) => {
            let code = u16::try_from(refused.error).ok().and_then(ErrorCode::from_number);
            DumpPiece::Refused(Error::new(code.unwrap_or(ErrorCode::Internal), refused.detail))
        }
    }
}

/// What a node says of its clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeClock {
    /// Its hybrid clock: not behind any entry of the partitions that it leads.
    pub hybrid: u64,
    /// Its wall clock, in milliseconds since 1970.
    pub wall_ms: u64,
}

impl Operator {
    /// The data of partitions that the node leads: their records, and what is committed meanwhile and from then on. Changes
    /// nothing.
    pub async fn dump(&self, partitions: &[DumpAsk]) -> Result<Dump> {
        let partition = |ask: &DumpAsk| pb::DumpedPartition {
            partition: ask.partition,
            after: ask.held.map(|(position, _)| pb::LogPosition {
                epoch: position.epoch.0,
                seq: position.seq,
            }),
            loss_generation: ask.held.map_or(0, |(_, generation)| generation),
        };
        let request = pb::DumpRequest { partitions: partitions.iter().map(partition).collect() };
        let pieces = self.open(async |mut admin| admin.dump(request).await).await?;
        Ok(Dump { address: self.address().to_owned(), pieces })
    }

    /// The node's clocks. Changes nothing.
    pub async fn clock(&self) -> Result<NodeClock> {
        self.fence(0, &[]).await
    }

    /// Puts an entry that changes nothing behind a clock into the logs of partitions that the node leads.
    ///
    /// # Errors
    ///
    /// `ClocksApart` if the clock is too far ahead of the node's own.
    pub async fn fence(&self, clock: u64, partitions: &[u32]) -> Result<NodeClock> {
        let request = pb::FenceRequest { clock, partitions: partitions.to_vec() };
        let call = async |mut admin: super::operator::Admin, request| admin.fence(request).await;
        let reply = self.call(request, call).await?;
        Ok(NodeClock { hybrid: reply.clock, wall_ms: reply.now_ms })
    }
}
