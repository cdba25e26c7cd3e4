//! [`Index`]: one index of one map in one partition.

use std::collections::BTreeMap;

use isogrid_core::slot::partition_key;
use isogrid_core::{IndexKind, MapIndex};
use isogrid_value::{INDEX_KEY_BYTES_MAX, KeyList, finish_key};
use xxhash_rust::xxh3::xxh3_64;

use super::short::Short;
use crate::hash::KeyHash;

/// What a key is charged beside the memory of its own. Of the eleven places of a leaf with 320 bytes seven or eight are taken when keys
/// come in any order, and a tenth of that is for the inner nodes.
const ENTRY_BYTES: usize = 48;

/// The bytes of a hash.
pub(super) const HASH_BYTES: usize = size_of::<u64>();

/// One index of one map in one partition.
pub(crate) struct Index {
    pub(super) definition: MapIndex,
    /// How often each key is there: a list can hold something twice, and records can have the same hash.
    pub(super) tree: BTreeMap<Short, u32>,
    /// How many keys there are.
    pub(super) entries: usize,
    /// The memory of keys that need some of their own.
    allocated: usize,
    /// It covers the records with a smaller hash; all if there is none.
    pub(super) covered: Option<KeyHash>,
}

impl Index {
    /// An index that covers nothing.
    pub(super) fn new(definition: MapIndex) -> Self {
        let covered = Some(KeyHash(0));
        Index { definition, tree: BTreeMap::new(), entries: 0, allocated: 0, covered }
    }

    #[inline]
    pub(super) fn covers(&self, hash: KeyHash) -> bool {
        self.covered.is_none_or(|covered| hash < covered)
    }

    pub(super) fn bytes(&self) -> usize {
        self.tree.len() * ENTRY_BYTES + self.allocated
    }

    /// What the tree has before the hash of the record's key.
    pub(super) fn begin_key(&self, fields: &[u8], record_key: &[u8], key: &mut Vec<u8>) {
        key.clear();
        match self.definition.kind {
            // All of it is hashed.
            IndexKind::Hash => key.extend_from_slice(fields),
            IndexKind::Ordered | IndexKind::Inverted => {
                key.extend_from_slice(&fields[..fields.len().min(INDEX_KEY_BYTES_MAX)]);
            }
        }
        finish_key(self.definition.kind, key);
        if self.definition.unique {
            key.extend_from_slice(&xxh3_64(partition_key(record_key)).to_be_bytes());
        }
    }

    /// The whole key of a record.
    fn write_key(&self, fields: &[u8], (hash, record_key): (KeyHash, &[u8]), key: &mut Vec<u8>) {
        self.begin_key(fields, record_key, key);
        key.extend_from_slice(&hash.0.to_be_bytes());
    }

    pub(super) fn add(
        &mut self,
        keys: &KeyList,
        (hash, record_key): (KeyHash, &[u8]),
        key: &mut Vec<u8>,
    ) {
        for fields in keys.iter() {
            self.write_key(fields, (hash, record_key), key);
            let count = self.tree.entry(Short::new(key)).or_insert(0);
            *count += 1;
            if *count == 1 {
                self.allocated += Short::allocation(key.len());
            }
            self.entries += 1;
        }
    }

    pub(super) fn remove(
        &mut self,
        keys: &KeyList,
        (hash, record_key): (KeyHash, &[u8]),
        key: &mut Vec<u8>,
    ) {
        for fields in keys.iter() {
            self.write_key(fields, (hash, record_key), key);
            let count = self.tree.get_mut(key.as_slice()).expect("the record was added");
            *count -= 1;
            if *count == 0 {
                self.tree.remove(key.as_slice());
                self.allocated -= Short::allocation(key.len());
            }
            self.entries -= 1;
        }
    }

    /// The bytes of these keys.
    pub(super) fn bytes_of(&self, keys: &KeyList) -> usize {
        let tail = HASH_BYTES + if self.definition.unique { HASH_BYTES } else { 0 };
        let one = |fields: &[u8]| {
            let begin = match self.definition.kind {
                IndexKind::Hash => HASH_BYTES,
                IndexKind::Ordered | IndexKind::Inverted => fields.len().min(INDEX_KEY_BYTES_MAX),
            };
            ENTRY_BYTES + Short::allocation(begin + tail)
        };
        keys.iter().map(one).sum()
    }
}

/// The hash that ends a key.
pub(super) fn hash_in(key: &[u8]) -> KeyHash {
    let tail = key.last_chunk::<HASH_BYTES>().expect("every key ends with a hash");
    KeyHash(u64::from_be_bytes(*tail))
}
