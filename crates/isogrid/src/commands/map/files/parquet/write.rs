//! Rows into row groups, and row groups into a file that may have been begun by another process.

use std::io;
use std::mem;
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::metadata::{
    FileMetaData, ParquetMetaData, ParquetMetaDataReader, ParquetMetaDataWriter, RowGroupMetaData,
};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;

use super::super::{Encoder, Row};
use super::{COLUMNS, fault, schema};

/// What every Parquet file begins with and ends with.
const MAGIC: &[u8] = b"PAR1";

/// What follows the index: its length and the magic.
const FOOTER_BYTES: usize = 8;

/// About what a row takes beside its key and value.
const ROW_OVERHEAD_BYTES: usize = 64;

/// How much of a key or value the index repeats as the smallest and the largest.
const STATISTICS_BYTES_MAX: usize = 64;

/// A column of bytes that waits to be written: what is there, and for each row whether something is.
#[derive(Default)]
struct Column<T> {
    values: Vec<T>,
    levels: Vec<i16>,
}

impl<T> Column<T> {
    fn push(&mut self, value: Option<T>) {
        self.levels.push(i16::from(value.is_some()));
        self.values.extend(value);
    }
}

/// Collects rows, and writes them as a row group when it is flushed.
pub(in crate::commands::map::files) struct ParquetEncoder {
    bytes: [Column<ByteArray>; 4],
    numbers: [Column<i64>; 2],
    pending_bytes: usize,
    row_groups: Vec<RowGroupMetaData>,
}

impl ParquetEncoder {
    /// Begins a file, or goes on with the one whose index is given.
    pub(in crate::commands::map::files) fn new(state: &[u8]) -> io::Result<ParquetEncoder> {
        let mut row_groups = Vec::new();
        if let Some(index_end) = state.len().checked_sub(FOOTER_BYTES) {
            let index = ParquetMetaDataReader::decode_metadata(&state[..index_end]);
            row_groups = index.map_err(fault)?.row_groups().to_vec();
        }
        let (bytes, numbers) = Default::default();
        Ok(ParquetEncoder { bytes, numbers, pending_bytes: 0, row_groups })
    }

    /// Makes a file of one row group in memory: its bytes without magic and index, and what the index says of it.
    fn row_group(&mut self) -> io::Result<(Vec<u8>, RowGroupMetaData)> {
        let (bytes, numbers) = (mem::take(&mut self.bytes), mem::take(&mut self.numbers));
        let room = self.pending_bytes / 2;
        let mut writer =
            SerializedFileWriter::new(Vec::with_capacity(room), schema()?, Arc::new(properties()?))
                .map_err(fault)?;
        let mut group = writer.next_row_group().map_err(fault)?;
        let (mut bytes, mut numbers) = (bytes.iter(), numbers.iter());
        while let Some(mut column) = group.next_column().map_err(fault)? {
            let written = match column.untyped() {
                ColumnWriter::ByteArrayColumnWriter(column) => bytes
                    .next()
                    .map(|from| column.write_batch(&from.values, Some(&from.levels), None)),
                ColumnWriter::Int64ColumnWriter(column) => numbers
                    .next()
                    .map(|from| column.write_batch(&from.values, Some(&from.levels), None)),
                _ => None,
            };
            written.transpose().map_err(fault)?;
            column.close().map_err(fault)?;
        }
        group.close().map_err(fault)?;
        writer.flush()?;
        let group = writer.flushed_row_groups().first().cloned();
        let group = group.ok_or_else(|| io::Error::other("a row group was not written"))?;
        Ok((writer.inner()[MAGIC.len()..].to_vec(), group))
    }
}

/// A row group that was made at the beginning of a file, as it is `by` bytes further behind.
fn moved(group: RowGroupMetaData, ordinal: usize, by: i64) -> io::Result<RowGroupMetaData> {
    let file_offset = group.file_offset().unwrap_or_default() + by;
    let mut group = group.into_builder();
    let columns = group.take_columns().into_iter().map(|column| {
        let data = column.data_page_offset() + by;
        let dictionary = column.dictionary_page_offset().map(|offset| offset + by);
        let column = column.into_builder().set_data_page_offset(data);
        column.set_dictionary_page_offset(dictionary).build().map_err(fault)
    });
    let columns = columns.collect::<io::Result<_>>()?;
    let ordinal = i16::try_from(ordinal).map_err(|_| {
        io::Error::other(
            "a Parquet file cannot have more than 32,768 row groups: use another format",
        )
    })?;
    let group = group.set_column_metadata(columns).set_file_offset(file_offset);
    group.set_ordinal(ordinal).build().map_err(fault)
}

fn properties() -> io::Result<WriterProperties> {
    let level = ZstdLevel::try_new(1).map_err(fault)?;
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("isogrid ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_statistics_truncate_length(Some(STATISTICS_BYTES_MAX))
        .set_offset_index_disabled(true);
    // Keys do not repeat.
    for column in &COLUMNS[..2] {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(*column), false);
    }
    Ok(properties.build())
}

impl Encoder for ParquetEncoder {
    fn head(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(MAGIC);
    }

    fn row(&mut self, row: &Row, _out: &mut Vec<u8>) -> io::Result<()> {
        for (place, bytes) in [&row.key, &row.value].into_iter().enumerate() {
            let is_text = str::from_utf8(bytes).is_ok();
            let bytes = || ByteArray::from(bytes.clone());
            self.bytes[2 * place].push(is_text.then(bytes));
            self.bytes[2 * place + 1].push((!is_text).then(bytes));
        }
        // A time after the year 292,000,000 is as good as that year.
        let ms = |at: isogrid_core::Timestamp| i64::try_from(at.0).unwrap_or(i64::MAX);
        self.numbers[0].push(row.expires_at.map(ms));
        self.numbers[1].push(row.version.map(u64::cast_signed));
        self.pending_bytes += row.key.len() + row.value.len() + ROW_OVERHEAD_BYTES;
        Ok(())
    }

    fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    fn flush(&mut self, at: u64, out: &mut Vec<u8>) -> io::Result<()> {
        if self.pending_bytes == 0 {
            return Ok(());
        }
        let (bytes, group) = self.row_group()?;
        self.pending_bytes = 0;
        let by = at as i64 - MAGIC.len() as i64;
        self.row_groups.push(moved(group, self.row_groups.len(), by)?);
        out.extend_from_slice(&bytes);
        Ok(())
    }

    fn tail(&self, out: &mut Vec<u8>) -> io::Result<()> {
        let empty = SerializedFileWriter::new(io::sink(), schema()?, Arc::new(properties()?));
        let empty = empty.and_then(SerializedFileWriter::close).map_err(fault)?;
        let about = empty.file_metadata();
        let rows = self.row_groups.iter().map(RowGroupMetaData::num_rows).sum();
        let about = FileMetaData::new(
            about.version(),
            rows,
            about.created_by().map(str::to_owned),
            None,
            about.schema_descr_ptr(),
            about.column_orders().cloned(),
        );
        let index = ParquetMetaData::new(about, self.row_groups.clone());
        ParquetMetaDataWriter::new(out, &index).finish().map_err(fault)
    }

    fn state(&self) -> io::Result<Vec<u8>> {
        // The index as it would be if the file ended here.
        let mut tail = Vec::new();
        self.tail(&mut tail)?;
        Ok(tail)
    }
}
