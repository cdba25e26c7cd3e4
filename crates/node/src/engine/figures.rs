//! [`Figures`]: what was asked of the partitions here and what came of it. Each core counts for itself, a batch at a time;
//! whoever wants to know adds up.
//!
//! | module | what it holds |
//! |---|---|
//! | `kind` | what an operation is and what came of it, for counting |
//! | `tally` | what one batch has counted |
//! | `metered` | answers that come late, counted and timed |

mod kind;
mod metered;
mod tally;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use isogrid_core::catalog::EXPLANATIONS;
use isogrid_core::{ErrorCode, ErrorKind};

pub(crate) use kind::{CELLS, Cell, KINDS, Kind, Outcome};
pub(super) use metered::Metered;
pub(super) use tally::Tally;

use crate::doors::Gauge;
use crate::metrics::Histogram;

/// All counts of a node's engine.
pub(crate) struct Figures {
    cores: Box<[OfCore]>,
    /// Of operations on maps that do not exist, and of those that are none of a map.
    no_map: MapCounts,
}

/// What one core counts, on cache lines of its own.
#[repr(align(128))]
struct OfCore {
    /// How long operations took that were answered when their frame was executed.
    at_once: [Histogram; KINDS],
    /// How long those took that were answered later.
    late: [Histogram; KINDS],
    /// How late the core came to what was due.
    waits: Histogram,
    /// One for each error of the catalogue.
    errors: Box<[AtomicU64]>,
}

/// What was asked of one map, and what came of it: for each core a number for each [`Cell`].
pub(crate) struct MapCounts {
    cores: Box<[OnceLock<Box<[AtomicU64; CELLS]>>]>,
    watchers: Gauge,
}

impl std::fmt::Debug for MapCounts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("MapCounts").field("cores", &self.cores.len()).finish()
    }
}

impl MapCounts {
    pub(super) fn new(cores: usize) -> Self {
        let cores = (0..cores).map(|_| OnceLock::new()).collect();
        MapCounts { cores, watchers: Gauge::default() }
    }

    /// Who watches the map through this node.
    pub(crate) fn watchers(&self) -> &Gauge {
        &self.watchers
    }

    #[inline]
    fn add(&self, core: usize, cell: usize, count: u64) {
        let made = || Box::new([const { AtomicU64::new(0) }; CELLS]);
        self.cores[core].get_or_init(made)[cell].fetch_add(count, Ordering::Relaxed);
    }

    /// What was counted, but for what never happened.
    pub(crate) fn sums(&self) -> Vec<(Cell, u64)> {
        let sum = |cell: Cell| {
            let cores = self.cores.iter().filter_map(OnceLock::get);
            (cell, cores.map(|core| core[cell.index()].load(Ordering::Relaxed)).sum())
        };
        Cell::all().map(sum).filter(|(_, count)| *count > 0).collect()
    }
}

impl Figures {
    pub(super) fn new(cores: usize) -> Self {
        let of_core = || OfCore {
            at_once: Default::default(),
            late: Default::default(),
            waits: Histogram::default(),
            errors: EXPLANATIONS.iter().map(|_| AtomicU64::new(0)).collect(),
        };
        Figures { cores: (0..cores).map(|_| of_core()).collect(), no_map: MapCounts::new(cores) }
    }

    /// An operation failed.
    #[cold]
    pub(crate) fn failed(&self, core: usize, code: ErrorCode) {
        let place = EXPLANATIONS.binary_search_by_key(&code, |known| known.code);
        if let Ok(place) = place {
            self.cores[core].errors[place].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A core came to something that was due so long before.
    pub(crate) fn came_late(&self, core: usize, by: std::time::Duration) {
        self.cores[core].waits.record(by);
    }

    /// How late cores come to what is due.
    pub(crate) fn waits(&self) -> Histogram {
        Histogram::sum(self.cores.iter().map(|core| &core.waits))
    }

    /// How long operations of a kind took.
    pub(crate) fn durations(&self, kind: Kind) -> Histogram {
        let index = kind as usize;
        let all = self.cores.iter();
        Histogram::sum(all.flat_map(|core| [&core.at_once[index], &core.late[index]]))
    }

    /// How long writes took that waited for other replicas or for the disk.
    pub(crate) fn acknowledgements(&self) -> Histogram {
        let writes = || Kind::ALL.into_iter().filter(|kind| kind.is_write());
        let all = self.cores.iter();
        Histogram::sum(all.flat_map(|core| writes().map(|kind| &core.late[kind as usize])))
    }

    /// How long all operations took.
    pub(crate) fn all_durations(&self) -> Histogram {
        let all = self.cores.iter();
        Histogram::sum(all.flat_map(|core| core.at_once.iter().chain(&core.late)))
    }

    /// How often each error was the answer, of those that were.
    pub(crate) fn errors(&self) -> Vec<(ErrorCode, ErrorKind, u64)> {
        let sum = |(place, known): (usize, &isogrid_core::catalog::Explanation)| {
            let cores = self.cores.iter();
            let count = cores.map(|core| core.errors[place].load(Ordering::Relaxed)).sum();
            (known.code, known.kind, count)
        };
        EXPLANATIONS.iter().enumerate().map(sum).filter(|(.., count)| *count > 0).collect()
    }

    /// Of operations on maps that do not exist.
    pub(crate) fn no_map(&self) -> &MapCounts {
        &self.no_map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cores_count_is_added_up() {
        let counts = MapCounts::new(3);
        let cell = Cell { kind: Kind::Put, outcome: Outcome::Ok };
        counts.add(0, cell.index(), 2);
        counts.add(2, cell.index(), 3);
        assert_eq!(counts.sums(), [(cell, 5)], "and what never happened is not there");
    }

    #[test]
    fn errors_are_counted_by_their_codes() {
        let figures = Figures::new(2);
        figures.failed(0, ErrorCode::MemoryFull);
        figures.failed(1, ErrorCode::MemoryFull);
        figures.failed(1, ErrorCode::NotOwner);
        let expected = [
            (ErrorCode::NotOwner, ErrorKind::NotOwner, 1),
            (ErrorCode::MemoryFull, ErrorKind::Overloaded, 2),
        ];
        assert_eq!(figures.errors(), expected);
    }
}
