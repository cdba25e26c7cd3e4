//! Maps in memory for tests.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;
use isogrid_core::{
    ColumnType, Error, ErrorCode, MapColumn, MapSchema, PartitionCount, PartitionId, Result,
};

use crate::source::{MapDefinition, Page, Row, Source};

/// So few rows make a page, so that walks have several.
const PAGE_ROWS: usize = 3;

/// Maps in memory.
#[derive(Debug)]
pub(crate) struct Maps {
    count: PartitionCount,
    maps: BTreeMap<String, BTreeMap<PartitionId, Vec<Row>>>,
    /// What is defined of maps, those without rows too.
    defined: Mutex<BTreeMap<String, MapDefinition>>,
    /// How many pages may be had before the source fails.
    pub(crate) left: AtomicUsize,
}

impl Maps {
    pub(crate) fn new() -> Self {
        let count = PartitionCount::new(16).unwrap();
        let left = AtomicUsize::new(usize::MAX);
        Maps { count, maps: BTreeMap::new(), defined: Mutex::default(), left }
    }

    pub(crate) fn put(&mut self, map: &str, key: &str, value: &[u8]) {
        let partition = self.count.partition_of_key(key.as_bytes());
        let (key, value) = (key.as_bytes().to_vec().into(), value.to_vec().into());
        let row = Row { key, value, version: 1, expires_at_ms: None };
        self.maps.entry(map.to_owned()).or_default().entry(partition).or_default().push(row);
        self.defined().entry(map.to_owned()).or_default();
    }

    /// Says by which column of text the records of a map are spread.
    pub(crate) fn define(&mut self, map: &str, partition_by: &str) {
        let column = |name: &str, holds| MapColumn { name: name.to_owned(), holds };
        let columns = vec![
            column(partition_by, ColumnType::Text),
            column("total", ColumnType::Double),
            column("paid", ColumnType::Boolean),
        ];
        let schema = MapSchema { columns, partition_by: Some(partition_by.to_owned()) };
        self.defined().entry(map.to_owned()).or_default().schema = Some(schema);
    }

    fn defined(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, MapDefinition>> {
        self.defined.lock().expect("no test panics with it")
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
        self.defined().keys().cloned().collect()
    }

    fn map(&self, name: &str) -> Option<MapDefinition> {
        self.defined().get(name).cloned()
    }

    async fn create_map(
        &self,
        name: &str,
        schema: Option<MapSchema>,
        settings: &[(String, String)],
    ) -> Result<bool> {
        schema.iter().try_for_each(MapSchema::check)?;
        let mut defined = self.defined();
        let is_new = !defined.contains_key(name);
        if is_new {
            let settings = settings.to_vec();
            defined.insert(name.to_owned(), MapDefinition { schema, settings });
        }
        Ok(is_new)
    }

    async fn change_map(
        &self,
        name: &str,
        schema: Option<MapSchema>,
        settings: &[(String, String)],
    ) -> Result<()> {
        let mut defined = self.defined();
        let map = defined.get_mut(name).expect("it was there");
        if let Some(schema) = schema {
            map.schema = Some(schema).filter(|schema| !schema.columns.is_empty());
            map.schema.iter().try_for_each(MapSchema::check)?;
        }
        map.settings.extend_from_slice(settings);
        Ok(())
    }

    async fn drop_map(&self, name: &str) -> Result<bool> {
        Ok(self.defined().remove(name).is_some())
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
        let partitions = self.maps.get(map);
        let rows = partitions.and_then(|all| all.get(&partition)).map_or(&[][..], Vec::as_slice);
        let (begin, all) = (cursor as usize, rows.len());
        let end = (begin + PAGE_ROWS).min(all);
        Ok(Page { rows: rows[begin..end].to_vec(), next: (end < all).then_some(end as u64) })
    }
}

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

    async fn drop_map(&self, _: &str) -> Result<bool> {
        std::future::pending().await
    }

    async fn page(&self, _: &str, (_, cursor): (PartitionId, u64), _: u32) -> Result<Page> {
        let row =
            Row { key: "k".into(), value: "{\"n\": 1}".into(), version: 1, expires_at_ms: None };
        Ok(Page { rows: vec![row; 500], next: Some(cursor + 1) })
    }
}

/// The rows of an answer, their cells joined by `|`.
pub(crate) async fn answered(
    sql: &crate::Sql,
    statement: &str,
    values: Vec<crate::Parameter>,
) -> Result<Vec<String>> {
    let answer = sql.run(statement, values).await?;
    let batches: Vec<RecordBatch> = answer.batches.try_collect().await?;
    Ok(batches.iter().flat_map(shown).collect())
}

/// The rows of a batch.
fn shown(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let columns = batch.columns().iter();
    let columns: Vec<_> =
        columns.map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    let cells = |row| columns.iter().map(move |column| column.value(row).to_string());
    (0..batch.num_rows()).map(|row| cells(row).collect::<Vec<_>>().join("|")).collect()
}
