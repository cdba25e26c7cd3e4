//! [`HotKeys`]: which keys of a map are asked for most, from samples, in bounded memory.
//!
//! This is the algorithm "space-saving": so many keys are counted. A key that is not among them takes the place of the one with the
//! smallest count, and goes on from there; what it may have inherited is remembered as its error. A key with a larger share of the
//! samples than one in [`HOT_KEYS_MAX`] is always among them, and its share is never told too large.
//!
//! Counts are halved whenever there are [`SAMPLES_MAX`] of them: what was hot yesterday is forgotten.

use crate::hash::KeyHash;

/// How many keys of a map are counted.
pub const HOT_KEYS_MAX: usize = 64;

/// How much of a key is kept.
pub const HOT_KEY_BYTES_MAX: usize = 128;

/// How many samples count: then all counts are halved.
pub const SAMPLES_MAX: u64 = 8_192;

/// From how many samples on shares mean something.
pub const SAMPLES_MIN: u64 = 64;

/// A key that is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HotKey {
    hash: KeyHash,
    /// The key, or the beginning of a long one.
    pub key: Box<[u8]>,
    /// How long it is.
    pub key_bytes: usize,
    count: u64,
    error: u64,
}

impl HotKey {
    /// How many samples certainly were of this key.
    pub fn samples(&self) -> u64 {
        self.count - self.error
    }
}

/// The keys of one map that are asked for most.
#[derive(Clone, Debug, Default)]
pub struct HotKeys {
    keys: Vec<HotKey>,
    samples: u64,
}

impl HotKeys {
    /// A sample: an operation on this key.
    pub fn note(&mut self, hash: KeyHash, key: &[u8]) {
        if self.samples >= SAMPLES_MAX {
            self.halve();
        }
        self.samples += 1;
        if let Some(known) = self.keys.iter_mut().find(|known| known.hash == hash) {
            known.count += 1;
            return;
        }
        let fresh = |inherited| HotKey {
            hash,
            key: key[..key.len().min(HOT_KEY_BYTES_MAX)].into(),
            key_bytes: key.len(),
            count: inherited + 1,
            error: inherited,
        };
        if self.keys.len() < HOT_KEYS_MAX {
            self.keys.push(fresh(0));
        } else if let Some(coldest) = self.keys.iter_mut().min_by_key(|known| known.count) {
            *coldest = fresh(coldest.count);
        }
    }

    /// How many samples count.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// The keys, the hottest first; those of which nothing is certain are left out.
    pub fn top(&self) -> Vec<&HotKey> {
        let mut top: Vec<&HotKey> = self.keys.iter().filter(|key| key.samples() > 0).collect();
        top.sort_by(|one, other| {
            other.samples().cmp(&one.samples()).then_with(|| one.key.cmp(&other.key))
        });
        top
    }

    /// The share of the hottest key, from nought to one; nought while there are too few samples to say.
    pub fn hottest_ratio(&self) -> f64 {
        if self.samples < SAMPLES_MIN {
            return 0.0;
        }
        let hottest = self.keys.iter().map(HotKey::samples).max().unwrap_or(0);
        hottest as f64 / self.samples as f64
    }

    fn halve(&mut self) {
        self.samples /= 2;
        for key in &mut self.keys {
            // Rounded so that what is certain stays certain.
            let certain = key.samples() / 2;
            key.error = key.error.div_ceil(2);
            key.count = certain + key.error;
        }
        self.keys.retain(|key| key.count > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::hash_key;

    fn note(keys: &mut HotKeys, number: u64) {
        let key = format!("key-{number}");
        keys.note(hash_key(7, key.as_bytes()), key.as_bytes());
    }

    /// Numbers that look random and are always the same.
    fn numbers() -> impl Iterator<Item = u64> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        std::iter::repeat_with(move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        })
    }

    #[test]
    fn one_hot_key_among_many_is_found_with_its_share() {
        let mut keys = HotKeys::default();
        // Every fifth operation is on one key, the others are on any of 100,000.
        for (turn, number) in numbers().take(50_000).enumerate() {
            note(&mut keys, if turn % 5 == 0 { 1_000_000 } else { number % 100_000 });
        }
        let top = keys.top();
        assert_eq!(&*top[0].key, b"key-1000000");
        let ratio = keys.hottest_ratio();
        assert!((0.15..=0.2001).contains(&ratio), "{ratio}");
        assert!(top[1].samples() * 20 < top[0].samples(), "nothing else stands out: {:?}", top[1]);
    }

    #[test]
    fn a_skewed_load_comes_in_its_order() {
        let mut keys = HotKeys::default();
        // Key 0 has half of it, key 1 a quarter, and so on.
        for number in numbers().take(20_000) {
            note(&mut keys, u64::from(number.leading_zeros()));
        }
        let names: Vec<_> = keys.top().iter().take(5).map(|key| key.key.clone()).collect();
        let expected: Vec<Box<[u8]>> =
            (0..5).map(|n| format!("key-{n}").into_bytes().into()).collect();
        assert_eq!(names, expected);
        assert!((0.47..0.53).contains(&keys.hottest_ratio()), "{}", keys.hottest_ratio());
    }

    #[test]
    fn without_a_hot_key_nothing_seems_hot_and_memory_is_bounded() {
        let mut keys = HotKeys::default();
        for number in numbers().take(100_000) {
            note(&mut keys, number % 1_000_000);
        }
        assert!(keys.hottest_ratio() < 0.01, "{}", keys.hottest_ratio());
        assert!(keys.keys.len() <= HOT_KEYS_MAX && keys.samples() <= SAMPLES_MAX);
    }

    #[test]
    fn what_was_hot_is_forgotten() {
        let mut keys = HotKeys::default();
        (0..SAMPLES_MAX).for_each(|_| note(&mut keys, 1));
        assert_eq!(keys.hottest_ratio(), 1.0);
        (0..4 * SAMPLES_MAX).for_each(|_| note(&mut keys, 2));
        assert_eq!(&*keys.top()[0].key, b"key-2");
        assert!(keys.hottest_ratio() > 0.9, "{}", keys.hottest_ratio());
    }

    #[test]
    fn a_few_samples_say_nothing_and_long_keys_are_cut() {
        let mut keys = HotKeys::default();
        let long = [b'x'; 1_000];
        keys.note(hash_key(7, &long), &long);
        assert_eq!(keys.hottest_ratio(), 0.0);
        let top = keys.top();
        assert_eq!((top[0].key.len(), top[0].key_bytes), (HOT_KEY_BYTES_MAX, 1_000));
    }
}
