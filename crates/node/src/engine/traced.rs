//! The steps of traced operations: what the owner does, its waiting for the backups, and what each backup does. Most batches have
//! none; then all that is left of this are a few branches.
//!
//! ```text
//!   put orders          the owner, from its batch to its answer
//!   └─ replicate        from its entry in the log to its answer, if there are backups
//!      └─ append        each backup
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use isogrid_core::trace::{Span, SpanId, SpanKind, SpanValue};
use isogrid_core::{LogPosition, PartitionId, Reply, TraceContext};
use isogrid_replica::Receipt;
use parking_lot::Mutex;

use super::batch::Batch;
use super::slot::{Held, Place};
use super::slow::name;
use super::{Engine, MapInfo};
use crate::clock;
use crate::peers::message::LinkMessage;
use crate::traces::Tracer;

/// How many entries a backup expects at the most whose traces it was told, for each partition. Older ones are forgotten.
const MARKS_MAX: usize = 256;

/// An entry of a log that belongs to a trace.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mark {
    /// The entry's place in the log.
    pub(crate) position: LogPosition,
    /// Where it belongs.
    pub(crate) context: TraceContext,
}

/// The entries that a backup expects and that belong to traces.
#[derive(Debug, Default)]
pub(super) struct Marks(VecDeque<Mark>);

impl Marks {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn expect(&mut self, mark: Mark) {
        if self.0.len() == MARKS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(mark);
    }

    /// Takes out those whose places are there by now.
    fn take_until(&mut self, last: LogPosition) -> Vec<Mark> {
        let (there, expected) =
            self.0.drain(..).partition(|mark: &Mark| mark.position.seq <= last.seq);
        self.0 = expected;
        Vec::from(there)
    }
}

/// The traced operations of a batch that are not answered yet.
pub(super) struct TracedBatch {
    tracer: Arc<Tracer>,
    began_ns: u64,
    /// A mutex: late answers come from any core. Held for a look at a short list.
    open: Mutex<Vec<Open>>,
}

/// One traced operation.
struct Open {
    index: usize,
    id: SpanId,
    within: TraceContext,
    name: &'static str,
    map: Option<Arc<MapInfo>>,
    partition: u16,
    /// Its waiting for backups, and since when.
    replication: Option<(SpanId, u64)>,
}

impl TracedBatch {
    /// An operation was answered.
    #[cold]
    pub(super) fn answered(&self, index: usize, reply: &Reply<'_>, receipt: Option<&Receipt>) {
        let open = {
            let mut open = self.open.lock();
            let place = open.iter().position(|one| one.index == index);
            place.map(|place| open.swap_remove(place))
        };
        if let Some(open) = open {
            self.tell(&open, reply, receipt);
        }
    }

    fn tell(&self, open: &Open, reply: &Reply<'_>, receipt: Option<&Receipt>) {
        let now_ns = clock::unix_ns();
        let error = match reply {
            Reply::Failed(error) => Some(error.code().to_string()),
            _ => None,
        };
        if let Some((id, began_ns)) = open.replication {
            let replicas = receipt.map(|receipt| u64::from(receipt.replicas));
            self.tracer.tell(Span {
                id,
                within: open.within.within(open.id),
                kind: SpanKind::Internal,
                name: "replicate".to_owned(),
                time_ns: (began_ns, now_ns),
                attributes: replicas
                    .map(|count| ("isogrid.replicas", count.into()))
                    .into_iter()
                    .collect(),
                error: error.clone(),
            });
        }
        let map = open.map.as_ref().map_or("", |info| &info.name);
        let mut attributes: Vec<(&str, SpanValue)> = vec![
            ("db.system.name", "isogrid".into()),
            ("db.collection.name", map.into()),
            ("db.operation.name", open.name.into()),
            ("isogrid.partition", u64::from(open.partition).into()),
        ];
        attributes.extend(error.as_deref().map(|error| ("error.type", error.into())));
        self.tracer.tell(Span {
            id: open.id,
            within: open.within.clone(),
            kind: SpanKind::Server,
            name: format!("{} {map}", open.name).trim_end().to_owned(),
            time_ns: (self.began_ns, now_ns),
            attributes,
            error,
        });
    }

    /// An operation has an entry in its partition's log from now on: who waits for that, if it is traced.
    fn replicates(&self, index: usize) -> Option<TraceContext> {
        let mut open = self.open.lock();
        let open = open.iter_mut().find(|one| one.index == index)?;
        let id = self.tracer.new_span()?;
        open.replication = Some((id, clock::unix_ns()));
        Some(open.within.within(id))
    }
}

impl Engine {
    /// What this node tells of traces.
    pub(crate) fn tracer(&self) -> &Arc<Tracer> {
        &self.tracer
    }

    /// The traced operations of a batch, if there are any and anybody is told.
    #[inline]
    pub(super) fn trace_batch(&self, batch: &Batch<'_>) -> Option<Arc<TracedBatch>> {
        if batch.traces.is_empty() || !self.tracer.is_on() {
            return None;
        }
        Some(self.open_traces(batch))
    }

    #[cold]
    fn open_traces(&self, batch: &Batch<'_>) -> Arc<TracedBatch> {
        let mut open = Vec::new();
        for (index, routed) in batch.ops.iter().enumerate() {
            let (Some(within), Some(id)) = (batch.traces.of(index as u32), self.tracer.new_span())
            else {
                continue;
            };
            let infos = batch.maps.iter().filter_map(|named| named.info.as_ref());
            open.push(Open {
                index,
                id,
                within: within.clone(),
                name: name(&routed.op),
                map: infos.into_iter().find(|info| info.id == routed.map).cloned(),
                partition: routed.partition,
                replication: None,
            });
        }
        let (tracer, began_ns) = (Arc::clone(&self.tracer), clock::unix_ns());
        Arc::new(TracedBatch { tracer, began_ns, open: Mutex::new(open) })
    }

    /// Tells the backups of a partition that the newest entry of its log belongs to a trace, before the entry itself leaves.
    #[cold]
    pub(super) fn mark_entry(
        &self,
        place: Place<'_>,
        held: &Held,
        traced: &TracedBatch,
        index: usize,
    ) {
        let view = held.replica.view();
        let others = view.in_sync.iter().chain(&view.learners);
        let others: Vec<_> = others.filter(|other| other.node != self.own.node).collect();
        if others.is_empty() {
            return;
        }
        let Some(context) = traced.replicates(index) else { return };
        let mark = Mark { position: held.replica.log().last(), context };
        for other in others {
            let message = LinkMessage::Traced {
                partition: place.partition,
                to: other.incarnation,
                mark: mark.clone(),
            };
            self.wire.send(place.core, &other.node, message);
        }
    }

    /// A backup has taken entries; some belong to traces.
    #[cold]
    pub(super) fn trace_entries(&self, partition: PartitionId, held: &mut Held, began_ns: u64) {
        let now_ns = clock::unix_ns();
        for mark in held.marks.take_until(held.replica.log().last()) {
            let Some(id) = self.tracer.new_span() else { continue };
            self.tracer.tell(Span {
                id,
                within: mark.context,
                kind: SpanKind::Server,
                name: "append".to_owned(),
                time_ns: (began_ns, now_ns),
                attributes: vec![("isogrid.partition", u64::from(partition.0).into())],
                error: None,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(seq: u64) -> Mark {
        let context = TraceContext::root([1; 16]).expect("a number");
        Mark { position: LogPosition::new(1, seq), context }
    }

    #[test]
    fn a_backup_waits_for_the_entries_that_it_was_told_of() {
        let mut marks = Marks::default();
        (5..8).for_each(|seq| marks.expect(mark(seq)));
        assert!(marks.take_until(LogPosition::new(1, 4)).is_empty());
        assert_eq!(marks.take_until(LogPosition::new(1, 6)), [mark(5), mark(6)]);
        assert_eq!(marks.take_until(LogPosition::new(1, 9)), [mark(7)]);
        assert!(marks.is_empty());
    }

    #[test]
    fn of_entries_that_never_come_only_the_newest_are_remembered() {
        let mut marks = Marks::default();
        (0..MARKS_MAX as u64 + 2).for_each(|seq| marks.expect(mark(seq)));
        let left = marks.take_until(LogPosition::new(1, u64::MAX));
        assert_eq!((left.len(), left[0].position.seq), (MARKS_MAX, 2));
    }
}
