//! Which record goes when room is needed: how the 16 access bits of a record are kept, and how cold they make it.
//!
//! Time is counted in accesses of the map in this partition, not in seconds, so that the same operations always evict the
//! same records. Both policies tell ages apart up to about a million accesses; older records look younger again, which a
//! sample of eight forgives.
//!
//! | policy | access bits |
//! |---|---|
//! | lru | when the record was last used, in ticks of 16 accesses |
//! | lfu | a logarithmic count of uses (high byte) that decays by one per tick of 4,096 accesses (low byte: last tick) |

use isogrid_core::Eviction;

/// How many records are looked at to find a victim.
pub(crate) const SAMPLE_LEN: usize = 8;

const LRU_TICK_SHIFT: u32 = 4;
const LFU_TICK_SHIFT: u32 = 12;

/// A new record is not the coldest of all, or it would go before it could be used.
const LFU_COUNT_FIRST: u8 = 5;

/// The higher, the more uses a count needs to grow: 255 stands for about a million uses.
const LFU_GROWTH_FACTOR: u64 = 10;

/// The clock and the dice of one map in one partition.
pub(crate) struct AccessClock {
    policy: Eviction,
    accesses: u32,
    random: u64,
}

impl AccessClock {
    /// A clock that begins at zero. `seed` makes partitions draw different samples.
    pub(crate) fn new(policy: Eviction, seed: u64) -> Self {
        // Xorshift needs a state that is not zero.
        AccessClock { policy, accesses: 0, random: seed.wrapping_mul(2).wrapping_add(1) }
    }

    /// Changes the policy. Access bits of the old one mean little to the new one; use corrects them.
    pub(crate) fn set_policy(&mut self, policy: Eviction) {
        self.policy = policy;
    }

    /// Whether records keep track of their use.
    #[inline]
    pub(crate) fn is_tracking(&self) -> bool {
        self.policy != Eviction::None
    }

    /// The next random number (xorshift64).
    pub(crate) fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    fn lru_tick(&self) -> u16 {
        (self.accesses >> LRU_TICK_SHIFT) as u16
    }

    fn lfu_tick(&self) -> u8 {
        (self.accesses >> LFU_TICK_SHIFT) as u8
    }

    /// The access bits of a new record.
    #[inline]
    pub(crate) fn first(&mut self) -> u16 {
        if !self.is_tracking() {
            return 0;
        }
        self.accesses = self.accesses.wrapping_add(1);
        match self.policy {
            Eviction::Lfu => u16::from_be_bytes([LFU_COUNT_FIRST, self.lfu_tick()]),
            Eviction::Lru | Eviction::None => self.lru_tick(),
        }
    }

    /// The access bits of a record after one more use.
    #[inline]
    pub(crate) fn used(&mut self, access: u16) -> u16 {
        if !self.is_tracking() {
            return access;
        }
        self.accesses = self.accesses.wrapping_add(1);
        match self.policy {
            Eviction::Lfu => u16::from_be_bytes([self.grown(access), self.lfu_tick()]),
            Eviction::Lru | Eviction::None => self.lru_tick(),
        }
    }

    /// The count of uses, less what has decayed since the last.
    fn decayed(&self, access: u16) -> u8 {
        let [count, tick] = access.to_be_bytes();
        count.saturating_sub(self.lfu_tick().wrapping_sub(tick))
    }

    /// The larger a count is, the less likely one use raises it.
    fn grown(&mut self, access: u16) -> u8 {
        let count = self.decayed(access);
        let above_first = u64::from(count.saturating_sub(LFU_COUNT_FIRST));
        let rises = (self.random() >> 32).is_multiple_of(above_first * LFU_GROWTH_FACTOR + 1);
        count.saturating_add(u8::from(rises))
    }

    /// How good a victim a record is: the higher, the better.
    pub(crate) fn coldness(&self, access: u16) -> u16 {
        match self.policy {
            Eviction::Lfu => u16::from(u8::MAX - self.decayed(access)),
            Eviction::Lru | Eviction::None => self.lru_tick().wrapping_sub(access),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lru_finds_the_longest_unused_colder() {
        let mut clock = AccessClock::new(Eviction::Lru, 1);
        let old = clock.first();
        let young = (0..100).fold(old, |access, _| clock.used(access));
        assert!(clock.coldness(old) > clock.coldness(young));
    }

    #[test]
    fn lru_survives_the_wrap_of_its_clock() {
        let mut clock = AccessClock::new(Eviction::Lru, 1);
        clock.accesses = u32::MAX - 40;
        let old = clock.first();
        let young = (0..100).fold(old, |access, _| clock.used(access));
        assert!(clock.coldness(old) > clock.coldness(young));
    }

    #[test]
    fn lfu_counts_uses_and_forgets_them_slowly() {
        let mut clock = AccessClock::new(Eviction::Lfu, 1);
        let rare = clock.first();
        let often = (0..1_000).fold(clock.first(), |access, _| clock.used(access));
        assert!(clock.coldness(rare) > clock.coldness(often));
        let before = clock.coldness(often);
        clock.accesses += 20 << LFU_TICK_SHIFT;
        assert_eq!(clock.coldness(often), (before + 20).min(255));
    }
}
