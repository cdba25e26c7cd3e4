//! [`Reading`]: the partition that a walk is in. All its records are those of one state.

use std::sync::Arc;

use isogrid_core::{ErrorCode, Moment, PartitionId, Result, View};

use crate::source::{Page, PagePlace, Row, Source};

/// How often a partition is read from its beginning when its state is lost before any of it was given on.
const TRIES: u32 = 5;

/// A partition that is being read.
pub(super) struct Reading {
    source: Arc<dyn Source>,
    map: Arc<str>,
    pub(super) partition: PartitionId,
    cursor: u64,
    /// The state, from the second page on.
    at: Option<Moment>,
    /// What was read and not given on yet: it may have to be read again.
    rows: Vec<Row>,
    bytes: usize,
    has_given: bool,
    tries: u32,
}

impl Reading {
    pub(super) fn new(source: Arc<dyn Source>, map: Arc<str>, partition: PartitionId) -> Self {
        Reading {
            source,
            map,
            partition,
            cursor: 0,
            at: None,
            rows: Vec::new(),
            bytes: 0,
            has_given: false,
            tries: 1,
        }
    }

    /// Reads on, by about so many rows. Says how many came, and whether there are more.
    ///
    /// # Errors
    /// The grid's.
    pub(super) async fn read(&mut self, filter: &[u8], rows_max: u32) -> Result<(usize, bool)> {
        let view = self.at.map_or(View::Begin, View::At);
        let place = PagePlace { partition: self.partition, cursor: self.cursor, view };
        match self.source.page(&self.map, place, filter, rows_max).await {
            Ok(page) => Ok(self.take(page)),
            Err(error) if error.code() == ErrorCode::ViewLost => {
                self.at = None;
                if self.has_given || self.tries >= TRIES {
                    return Err(error);
                }
                self.tries += 1;
                (self.cursor, self.bytes) = (0, 0);
                self.rows.clear();
                Ok((0, true))
            }
            Err(error) => Err(error),
        }
    }

    fn take(&mut self, page: Page) -> (usize, bool) {
        let count = page.rows.len();
        self.bytes += page.rows.iter().map(|row| row.key.len() + row.value.len()).sum::<usize>();
        self.rows.extend(page.rows);
        self.at = page.at;
        self.cursor = page.next.unwrap_or_default();
        (count, page.next.is_some())
    }

    /// How many rows there are to give on, and their bytes.
    pub(super) fn held(&self) -> (usize, usize) {
        (self.rows.len(), self.bytes)
    }

    /// So many rows that came last.
    pub(super) fn newest(&self, count: usize) -> &[Row] {
        &self.rows[self.rows.len() - count..]
    }

    /// Gives on what was read: from now on it cannot be read again.
    pub(super) fn give(&mut self) -> Vec<Row> {
        self.has_given = true;
        self.bytes = 0;
        std::mem::take(&mut self.rows)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(moment) = self.at {
            self.source.let_go(&self.map, self.partition, moment);
        }
    }
}

#[cfg(test)]
#[path = "reading_test.rs"]
mod tests;
