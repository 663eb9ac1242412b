//! Parquet: with zstd alone, and with the encodings made for stamps and floats.

use crate::Columns;
use benches::mix::Cost;
use benches::{best_cpu_s, cpu_s};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::reader::get_typed_column_reader;
use parquet::column::writer::get_typed_column_writer_mut;
use parquet::data_type::{DataType, DoubleType, Int32Type, Int64Type};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::file::reader::{FileReader, RowGroupReader};
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;
use sample::SampleBlock;
use std::sync::Arc;

const SCHEMA: &str = "message samples { required int64 time; required double value;
    required int32 severity (INTEGER(16, false)); required int32 status (INTEGER(16, false)); }";
const ROW_GROUP: usize = 1 << 20;

fn zstd() -> WriterPropertiesBuilder {
    WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(3).expect("a level")))
}

/// As the writer chooses: dictionaries where they fit.
pub(crate) fn plain(block: &SampleBlock, runs: usize) -> Cost {
    measure(block, runs, zstd().build())
}

/// Stamps as packed differences, bytes of equal weight of the floats together.
pub(crate) fn tuned(block: &SampleBlock, runs: usize) -> Cost {
    let (time, value) = (ColumnPath::from("time"), ColumnPath::from("value"));
    let properties = zstd()
        .set_column_dictionary_enabled(time.clone(), false)
        .set_column_encoding(time, Encoding::DELTA_BINARY_PACKED)
        .set_column_dictionary_enabled(value.clone(), false)
        .set_column_encoding(value, Encoding::BYTE_STREAM_SPLIT);
    measure(block, runs, properties.build())
}

fn measure(block: &SampleBlock, runs: usize, properties: WriterProperties) -> Cost {
    let columns = Columns::of(block);
    let before = cpu_s();
    let file = bytes::Bytes::from(write(&columns, properties));
    let encode_s = cpu_s() - before;
    let mut found = Columns::default();
    let decode_s = best_cpu_s(runs, || found = read(&file));
    assert!(found == columns, "rows come back as they were");
    Cost { samples: block.len() as u64, bytes: file.len() as u64, encode_s, decode_s, ..Cost::default() }
}

fn write(columns: &Columns, properties: WriterProperties) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(SCHEMA).expect("a schema"));
    let mut writer =
        SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).expect("a file in memory");
    let integers = |codes: &[u16]| codes.iter().map(|code| i32::from(*code)).collect::<Vec<_>>();
    for from in (0..columns.times.len()).step_by(ROW_GROUP) {
        let rows = from..columns.times.len().min(from + ROW_GROUP);
        let mut group = writer.next_row_group().expect("a row group");
        put::<Int64Type>(&mut group, &columns.times[rows.clone()]);
        put::<DoubleType>(&mut group, &columns.values[rows.clone()]);
        put::<Int32Type>(&mut group, &integers(&columns.severities[rows.clone()]));
        put::<Int32Type>(&mut group, &integers(&columns.statuses[rows]));
        group.close().expect("a row group");
    }
    writer.into_inner().expect("a footer")
}

fn put<T: DataType>(group: &mut SerializedRowGroupWriter<'_, Vec<u8>>, values: &[T::T]) {
    let mut column = group.next_column().expect("a column").expect("one more column");
    let writer = get_typed_column_writer_mut::<T>(column.untyped());
    writer.write_batch(values, None, None).expect("values");
    column.close().expect("a column");
}

fn read(file: &bytes::Bytes) -> Columns {
    let reader = SerializedFileReader::new(file.clone()).expect("a footer");
    let mut columns = Columns::default();
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).expect("a row group");
        take::<Int64Type>(&*group, 0, &mut columns.times);
        take::<DoubleType>(&*group, 1, &mut columns.values);
        for (column, codes) in [(2, &mut columns.severities), (3, &mut columns.statuses)] {
            let mut integers = Vec::new();
            take::<Int32Type>(&*group, column, &mut integers);
            codes.extend(integers.into_iter().map(|code| code as u16));
        }
    }
    columns
}

fn take<T: DataType>(group: &dyn RowGroupReader, column: usize, out: &mut Vec<T::T>) {
    let reader = group.get_column_reader(column).expect("a column");
    let rows = group.metadata().num_rows() as usize;
    let mut reader = get_typed_column_reader::<T>(reader);
    let (records, _, _) = reader.read_records(rows, None, None, out).expect("values");
    assert_eq!(records, rows);
}
