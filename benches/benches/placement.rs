//! What a whole placement costs: it is computed anew whenever a member joins, leaves or changes its weight.
//!
//! `cargo bench -p isogrid-benches --bench placement`

use std::fmt;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use isogrid_core::members::{Member, Members};
use isogrid_core::placement::desired;
use isogrid_core::slot::PartitionCount;

/// A primary and one backup.
const COPIES: usize = 2;

/// A small, a usual and a large cluster.
const SIZES: [Size; 3] = [
    Size { partitions: 256, nodes: 3 },
    Size { partitions: 1_024, nodes: 10 },
    Size { partitions: 16_384, nodes: 100 },
];

/// How large a cluster is.
#[derive(Clone, Copy)]
struct Size {
    partitions: u16,
    nodes: usize,
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} partitions on {} nodes", self.partitions, self.nodes)
    }
}

fn main() {
    divan::main();
}

/// Items are partitions.
#[divan::bench(args = SIZES, sample_count = 20, sample_size = 1)]
fn desired_placement(bencher: Bencher<'_, '_>, size: Size) {
    let partitions = PartitionCount::new(size.partitions).expect("a power of two");
    let members: Members =
        (0..size.nodes).map(|node| Member::new(format!("node-{node}"))).collect();
    bencher
        .counter(ItemsCount::new(size.partitions))
        .bench(|| desired(partitions, black_box(&members), COPIES));
}
