//! [`Random`]: numbers that look like chance, and are the same for the same seed on every machine.

/// SplitMix64.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn of_seed(seed: u64) -> Random {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A whole number from zero on, smaller than this.
    pub(crate) fn below(&mut self, end: i64) -> i64 {
        let end = u64::try_from(end).expect("not negative");
        i64::try_from(self.next() % end).expect("smaller than a whole number")
    }

    /// A whole number of these, both ends included.
    pub(crate) fn between(&mut self, least: i64, most: i64) -> i64 {
        least + self.below(most - least + 1)
    }

    /// Yes, in so many of a hundred cases.
    pub(crate) fn chance(&mut self, percent: i64) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        let len = i64::try_from(choices.len()).expect("a length");
        choices[usize::try_from(self.below(len)).expect("a place")]
    }
}
