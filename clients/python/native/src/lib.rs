//! Stored chunks become the columns of a batch, for the Python client.
//!
//! PROTOCOL.md describes both. Decoding runs without the interpreter's lock; bytes that are no sound chunks raise
//! `ValueError`.

mod columns;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict};
use sample::SampleBlock;
use sstable::ChunksApart;

/// Samples of one block of chunks at most.
const SAMPLES_MAX: usize = 65_536;

/// The chunks of a block: `extents` are pairs of a place in `stored` and a length, little-endian u64.
fn chunks<'a>(stored: &'a [u8], extents: &[u8]) -> Result<Vec<&'a [u8]>, String> {
    let (pairs, rest) = extents.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(format!("{} bytes are no pairs of a place and a length", extents.len()));
    }
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte));
    let chunk = |pair: &[u8; 16]| {
        let (offset, len) = (number(&pair[..8]), number(&pair[8..]));
        let end = offset.checked_add(len).and_then(|end| usize::try_from(end).ok());
        let found = end.and_then(|end| stored.get(usize::try_from(offset).ok()?..end));
        found.ok_or_else(|| format!("a chunk of {len} bytes at {offset} lies outside of {}", stored.len()))
    };
    pairs.iter().map(chunk).collect()
}

/// The samples of all chunks, which are of one type and in order.
fn joined(apart: &ChunksApart, stored: &[u8], extents: &[u8]) -> Result<SampleBlock, String> {
    let mut whole: Option<SampleBlock> = None;
    for chunk in chunks(stored, extents)? {
        let block = apart.decode(chunk).map_err(|error| format!("a stored chunk: {error}"))?;
        let Some(whole) = &mut whole else {
            whole = Some(block);
            continue;
        };
        if whole.run != block.run || whole.time.last() > block.time.first() {
            return Err("a chunk has another type than the one before it, or lies before that".into());
        }
        if whole.len() + block.len() > SAMPLES_MAX {
            return Err(format!("more than {SAMPLES_MAX} samples in one block"));
        }
        whole.append(&block, 0, block.len());
    }
    whole.ok_or_else(|| "a block without chunks".into())
}

/// Decodes the chunks of one answer in the order in which they come.
#[pyclass]
#[derive(Default)]
struct Decoder {
    apart: ChunksApart,
}

#[pymethods]
impl Decoder {
    #[new]
    fn new() -> Decoder {
        Decoder::default()
    }

    /// Keeps the stamps of chunks that later ones refer to.
    fn lend(&mut self, py: Python<'_>, stored: PyBackedBytes, extents: PyBackedBytes) -> PyResult<()> {
        let apart = &mut self.apart;
        py.detach(|| {
            chunks(&stored, &extents)?
                .into_iter()
                .try_for_each(|chunk| apart.lend(chunk).map_err(|error| format!("a stored chunk: {error}")))
        })
        .map_err(PyValueError::new_err)
    }

    /// Gives the number of samples, the number of their value type, and the columns of a batch by their tags.
    fn decode<'py>(
        &self,
        py: Python<'py>,
        stored: PyBackedBytes,
        extents: PyBackedBytes,
    ) -> PyResult<(usize, u32, Bound<'py, PyDict>)> {
        let apart = &self.apart;
        let block = py.detach(|| joined(apart, &stored, &extents)).map_err(PyValueError::new_err)?;
        let columns = PyDict::new(py);
        for (tag, bytes) in columns::of(&block) {
            columns.set_item(tag, PyBytes::new(py, &bytes))?;
        }
        Ok((block.len(), columns::type_code(&block), columns))
    }
}

/// Decoding of stored chunks for the package `varve`.
#[pymodule]
fn varve_native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Decoder>()
}
