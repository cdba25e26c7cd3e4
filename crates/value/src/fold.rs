//! [`Fold`]: counts, sums and extremes of groups of records. What was folded of two parts of the records can be folded together.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use isogrid_core::{Error, ErrorCode, Result};

use crate::cell::Cell;
use crate::filter::Field;
use crate::ranking::{Order, compare};
use crate::seen::{Seen, Wanted};

/// How many groups there may be.
const GROUPS_MAX: usize = 100_000;

/// How many bytes groups may take.
const BYTES_MAX: usize = 16 << 20;

/// About what a group takes beside its text.
const GROUP_BYTES: usize = 128;

/// The longest text or bytes of which an extreme is kept.
const EXTREME_BYTES_MAX: usize = 64 << 10;

/// Groups of records that are being folded.
#[derive(Clone, Debug)]
pub struct Fold {
    group_by: Vec<Field>,
    fields: Vec<Field>,
    wanted: Wanted,
    groups: BTreeMap<GroupKey, Group>,
    bytes: usize,
}

/// What is known of a group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// How many records it has.
    pub count: u64,
    /// What is known of each field.
    pub extents: Vec<Extent>,
}

/// What is known of a field in a group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extent {
    /// In how many records something is there.
    pub count: u64,
    /// In how many a number is there.
    pub numbers: u64,
    /// The sum of the whole numbers.
    pub whole: i64,
    /// The sum of the other numbers, and of whole ones that were too much for 64 bits.
    pub other: f64,
    /// The smallest.
    pub least: Cell<'static>,
    /// The greatest.
    pub greatest: Cell<'static>,
}

/// The fields that records of a group share.
#[derive(Clone, Debug)]
struct GroupKey(Vec<Cell<'static>>);

impl Ord for GroupKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let orders =
            self.0.iter().zip(&other.0).map(|(one, other)| compare(one, other, Order::default()));
        orders.fold(Ordering::Equal, Ordering::then)
    }
}

impl PartialOrd for GroupKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for GroupKey {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for GroupKey {}

impl Fold {
    /// Nothing yet, of groups that share these fields, and of these fields in each.
    ///
    /// # Errors
    /// `FilterInvalid` if a path is too long.
    pub fn new(group_by: Vec<Field>, fields: Vec<Field>) -> Result<Self> {
        group_by.iter().chain(&fields).try_for_each(Field::check)?;
        let wanted = Wanted::new(group_by.iter().chain(&fields));
        Ok(Fold { group_by, fields, wanted, groups: BTreeMap::new(), bytes: 0 })
    }

    /// Takes a record. One whose value cannot be read has no fields.
    ///
    /// # Errors
    /// `TooManyMatches` if there are too many groups.
    pub fn take(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let wanted = std::mem::take(&mut self.wanted);
        let found = wanted.read(key, value).ok();
        let get = |field: &Field| found.as_ref().map_or(Seen::Null, |found| found.get(field));
        let group_key = GroupKey(self.group_by.iter().map(|field| get(field).to_cell()).collect());
        let extents = self.fields.iter().map(|field| Extent::of(get(field))).collect();
        drop(found);
        self.wanted = wanted;
        self.add_group(group_key, Group { count: 1, extents })
    }

    /// Takes a group that was folded elsewhere.
    ///
    /// # Errors
    /// `TooManyMatches` if there are too many groups; `DecodeFailed` if it has other fields.
    pub fn add(&mut self, key: Vec<Cell<'static>>, group: Group) -> Result<()> {
        if key.len() != self.group_by.len() || group.extents.len() != self.fields.len() {
            return Err(Error::new(ErrorCode::DecodeFailed, "a group of other fields"));
        }
        self.add_group(GroupKey(key), group)
    }

    fn add_group(&mut self, key: GroupKey, group: Group) -> Result<()> {
        match self.groups.get_mut(&key) {
            Some(known) => {
                let before = known.bytes();
                known.add(group);
                self.bytes += known.bytes().saturating_sub(before);
            }
            None => {
                self.bytes += group.bytes() + key.0.iter().map(bytes_of).sum::<usize>();
                self.groups.insert(key, group);
            }
        }
        if self.groups.len() > GROUPS_MAX || self.bytes > BYTES_MAX {
            let why = format!("{} groups, at most {GROUPS_MAX} and 16 MiB", self.groups.len());
            return Err(Error::new(ErrorCode::TooManyMatches, why));
        }
        Ok(())
    }

    /// The groups, in the order of what their records share. Without fields to group by there is one, also of no records.
    pub fn finish(mut self) -> Vec<(Vec<Cell<'static>>, Group)> {
        if self.group_by.is_empty() && self.groups.is_empty() {
            let extents = vec![Extent::default(); self.fields.len()];
            self.groups.insert(GroupKey(Vec::new()), Group { count: 0, extents });
        }
        self.groups.into_iter().map(|(GroupKey(key), group)| (key, group)).collect()
    }
}

impl Group {
    fn add(&mut self, other: Group) {
        self.count += other.count;
        for (extent, other) in self.extents.iter_mut().zip(other.extents) {
            extent.add(other);
        }
    }

    fn bytes(&self) -> usize {
        let extent = |extent: &Extent| bytes_of(&extent.least) + bytes_of(&extent.greatest);
        GROUP_BYTES + self.extents.iter().map(extent).sum::<usize>()
    }
}

impl Extent {
    fn of(seen: Seen<'_>) -> Self {
        let is_long = match seen {
            Seen::Text(text) => text.len() > EXTREME_BYTES_MAX,
            Seen::Bytes(bytes) => bytes.len() > EXTREME_BYTES_MAX,
            // Lists and objects have no order that means anything.
            Seen::Nested(_) => true,
            _ => false,
        };
        let cell = if is_long { Cell::Null } else { seen.to_cell() };
        let (numbers, whole, other) = match seen {
            Seen::BigInt(whole) => (1, whole, 0.0),
            Seen::Double(number) => (1, 0, number),
            _ => (0, 0, 0.0),
        };
        let count = u64::from(seen != Seen::Null);
        Extent { count, numbers, whole, other, least: cell.clone(), greatest: cell }
    }

    fn add(&mut self, other: Extent) {
        self.count += other.count;
        self.numbers += other.numbers;
        self.other += other.other;
        match self.whole.checked_add(other.whole) {
            Some(sum) => self.whole = sum,
            None => {
                self.other += self.whole as f64 + other.whole as f64;
                self.whole = 0;
            }
        }
        if other.least != Cell::Null && compare(&other.least, &self.least, Order::default()).is_lt()
        {
            self.least = other.least;
        }
        let greatest_first = Order { is_descending: true, is_null_first: false };
        if other.greatest != Cell::Null
            && compare(&other.greatest, &self.greatest, greatest_first).is_lt()
        {
            self.greatest = other.greatest;
        }
    }

    /// The sum of the numbers; nothing if there are none.
    pub fn sum(&self) -> Cell<'static> {
        match (self.numbers, self.other) {
            (0, _) => Cell::Null,
            (_, 0.0) => Cell::BigInt(self.whole),
            (_, other) => Cell::Double(self.whole as f64 + other),
        }
    }

    /// The mean of the numbers; `None` if there are none.
    pub fn mean(&self) -> Option<f64> {
        (self.numbers > 0).then(|| (self.whole as f64 + self.other) / self.numbers as f64)
    }
}

fn bytes_of(cell: &Cell<'_>) -> usize {
    match cell {
        Cell::Text(text) => text.len(),
        Cell::Bytes(bytes) => bytes.len(),
        Cell::Nested(json) => json.to_string().len(),
        _ => 0,
    }
}

#[cfg(test)]
#[path = "fold_test.rs"]
mod tests;
