//! Maps in memory for tests.

mod endless;
mod states;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;
use isogrid_core::{
    ColumnType, Condition, Error, ErrorCode, Expiry, MapColumn, MapIndex, MapSchema, Moment,
    PartitionCount, PartitionId, Result, Version,
};

use isogrid_value::{IndexKeys, IndexReader, Predicate, finish_key};

pub(crate) use endless::Endless;
use states::States;

use crate::source::{
    Change, FoundPage, IndexStanding, MapDefinition, Page, PagePlace, Row, SeekPlace, Source,
    Write, Written,
};

/// So few rows make a page, so that walks have several.
const PAGE_ROWS: usize = 3;

/// The one partition that is led by the node whose tests these are.
const HERE: u16 = 4;

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
    /// How often an index was asked.
    pub(crate) seeks: AtomicUsize,
    /// How many records were asked for by their keys.
    pub(crate) gets: AtomicUsize,
    /// What is read page by page.
    pub(crate) states: States,
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
            seeks: AtomicUsize::new(0),
            gets: AtomicUsize::new(0),
            states: States::default(),
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
        let defined = MapDefinition { schema, ..MapDefinition::default() };
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
        PagePlace { partition, cursor, view }: PagePlace,
        filter: &[u8],
        _: u32,
    ) -> Result<Page> {
        let filter = (!filter.is_empty()).then(|| Predicate::decode(filter)).transpose()?;
        if self.left.fetch_sub(1, Ordering::Relaxed) == 0 {
            return Err(Error::new(ErrorCode::NoPrimary, "partition 7"));
        }
        let maps = self.maps_of();
        let partitions = maps.get(map);
        let rows = partitions.and_then(|all| all.get(&partition)).map_or(&[][..], Vec::as_slice);
        let (begin, all) = (cursor as usize, rows.len());
        let end = (begin + PAGE_ROWS).min(all);
        let is_meant =
            |row: &&Row| filter.as_ref().is_none_or(|one| one.accepts(&row.key, &row.value));
        let found = rows[begin..end].iter().filter(is_meant).cloned().collect();
        let at = self.states.next(view, end < all)?;
        Ok(Page { rows: found, next: (end < all).then_some(end as u64), at })
    }

    fn let_go(&self, _: &str, _: PartitionId, moment: Moment) {
        self.states.let_go(moment);
    }

    async fn records(&self, map: &str, keys: &[Bytes]) -> Result<Vec<Option<Row>>> {
        self.gets.fetch_add(keys.len(), Ordering::Relaxed);
        Ok(keys.iter().map(|key| self.get(map, key)).collect())
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

    fn is_here(&self, partition: PartitionId) -> bool {
        partition.0 == HERE
    }

    async fn sizes(
        &self,
        map: &str,
        partition: PartitionId,
        places: &[(&str, SeekPlace)],
        most: u32,
    ) -> Result<(u64, Vec<Option<u64>>)> {
        let indexes = self.map(map).unwrap_or_default().indexes;
        let size = |(index, place): &(&str, SeekPlace)| {
            let index = indexes.iter().find(|known| known.name == *index)?;
            let (mut place, mut count) = (place.clone(), 0);
            loop {
                let page = self.sought(map, index, &place);
                count += page.rows.len() as u64;
                match page.next {
                    Some(next) if count < u64::from(most) => place.from = next,
                    _ => return Some(count.min(u64::from(most))),
                }
            }
        };
        let records =
            self.maps_of().get(map).and_then(|all| all.get(&partition)).map_or(0, Vec::len);
        Ok((records as u64, places.iter().map(size).collect()))
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
        let maps = self.maps_of();
        let rows = maps.get(map).and_then(|all| all.get(&place.partition));
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
        FoundPage { rows, next: found.next().map(|(key, _)| key.clone().into()), at: None }
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
