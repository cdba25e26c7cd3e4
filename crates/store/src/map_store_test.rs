//! Tests of one map's bookkeeping, and the recount that other tests use.

use std::collections::BTreeMap;

use super::*;
use crate::digest;
use crate::expiry::EXPIRY_ENTRY_BYTES;

impl MapStore {
    /// Checks the table and counts index, digest and accounts anew.
    pub(crate) fn check(&self, hasher: &KeyHasher) {
        self.content.table.check(hasher);
        let mut expiries = BTreeMap::new();
        let mut sum = 0u128;
        for record in self.content.table.records() {
            sum = sum.wrapping_add(digest::of_record(record));
            if let Some(at) = record.expires_at() {
                *expiries.entry((at, hasher.hash(record.key()))).or_insert(0usize) += 1;
            }
        }
        assert_eq!(self.content.digest(), sum, "the digest is the sum over the records");
        assert_eq!(self.next_expiry(), expiries.keys().next().map(|(at, _)| *at));
        let total: usize = expiries.values().sum();
        assert_eq!(self.content.expiry.bytes(), total * EXPIRY_ENTRY_BYTES);
        for (at, _) in expiries.keys() {
            let due =
                expiries.range(..=(*at, KeyHash(u64::MAX))).map(|(_, count)| count).sum::<usize>();
            assert_eq!(self.content.expiry.due(*at), due);
        }
        if let Some(indexes) = &self.content.indexes {
            indexes.check(&self.content.table, hasher);
        }
    }
}

#[test]
fn expiries_are_resolved_at_the_time_of_the_write() {
    let (now, old) = (Timestamp(100), Some(Timestamp(500)));
    assert_eq!(resolve_expiry(Expiry::Never, now, old), None);
    assert_eq!(resolve_expiry(Expiry::Keep, now, old), old);
    assert_eq!(resolve_expiry(Expiry::Keep, now, None), None);
    assert_eq!(resolve_expiry(Expiry::AfterMs(5), now, old), Some(Timestamp(105)));
    assert_eq!(resolve_expiry(Expiry::AfterMs(u64::MAX), now, old), Some(Timestamp(u64::MAX)));
    assert_eq!(resolve_expiry(Expiry::At(Timestamp(7)), now, old), Some(Timestamp(7)));
}
