//! [`Subscription`]: what a SUBSCRIBE statement watches, as batches of events. The node reads the statement; what it watches is followed here, at the
//! owners of the map's partitions, as any live watch is.

use std::fmt;
use std::sync::Arc;
use std::task::Poll;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field as ArrowField, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::json::ReaderBuilder;
use bytes::Bytes;
use isogrid_core::{ColumnType, ErrorCode};
use isogrid_proto::pb;
use isogrid_value::{Change, Field, Filter, Order, Seen, Wanted, key_text, millis};
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::watch::{RawEvent, RawLive, Request, Sorted, WatchToken};

/// The most events of one batch.
const BATCH_ROWS_MAX: usize = 1_000;

/// How many records may match.
const KEYS_MAX: usize = 1_000_000;

/// The events of a SUBSCRIBE statement as they come. Made by [`Sql::subscribe`](super::Sql::subscribe). Dropped, it ends.
pub struct Subscription {
    schema: SchemaRef,
    columns: Vec<Column>,
    wanted: Wanted,
    raw: RawLive,
}

struct Column {
    name: String,
    field: Field,
    holds: ColumnType,
}

impl Subscription {
    /// Begins to follow what a node has made of a statement.
    pub(super) fn begin(grid: &Grid, read: pb::SqlSubscription) -> Result<Self> {
        let columns =
            read.columns.into_iter().map(Column::from_pb).collect::<Result<Vec<Column>>>()?;
        let mut fields = vec![
            ArrowField::new("_event", DataType::Utf8, false),
            ArrowField::new("_key", DataType::Utf8, false),
        ];
        fields.extend(
            columns.iter().map(|column| ArrowField::new(&column.name, column.data_type(), true)),
        );
        let wanted = Wanted::new(columns.iter().map(|column| &column.field));
        let request = Request {
            link: Arc::clone(grid.link()),
            map: read.map,
            prefix: Bytes::new(),
            filter: Filter::decode(&read.filter)?,
            token: WatchToken::default(),
            held: Vec::new(),
            keys_max: KEYS_MAX,
            refused: None,
        };
        let sorted = (read.limit > 0).then(|| Sorted {
            field: field_of(read.order_by),
            order: Order { is_descending: read.is_descending, is_null_first: read.is_null_first },
            limit: read.limit as usize,
        });
        let raw = RawLive::begin(request, sorted);
        Ok(Subscription { schema: Arc::new(Schema::new(fields)), columns, wanted, raw })
    }

    /// The columns: `_event`, which is `enter`, `update` or `leave`, `_key`, and those of the statement, which are NULL where a
    /// record leaves.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The next events, as many as there are; `None` when the client is closed. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// `TooManyMatches` if more records match than can be kept, `QueryFailed` if a record does not fit the columns.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let mut rows = Vec::new();
        let is_over = std::future::poll_fn(|cx| {
            loop {
                match self.raw.poll_event(cx) {
                    Poll::Ready(Some(Ok(RawEvent::Change(change)))) => {
                        rows.push(change);
                        if rows.len() >= BATCH_ROWS_MAX {
                            return Poll::Ready(Ok(false));
                        }
                    }
                    Poll::Ready(Some(Ok(RawEvent::Ready))) => {}
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                    Poll::Ready(None) => return Poll::Ready(Ok(true)),
                    Poll::Pending if rows.is_empty() => return Poll::Pending,
                    Poll::Pending => return Poll::Ready(Ok(false)),
                }
            }
        })
        .await?;
        if is_over && rows.is_empty() {
            return Ok(None);
        }
        let rows = rows.iter().map(|change| self.row(change)).collect::<Result<Vec<Value>>>()?;
        self.batch(&rows).map(Some)
    }

    fn row(&self, change: &Change<crate::watch::RawEntry>) -> Result<Value> {
        let (event, key, entry) = match change {
            Change::Enter(key, entry) => ("enter", key, Some(entry)),
            Change::Update(key, entry) => ("update", key, Some(entry)),
            Change::Leave(key) => ("leave", key, None),
        };
        let key_text = key_text(key);
        let mut row = Map::new();
        row.insert("_event".into(), event.into());
        row.insert("_key".into(), key_text.clone().into());
        let Some(entry) = entry else { return Ok(Value::Object(row)) };
        let misfit = |why: String| {
            Error::new(ErrorCode::QueryFailed, format!("the record with key {key_text:?}: {why}"))
        };
        let found = self.wanted.read(key, &entry.value).map_err(misfit)?;
        for column in &self.columns {
            let value = column.value(found.get(&column.field)).ok_or_else(|| {
                misfit(format!("{} does not hold {}", column.name, column.holds.name()))
            })?;
            row.insert(column.name.clone(), value);
        }
        Ok(Value::Object(row))
    }

    fn batch(&self, rows: &[Value]) -> Result<RecordBatch> {
        let unread = |error: ArrowError| Error::new(ErrorCode::QueryFailed, error.to_string());
        let builder = ReaderBuilder::new(Arc::clone(&self.schema)).with_batch_size(rows.len());
        let mut decoder = builder.build_decoder().map_err(unread)?;
        decoder.serialize(rows).map_err(unread)?;
        let batch = decoder.flush().map_err(unread)?;
        Ok(batch.unwrap_or_else(|| RecordBatch::new_empty(Arc::clone(&self.schema))))
    }
}

fn field_of(path: Vec<String>) -> Field {
    if path.is_empty() { Field::Key } else { Field::Path(path) }
}

impl Column {
    fn from_pb(column: pb::SqlColumn) -> Result<Self> {
        let holds = ColumnType::named(&column.r#type).ok_or_else(|| {
            Error::new(ErrorCode::ProtocolUnknown, format!("columns of {}", column.r#type))
        })?;
        Ok(Column { name: column.name, field: field_of(column.path), holds })
    }

    fn data_type(&self) -> DataType {
        match self.holds {
            ColumnType::Boolean => DataType::Boolean,
            ColumnType::BigInt => DataType::Int64,
            ColumnType::Double => DataType::Float64,
            ColumnType::Text | ColumnType::Json => DataType::Utf8,
            ColumnType::Bytes => DataType::Binary,
            ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        }
    }

    /// What stands in the column, as the JSON from which batches are made; `None` if it cannot stand there.
    fn value(&self, seen: Seen<'_>) -> Option<Value> {
        Some(match (self.holds, seen) {
            (_, Seen::Null) => Value::Null,
            (ColumnType::Json, seen) => seen.to_cell().to_json()?.into(),
            (ColumnType::Boolean, Seen::Boolean(value)) => value.into(),
            (ColumnType::BigInt | ColumnType::Timestamp, Seen::BigInt(value)) => value.into(),
            (ColumnType::Double, Seen::BigInt(value)) => (value as f64).into(),
            (ColumnType::Double, Seen::Double(value)) => value.into(),
            (ColumnType::Text, Seen::Text(value)) => value.into(),
            // The reader of JSON takes bytes as hexadecimal digits.
            (ColumnType::Bytes, Seen::Bytes(value)) => isogrid_value::hex(value)[2..].into(),
            (ColumnType::Timestamp, Seen::Text(value)) => millis(value)?.into(),
            _ => return None,
        })
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("schema", &self.schema).finish_non_exhaustive()
    }
}
