//! Who *should* own which partition: a pure function of the members, the same on every node.
//!
//! Weighted rendezvous hashing gives every partition its order of preference over the members. Copies are placed one
//! level at a time, primaries first. At each level a partition asks the first member of its order that may take it: one
//! that holds no copy of it yet, in a zone that has room for it. A member asked by more partitions than its share (the
//! mean by weight, rounded up) keeps the first of them; the others walk on along their order to the first member with
//! room. Primaries are stricter: everybody has its share rounded down, and those that are left over go, one each, to the
//! members that the first of those that walk prefer.
//!
//! So everybody has its share of the primaries to within one, and hardly ever more copies than its share: only when every
//! member with room holds the partition already or is in a zone that is full. When a member joins or leaves, only these copies can move: those
//! that the preference moves, and those that walk before or after. docs/placement.md has the figures.

mod preference;
mod shares;

#[cfg(test)]
mod placement_test;

use std::collections::BTreeMap;

use crate::id::NodeId;
use crate::members::{Member, Members};
use crate::slot::PartitionCount;
use preference::Preference;

/// The members that should hold each partition, the primary first: `copies` of them, or as many as there are members to
/// place on. Members in any order give the same answer.
///
/// A partition's copies are on different members, in different zones where there are enough zones; where there are
/// not, no zone holds more copies of it than necessary.
pub fn desired(partitions: PartitionCount, members: &Members, copies: usize) -> Vec<Vec<NodeId>> {
    let placeable: Vec<&Member> = members.placeable().collect();
    let mut plan = Plan::new(partitions, &placeable);
    for _ in 0..copies.min(placeable.len()) {
        plan.place_next_copy();
    }
    let name = |&index: &u32| placeable[index as usize].id.clone();
    plan.holders.iter().map(|holders| holders.iter().map(name).collect()).collect()
}

/// A placement in the making. Members are indices into the list of placeable members, zones are numbered.
struct Plan {
    /// Per partition, all members in its order of preference.
    orders: Vec<Vec<u32>>,
    /// Per member, its zone and weight.
    members: Vec<(usize, u32)>,
    /// Per zone, its number of members.
    zone_sizes: Vec<usize>,
    /// Per partition, who holds a copy of it, the primary first.
    holders: Vec<Vec<u32>>,
    /// Per member, how many copies it holds.
    loads: Vec<u64>,
}

/// The bounds of one level of copies.
struct Bounds {
    /// How many copies of all partitions each member has room for.
    copies_per_member: Vec<u64>,
    /// How many members may have as many as this instead.
    left_over: u64,
    copies_per_member_max: Vec<u64>,
    /// The most copies of one partition per zone.
    copies_per_zone: usize,
}

impl Plan {
    fn new(partitions: PartitionCount, members: &[&Member]) -> Self {
        let mut zone_numbers: BTreeMap<Option<&str>, usize> = BTreeMap::new();
        let mut zone_sizes = Vec::new();
        let mut zoned = Vec::with_capacity(members.len());
        for member in members {
            let zone = *zone_numbers.entry(member.zone.as_deref()).or_insert_with(|| {
                zone_sizes.push(0);
                zone_sizes.len() - 1
            });
            zone_sizes[zone] += 1;
            zoned.push((zone, member.weight));
        }
        let preference = Preference::new(members.iter().map(|m| (m.id.as_str(), m.weight)));
        let order = |partition| preference.of(partition).map(|index| index as u32).collect();
        Plan {
            orders: partitions.iter().map(order).collect(),
            members: zoned,
            zone_sizes,
            holders: vec![Vec::new(); usize::from(partitions.get())],
            loads: vec![0; members.len()],
        }
    }

    /// Places one more copy of every partition.
    fn place_next_copy(&mut self) {
        let copies = self.holders[0].len() + 1;
        let mut bounds = self.bounds(copies);
        let mut walking = Vec::new();
        for (member, asking) in self.first_choices(&bounds).into_iter().enumerate() {
            let room = bounds.copies_per_member[member].saturating_sub(self.loads[member]);
            let (kept, refused) = asking.split_at(asking.len().min(room as usize));
            for &partition in kept {
                self.assign(partition, member as u32);
            }
            walking.extend_from_slice(refused);
        }
        walking.sort_unstable();
        for partition in walking {
            let member = self.walk(partition, &bounds);
            let is_full = self.loads[member as usize] >= bounds.copies_per_member[member as usize];
            bounds.left_over = bounds.left_over.saturating_sub(u64::from(is_full));
            self.assign(partition, member);
        }
        debug_assert!(self.holders.iter().all(|holders| holders.len() == copies));
    }

    fn bounds(&self, copies: usize) -> Bounds {
        let partitions = self.orders.len() as u64;
        let copies_per_zone = shares::copies_per_zone_max(&self.zone_sizes, copies);
        let copies_per_member_max =
            shares::copies_per_member_max(&self.members, partitions, copies);
        let (copies_per_member, left_over) = if copies == 1 {
            let least = shares::primaries_per_member_min(&self.members, partitions);
            let left_over = partitions - least.iter().sum::<u64>();
            (least, left_over)
        } else {
            (copies_per_member_max.clone(), 0)
        };
        Bounds { copies_per_member, left_over, copies_per_member_max, copies_per_zone }
    }

    /// Per member, the partitions whose first choice it is for the next copy, in their order.
    fn first_choices(&self, bounds: &Bounds) -> Vec<Vec<usize>> {
        let mut asking = vec![Vec::new(); self.members.len()];
        for partition in 0..self.orders.len() {
            let first = self
                .allowed(partition, bounds)
                .next()
                .expect("the zone bound leaves at least one member for every copy");
            asking[first as usize].push(partition);
        }
        asking
    }

    /// The most preferred member that may take the next copy and has room, else the one with the least excess: zones
    /// go before evenness.
    fn walk(&self, partition: usize, bounds: &Bounds) -> u32 {
        let room = match bounds.left_over {
            0 => &bounds.copies_per_member,
            _ => &bounds.copies_per_member_max,
        };
        let excess = |member: &u32| {
            let member = *member as usize;
            (self.loads[member] + 1).saturating_sub(room[member])
        };
        // `min_by_key` gives the first of equals, and room is an excess of zero.
        self.allowed(partition, bounds)
            .min_by_key(excess)
            .expect("the zone bound leaves at least one member for every copy")
    }

    /// The members that may take the next copy of a partition, in its order of preference.
    fn allowed(&self, partition: usize, bounds: &Bounds) -> impl Iterator<Item = u32> {
        let holders = &self.holders[partition];
        let zone_of = |member: u32| self.members[member as usize].0;
        let copies_per_zone = bounds.copies_per_zone;
        self.orders[partition].iter().copied().filter(move |&member| {
            let zone = zone_of(member);
            let in_zone = holders.iter().filter(|&&holder| zone_of(holder) == zone).count();
            in_zone < copies_per_zone && !holders.contains(&member)
        })
    }

    fn assign(&mut self, partition: usize, member: u32) {
        self.holders[partition].push(member);
        self.loads[member as usize] += 1;
    }
}
