//! Randomness from a seed: xoshiro256++ (Blackman and Vigna, public domain), its state filled by splitmix64. Integers
//! only, so that a seed means the same on every machine.
//!
//! A consumer takes a stream of its own by name ([`Random::fork`]). A stream depends on the seed and the name, not on what
//! was drawn before: a new consumer leaves the others as they were.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A stream of random numbers. Cloning it repeats the stream.
#[derive(Clone, Debug)]
pub struct Random {
    /// What this stream was made from; forks start here.
    origin: u64,
    state: [u64; 4],
}

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        let mut mixed = seed;
        let state = std::array::from_fn(|_| split_mix(&mut mixed));
        Random { origin: seed, state }
    }

    /// The stream with this name. The same name always gives the same stream, whatever was drawn from `self`.
    #[must_use]
    pub fn fork(&self, name: &str) -> Random {
        Random::new(xxh3_64_with_seed(name.as_bytes(), self.origin))
    }

    /// The stream with this name and number: one per node, per client, per link.
    #[must_use]
    pub fn fork_numbered(&self, name: &str, number: u64) -> Random {
        let named = xxh3_64_with_seed(name.as_bytes(), self.origin);
        Random::new(xxh3_64_with_seed(&number.to_le_bytes(), named))
    }

    /// Any number.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        let (b, a) = (b ^ c, a ^ d);
        self.state = [a, b, c ^ (self.state[1] << 17), d.rotate_left(45)];
        result
    }

    /// A number below `bound`, which is at least one.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "a bound of zero leaves nothing to draw");
        // The high half of the product; its bias is below 2⁻⁵⁰ for every bound a simulation has.
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number of the range, both ends included.
    pub fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        let (low, high) = (*range.start(), *range.end());
        assert!(low <= high, "an empty range leaves nothing to draw");
        match (high - low).checked_add(1) {
            Some(width) => low + self.below(width),
            None => self.next_u64(),
        }
    }

    /// A duration of the range, both ends included, to the nanosecond.
    pub fn duration(&mut self, range: RangeInclusive<Duration>) -> Duration {
        Duration::from_nanos(self.within(nanos(*range.start())..=nanos(*range.end())))
    }

    /// A duration that is mostly short and now and then long: roughly exponential with this mean, at most 44 times it.
    pub fn delay(&mut self, mean: Duration) -> Duration {
        // −log₂ of a number in (0, 1], in units of 2⁻³²: the leading zeros are its whole part, and the bits behind the
        // first one a straight line through its fraction. No logarithm of the platform, hence the same bits everywhere.
        let drawn = self.next_u64() | 1;
        let zeros = drawn.leading_zeros();
        let fraction = (drawn << zeros << 1) >> 32;
        let minus_log2 = (u128::from(zeros + 1) << 32) - u128::from(fraction);
        // The straight line lies below the curve: its mean is 1.5 where the logarithm's is 1.4427.
        let nanos = u128::from(nanos(mean)) * minus_log2 * 2 / (3 << 32);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Whether something that happens at this rate happens now. It draws also when the answer is sure, so that a changed
    /// rate leaves what is drawn afterwards as it was.
    pub fn chance(&mut self, rate: Rate) -> bool {
        self.below(u64::from(Rate::ALWAYS.0)) < u64::from(rate.0)
    }

    /// One of these. `None` of nothing.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        (!from.is_empty()).then(|| &from[self.below(from.len() as u64) as usize])
    }

    /// One of these, each with its weight. `None` when all weights are zero.
    pub fn pick_weighted<'a, T>(&mut self, from: &'a [(u32, T)]) -> Option<&'a T> {
        let total: u64 = from.iter().map(|(weight, _)| u64::from(*weight)).sum();
        if total == 0 {
            return None;
        }
        let mut left = self.below(total);
        for (weight, item) in from {
            if left < u64::from(*weight) {
                return Some(item);
            }
            left -= u64::from(*weight);
        }
        unreachable!("what was drawn is below the sum of the weights")
    }

    /// Puts these into a random order, each order equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }

    /// Some of these, `count` at most, in random order.
    pub fn sample<T: Clone>(&mut self, from: &[T], count: usize) -> Vec<T> {
        let mut all = from.to_vec();
        self.shuffle(&mut all);
        all.truncate(count);
        all
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// How often something happens, in millionths. Written as a percentage with up to four decimals: `2.5%`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(u32);

impl Rate {
    /// Never.
    pub const NEVER: Rate = Rate(0);
    /// Each time.
    pub const ALWAYS: Rate = Rate(1_000_000);

    /// So many of a hundred.
    pub const fn percent(percent: u32) -> Rate {
        Rate::per_million(percent * 10_000)
    }

    /// So many of a million.
    pub const fn per_million(count: u32) -> Rate {
        assert!(count <= Rate::ALWAYS.0, "a rate is at most one");
        Rate(count)
    }

    /// The rate in millionths.
    pub const fn millionths(self) -> u32 {
        self.0
    }

    /// This share of a number, rounded down.
    pub fn of(self, whole: u64) -> u64 {
        (u128::from(whole) * u128::from(self.0) / u128::from(Rate::ALWAYS.0)) as u64
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 10_000, self.0 % 10_000);
        if rest == 0 {
            return write!(f, "{whole}%");
        }
        write!(f, "{whole}.{}%", format!("{rest:04}").trim_end_matches('0'))
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a percentage, like 2.5%");
        let number = text.strip_suffix('%').ok_or_else(wrong)?;
        let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
        if decimals.len() > 4 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        let whole: u32 = whole.parse().map_err(|_| wrong())?;
        let rest: u32 = format!("{decimals:0<4}").parse().map_err(|_| wrong())?;
        let millionths = whole.checked_mul(10_000).and_then(|whole| whole.checked_add(rest));
        millionths.filter(|count| *count <= Rate::ALWAYS.0).map(Rate).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_published_one() {
        // The first outputs of xoshiro256++ from the state 1, 2, 3, 4, as its reference program prints them.
        let mut random = Random { origin: 0, state: [1, 2, 3, 4] };
        let drawn: Vec<u64> = (0..5).map(|_| random.next_u64()).collect();
        assert_eq!(
            drawn,
            [41943041, 58720359, 3588806011781223, 3591011842654386, 9228616714210784205]
        );
        let mut state = 0;
        assert_eq!(split_mix(&mut state), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn a_seed_repeats_and_another_differs() {
        let draw = |seed| {
            let mut random = Random::new(seed);
            (0..8).map(|_| random.next_u64()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn a_fork_depends_on_its_name_and_not_on_what_was_drawn() {
        let untouched = Random::new(7);
        let mut used = untouched.clone();
        used.next_u64();
        let mut network = untouched.fork("network");
        assert_eq!(network.next_u64(), used.fork("network").next_u64());
        assert_ne!(untouched.fork("clients").next_u64(), untouched.fork("network").next_u64());
        let numbered = |number| untouched.fork_numbered("node", number).next_u64();
        assert_ne!(numbered(0), numbered(1));
        assert_eq!(numbered(1), untouched.fork_numbered("node", 1).next_u64());
    }

    #[test]
    fn numbers_stay_within_their_range_and_reach_its_ends() {
        let mut random = Random::new(1);
        let drawn: Vec<u64> = (0..1_000).map(|_| random.within(3..=6)).collect();
        assert_eq!(drawn.iter().min(), Some(&3));
        assert_eq!(drawn.iter().max(), Some(&6));
        random.within(0..=u64::MAX);
        assert_eq!(random.below(1), 0);
    }

    #[test]
    #[should_panic(expected = "nothing to draw")]
    fn a_bound_of_zero_is_a_mistake() {
        Random::new(1).below(0);
    }

    #[test]
    fn a_chance_happens_at_its_rate() {
        let mut random = Random::new(2);
        let hits = (0..100_000).filter(|_| random.chance(Rate::percent(20))).count();
        assert!((19_500..20_500).contains(&hits), "{hits}");
        assert!(!(0..1_000).any(|_| random.chance(Rate::NEVER)));
        assert!((0..1_000).all(|_| random.chance(Rate::ALWAYS)));
    }

    #[test]
    fn delays_have_their_mean_and_a_tail() {
        let mut random = Random::new(3);
        let mean = Duration::from_micros(100);
        let drawn: Vec<Duration> = (0..100_000).map(|_| random.delay(mean)).collect();
        let average = drawn.iter().sum::<Duration>() / 100_000;
        assert!((95..105).contains(&average.as_micros()), "{average:?}");
        assert!(drawn.iter().filter(|delay| **delay < mean).count() > 55_000);
        assert!(drawn.iter().any(|delay| *delay > mean * 7));
        assert!(drawn.iter().all(|delay| *delay <= mean * 44));
        assert_eq!(random.delay(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn a_shuffle_keeps_all_and_reaches_every_order() {
        let mut random = Random::new(4);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let mut items = [1, 2, 3];
            random.shuffle(&mut items);
            seen.insert(items);
        }
        assert_eq!(seen.len(), 6);
        assert_eq!(random.sample(&[1, 2, 3], 2).len(), 2);
        assert_eq!(random.sample(&[1], 2), [1]);
    }

    #[test]
    fn picks_follow_their_weights() {
        let mut random = Random::new(5);
        let from = [(0, 'a'), (1, 'b'), (3, 'c')];
        let drawn: Vec<char> =
            (0..4_000).filter_map(|_| random.pick_weighted(&from)).copied().collect();
        assert!(!drawn.contains(&'a'));
        let often = drawn.iter().filter(|item| **item == 'c').count();
        assert!((2_850..3_150).contains(&often), "{often}");
        assert_eq!(random.pick::<u8>(&[]), None);
        assert_eq!(random.pick_weighted(&[(0, 'a')]), None);
    }

    #[test]
    fn a_rate_is_read_as_it_is_written() {
        for text in ["0%", "2.5%", "0.0001%", "100%", "33.3333%"] {
            assert_eq!(text.parse::<Rate>().map(|rate| rate.to_string()), Ok(text.to_owned()));
        }
        for wrong in ["", "5", "101%", "0.00001%", "-1%", "1.+5%", "a%"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
        assert_eq!(Rate::percent(25).of(1_000), 250);
    }
}
