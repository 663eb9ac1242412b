//! Texts of a page: indices into a dictionary, or lengths with bytes.

use super::integer::{self, IntegerEncoder};
use super::{Profile, zstd};
use crate::format::{ColumnCodec, TEXT_DICTIONARY_BYTES_MAX};
use disk::{BytesError, Cursor, put_bytes, put_u8, put_varint};
use sample::BytesColumn;
use std::collections::HashMap;

/// Bytes as they are.
const PLAIN: u8 = 0;
/// Bytes through zstd.
const ZSTD: u8 = 1;
/// Below this many bytes zstd is not tried.
const ZSTD_BYTES_MIN: usize = 64;

/// What all pages of a column of texts have in common.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum TextModel {
    /// Lengths with bytes.
    Text,
    /// Indices into these.
    Dictionary(BytesColumn),
}

impl TextModel {
    /// A dictionary where few texts repeat, else the bytes.
    pub(crate) fn fit(texts: &BytesColumn) -> TextModel {
        let mut known = HashMap::new();
        let mut dictionary = BytesColumn::default();
        for i in 0..texts.len() {
            let text = texts.get(i);
            if !known.contains_key(text) {
                known.insert(text, ());
                if dictionary.data.len() + text.len() + 3 * (known.len()) > TEXT_DICTIONARY_BYTES_MAX {
                    return TextModel::Text;
                }
                dictionary.push(text);
            }
        }
        if known.len() * 2 > texts.len() { TextModel::Text } else { TextModel::Dictionary(dictionary) }
    }

    /// Appends texts `from..to`.
    pub(crate) fn encode(
        &self,
        texts: &BytesColumn,
        from: usize,
        to: usize,
        integers: &mut IntegerEncoder,
        out: &mut Vec<u8>,
    ) {
        match self {
            TextModel::Dictionary(dictionary) => {
                let index: HashMap<&[u8], i64> =
                    (0..dictionary.len()).map(|i| (dictionary.get(i), i as i64)).collect();
                let indices: Vec<i64> =
                    (from..to).map(|i| index.get(texts.get(i)).copied().unwrap_or(0)).collect();
                integers.encode(&indices, out);
            }
            TextModel::Text => {
                let lengths: Vec<i64> = (from..to).map(|i| texts.get(i).len() as i64).collect();
                integers.encode(&lengths, out);
                let start = if from == 0 { 0 } else { texts.ends[from - 1] as usize };
                let end = if to == 0 { 0 } else { texts.ends[to - 1] as usize };
                put_compressed(&texts.data[start..end], level(integers.profile()), out);
            }
        }
    }

    /// Appends `count` texts to `out`, whose bytes must stay below `bytes_max`.
    pub(crate) fn decode(
        &self,
        cursor: &mut Cursor<'_>,
        count: usize,
        bytes_max: usize,
        out: &mut BytesColumn,
    ) -> Result<(), BytesError> {
        let mut integers = Vec::with_capacity(count);
        integer::decode(cursor, count, &mut integers)?;
        let too_long = "texts are longer than a chunk may be";
        match self {
            TextModel::Dictionary(dictionary) => {
                for index in integers {
                    let index = usize::try_from(index).ok().filter(|index| *index < dictionary.len());
                    let index = index.ok_or_else(|| cursor.error("an index lies outside the dictionary"))?;
                    if out.data.len() + dictionary.get(index).len() > bytes_max {
                        return Err(cursor.error(too_long));
                    }
                    out.push(dictionary.get(index));
                }
            }
            TextModel::Text => {
                let mut end = out.data.len();
                for length in integers {
                    let next = usize::try_from(length).ok().and_then(|length| end.checked_add(length));
                    end = next.filter(|next| *next <= bytes_max).ok_or_else(|| cursor.error(too_long))?;
                    out.ends.push(u32::try_from(end).map_err(|_| cursor.error(too_long))?);
                }
                let len = end - out.data.len();
                read_compressed(cursor, len, &mut out.data)?;
            }
        }
        Ok(())
    }

    /// Codec of the column.
    pub(crate) fn codec(&self) -> ColumnCodec {
        match self {
            TextModel::Text => ColumnCodec::Text,
            TextModel::Dictionary(_) => ColumnCodec::Dictionary,
        }
    }

    /// Appends the parameters of the column.
    pub(crate) fn put_parameters(&self, out: &mut Vec<u8>) {
        if let TextModel::Dictionary(dictionary) = self {
            put_varint(out, dictionary.len() as u64);
            for i in 0..dictionary.len() {
                put_bytes(out, dictionary.get(i));
            }
        }
    }

    /// Reads the parameters of a column of `codec`.
    pub(crate) fn parse(codec: ColumnCodec, cursor: &mut Cursor<'_>) -> Result<TextModel, BytesError> {
        match codec {
            ColumnCodec::Text => Ok(TextModel::Text),
            ColumnCodec::Dictionary => {
                let mut dictionary = BytesColumn::default();
                for _ in 0..cursor.count(1)? {
                    dictionary.push(cursor.counted_bytes()?);
                }
                Ok(TextModel::Dictionary(dictionary))
            }
            _ => Err(cursor.error("a codec that is not one of texts")),
        }
    }
}

/// How hard zstd tries.
pub(crate) fn level(profile: Profile) -> i32 {
    match profile {
        Profile::Hot => zstd::LEVEL_FAST,
        Profile::Cold => zstd::LEVEL_DENSE,
    }
}

/// Appends bytes whose number the reader knows, through zstd at `level` where that is smaller.
pub(crate) fn put_compressed(bytes: &[u8], level: i32, out: &mut Vec<u8>) {
    put_smaller(bytes, |bytes| zstd::compress(bytes, level), out);
}

/// As [`put_compressed`], of symbols that only their frequencies make smaller.
pub(crate) fn put_symbols(bytes: &[u8], out: &mut Vec<u8>) {
    put_smaller(bytes, zstd::compress_symbols, out);
}

fn put_smaller(bytes: &[u8], compress: impl FnOnce(&[u8]) -> Option<Vec<u8>>, out: &mut Vec<u8>) {
    if bytes.len() >= ZSTD_BYTES_MIN
        && let Some(small) = compress(bytes)
        && small.len() + 4 < bytes.len()
    {
        put_u8(out, ZSTD);
        return put_bytes(out, &small);
    }
    put_plain(bytes, out);
}

/// Appends bytes whose number the reader knows as they are.
pub(crate) fn put_plain(bytes: &[u8], out: &mut Vec<u8>) {
    put_u8(out, PLAIN);
    out.extend_from_slice(bytes);
}

/// Appends the `len` bytes that [`put_compressed`] wrote. The caller has checked `len` against a limit.
pub(crate) fn read_compressed(
    cursor: &mut Cursor<'_>,
    len: usize,
    out: &mut Vec<u8>,
) -> Result<(), BytesError> {
    match cursor.u8()? {
        PLAIN => out.extend_from_slice(cursor.bytes(len)?),
        ZSTD => {
            let small = cursor.counted_bytes()?;
            let bytes = zstd::decompress(small, len)
                .ok_or_else(|| cursor.error("compressed bytes do not unpack to their length"))?;
            if out.is_empty() {
                *out = bytes;
            } else {
                out.extend_from_slice(&bytes);
            }
        }
        _ => return Err(cursor.error("an unknown way of compressing bytes")),
    }
    Ok(())
}
