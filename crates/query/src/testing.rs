//! Maps in memory for tests.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use isogrid_core::{
    ColumnType, Condition, Error, ErrorCode, Expiry, MapColumn, MapSchema, PartitionCount,
    PartitionId, Result, Version,
};

use crate::source::{Change, MapDefinition, Page, Row, Source, Write, Written};

/// So few rows make a page, so that walks have several.
const PAGE_ROWS: usize = 3;

/// Maps in memory.
#[derive(Debug)]
pub(crate) struct Maps {
    count: PartitionCount,
    maps: Mutex<BTreeMap<String, BTreeMap<PartitionId, Vec<Row>>>>,
    /// What is defined of maps, those without rows too.
    defined: Mutex<BTreeMap<String, MapDefinition>>,
    /// How many pages may be had before the source fails.
    pub(crate) left: AtomicUsize,
    /// What others put before the next batches of writes: a map, a key and a value each.
    pub(crate) others: Mutex<VecDeque<(String, String, String)>>,
    /// How many batches are written whose answers are lost.
    pub(crate) lost: AtomicUsize,
    /// How many writes each batch had.
    pub(crate) batches: Mutex<Vec<usize>>,
}

impl Maps {
    pub(crate) fn new() -> Self {
        let count = PartitionCount::new(16).unwrap();
        let left = AtomicUsize::new(usize::MAX);
        Maps {
            count,
            maps: Mutex::default(),
            defined: Mutex::default(),
            left,
            others: Mutex::default(),
            lost: AtomicUsize::new(0),
            batches: Mutex::default(),
        }
    }

    pub(crate) fn put(&self, map: &str, key: &str, value: &[u8]) {
        self.put_bytes(map, key.as_bytes(), value);
    }

    pub(crate) fn put_bytes(&self, map: &str, key: &[u8], value: &[u8]) {
        let value = Bytes::copy_from_slice(value);
        let change = Change::Put { value, expiry: Expiry::Never };
        let key = Bytes::copy_from_slice(key);
        self.change(map, &Write { key, change, condition: Condition::Always });
        self.defined().entry(map.to_owned()).or_default();
    }

    fn maps_of(
        &self,
    ) -> std::sync::MutexGuard<'_, BTreeMap<String, BTreeMap<PartitionId, Vec<Row>>>> {
        self.maps.lock().expect("no test panics with it")
    }

    /// The record of a key.
    pub(crate) fn get(&self, map: &str, key: &[u8]) -> Option<Row> {
        let partition = self.count.partition_of_key(key);
        self.maps_of().get(map)?.get(&partition)?.iter().find(|row| row.key == key).cloned()
    }

    /// The text of a value.
    pub(crate) fn text(&self, map: &str, key: &str) -> Option<String> {
        let row = self.get(map, key.as_bytes())?;
        Some(String::from_utf8_lossy(&row.value).into_owned())
    }

    fn change(&self, map: &str, write: &Write) -> Written {
        let partition = self.count.partition_of_key(&write.key);
        let mut maps = self.maps_of();
        let rows = maps.entry(map.to_owned()).or_default().entry(partition).or_default();
        let place = rows.iter().position(|row| row.key == write.key);
        let holds = match (write.condition, place) {
            (Condition::Always, _) | (Condition::IfAbsent, None) => true,
            (Condition::IfPresent, place) => place.is_some(),
            (Condition::IfVersion(Version(version)), Some(place)) => rows[place].version == version,
            (Condition::IfVersion(_), None) | (Condition::IfAbsent, Some(_)) => false,
        };
        if !holds {
            return place.map_or(Written::Absent, |_| Written::Other);
        }
        let version = place.map_or(1, |place| rows[place].version + 1);
        match (&write.change, place) {
            (Change::Delete, Some(place)) => drop(rows.remove(place)),
            (Change::Delete, None) => return Written::Absent,
            (Change::Put { value, expiry }, place) => {
                let before = place.and_then(|place| rows[place].expires_at_ms);
                let expires_at_ms = match expiry {
                    Expiry::Never => None,
                    Expiry::Keep => before,
                    Expiry::At(at) => Some(at.0),
                    Expiry::AfterMs(_) => panic!("no statement says that"),
                };
                let (key, value) = (write.key.clone(), value.clone());
                let row = Row { key, value, version, expires_at_ms };
                match place {
                    Some(place) => rows[place] = row,
                    None => rows.push(row),
                }
            }
        }
        Written::Done(version)
    }

    /// Makes a map without records.
    pub(crate) fn make(&self, map: &str, schema: Option<MapSchema>) {
        let defined = MapDefinition { schema, settings: Vec::new() };
        self.defined().insert(map.to_owned(), defined);
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
        let maps = self.maps_of();
        let partitions = maps.get(map);
        let rows = partitions.and_then(|all| all.get(&partition)).map_or(&[][..], Vec::as_slice);
        let (begin, all) = (cursor as usize, rows.len());
        let end = (begin + PAGE_ROWS).min(all);
        Ok(Page { rows: rows[begin..end].to_vec(), next: (end < all).then_some(end as u64) })
    }

    async fn write(&self, map: &str, writes: &[Write], _: Duration) -> Vec<Result<Written>> {
        let other = self.others.lock().expect("no test panics with it").pop_front();
        if let Some((map, key, value)) = other {
            self.put(&map, &key, value.as_bytes());
        }
        self.batches.lock().expect("no test panics with it").push(writes.len());
        let is_lost = self.lost.load(Ordering::Relaxed) > 0;
        if is_lost {
            self.lost.fetch_sub(1, Ordering::Relaxed);
        }
        let answer = |write: &Write| {
            if write.key.len() > 100 {
                return Err(Error::new(ErrorCode::KeyTooLong, "more than 100 bytes"));
            }
            let written = self.change(map, write);
            if is_lost { Err(Error::new(ErrorCode::ConnectionLost, "node b")) } else { Ok(written) }
        };
        writes.iter().map(answer).collect()
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

    async fn write(&self, _: &str, _: &[Write], _: Duration) -> Vec<Result<Written>> {
        std::future::pending().await
    }
}
