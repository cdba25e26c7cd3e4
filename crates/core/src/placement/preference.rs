//! The order in which a partition prefers the members: weighted rendezvous hashing with a frozen hash, so that every
//! build of every version on every machine computes the same order.

use std::hash::{Hash, Hasher};

use rendezvous_hash::{Capacity, IdNode, Node, NodeHasher, RendezvousNodes, WeightedNode};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::id::PartitionId;

/// Seed of the preference hash: "isogridp" in ASCII. Changing it moves almost every partition of every cluster.
const SEED: u64 = 0x6973_6f67_7269_6470;

/// A member as the rendezvous set sees it. Ties of the score break by this order, which is the same everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Candidate {
    /// xxh3 of the member's name.
    name_hash: u64,
    /// The place of the member in the list the set was made of.
    index: usize,
}

/// The hash of a pair of member and item: xxh3 over both, eight little-endian bytes each, with [`SEED`].
struct FrozenHasher;

impl NodeHasher<Candidate> for FrozenHasher {
    fn hash<T: Hash>(&self, node: &Candidate, item: &T) -> u64 {
        let mut number = ItemNumber(0);
        item.hash(&mut number);
        let mut pair = [0u8; 16];
        pair[..8].copy_from_slice(&node.name_hash.to_le_bytes());
        pair[8..].copy_from_slice(&number.0.to_le_bytes());
        xxh3_64_with_seed(&pair, SEED)
    }
}

/// Takes the number out of a hashable id. A derived `Hash` of a newtype hands its integer to exactly one `write_…`;
/// taking it as a number keeps the machine's byte order out of the hash.
struct ItemNumber(u64);

impl Hasher for ItemNumber {
    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("placement hashes partition ids only, and they are u16");
    }

    fn write_u16(&mut self, number: u16) {
        self.0 = u64::from(number);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The members as partitions see them: weighted rendezvous hashing by the logarithmic method. Mathematics libraries may
/// differ in the last digit of a logarithm; that can swap only two members whose scores agree in some fifteen digits, and
/// a placement is a proposal: what the council commits decides.
pub(super) struct Preference {
    nodes: RendezvousNodes<WeightedNode<IdNode<Candidate>>, FrozenHasher>,
}

impl Preference {
    /// The preference over members given as `(name, weight)`. Weights must not be zero.
    pub(super) fn new<'a>(members: impl IntoIterator<Item = (&'a str, u32)>) -> Self {
        let mut nodes = RendezvousNodes::new(FrozenHasher);
        for (index, (name, weight)) in members.into_iter().enumerate() {
            let candidate = Candidate { name_hash: xxh3_64(name.as_bytes()), index };
            let capacity = Capacity::new(f64::from(weight)).expect("a placeable member has weight");
            nodes.insert(WeightedNode::new(IdNode::new(candidate), capacity));
        }
        Preference { nodes }
    }

    /// The members, as indices into the list given at the start, most preferred first.
    pub(super) fn of(&self, partition: PartitionId) -> impl Iterator<Item = usize> {
        self.nodes.calc_candidates(&partition).map(|node| node.node_id().index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_frozen() {
        let candidate = Candidate { name_hash: xxh3_64(b"node-1"), index: 0 };
        let hashes: Vec<u64> = [0, 1, 255, 16_383]
            .into_iter()
            .map(|partition| FrozenHasher.hash(&candidate, &PartitionId(partition)))
            .collect();
        assert_eq!(
            hashes,
            [
                7_145_957_047_588_965_036,
                7_415_599_743_684_356_731,
                8_261_246_418_752_740_323,
                11_777_207_363_695_084_305
            ],
            "a change here moves the data of every cluster"
        );
    }

    #[test]
    fn weights_decide_how_often_a_member_comes_first() {
        let preference = Preference::new([("a", 100), ("b", 300)]);
        let first = |partition| preference.of(PartitionId(partition)).next();
        let of_b = (0..16_384).filter(|&partition| first(partition) == Some(1)).count();
        assert!((of_b as f64 / 16_384.0 - 0.75).abs() < 0.02, "{of_b}");
    }

    #[test]
    fn the_place_in_the_list_does_not_matter() {
        let forward = Preference::new([("a", 100), ("b", 100), ("c", 100)]);
        let backward = Preference::new([("c", 100), ("b", 100), ("a", 100)]);
        for partition in (0..1_000).map(PartitionId) {
            let mirrored: Vec<usize> = backward.of(partition).map(|index| 2 - index).collect();
            assert_eq!(forward.of(partition).collect::<Vec<_>>(), mirrored);
        }
    }
}
