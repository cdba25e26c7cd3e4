//! [`Tally`]: what one batch has counted. Plain numbers, so that an operation costs an addition; they go to the core's
//! counts when the batch has ended, or another map comes.

use std::sync::Arc;
use std::time::Duration;

use isogrid_core::{MapId, Reply};

use super::{CELLS, Cell, Figures, KINDS, Kind, MapCounts, Outcome};
use crate::engine::batch::{NamedMap, Routed};

/// What one batch has counted.
pub(in crate::engine) struct Tally<'a> {
    figures: &'a Figures,
    core: usize,
    maps: &'a [NamedMap],
    /// The map that the numbers below are of.
    map: Option<MapId>,
    cells: [u32; CELLS],
    /// A bit for each cell that is not nought.
    touched: u128,
    kinds: [u32; KINDS],
}

const _: () = assert!(CELLS <= u128::BITS as usize, "a bit for each");

impl<'a> Tally<'a> {
    pub(in crate::engine) fn new(figures: &'a Figures, core: usize, maps: &'a [NamedMap]) -> Self {
        Tally { figures, core, maps, map: None, cells: [0; CELLS], touched: 0, kinds: [0; KINDS] }
    }

    /// An operation was answered at once.
    #[inline]
    pub(in crate::engine) fn answered(&mut self, routed: &Routed<'_>, reply: &Reply<'_>) {
        if self.map != Some(routed.map) {
            self.flush();
            self.map = Some(routed.map);
        }
        let cell = Cell { kind: Kind::of(&routed.op), outcome: Outcome::of(reply) }.index();
        self.cells[cell] += 1;
        self.touched |= 1 << cell;
        if let Reply::Failed(error) = reply {
            self.figures.failed(self.core, error.code());
        }
    }

    /// The batch has ended, and took so long.
    pub(in crate::engine) fn end(mut self, took: Duration) {
        self.flush();
        let at_once = &self.figures.cores[self.core].at_once;
        for (histogram, count) in at_once.iter().zip(self.kinds).filter(|(_, count)| *count > 0) {
            histogram.record_many(took, u64::from(count));
        }
    }

    fn flush(&mut self) {
        let Some(map) = self.map else { return };
        let counts = counts_of(self.figures, self.maps, map);
        while self.touched != 0 {
            let cell = self.touched.trailing_zeros() as usize;
            self.touched &= self.touched - 1;
            let count = std::mem::take(&mut self.cells[cell]);
            self.kinds[cell / Outcome::ALL.len()] += count;
            counts.add(self.core, cell, u64::from(count));
        }
    }
}

fn counts_of<'a>(figures: &'a Figures, maps: &'a [NamedMap], map: MapId) -> &'a MapCounts {
    let known = maps.iter().filter_map(|named| named.info.as_ref());
    let found = known.into_iter().find(|info| info.id == map);
    found.map_or(&figures.no_map, |info| Arc::as_ref(&info.counts))
}
