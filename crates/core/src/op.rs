//! [`Op`]: the one language that every door compiles to. An operation borrows its key and value from the request it came
//! in, so that nothing is copied between the network and the record.

use crate::error::{Error, ErrorCode, Result};
use crate::id::{PartitionId, Timestamp, Version};
use crate::slot::PartitionCount;

/// When a write may happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Always.
    #[default]
    Always,
    /// Only if the key is absent.
    IfAbsent,
    /// Only if the key is present.
    IfPresent,
    /// Only if the record has exactly this version.
    IfVersion(Version),
}

/// What a write does with the expiry of its record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    /// The record never expires.
    #[default]
    Never,
    /// The record keeps the expiry it has; a new record never expires.
    Keep,
    /// The record expires this many milliseconds after the write.
    AfterMs(u64),
    /// The record expires at this time; a time that has passed makes it vanish at once.
    At(Timestamp),
}

/// How a number is written in a value. The client's codec says it, so that `increment` works on what `put` stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NumberFormat {
    /// Decimal text: what Redis, JSON and people write.
    #[default]
    Text,
    /// A MessagePack integer or float.
    MessagePack,
}

/// A state of a map in a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// The version of the last change before it.
    pub version: Version,
    /// How many records there were: a replica that has as many and none that is newer has the same.
    pub records: u64,
}

/// Which state a page shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// The present one.
    #[default]
    Latest,
    /// The present one, which is kept for the pages that follow if there are any.
    Begin,
    /// The one that the page before named.
    At(Moment),
    /// None: nobody asks for more pages of this one.
    Done(Moment),
}

/// One page of a scan over one partition of one map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scan<'a> {
    /// The partition to walk.
    pub partition: PartitionId,
    /// Where to go on: zero to begin, then what the last page said.
    pub cursor: u64,
    /// About how many entries to return; a page ends when this many were found or enough records were looked at.
    pub entries_max: u32,
    /// Only keys that start with this.
    pub prefix: &'a [u8],
    /// Only keys that match this glob (`*`, `?`, `[a-z]`, `[^x]`, `\` escapes); empty matches all.
    pub glob: &'a [u8],
    /// Only records that this filter means, as `isogrid_value::Filter` encodes it; empty means all.
    pub filter: &'a [u8],
    /// Whether values are wanted too.
    pub with_values: bool,
    /// Which state is shown.
    pub view: View,
}

/// One page of what an index of one partition of one map has between two keys, which are as [`MapIndex`](crate::MapIndex)
/// orders them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seek<'a> {
    /// The partition to look in.
    pub partition: PartitionId,
    /// The name of the index.
    pub index: &'a str,
    /// Where to begin, included; then what the last page said.
    pub from: &'a [u8],
    /// Where to end, not included; empty for no end.
    pub to: &'a [u8],
    /// About how many entries to return.
    pub entries_max: u32,
    /// Which state is shown.
    pub view: View,
}

/// An operation on one map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op<'a> {
    /// The value of a key.
    Get {
        /// The key.
        key: &'a [u8],
    },
    /// Whether a key is present.
    Exists {
        /// The key.
        key: &'a [u8],
    },
    /// Marks a key as recently used without reading it.
    Touch {
        /// The key.
        key: &'a [u8],
    },
    /// Writes a value.
    Put {
        /// The key.
        key: &'a [u8],
        /// The value.
        value: &'a [u8],
        /// When the write may happen.
        condition: Condition,
        /// What becomes of the record's expiry.
        expiry: Expiry,
        /// Whether the reply carries the value that was there.
        return_old: bool,
    },
    /// Removes a key.
    Delete {
        /// The key.
        key: &'a [u8],
        /// When the removal may happen.
        condition: Condition,
        /// Whether the reply carries the value that was there.
        return_old: bool,
    },
    /// Writes a value if the present value equals the expected one (`None`: if the key is absent).
    CompareAndSet {
        /// The key.
        key: &'a [u8],
        /// The value that must be there.
        expected: Option<&'a [u8]>,
        /// The new value.
        value: &'a [u8],
        /// What becomes of the record's expiry.
        expiry: Expiry,
    },
    /// Changes the expiry of a key: [`Expiry::Never`] persists it, [`Expiry::Keep`] changes nothing.
    Expire {
        /// The key.
        key: &'a [u8],
        /// The new expiry.
        expiry: Expiry,
    },
    /// Adds to the integer in a value; an absent key counts as zero.
    Increment {
        /// The key.
        key: &'a [u8],
        /// What to add.
        delta: i64,
        /// How the number is written.
        format: NumberFormat,
        /// What becomes of the record's expiry.
        expiry: Expiry,
    },
    /// Adds to the floating-point number in a value; an absent key counts as zero.
    IncrementFloat {
        /// The key.
        key: &'a [u8],
        /// What to add.
        delta: f64,
        /// How the number is written.
        format: NumberFormat,
        /// What becomes of the record's expiry.
        expiry: Expiry,
    },
    /// Adds bytes to the end of a value; an absent key counts as empty. Keeps the expiry.
    Append {
        /// The key.
        key: &'a [u8],
        /// The bytes to add.
        value: &'a [u8],
    },
    /// Moves a record to another key of the same partition, with its expiry, as one change: nobody sees both keys or
    /// neither. A record at the new key goes.
    Rename {
        /// The key that has the record.
        from: &'a [u8],
        /// The key that gets it.
        to: &'a [u8],
        /// Only if the new key is absent.
        if_absent: bool,
    },
    /// One page of a walk over a partition.
    Scan(Scan<'a>),
    /// One page of what an index has.
    Seek(Seek<'a>),
    /// How many entries of the map a partition holds.
    Len {
        /// The partition.
        partition: PartitionId,
    },
    /// Removes all entries of the map from a partition.
    Clear {
        /// The partition.
        partition: PartitionId,
    },
}

/// What an operation is aimed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// The partition that holds this key.
    Key(&'a [u8]),
    /// A partition, named.
    Partition(PartitionId),
}

impl<'a> Op<'a> {
    /// A plain write.
    pub fn put(key: &'a [u8], value: &'a [u8]) -> Self {
        Op::Put {
            key,
            value,
            condition: Condition::Always,
            expiry: Expiry::Never,
            return_old: false,
        }
    }

    /// A plain removal.
    pub fn delete(key: &'a [u8]) -> Self {
        Op::Delete { key, condition: Condition::Always, return_old: false }
    }

    /// What the operation is aimed at.
    pub fn target(&self) -> Target<'a> {
        match *self {
            Op::Get { key }
            | Op::Exists { key }
            | Op::Touch { key }
            | Op::Put { key, .. }
            | Op::Delete { key, .. }
            | Op::CompareAndSet { key, .. }
            | Op::Expire { key, .. }
            | Op::Increment { key, .. }
            | Op::IncrementFloat { key, .. }
            | Op::Append { key, .. }
            | Op::Rename { from: key, .. } => Target::Key(key),
            Op::Scan(Scan { partition, .. })
            | Op::Seek(Seek { partition, .. })
            | Op::Len { partition }
            | Op::Clear { partition } => Target::Partition(partition),
        }
    }

    /// The second key of an operation that has two.
    pub fn second_key(&self) -> Option<&'a [u8]> {
        match *self {
            Op::Rename { to, .. } => Some(to),
            _ => None,
        }
    }

    /// Refuses an operation whose two keys lie in different partitions.
    #[inline]
    pub fn check_together(&self, partitions: PartitionCount) -> Result<()> {
        let (Target::Key(first), Some(second)) = (self.target(), self.second_key()) else {
            return Ok(());
        };
        let (first, second) =
            (partitions.partition_of_key(first), partitions.partition_of_key(second));
        if first == second {
            return Ok(());
        }
        let detail = format!("one in partition {}, the other in partition {}", first.0, second.0);
        Err(Error::new(ErrorCode::KeysApart, detail))
    }

    /// The value the operation would store, if it brings one.
    pub fn value(&self) -> Option<&'a [u8]> {
        match *self {
            Op::Put { value, .. } | Op::CompareAndSet { value, .. } | Op::Append { value, .. } => {
                Some(value)
            }
            _ => None,
        }
    }

    /// Whether the operation may bring data that were not there, so that its map is made if need be.
    pub fn may_grow(&self) -> bool {
        matches!(
            self,
            Op::Put { .. }
                | Op::CompareAndSet { .. }
                | Op::Append { .. }
                | Op::Increment { .. }
                | Op::IncrementFloat { .. }
        )
    }

    /// Whether the operation leaves the data as it is, so that sending it twice is always safe.
    pub fn is_read(&self) -> bool {
        matches!(
            self,
            Op::Get { .. }
                | Op::Exists { .. }
                | Op::Touch { .. }
                | Op::Scan(_)
                | Op::Seek(_)
                | Op::Len { .. }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_keys_go_together_in_one_partition_and_no_further() {
        let rename = |from, to| Op::Rename { from, to, if_absent: false };
        let partitions = PartitionCount::default();
        assert_eq!(rename(b"{u7}:draft", b"{u7}:final").check_together(partitions), Ok(()));
        let apart = rename(b"foo", b"bar");
        let error = apart.check_together(partitions).expect_err("two partitions");
        assert_eq!(error.code(), ErrorCode::KeysApart);
        // Slots 12,182 and 5,061 of 16,384, 64 to a partition.
        assert!(error.to_string().contains("partition 190, the other in partition 79"), "{error}");
        let one = PartitionCount::new(1).expect("a power of two");
        assert_eq!(apart.check_together(one), Ok(()));
        assert_eq!(Op::put(b"foo", b"bar").check_together(partitions), Ok(()));
        assert_eq!((apart.target(), apart.second_key()), (Target::Key(b"foo"), Some(&b"bar"[..])));
        assert!(!apart.is_read() && !apart.may_grow(), "it brings nothing new");
    }
}
