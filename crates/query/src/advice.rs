//! [`Advice`]: an index that is not there and would have spared most of a walk.

use isogrid_core::{ColumnType, IndexColumn, IndexKind, MapIndex};
use isogrid_value::{IndexKeys, IndexReader};
use serde::{Deserialize, Serialize};

use crate::columns::Columns;
use crate::ddl;
use crate::index::{self, IndexWalk};
use crate::source::Row;
use datafusion::logical_expr::Expr;

/// Which page of a part of a walk is looked at: before, the walk is too small for an index to matter.
pub(crate) const SAMPLED_PAGE: usize = 5;

/// An index is worth it that would find fewer than one in so many records.
const WORTH: usize = 100;

/// An index that could be made for the predicates of a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Advice {
    index: MapIndex,
    walk: IndexWalk,
}

impl Advice {
    /// The index that these predicates would use best, if they would use any.
    pub(crate) fn of(predicates: &[Expr], columns: &Columns) -> Option<Self> {
        let names = index::comparable(predicates, columns);
        let column = |name: &String| IndexColumn {
            path: vec![name.clone()],
            is_time: columns.holds(name) == Some(ColumnType::Timestamp),
        };
        let index = MapIndex {
            name: format!("by_{}", names.first()?),
            kind: IndexKind::Ordered,
            columns: names.iter().map(column).collect(),
            unique: false,
        };
        let walk = index::candidates(predicates, std::slice::from_ref(&index), columns);
        Some(Advice { index, walk: walk.into_iter().next()? })
    }

    /// Of these records how many the index would spare, if it would spare nearly all.
    pub(crate) fn spares(&self, rows: &[Row]) -> Option<usize> {
        let reader = IndexReader::new(std::slice::from_ref(&self.index));
        let mut keys = IndexKeys::default();
        let mut is_found = |row: &&Row| {
            reader.read(&row.value, &mut keys);
            keys.of(0).iter().any(|key| self.walk.has(key))
        };
        let found = rows.iter().filter(&mut is_found).count();
        (found * WORTH < rows.len()).then(|| rows.len() - found)
    }

    /// The statement that makes it.
    pub(crate) fn statement(&self, map: &str) -> String {
        ddl::create_index(map, &self.index)
    }
}
