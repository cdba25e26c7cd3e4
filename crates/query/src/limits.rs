//! [`QueryLimits`]: what one statement may use, and [`Wishes`]: how much less of it is wanted.

use std::time::Duration;

use datafusion::arrow::record_batch::RecordBatch;
use isogrid_core::{Error, ErrorCode, Result};

/// What one statement may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryLimits {
    /// Memory for sorting, grouping and joining.
    pub memory_bytes: usize,
    /// How long it may take.
    pub timeout: Duration,
    /// The most rows of its answer, if there is a limit.
    pub rows_max: Option<u64>,
    /// Over how many entries it may walk at one node, if there is a limit.
    pub scanned_max: Option<u64>,
    /// Whether it must say which partitions of a map it needs.
    pub require_pruned: bool,
}

impl Default for QueryLimits {
    fn default() -> Self {
        QueryLimits {
            memory_bytes: 64 << 20,
            timeout: Duration::from_secs(5),
            rows_max: None,
            scanned_max: None,
            require_pruned: false,
        }
    }
}

/// What a caller wants of one statement: no more than it may use, and perhaps less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Memory for sorting, grouping and joining.
    pub memory_bytes: Option<usize>,
    /// How long it may take.
    pub timeout: Option<Duration>,
    /// Whether it must say which partitions of a map it needs.
    pub require_pruned: bool,
}

impl QueryLimits {
    /// The same, or less where that is wanted.
    #[must_use]
    pub fn lowered(self, wishes: Wishes) -> Self {
        QueryLimits {
            memory_bytes: self.memory_bytes.min(wishes.memory_bytes.unwrap_or(usize::MAX)),
            timeout: self.timeout.min(wishes.timeout.unwrap_or(Duration::MAX)),
            require_pruned: self.require_pruned || wishes.require_pruned,
            ..self
        }
    }
}

/// The rows of an answer as they are counted.
#[derive(Debug)]
pub(crate) struct Rows {
    count: u64,
    most: Option<u64>,
}

impl Rows {
    pub(crate) fn new(most: Option<u64>) -> Self {
        Rows { count: 0, most }
    }

    /// Lets rows pass.
    ///
    /// # Errors
    /// There are too many with these.
    pub(crate) fn pass(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        self.count += batch.num_rows() as u64;
        match self.most {
            Some(most) if self.count > most => {
                let detail = format!("{} rows or more, at most {most}", self.count);
                Err(Error::new(ErrorCode::QueryTooManyRows, detail))
            }
            _ => Ok(batch),
        }
    }
}

#[cfg(test)]
#[path = "limits_test.rs"]
mod of_statements;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_lowered_and_never_raised() {
        let wishes = Wishes {
            memory_bytes: Some(1_000),
            timeout: Some(Duration::from_secs(50)),
            require_pruned: true,
        };
        let lowered = QueryLimits::default().lowered(wishes);
        let expected =
            QueryLimits { memory_bytes: 1_000, require_pruned: true, ..QueryLimits::default() };
        assert_eq!(lowered, expected);
        assert_eq!(lowered.lowered(Wishes::default()), lowered);
    }
}
