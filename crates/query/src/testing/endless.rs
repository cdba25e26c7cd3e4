//! [`Endless`]: a map without an end.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use isogrid_core::{MapIndex, MapSchema, Moment, PartitionCount, PartitionId, Result};

use crate::source::{
    FoundPage, IndexStanding, MapDefinition, Page, PagePlace, Row, SeekPlace, Source, Write,
    Written,
};

/// A map that never ends, and never waits. To drop it never ends either.
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

    fn map(&self, _: &str) -> Option<MapDefinition> {
        Some(MapDefinition::default())
    }

    async fn create_map(
        &self,
        _: &str,
        _: Option<MapSchema>,
        _: &[(String, String)],
    ) -> Result<bool> {
        Ok(false)
    }

    async fn change_map(
        &self,
        _: &str,
        _: Option<MapSchema>,
        _: &[(String, String)],
    ) -> Result<()> {
        Ok(())
    }

    async fn set_indexes(&self, _: &str, _: Vec<MapIndex>) -> Result<()> {
        Ok(())
    }

    async fn index_standings(&self, _: &str) -> Result<Vec<IndexStanding>> {
        Ok(Vec::new())
    }

    async fn drop_map(&self, _: &str) -> Result<bool> {
        std::future::pending().await
    }

    async fn records(&self, _: &str, keys: &[Bytes]) -> Result<Vec<Option<Row>>> {
        Ok(vec![None; keys.len()])
    }

    async fn page(
        &self,
        _: &str,
        PagePlace { cursor, .. }: PagePlace,
        _: &[u8],
        _: u32,
    ) -> Result<Page> {
        let row =
            Row { key: "k".into(), value: "{\"n\": 1}".into(), version: 1, expires_at_ms: None };
        Ok(Page { rows: vec![row; 500], next: Some(cursor + 1), at: None })
    }

    fn let_go(&self, _: &str, _: PartitionId, _: Moment) {}

    async fn write(&self, _: &str, _: &[Write], _: Duration) -> Vec<Result<Written>> {
        std::future::pending().await
    }

    async fn seek(
        &self,
        _: &str,
        _: &str,
        places: &[SeekPlace],
        _: u32,
    ) -> Result<Vec<Option<FoundPage>>> {
        Ok(vec![None; places.len()])
    }

    fn is_here(&self, _: PartitionId) -> bool {
        false
    }

    async fn sizes(
        &self,
        _: &str,
        _: PartitionId,
        places: &[(&str, SeekPlace)],
        _: u32,
    ) -> Result<(u64, Vec<Option<u64>>)> {
        Ok((0, vec![None; places.len()]))
    }
}
