//! Maps in memory for tests.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;
use isogrid_core::{
    ColumnType, Error, ErrorCode, MapColumn, MapIndex, MapSchema, PartitionCount, PartitionId,
    Result,
};

use isogrid_value::{IndexKeys, IndexReader, finish_key};

use crate::source::{FoundPage, IndexStanding, MapDefinition, Page, Row, SeekPlace, Source};

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
    /// How often an index was asked.
    pub(crate) seeks: AtomicUsize,
}

impl Maps {
    pub(crate) fn new() -> Self {
        let count = PartitionCount::new(16).unwrap();
        let left = AtomicUsize::new(usize::MAX);
        let seeks = AtomicUsize::new(0);
        Maps { count, maps: BTreeMap::new(), defined: Mutex::default(), left, seeks }
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
            let map = MapDefinition { schema, settings, ..MapDefinition::default() };
            defined.insert(name.to_owned(), map);
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

    async fn set_indexes(&self, map: &str, indexes: Vec<MapIndex>) -> Result<()> {
        MapIndex::check_all(&indexes)?;
        self.defined().get_mut(map).expect("it was there").indexes = indexes;
        Ok(())
    }

    async fn index_standings(&self, map: &str) -> Result<Vec<IndexStanding>> {
        let indexes = self.map(map).unwrap_or_default().indexes;
        let standing = |index: MapIndex| IndexStanding { name: index.name, ..Default::default() };
        Ok(indexes.into_iter().map(standing).collect())
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

    /// In a partition whose number ends with these bits there is no index yet.
    async fn seek(
        &self,
        map: &str,
        index: &str,
        places: &[SeekPlace],
        _: u32,
    ) -> Result<Vec<Option<FoundPage>>> {
        let indexes = self.map(map).unwrap_or_default().indexes;
        let index = indexes.iter().find(|known| known.name == index);
        let is_built = |place: &&SeekPlace| place.partition.0 % 4 != 3;
        let sought = |place: &SeekPlace| {
            let index = index.filter(|_| is_built(&place))?;
            self.seeks.fetch_add(1, Ordering::Relaxed);
            Some(self.sought(map, index, place))
        };
        Ok(places.iter().map(sought).collect())
    }
}

impl Maps {
    /// What an index of these rows would have, made anew for each question.
    fn sought(&self, map: &str, index: &MapIndex, place: &SeekPlace) -> FoundPage {
        let rows = self.maps.get(map).and_then(|all| all.get(&place.partition));
        let reader = IndexReader::new(std::slice::from_ref(index));
        let mut keys = IndexKeys::default();
        let mut tree = BTreeMap::new();
        for (number, row) in rows.into_iter().flatten().enumerate() {
            reader.read(&row.value, &mut keys);
            for fields in keys.of(0).iter() {
                let mut key = fields.to_vec();
                finish_key(index.kind, &mut key);
                key.extend_from_slice(&(number as u64).to_be_bytes());
                tree.insert(key, row.clone());
            }
        }
        let is_within = |key: &[u8]| place.to.is_empty() || *key < *place.to;
        let mut found = tree.range(place.from.to_vec()..).take_while(|(key, _)| is_within(key));
        let rows = found.by_ref().take(PAGE_ROWS).map(|(_, row)| row.clone()).collect();
        FoundPage { rows, next: found.next().map(|(key, _)| key.clone().into()) }
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

    async fn set_indexes(&self, _: &str, _: Vec<MapIndex>) -> Result<()> {
        Ok(())
    }

    async fn index_standings(&self, _: &str) -> Result<Vec<IndexStanding>> {
        Ok(Vec::new())
    }

    async fn drop_map(&self, _: &str) -> Result<bool> {
        std::future::pending().await
    }

    async fn page(&self, _: &str, (_, cursor): (PartitionId, u64), _: u32) -> Result<Page> {
        let row =
            Row { key: "k".into(), value: "{\"n\": 1}".into(), version: 1, expires_at_ms: None };
        Ok(Page { rows: vec![row; 500], next: Some(cursor + 1) })
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
