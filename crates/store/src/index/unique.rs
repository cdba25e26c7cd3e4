//! Unique indexes: a write that would make a second record of the same partition key with the same columns is refused.

use std::ops::Bound;

use isogrid_core::slot::partition_key;
use isogrid_core::{Error, ErrorCode, Result, Timestamp};
use isogrid_value::{IndexKeys, key_behind};

use super::Indexes;
use crate::content::Content;
use crate::hash::KeyHasher;
use crate::map_store::{Common, MapStore, Target};
use crate::raw::{NewValue, RecordRef};
use crate::table::Place;

/// How much of a key is shown to who is refused.
const SHOWN_CHARS: usize = 64;

impl Indexes {
    /// Whether writes have to be looked at.
    pub(crate) fn is_any_unique(&self) -> bool {
        self.list.iter().any(|index| index.definition.unique)
    }

    fn is_any_unique_being_built(&self) -> bool {
        self.list.iter().any(|index| index.definition.unique && index.covered.is_some())
    }
}

impl Content {
    /// Refuses a value for the last of these keys that another record has, apart from records with these keys. An index that is being
    /// built is built now: else it could not be known.
    #[cold]
    pub(crate) fn check_unique(
        &mut self,
        hasher: &KeyHasher,
        keys: &[&[u8]],
        value: &[u8],
        now: Timestamp,
    ) -> Result<()> {
        while self.indexes.as_ref().is_some_and(|all| all.is_any_unique_being_built()) {
            self.build(hasher, usize::MAX);
        }
        let Some(indexes) = self.indexes.as_deref() else { return Ok(()) };
        let Some(key) = keys.last() else { return Ok(()) };
        let (mut wanted, mut theirs) = (IndexKeys::default(), IndexKeys::default());
        let mut begin = Vec::new();
        indexes.reader.read(value, &mut wanted);
        for (place, index) in indexes.list.iter().enumerate() {
            let list = wanted.of(place);
            if !index.definition.unique || list.has_null() {
                continue;
            }
            for fields in list.iter() {
                index.begin_key(fields, key, &mut begin);
                let end = key_behind(&begin);
                let bounds = (Bound::Included(begin.as_slice()), Bound::Unbounded);
                let from = index.tree.range::<[u8], _>(bounds);
                let same = from.map(|one| one.0.bytes());
                for other in same.take_while(|other| end.is_empty() || **other < *end) {
                    let records = (0..).map_while(|nth| self.nth_of_hash(hasher, other, nth));
                    let is_other = |record: &RecordRef<'_>| {
                        !keys.contains(&record.key())
                            && !record.is_expired(now)
                            && partition_key(record.key()) == partition_key(key)
                    };
                    for record in records.filter(is_other) {
                        // The key may be cut or hashed, so the fields themselves are looked at.
                        indexes.reader.read(record.value(), &mut theirs);
                        if theirs.of(place) == list {
                            return Err(violated(&index.definition, key, record.key()));
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

impl MapStore {
    /// Refuses a value that a unique index has already.
    #[cold]
    pub(crate) fn check_unique(
        &mut self,
        common: &Common,
        target: &Target<'_>,
        place: Option<Place>,
        value: &NewValue<'_>,
    ) -> Result<()> {
        if !self.content.indexes.as_ref().is_some_and(|indexes| indexes.is_any_unique()) {
            return Ok(());
        }
        let (hasher, keys) = (&common.hasher, &[target.key]);
        let checked = match (*value, place) {
            (NewValue::Whole(value), _) | (NewValue::Appended(value), None) => {
                self.content.check_unique(hasher, keys, value, target.now)
            }
            (NewValue::Appended(end), Some(place)) => {
                let value = [self.content.table.record(place).value(), end].concat();
                self.content.check_unique(hasher, keys, &value, target.now)
            }
        };
        // An index may have been built.
        self.changed();
        checked
    }
}

#[cold]
fn violated(index: &isogrid_core::MapIndex, key: &[u8], other: &[u8]) -> Error {
    let (key, other) = (shown(key), shown(other));
    let detail = format!("key {key}: the unique index {index} has the same for key {other}");
    Error::new(ErrorCode::UniqueViolated, detail)
}

/// The beginning of some bytes, in quotes.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}
