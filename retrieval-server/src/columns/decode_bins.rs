//! Reads bins in `columns`.

use super::decode::{Bins, Text, column, fixed, u32_at, u64_at};
use super::{START, STATES, TAGS};
use sample::{Column, Kind};

pub(super) fn bins(bytes: &[u8]) -> Result<Bins, &'static str> {
    let text = Text::of(bytes)?;
    let count = usize::try_from(u64_at(bytes, 16).unwrap_or(0)).map_err(|_| "too many bins")?;
    let mut columns = Vec::new();
    let mut states_ns = Vec::new();
    for (name, tag) in TAGS.iter().filter(|(_, tag)| *tag >= START) {
        let Some((element, v)) = column(bytes, *tag)? else { continue };
        if *tag == STATES {
            states_ns = fixed(v, i64::from_le_bytes)?;
            if states_ns.len().checked_rem(count).is_some_and(|rest| rest != 0) {
                return Err("columns differ in length");
            }
            continue;
        }
        let column = match u8::try_from(element).ok().and_then(Kind::from_tag) {
            Some(Kind::Int64) => Column::Int64(fixed(v, i64::from_le_bytes)?),
            Some(Kind::UInt64) => Column::UInt64(fixed(v, u64::from_le_bytes)?),
            Some(Kind::Float64) => Column::Float64(fixed(v, f64::from_le_bytes)?),
            Some(Kind::UInt8) => Column::UInt8(v.to_vec()),
            _ => return Err("a column of bins is of a type that bins do not have"),
        };
        if column.len() != count {
            return Err("columns differ in length");
        }
        columns.push((*name, column));
    }
    let channel_index = u32_at(bytes, 24).unwrap_or(0);
    Ok(Bins { channel_index, name: text.name, columns, states_ns, json: text.json })
}
