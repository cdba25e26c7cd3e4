//! How many copies each member may hold: its share by weight, rounded up, where neither a member nor a zone gets more
//! than it can use.

use std::collections::BTreeMap;

/// A non-negative fraction. Exact, so that every machine rounds alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fraction {
    numerator: u128,
    denominator: u128,
}

impl Fraction {
    fn whole(number: u64) -> Self {
        Fraction { numerator: u128::from(number), denominator: 1 }
    }

    fn exceeds(self, number: u64) -> bool {
        self.numerator > u128::from(number) * self.denominator
    }

    /// This fraction without a whole number that is at most as large.
    fn less(self, number: u64) -> Self {
        let taken = u128::from(number) * self.denominator;
        Fraction { numerator: self.numerator - taken, denominator: self.denominator }
    }

    /// `part / whole` of this fraction.
    fn portion(self, part: u64, whole: u64) -> Self {
        Fraction {
            numerator: self.numerator * u128::from(part),
            denominator: self.denominator * u128::from(whole),
        }
    }

    fn floor(self) -> u64 {
        u64::try_from(self.numerator / self.denominator)
            .expect("a share is at most the number of copies")
    }

    fn ceil(self) -> u64 {
        let rounded_up = self.numerator.div_ceil(self.denominator);
        u64::try_from(rounded_up).expect("a share is at most the number of copies")
    }
}

/// A taker of copies: a zone, or a member in its zone.
#[derive(Clone, Copy, Debug)]
struct Taker {
    weight: u64,
    copies_max: u64,
}

/// Divides `total` among the takers by weight. Who would get more than it can use gets what it can use, and the rest
/// is divided among the others.
fn divide(total: Fraction, takers: &[Taker]) -> Vec<Fraction> {
    let mut shares: Vec<Option<Fraction>> = vec![None; takers.len()];
    let mut left = total;
    loop {
        let open = || takers.iter().zip(&shares).filter(|(_, share)| share.is_none());
        let weight_open: u64 = open().map(|(taker, _)| taker.weight).sum();
        let shares_open: Vec<Option<Fraction>> = takers
            .iter()
            .map(|taker| left.portion(taker.weight, weight_open.max(1)))
            .zip(&shares)
            .map(|(portion, share)| share.is_none().then_some(portion))
            .collect();
        let mut someone_is_full = false;
        for ((taker, share), portion) in takers.iter().zip(&mut shares).zip(&shares_open) {
            if portion.is_some_and(|portion| portion.exceeds(taker.copies_max)) {
                *share = Some(Fraction::whole(taker.copies_max));
                left = left.less(taker.copies_max);
                someone_is_full = true;
            }
        }
        if !someone_is_full {
            return shares
                .into_iter()
                .zip(shares_open)
                .map(|(full, portion)| full.or(portion).expect("every taker is full or open"))
                .collect();
        }
    }
}

/// The most copies of one partition that a zone may hold: as few as the sizes of the zones allow, one if there are as
/// many zones as copies.
pub(super) fn copies_per_zone_max(members_by_zone: &[usize], copies: usize) -> usize {
    let room = |quota: usize| -> usize { members_by_zone.iter().map(|&n| n.min(quota)).sum() };
    (1..=copies).find(|&quota| room(quota) >= copies).unwrap_or(copies)
}

/// The most copies each member may hold when `partitions` are placed `copies` times: `members` are `(zone, weight)`.
pub(super) fn copies_per_member_max(
    members: &[(usize, u32)],
    partitions: u64,
    copies: usize,
) -> Vec<u64> {
    shares(members, partitions, copies).into_iter().map(Fraction::ceil).collect()
}

/// How many primaries each member has at least: its share, rounded down.
pub(super) fn primaries_per_member_min(members: &[(usize, u32)], partitions: u64) -> Vec<u64> {
    shares(members, partitions, 1).into_iter().map(Fraction::floor).collect()
}

fn shares(members: &[(usize, u32)], partitions: u64, copies: usize) -> Vec<Fraction> {
    let mut members_of_zone: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, &(zone, _)) in members.iter().enumerate() {
        members_of_zone.entry(zone).or_default().push(index);
    }
    let sizes: Vec<usize> = members_of_zone.values().map(Vec::len).collect();
    let quota = copies_per_zone_max(&sizes, copies);
    let weight_of = |index: usize| u64::from(members[index].1);

    let zones: Vec<Taker> = members_of_zone
        .values()
        .map(|inside| Taker {
            weight: inside.iter().map(|&index| weight_of(index)).sum(),
            copies_max: partitions * inside.len().min(quota) as u64,
        })
        .collect();
    let total = Fraction::whole(partitions * copies as u64);

    let mut shares = vec![Fraction::whole(0); members.len()];
    for (inside, share) in members_of_zone.values().zip(divide(total, &zones)) {
        let takers: Vec<Taker> = inside
            .iter()
            .map(|&index| Taker { weight: weight_of(index), copies_max: partitions })
            .collect();
        for (&index, share) in inside.iter().zip(divide(share, &takers)) {
            shares[index] = share;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Members in one zone.
    fn together(weights: &[u32]) -> Vec<(usize, u32)> {
        weights.iter().map(|&weight| (0, weight)).collect()
    }

    #[test]
    fn equal_members_share_equally() {
        assert_eq!(copies_per_member_max(&together(&[100; 4]), 256, 1), [64; 4]);
        assert_eq!(copies_per_member_max(&together(&[100; 3]), 256, 1), [86; 3]);
        assert_eq!(copies_per_member_max(&together(&[100; 3]), 256, 2), [171; 3]);
    }

    #[test]
    fn weights_divide_and_nobody_holds_a_partition_twice() {
        assert_eq!(copies_per_member_max(&together(&[300, 100]), 256, 1), [192, 64]);
        // By weight alone the first would hold 384 of 512 copies: one and a half of each partition.
        assert_eq!(copies_per_member_max(&together(&[300, 50, 50]), 256, 2), [256, 128, 128]);
    }

    #[test]
    fn a_small_zone_holds_one_copy_of_everything() {
        let members = [(0, 100), (0, 100), (0, 100), (1, 100)];
        assert_eq!(copies_per_member_max(&members, 256, 1), [64; 4]);
        assert_eq!(copies_per_member_max(&members, 256, 2), [86, 86, 86, 256]);
    }

    #[test]
    fn a_zone_holds_as_few_copies_of_a_partition_as_possible() {
        assert_eq!(copies_per_zone_max(&[1, 1, 1], 3), 1);
        assert_eq!(copies_per_zone_max(&[5, 5], 3), 2);
        assert_eq!(copies_per_zone_max(&[5, 1], 4), 3, "the small zone has room for one only");
        assert_eq!(copies_per_zone_max(&[5], 3), 3);
    }

    proptest! {
        #[test]
        fn there_is_room_for_every_copy(
            members in proptest::collection::vec((0usize..4, 1u32..=u32::MAX), 1..20),
            partitions in (0u32..=14).prop_map(|bits| 1u64 << bits),
            copies in 1usize..5,
        ) {
            let copies = copies.min(members.len());
            let caps = copies_per_member_max(&members, partitions, copies);
            prop_assert!(caps.iter().sum::<u64>() >= partitions * copies as u64);
            prop_assert!(caps.iter().all(|&cap| cap <= partitions));
            let least: u64 = primaries_per_member_min(&members, partitions).iter().sum();
            prop_assert!(least <= partitions && partitions - least < members.len() as u64);
        }
    }
}
