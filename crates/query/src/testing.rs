//! Maps in memory for tests.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use isogrid_core::{Error, ErrorCode, PartitionCount, PartitionId, Result};

use crate::source::{Page, Row, Source};

/// So few rows make a page, so that walks have several.
const PAGE_ROWS: usize = 3;

/// Maps in memory.
#[derive(Debug)]
pub(crate) struct Maps {
    count: PartitionCount,
    maps: BTreeMap<String, BTreeMap<PartitionId, Vec<Row>>>,
    /// How many pages may be had before the source fails.
    pub(crate) left: AtomicUsize,
}

impl Maps {
    pub(crate) fn new() -> Self {
        let count = PartitionCount::new(16).unwrap();
        let left = AtomicUsize::new(usize::MAX);
        Maps { count, maps: BTreeMap::new(), left }
    }

    pub(crate) fn put(&mut self, map: &str, key: &str, value: &[u8]) {
        let partition = self.count.partition_of_key(key.as_bytes());
        let (key, value) = (key.as_bytes().to_vec().into(), value.to_vec().into());
        let row = Row { key, value, version: 1, expires_at_ms: None };
        self.maps.entry(map.to_owned()).or_default().entry(partition).or_default().push(row);
    }
}

#[async_trait]
impl Source for Maps {
    fn partitions(&self) -> PartitionCount {
        self.count
    }

    fn leader(&self, partition: PartitionId) -> Option<String> {
        Some(format!("n{}", partition.0 % 3))
    }

    fn maps(&self) -> Vec<String> {
        self.maps.keys().cloned().collect()
    }

    async fn page(
        &self,
        map: &str,
        (partition, cursor): (PartitionId, u64),
        _: u32,
    ) -> Result<Page> {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 0 {
            return Err(Error::new(ErrorCode::NoPrimary, "partition 7"));
        }
        let rows = self.maps[map].get(&partition).map_or(&[][..], Vec::as_slice);
        let (begin, all) = (cursor as usize, rows.len());
        let end = (begin + PAGE_ROWS).min(all);
        Ok(Page { rows: rows[begin..end].to_vec(), next: (end < all).then_some(end as u64) })
    }
}

/// A map that never ends, and never waits.
#[derive(Debug)]
pub(crate) struct Endless;

#[async_trait]
impl Source for Endless {
    fn partitions(&self) -> PartitionCount {
        PartitionCount::new(16).unwrap()
    }

    fn leader(&self, _: PartitionId) -> Option<String> {
        None
    }

    fn maps(&self) -> Vec<String> {
        vec!["endless".to_owned()]
    }

    async fn page(&self, _: &str, (_, cursor): (PartitionId, u64), _: u32) -> Result<Page> {
        let row =
            Row { key: "k".into(), value: "{\"n\": 1}".into(), version: 1, expires_at_ms: None };
        Ok(Page { rows: vec![row; 500], next: Some(cursor + 1) })
    }
}
