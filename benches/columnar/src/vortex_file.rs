//! Vortex: the standard and the compact strategy of its writer.

use crate::Columns;
use benches::mix::Cost;
use benches::{best_cpu_s, cpu_s};
use sample::SampleBlock;
use std::sync::LazyLock;
use tokio::runtime::{Builder, Runtime};
use vortex::VortexSessionDefault;
use vortex::array::arrays::{PrimitiveArray, StructArray};
use vortex::array::dtype::FieldNames;
use vortex::array::stream::ArrayStreamExt;
use vortex::array::validity::Validity;
use vortex::array::{IntoArray, VortexSessionExecute};
use vortex::buffer::{Buffer, ByteBuffer, ByteBufferMut};
use vortex::compressor::BtrBlocksCompressorBuilder;
use vortex::file::{OpenOptionsSessionExt, WriteOptionsSessionExt, WriteStrategyBuilder};
use vortex::session::VortexSession;

const COLUMNS: [&str; 4] = ["time", "value", "severity", "status"];

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().expect("a runtime"));

/// The fast encodings that the writer takes by itself.
pub(crate) fn standard(block: &SampleBlock, runs: usize) -> Cost {
    measure(block, runs, false)
}

/// Those that also try pco and zstd.
pub(crate) fn compact(block: &SampleBlock, runs: usize) -> Cost {
    measure(block, runs, true)
}

fn measure(block: &SampleBlock, runs: usize, compact: bool) -> Cost {
    let columns = Columns::of(block);
    let session = VortexSession::default();
    let before = cpu_s();
    let file = write(&session, &columns, compact);
    let encode_s = cpu_s() - before;
    let mut found = None;
    let decode_s = best_cpu_s(runs, || found = Some(read(&session, &file)));
    let [times, values, severities, statuses] = found.expect("a run");
    let found = Columns {
        times: times.as_slice::<i64>().to_vec(),
        values: values.as_slice::<f64>().to_vec(),
        severities: severities.as_slice::<u16>().to_vec(),
        statuses: statuses.as_slice::<u16>().to_vec(),
    };
    assert!(found == columns, "rows come back as they were");
    Cost { samples: block.len() as u64, bytes: file.len() as u64, encode_s, decode_s, ..Cost::default() }
}

fn write(session: &VortexSession, columns: &Columns, compact: bool) -> ByteBuffer {
    let column = |array: PrimitiveArray| array.into_array();
    let times = PrimitiveArray::new(Buffer::copy_from(&columns.times), Validity::NonNullable);
    let values = PrimitiveArray::new(Buffer::copy_from(&columns.values), Validity::NonNullable);
    let severities = PrimitiveArray::new(Buffer::copy_from(&columns.severities), Validity::NonNullable);
    let statuses = PrimitiveArray::new(Buffer::copy_from(&columns.statuses), Validity::NonNullable);
    let array = StructArray::try_new(
        FieldNames::from(COLUMNS),
        [times, values, severities, statuses].map(column).to_vec(),
        columns.times.len(),
        Validity::NonNullable,
    );
    let array = array.expect("columns of one length").into_array();
    let mut options = session.write_options();
    if compact {
        let compressor = BtrBlocksCompressorBuilder::from_session(session).with_compact();
        let strategy = WriteStrategyBuilder::from_session(session).with_btrblocks_builder(compressor).build();
        options = options.with_strategy(strategy);
    }
    let mut out = ByteBufferMut::empty();
    RUNTIME.block_on(options.write(&mut out, array.to_array_stream())).expect("a file in memory");
    out.freeze()
}

/// All rows as plain columns.
fn read(session: &VortexSession, file: &ByteBuffer) -> [PrimitiveArray; 4] {
    let open = session.open_options().open_buffer(file.clone()).expect("a footer");
    let rows = async { open.scan().expect("a scan").into_array_stream().expect("a stream").read_all().await };
    let array = RUNTIME.block_on(rows).expect("rows");
    let mut context = session.create_execution_ctx();
    let rows = array.execute::<StructArray>(&mut context).expect("a struct");
    COLUMNS.map(|name| {
        let column = rows.unmasked_field_by_name(name).expect("a column").clone();
        column.execute::<PrimitiveArray>(&mut context).expect("plain numbers")
    })
}
