//! [`Metered`]: the late answers of one batch on their way to who asked. They are counted and timed as they pass, without a
//! look at a clock: who answers knows the time.

use std::sync::Arc;
use std::time::Duration;

use isogrid_core::Reply;
use isogrid_replica::{Receipt, Ticks};

use super::{Cell, Figures, Kind, Outcome};
use crate::engine::batch::Batch;
use crate::engine::traced::TracedBatch;
use crate::engine::{Late, MapInfo};

/// Takes the late answers of a batch.
pub(in crate::engine) struct Metered {
    late: Arc<dyn Late>,
    figures: Arc<Figures>,
    core: usize,
    began: Ticks,
    /// Of each operation what it is, and which of the maps it is on.
    operations: Box<[(Kind, u16)]>,
    maps: Box<[Option<Arc<MapInfo>>]>,
    traced: Option<Arc<TracedBatch>>,
}

/// Of an operation on a map that does not exist.
const NO_MAP: u16 = u16::MAX;

impl Metered {
    pub(in crate::engine) fn new(
        late: Arc<dyn Late>,
        figures: Arc<Figures>,
        (core, began): (usize, Ticks),
        batch: &Batch<'_>,
    ) -> Self {
        let maps: Box<[Option<Arc<MapInfo>>]> =
            batch.maps.iter().map(|named| named.info.clone()).collect();
        let place = |map| maps.iter().position(|info| info.as_ref().is_some_and(|i| i.id == map));
        let operations = batch.ops.iter().map(|routed| {
            let map = place(routed.map).and_then(|place| u16::try_from(place).ok());
            (Kind::of(&routed.op), map.unwrap_or(NO_MAP))
        });
        Metered { late, figures, core, began, operations: operations.collect(), maps, traced: None }
    }

    /// Tells of those of its operations that are traced.
    pub(in crate::engine) fn traced(mut self, traced: Option<Arc<TracedBatch>>) -> Self {
        self.traced = traced;
        self
    }

    /// Those of its operations that are traced, if any are.
    pub(in crate::engine) fn in_traces(&self) -> Option<Arc<TracedBatch>> {
        self.traced.clone()
    }

    /// Who takes them.
    pub(in crate::engine) fn inner(&self) -> &dyn Late {
        &*self.late
    }

    /// The answer to the operation with this index, at this moment.
    pub(in crate::engine) fn answer(
        &self,
        now: Ticks,
        index: usize,
        reply: &Reply<'_>,
        receipt: Option<&Receipt>,
    ) {
        self.late.answer(index, reply, receipt);
        if let Some(traced) = &self.traced {
            traced.answered(index, reply, receipt);
        }
        let Some((kind, map)) = self.operations.get(index).copied() else { return };
        let map = self.maps.get(usize::from(map)).and_then(Option::as_ref);
        let counts = map.map_or(&self.figures.no_map, |info| &info.counts);
        let cell = Cell { kind, outcome: Outcome::of(reply) };
        counts.add(self.core, cell.index(), 1);
        let took = Duration::from_micros(now.0.saturating_sub(self.began.0));
        self.figures.cores[self.core].late[kind as usize].record(took);
        if let Reply::Failed(error) = reply {
            self.figures.failed(self.core, error.code());
        }
    }

    /// Counts nothing that anybody sees.
    #[cfg(test)]
    pub(in crate::engine) fn unseen(late: Arc<dyn Late>) -> Self {
        let figures = Arc::new(Figures::new(1));
        Metered {
            late,
            figures,
            core: 0,
            began: Ticks(0),
            operations: Box::default(),
            maps: Box::default(),
            traced: None,
        }
    }
}
