//! [`RawLive`]: a live watch in bytes: what the nodes tell, one event after the other, and what that is for what is shown.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use isogrid_core::{ErrorCode, PartitionId};
use isogrid_proto::pb;
use isogrid_proto::pb::watch_event::Event as Wire;
use isogrid_value::{Change, Field, Filter, Members, Order, Top, Wanted};
use tokio::sync::mpsc;

use super::super::follow::Watcher;
use super::super::{REPLIES_WAITING_MAX, WatchToken};
use super::LIMIT_MAX;
use super::kept::Kept;
use crate::error::{Error, Result};
use crate::link::Link;

/// What is to be watched.
pub(crate) struct Request {
    pub(crate) link: Arc<Link>,
    pub(crate) map: String,
    pub(crate) prefix: Bytes,
    pub(crate) filter: Filter,
    pub(crate) token: WatchToken,
    /// Keys that were shown where the token stands.
    pub(crate) held: Vec<Bytes>,
    pub(crate) keys_max: usize,
    /// Why nothing can be watched.
    pub(crate) refused: Option<Error>,
}

/// Of which the first few are shown.
#[derive(Clone, Debug)]
pub(crate) struct Sorted {
    pub(crate) field: Field,
    pub(crate) order: Order,
    pub(crate) limit: usize,
}

/// A record in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RawEntry {
    pub(crate) value: Bytes,
    pub(crate) version: u64,
    pub(crate) expires_at_ms: Option<u64>,
}

impl From<pb::Entry> for RawEntry {
    fn from(entry: pb::Entry) -> Self {
        let pb::Entry { value, version, expires_at_ms } = entry;
        RawEntry { value, version, expires_at_ms }
    }
}

/// What happens.
#[derive(Clone, Debug)]
pub(crate) enum RawEvent {
    Change(Change<RawEntry>),
    Ready,
}

/// A live watch.
pub(crate) struct RawLive {
    link: Arc<Link>,
    map: String,
    prefix: Bytes,
    filter: Bytes,
    kept: Kept,
    received: mpsc::Receiver<Result<pb::WatchReply>>,
    waiting: std::vec::IntoIter<pb::WatchEvent>,
    /// What an event of a node was for what is shown, as far as it was not taken yet, and where that event stands.
    changes: VecDeque<RawEvent>,
    position: Bytes,
    token: WatchToken,
    /// Partitions of which not all was told yet that was there in the beginning.
    awaited: BTreeSet<u16>,
    is_ready: bool,
    refused: Option<Error>,
    is_over: bool,
}

impl RawLive {
    /// Begins to watch: all that matches, or the first few of it.
    pub(crate) fn begin(request: Request, sorted: Option<Sorted>) -> Self {
        let Request { link, map, prefix, filter, token, held, keys_max, refused } = request;
        let partitions = link.routes.partitions();
        let (_, received) = mpsc::channel(1);
        let mut live = RawLive {
            kept: Kept::All(Members::new(keys_max)),
            received,
            waiting: Vec::new().into_iter(),
            changes: VecDeque::new(),
            position: Bytes::new(),
            awaited: partitions.iter().map(|partition| partition.0).collect(),
            token,
            is_ready: false,
            filter: Bytes::new(),
            refused,
            is_over: false,
            link,
            map,
            prefix,
        };
        let set_up = match sorted {
            Some(sorted) => {
                live.token = WatchToken::default();
                live.keep_first(&sorted, partitions.get())
            }
            None => {
                let known = &live.token.positions;
                live.awaited.retain(|partition| !known.contains_key(&PartitionId(*partition)));
                live.keep_all(keys_max, &held)
            }
        };
        match (set_up, filter.encode()) {
            (Ok(()), Ok(encoded)) if live.refused.is_none() => {
                live.filter = encoded.into();
                live.follow();
            }
            (Err(error), _) => live.refused = Some(error),
            (_, Err(error)) => live.refused = Some(error.into()),
            _ => {}
        }
        live
    }

    fn keep_all(&mut self, keys_max: usize, held: &[Bytes]) -> Result<()> {
        let mut members = Members::new(keys_max);
        let partitions = self.link.routes.partitions();
        for key in held {
            members.hold(partitions.partition_of_key(key).0, key)?;
        }
        self.kept = Kept::All(members);
        Ok(())
    }

    fn keep_first(&mut self, sorted: &Sorted, partitions: u16) -> Result<()> {
        if !(1..=LIMIT_MAX).contains(&sorted.limit) {
            let detail = format!("the first {} of an order, it is 1 to {LIMIT_MAX}", sorted.limit);
            return Err(Error::new(ErrorCode::ArgumentInvalid, detail));
        }
        let top = Box::new(Top::new(sorted.limit, sorted.order, partitions));
        let (field, wanted) = (sorted.field.clone(), Wanted::new([&sorted.field]));
        self.kept = Kept::First { top, field, wanted };
        Ok(())
    }

    /// Begins to follow the owners, from the token on.
    fn follow(&mut self) {
        let (replies, received) = mpsc::channel(REPLIES_WAITING_MAX);
        let watcher = Watcher {
            link: Arc::clone(&self.link),
            map: self.map.clone(),
            prefix: self.prefix.clone(),
            filter: self.filter.clone(),
            with_snapshot: true,
            token: self.token.clone(),
        };
        self.link.spawn(watcher.run(replies));
        self.received = received;
        self.waiting = Vec::new().into_iter();
    }

    /// Behind the last event that was taken.
    pub(crate) fn token(&self) -> WatchToken {
        self.token.clone()
    }

    /// The next event; `None` when the client is closed.
    pub(crate) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<RawEvent>>> {
        loop {
            if let Some(error) = self.refused.take() {
                self.received.close();
                self.is_over = true;
                return Poll::Ready(Some(Err(error)));
            }
            if self.is_over {
                return Poll::Ready(None);
            }
            if let Some(change) = self.changes.pop_front() {
                if self.changes.is_empty() {
                    self.note();
                }
                return Poll::Ready(Some(Ok(change)));
            }
            if !self.is_ready && self.awaited.is_empty() {
                self.is_ready = true;
                return Poll::Ready(Some(Ok(RawEvent::Ready)));
            }
            if let Some(event) = self.waiting.next() {
                if let Err(error) = self.take(event) {
                    self.refused = Some(error);
                }
                continue;
            }
            match ready!(self.received.poll_recv(cx)) {
                Some(Ok(reply)) => self.waiting = reply.events.into_iter(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }

    fn take(&mut self, event: pb::WatchEvent) -> Result<()> {
        self.position = event.token.clone();
        if matches!(event.event, Some(Wire::SnapshotDone(_))) {
            self.awaited.remove(&(event.partition as u16));
        }
        self.changes = self.kept.take(event)?.into_iter().map(RawEvent::Change).collect();
        if self.changes.is_empty() {
            self.note();
        }
        if let Kept::First { top, .. } = &mut self.kept
            && top.is_short()
        {
            // All is told anew, and until then what is shown stays.
            top.restart();
            self.follow();
        }
        Ok(())
    }

    /// All that the last event was has been taken.
    fn note(&mut self) {
        if matches!(self.kept, Kept::All(_)) {
            self.token.note(&self.position);
        }
    }
}

impl fmt::Debug for RawLive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawLive").field("map", &self.map).finish_non_exhaustive()
    }
}
