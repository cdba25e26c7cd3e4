//! Answers in Arrow's IPC format: pieces of one stream, each of about a megabyte at the most.

use bytes::Bytes;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::arrow::record_batch::RecordBatch;
use futures::{Stream, StreamExt, stream};
use isogrid_core::{Error, ErrorCode, Result};

use crate::sql::Answer;

/// About how many bytes one piece has; one row may have more.
const PIECE_BYTES: usize = 1 << 20;

impl Answer {
    /// The pieces, as the rows come, and of each whether it is the last one. Dropped, the statement ends.
    ///
    /// # Errors
    /// The schema cannot be written.
    pub fn into_ipc(self) -> Result<impl Stream<Item = Result<(Bytes, bool)>> + Send> {
        let writer = StreamWriter::try_new(Vec::new(), &self.schema).map_err(|e| unwritten(&e))?;
        let written = self.batches.map(Some).chain(stream::once(async { None }));
        Ok(written
            .scan(Some(writer), |writer, batch| {
                let piece = match batch {
                    Some(Ok(batch)) => writer.as_mut().map(|writer| write(writer, &batch)),
                    Some(Err(error)) => {
                        *writer = None;
                        Some(Err(error))
                    }
                    None => writer.take().map(end),
                };
                std::future::ready(piece)
            })
            .flat_map(|pieces| {
                let (pieces, error) = match pieces {
                    Ok(pieces) => (pieces, None),
                    Err(error) => (Vec::new(), Some(Err(error))),
                };
                stream::iter(pieces.into_iter().map(Ok).chain(error))
            }))
    }
}

/// One batch, cut into pieces.
fn write(writer: &mut StreamWriter<Vec<u8>>, batch: &RecordBatch) -> Result<Vec<(Bytes, bool)>> {
    let written = cut(batch).map(|piece| {
        writer.write(&piece).map_err(|error| unwritten(&error))?;
        Ok((std::mem::take(writer.get_mut()).into(), false))
    });
    written.collect()
}

/// The same rows in batches of about a megabyte at the most.
pub(crate) fn cut(batch: &RecordBatch) -> impl Iterator<Item = RecordBatch> + '_ {
    let rows = batch.num_rows();
    let pieces = batch.get_array_memory_size().div_ceil(PIECE_BYTES).clamp(1, rows.max(1));
    let step = rows.div_ceil(pieces).max(1);
    (0..rows).step_by(step).map(move |from| batch.slice(from, step.min(rows - from)))
}

fn end(mut writer: StreamWriter<Vec<u8>>) -> Result<Vec<(Bytes, bool)>> {
    writer.finish().map_err(|error| unwritten(&error))?;
    let rest = writer.into_inner().map_err(|error| unwritten(&error))?;
    Ok(vec![(rest.into(), true)])
}

fn unwritten(error: &ArrowError) -> Error {
    Error::new(ErrorCode::Internal, format!("an answer in Arrow's format: {error}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{Array, StringArray};
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::arrow::ipc::reader::StreamReader;
    use futures::TryStreamExt;

    use super::*;

    fn answer(batches: Vec<Result<RecordBatch>>) -> Answer {
        let schema = Arc::new(Schema::new(vec![Field::new("t", DataType::Utf8, false)]));
        Answer { schema, batches: Box::pin(stream::iter(batches)), progress: None, route: None }
    }

    fn batch(rows: usize, bytes: usize) -> RecordBatch {
        let column = StringArray::from_iter_values((0..rows).map(|row| format!("{row:0>bytes$}")));
        let schema = answer(Vec::new()).schema;
        RecordBatch::try_new(schema, vec![Arc::new(column)]).unwrap()
    }

    async fn read(answer: Answer) -> (Vec<usize>, Vec<String>) {
        let pieces: Vec<(Bytes, bool)> = answer.into_ipc().unwrap().try_collect().await.unwrap();
        let lasts = pieces.iter().filter(|(_, is_last)| *is_last).count();
        assert!(lasts == 1 && pieces[pieces.len() - 1].1, "the last one is said to be it");
        let pieces: Vec<Bytes> = pieces.into_iter().map(|(piece, _)| piece).collect();
        let reader = StreamReader::try_new(std::io::Cursor::new(pieces.concat()), None).unwrap();
        let mut rows = Vec::new();
        for batch in reader {
            let batch = batch.unwrap();
            let column = batch.column(0).as_any().downcast_ref::<StringArray>().unwrap();
            rows.extend((0..column.len()).map(|row| column.value(row).to_owned()));
        }
        (pieces.iter().map(Bytes::len).collect(), rows)
    }

    #[tokio::test]
    async fn what_is_read_is_what_was_written_piece_by_piece() {
        let (sizes, rows) = read(answer(vec![Ok(batch(3, 4)), Ok(batch(2_000, 2_000))])).await;
        assert_eq!(rows.len(), 2_003);
        assert_eq!((rows[2].as_str(), rows[2_002].trim_start_matches('0')), ("0002", "1999"));
        assert!(sizes.len() >= 5 && sizes.iter().all(|size| *size < 2 * PIECE_BYTES), "{sizes:?}");
        let (_, none) = read(answer(Vec::new())).await;
        assert!(none.is_empty(), "the schema comes without rows too");
    }

    #[tokio::test]
    async fn an_error_ends_the_pieces() {
        let error = Error::new(ErrorCode::QueryFailed, "here");
        let pieces = answer(vec![Ok(batch(1, 1)), Err(error), Ok(batch(1, 1))]).into_ipc().unwrap();
        let pieces: Vec<Result<(Bytes, bool)>> = pieces.collect().await;
        assert_eq!(pieces.len(), 2);
        assert_eq!(pieces[1].as_ref().unwrap_err().code(), ErrorCode::QueryFailed);
    }
}
