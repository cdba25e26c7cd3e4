//! Numbers for traces and steps: random enough that no two are alike, and made without a lock.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use isogrid_core::trace::{SpanId, TraceId};

/// Makes numbers. Each is a hash, under keys that are drawn anew for every maker, of how many were made before.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    keys: RandomState,
    made: AtomicU64,
}

impl Numbers {
    pub(crate) fn trace(&self) -> TraceId {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.next());
        id[8..].copy_from_slice(&self.next());
        id
    }

    pub(crate) fn span(&self) -> SpanId {
        self.next()
    }

    fn next(&self) -> [u8; 8] {
        let mut hasher = self.keys.build_hasher();
        hasher.write_u64(self.made.fetch_add(1, Ordering::Relaxed));
        // Nought means nothing.
        hasher.finish().max(1).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_numbers_are_alike() {
        let makers = [Numbers::default(), Numbers::default()];
        let spans: BTreeSet<_> =
            makers.iter().flat_map(|maker| (0..1_000).map(|_| maker.span())).collect();
        let traces: BTreeSet<_> =
            makers.iter().flat_map(|maker| (0..1_000).map(|_| maker.trace())).collect();
        assert_eq!((spans.len(), traces.len()), (2_000, 2_000));
        assert!(!spans.contains(&SpanId::default()));
    }
}
