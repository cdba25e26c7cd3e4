//! Which index of a map a statement's predicates can use: [`candidates`], and what is asked of it: [`IndexWalk`].
//!
//! An index gives at least the rows that meet the predicates that it was chosen for; whether each row meets them is looked at later,
//! as for any other walk.

mod bounds;
mod terms;

use isogrid_core::index::INDEX_COLUMNS_MAX;
use isogrid_core::{ColumnType, IndexKind, MapIndex};
use isogrid_value::{Cell, finish_key, key_behind, push_cell};
use serde::{Deserialize, Serialize};

use crate::columns::Columns;
use bounds::Bounds;
use datafusion::logical_expr::Expr;
use terms::Terms;

/// So many ranges of keys are asked for at the most: the values of one list, or of several together.
const RANGES_MAX: usize = 256;

/// What is asked of an index in each partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IndexWalk {
    /// The name of the index.
    pub(crate) index: String,
    /// Keys from the first on and before the second; an empty second is no end.
    pub(crate) ranges: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether a record can have several of these keys.
    pub(crate) is_list: bool,
    /// For who asks how the statement is run.
    pub(crate) shown: String,
}

/// An index that may be used, and how well.
struct Candidate<'a> {
    index: &'a MapIndex,
    /// What its first columns are equal to: for each of them these values.
    equal: Vec<&'a [Cell<'static>]>,
    range: Option<Bounds>,
}

impl Candidate<'_> {
    /// A unique one first, then who names more columns, then a range, then the smaller one.
    fn rank(&self) -> (bool, usize, bool, bool) {
        let is_whole = self.equal.len() == self.index.columns.len();
        let is_hash = self.index.kind == IndexKind::Hash;
        (self.index.unique && is_whole, self.equal.len(), self.range.is_some(), is_hash)
    }
}

impl IndexWalk {
    /// Whether a key is asked for.
    pub(crate) fn has(&self, key: &[u8]) -> bool {
        self.ranges.iter().any(|(from, to)| key >= &from[..] && (to.is_empty() || key < &to[..]))
    }
}

/// The columns that an index for these predicates would have: those with given values, and one with bounds.
pub(crate) fn comparable(predicates: &[Expr], columns: &Columns) -> Vec<String> {
    let mut names = Terms::of(predicates, columns).names();
    names.truncate(INDEX_COLUMNS_MAX);
    names
}

/// The indexes that can be used for predicates all of which hold. First comes what leaves the fewest rows, as far as definitions tell.
pub(crate) fn candidates(
    predicates: &[Expr],
    indexes: &[MapIndex],
    columns: &Columns,
) -> Vec<IndexWalk> {
    if indexes.is_empty() {
        return Vec::new();
    }
    let terms = Terms::of(predicates, columns);
    let of_use = indexes.iter().filter_map(|index| candidate(index, &terms, columns));
    let mut of_use: Vec<Candidate<'_>> = of_use.collect();
    of_use.sort_by_key(|candidate| std::cmp::Reverse(candidate.rank()));
    // Nothing gives fewer than one.
    if of_use.first().is_some_and(|best| best.rank().0) {
        of_use.truncate(1);
    }
    of_use.iter().map(walk).collect()
}

fn candidate<'a>(
    index: &'a MapIndex,
    terms: &'a Terms,
    columns: &Columns,
) -> Option<Candidate<'a>> {
    if index.kind == IndexKind::Inverted {
        let held = terms.held(&index.columns[0].path)?;
        return Some(Candidate { index, equal: vec![held], range: None });
    }
    let (mut equal, mut range, mut count) = (Vec::new(), None, 1);
    for column in &index.columns {
        let [name] = column.path.as_slice() else {
            let Some(values) = terms.equal_within(&column.path) else { break };
            count *= values.len();
            equal.push(values);
            continue;
        };
        let Some(holds) = columns.holds(name) else { break };
        if holds == ColumnType::Timestamp && !column.is_time {
            break;
        }
        if let Some(values) = terms.equal(name) {
            count *= values.len();
            equal.push(values);
            continue;
        }
        let is_ordered =
            index.kind == IndexKind::Ordered && (holds == ColumnType::Timestamp) == column.is_time;
        range = terms.bounds(name).filter(|_| is_ordered).cloned();
        break;
    }
    let is_of_use = match index.kind {
        IndexKind::Hash => equal.len() == index.columns.len(),
        IndexKind::Ordered | IndexKind::Inverted => !equal.is_empty() || range.is_some(),
    };
    (is_of_use && count <= RANGES_MAX).then_some(Candidate { index, equal, range })
}

fn walk(best: &Candidate<'_>) -> IndexWalk {
    let Candidate { index, equal, range } = best;
    let mut keys = vec![Vec::new()];
    for (values, column) in equal.iter().zip(&index.columns) {
        let longer = |key: &Vec<u8>| {
            values
                .iter()
                .map(|value| {
                    let mut key = key.clone();
                    push_cell(value, column.is_time, &mut key);
                    key
                })
                .collect::<Vec<_>>()
        };
        keys = keys.iter().flat_map(longer).collect();
    }
    let ranges = keys.into_iter().map(|mut key| match range {
        Some(bounds) => bounds.behind(&key, index.columns[equal.len()].is_time),
        None => {
            finish_key(index.kind, &mut key);
            let to = key_behind(&key);
            (key, to)
        }
    });
    let mut ranges: Vec<(Vec<u8>, Vec<u8>)> = ranges.collect();
    // What is twice in a list, or equal when it is written as a key, is asked for once.
    ranges.sort_unstable();
    ranges.dedup();
    IndexWalk {
        index: index.name.clone(),
        ranges,
        is_list: index.kind == IndexKind::Inverted,
        shown: shown(best),
    }
}

fn shown(best: &Candidate<'_>) -> String {
    let Candidate { index, equal, range } = best;
    let is_list = index.kind == IndexKind::Inverted;
    let equality = |(column, values): (&isogrid_core::IndexColumn, &&[Cell<'_>])| match values {
        [value] if is_list => format!("{column} has {}", text(value)),
        [value] => format!("{column} = {}", text(value)),
        values => format!("{column} in {} values", values.len()),
    };
    let mut parts: Vec<String> = index.columns.iter().zip(equal).map(equality).collect();
    if let Some(bounds) = range {
        parts.push(bounds.shown(&index.columns[equal.len()].to_string()));
    }
    format!("{} ({})", index.name, parts.join(", "))
}

/// A value as it is shown, shortened.
fn text(value: &Cell<'_>) -> String {
    shortened(&value.to_json().unwrap_or_else(|| "NULL".to_owned()))
}

/// The beginning of what is long.
pub(crate) fn shortened(text: &str) -> String {
    const SHOWN_CHARS: usize = 40;
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
#[path = "index_test.rs"]
mod tests;
