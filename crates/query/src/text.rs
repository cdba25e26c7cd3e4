//! Answers as text: CSV, or a list of JSON for each row. Pieces of about a megabyte of columns at the most.

use bytes::Bytes;
use datafusion::arrow::csv;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::EncoderOptions;
use datafusion::arrow::json::writer::make_encoder;
use datafusion::arrow::record_batch::RecordBatch;
use futures::{Stream, StreamExt, stream};
use isogrid_core::{Error, ErrorCode, Result};

use crate::ipc;
use crate::pg::oids;
use crate::sql::Answer;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowText {
    /// Comma-separated values, the names of the columns first.
    Csv,
    /// A list of JSON for each row, in a line of its own. Bytes are text of hexadecimal digits.
    Json,
}

/// A column as answers in JSON name it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ShownColumn {
    /// Its name; two may have the same.
    pub name: String,
    /// Its type in SQL.
    pub r#type: String,
}

impl Answer {
    /// The columns.
    pub fn shown_columns(&self) -> Vec<ShownColumn> {
        let column = |field: &FieldRef| ShownColumn {
            name: field.name().clone(),
            r#type: type_name(field.data_type()),
        };
        self.schema.fields().iter().map(column).collect()
    }

    /// The pieces, as the rows come. Dropped, the statement ends; behind an error nothing follows.
    pub fn into_text(self, kind: RowText) -> impl Stream<Item = Result<Bytes>> + Send {
        let names = match kind {
            RowText::Csv => Some(written(kind, &RecordBatch::new_empty(self.schema), true)),
            RowText::Json => None,
        };
        let pieces = self.batches.flat_map(move |batch| {
            let pieces: Vec<Result<Bytes>> = match batch {
                Ok(batch) => ipc::cut(&batch).map(|piece| written(kind, &piece, false)).collect(),
                Err(error) => vec![Err(error)],
            };
            stream::iter(pieces)
        });
        stream::iter(names).chain(pieces).scan(false, |has_failed, piece| {
            let next = (!*has_failed).then_some(piece);
            *has_failed |= next.as_ref().is_some_and(Result::is_err);
            std::future::ready(next)
        })
    }
}

fn written(kind: RowText, batch: &RecordBatch, with_names: bool) -> Result<Bytes> {
    let text = match kind {
        RowText::Csv => csv_lines(batch, with_names),
        RowText::Json => json_lines(batch),
    };
    text.map(Bytes::from).map_err(|error| unwritten(&error))
}

fn csv_lines(batch: &RecordBatch, with_names: bool) -> Result<Vec<u8>, ArrowError> {
    let mut text = Vec::new();
    csv::WriterBuilder::new().with_header(with_names).build(&mut text).write(batch)?;
    Ok(text)
}

fn json_lines(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let options = EncoderOptions::default().with_explicit_nulls(true);
    let schema = batch.schema();
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (field, array) in schema.fields().iter().zip(batch.columns()) {
        columns.push(make_encoder(field, array, &options)?);
    }
    let mut text = Vec::new();
    for row in 0..batch.num_rows() {
        text.push(b'[');
        for (place, column) in columns.iter_mut().enumerate() {
            if place > 0 {
                text.push(b',');
            }
            match column.is_null(row) {
                true => text.extend_from_slice(b"null"),
                false => column.encode(row, &mut text),
            }
        }
        text.extend_from_slice(b"]\n");
    }
    Ok(text)
}

/// The name of a type in SQL, in capitals as docs write it.
fn type_name(data_type: &DataType) -> String {
    let (of, is_list) = oids::type_of(data_type);
    let name = match of {
        oids::TIMESTAMP => "TIMESTAMP".to_owned(),
        oids::FLOAT8 => "DOUBLE".to_owned(),
        other => other.sql_name.to_uppercase(),
    };
    if is_list { format!("{name}[]") } else { name }
}

/// What a format has no word for, such as lists in CSV.
fn unwritten(error: &ArrowError) -> Error {
    Error::new(ErrorCode::QueryFailed, format!("the rows cannot be written so: {error}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{
        ArrayRef, BinaryArray, Float64Array, Int64Array, ListArray, StringArray,
    };
    use datafusion::arrow::datatypes::{Field, Int64Type, Schema};

    use super::*;

    fn answer(columns: Vec<(&str, ArrayRef)>) -> Answer {
        let fields = columns
            .iter()
            .map(|(name, column)| Field::new(*name, column.data_type().clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let columns = columns.into_iter().map(|(_, column)| column).collect();
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
        let batches = Box::pin(stream::iter([Ok(batch)]));
        Answer { schema, batches, progress: None, route: None }
    }

    fn of_all_types() -> Answer {
        answer(vec![
            ("n", Arc::new(Int64Array::from(vec![Some(i64::MAX), None]))),
            ("n", Arc::new(Float64Array::from(vec![1.5, f64::NAN]))),
            ("t", Arc::new(StringArray::from(vec![Some("a,\"b\"\n"), None]))),
            ("b", Arc::new(BinaryArray::from(vec![&b"\x00\xff"[..], b""]))),
        ])
    }

    async fn text(answer: Answer, kind: RowText) -> String {
        let pieces: Vec<Result<Bytes>> = answer.into_text(kind).collect().await;
        let pieces: Vec<Bytes> = pieces.into_iter().collect::<Result<_>>().unwrap();
        String::from_utf8(pieces.concat()).unwrap()
    }

    #[tokio::test]
    async fn a_row_is_a_list_of_json_also_with_two_columns_of_one_name() {
        let shown: Vec<(String, String)> =
            of_all_types().shown_columns().into_iter().map(|one| (one.name, one.r#type)).collect();
        let shown: Vec<(&str, &str)> =
            shown.iter().map(|(name, of)| (name.as_str(), of.as_str())).collect();
        assert_eq!(shown, [("n", "BIGINT"), ("n", "DOUBLE"), ("t", "TEXT"), ("b", "BYTEA")]);
        let lines =
            "[9223372036854775807,1.5,\"a,\\\"b\\\"\\n\",\"00ff\"]\n[null,null,null,\"\"]\n";
        assert_eq!(text(of_all_types(), RowText::Json).await, lines);
    }

    #[tokio::test]
    async fn csv_begins_with_the_names_also_without_rows() {
        let csv = "n,n,t,b\n9223372036854775807,1.5,\"a,\"\"b\"\"\n\",00ff\n,NaN,,\n";
        assert_eq!(text(of_all_types(), RowText::Csv).await, csv);
        let none = Answer { batches: Box::pin(stream::empty()), ..of_all_types() };
        assert_eq!(text(none, RowText::Csv).await, "n,n,t,b\n");
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_an_error_and_the_end() {
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1)])]);
        let pieces: Vec<Result<Bytes>> =
            answer(vec![("l", Arc::new(list))]).into_text(RowText::Csv).collect().await;
        let codes: Vec<_> =
            pieces.iter().map(|piece| piece.as_ref().err().map(Error::code)).collect();
        assert_eq!(codes.last(), Some(&Some(ErrorCode::QueryFailed)), "{codes:?}");
        let error = Error::new(ErrorCode::QueryTooLong, "here");
        let batches =
            Box::pin(stream::iter([Err(error), Err(Error::new(ErrorCode::Internal, ""))]));
        let broken = Answer { batches, ..of_all_types() };
        let pieces: Vec<Result<Bytes>> = broken.into_text(RowText::Json).collect().await;
        assert_eq!(pieces.len(), 1);
    }
}
