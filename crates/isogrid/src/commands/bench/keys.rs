//! Random keys: 16 bytes, uniform, without allocation or a lock.

/// The length of every key.
pub(super) const KEY_BYTES: usize = 16;

/// The digits of a key, behind its four letters.
const DIGITS: usize = 12;

/// The most keys that 12 digits can name.
pub(super) const KEYS_MAX: u64 = 1_000_000_000_000;

/// A key.
pub(super) type Key = [u8; KEY_BYTES];

/// The key of a number: `key:000000000042`.
#[inline]
pub(super) fn key(mut number: u64) -> Key {
    let mut key = *b"key:000000000000";
    let mut place = KEY_BYTES;
    while number > 0 && place > KEY_BYTES - DIGITS {
        place -= 1;
        key[place] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    key
}

/// Random numbers for keys and for the choice between reads and writes: xorshift64*, a few instructions each.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// A sequence of its own for each seed.
    pub(super) fn new(seed: u64) -> Self {
        // Mixed (splitmix64), because neighbouring seeds must not give neighbouring sequences; never zero, which
        // xorshift could not leave.
        let mut mixed = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Random((mixed ^ (mixed >> 31)) | 1)
    }

    #[inline]
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`, by multiplication instead of division.
    #[inline]
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sixteen_readable_bytes() {
        assert_eq!(&key(0), b"key:000000000000");
        assert_eq!(&key(42), b"key:000000000042");
        assert_eq!(&key(KEYS_MAX - 1), b"key:999999999999");
    }

    #[test]
    fn random_numbers_are_even_and_differ_by_seed() {
        let mut counts = [0u32; 10];
        let mut random = Random::new(7);
        for _ in 0..100_000 {
            counts[random.below(10) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
        assert_ne!(Random::new(1).below(u64::MAX), Random::new(2).below(u64::MAX));
        assert_eq!(Random::new(3).below(1), 0);
    }
}
