//! [`Predicate`]: a filter that is ready to look at records.

use std::cmp::Ordering;

use isogrid_core::Result;

use super::{Comparison, Constant, Filter};
use crate::seen::{Found, Seen, Wanted};

/// A filter, checked, with the fields that it looks at.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicate {
    filter: Filter,
    wanted: Wanted,
    nodes: usize,
}

impl Predicate {
    /// A filter made ready.
    ///
    /// # Errors
    /// `FilterInvalid` if it is larger than the bounds.
    pub fn new(filter: Filter) -> Result<Self> {
        filter.check()?;
        let (wanted, nodes) = (Wanted::new(filter.fields()), filter.nodes());
        Ok(Predicate { filter, wanted, nodes })
    }

    /// A filter as it was encoded.
    ///
    /// # Errors
    /// `FilterInvalid` if it is none, or larger than the bounds.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        Filter::decode(bytes).and_then(Predicate::new)
    }

    /// The filter.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// How many comparisons, constants and connectives it has: what one record costs.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// Whether a record is meant. One whose value cannot be read is not, whatever the filter says of its fields.
    pub fn accepts(&self, key: &[u8], value: &[u8]) -> bool {
        self.wanted
            .read(key, value)
            .is_ok_and(|found| truth(&self.filter, key, &found) == Some(true))
    }

    /// Whether it looks into values.
    pub fn reads_values(&self) -> bool {
        !self.wanted.is_empty()
    }
}

/// Yes, no, or unknown.
fn truth(filter: &Filter, key: &[u8], found: &Found<'_, '_>) -> Option<bool> {
    match filter {
        Filter::Compare(field, comparison, constant) => {
            found.get(field).compare(constant.seen()).map(|order| comparison.holds(order))
        }
        Filter::In(field, constants) => {
            let seen = found.get(field);
            one_of(constants.iter().map(|constant| {
                seen.compare(constant.seen()).map(|order| order == Ordering::Equal)
            }))
        }
        Filter::IsNull(field) => Some(found.get(field) == Seen::Null),
        Filter::StartsWith(field, prefix) => match found.get(field) {
            Seen::Text(text) => Some(text.starts_with(prefix.as_str())),
            _ => None,
        },
        Filter::Contains(field, constant) => contains(found.get(field), constant),
        Filter::OfPartitionKeys(wanted) => {
            let one = isogrid_core::slot::partition_key(key);
            Some(wanted.iter().any(|wanted| wanted.as_bytes() == one))
        }
        Filter::All(filters) => {
            one_of(filters.iter().map(|one| truth(one, key, found).map(|is| !is)))
                .map(|is_refuted| !is_refuted)
        }
        Filter::Any(filters) => one_of(filters.iter().map(|one| truth(one, key, found))),
        Filter::Not(filter) => truth(filter, key, found).map(|is| !is),
    }
}

/// Yes if one says yes, no if all say no, else unknown.
fn one_of(mut answers: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut so_far = Some(false);
    let is_true = answers.any(|answer| {
        if answer.is_none() {
            so_far = None;
        }
        answer == Some(true)
    });
    if is_true { Some(true) } else { so_far }
}

fn contains(seen: Seen<'_>, constant: &Constant) -> Option<bool> {
    match (seen, constant) {
        (Seen::Text(text), Constant::Text(part)) => Some(text.contains(part.as_str())),
        (Seen::Nested(serde_json::Value::Array(items)), constant) => Some(
            items
                .iter()
                .any(|item| Seen::of_json(item).compare(constant.seen()) == Some(Ordering::Equal)),
        ),
        _ => None,
    }
}

impl Comparison {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        }
    }
}

impl Constant {
    /// As it is compared.
    pub fn seen(&self) -> Seen<'_> {
        match self {
            Constant::Boolean(value) => Seen::Boolean(*value),
            Constant::BigInt(value) => Seen::BigInt(*value),
            Constant::Double(value) => Seen::Double(*value),
            Constant::Text(value) => Seen::Text(value),
            Constant::Bytes(value) => Seen::Bytes(value),
        }
    }
}
