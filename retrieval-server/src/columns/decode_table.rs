//! Reads the rows of tables in `columns`.

use super::decode::{Entries, Text, fixed, u64_at, values_of};
use super::{HELD, SEVERITY, TIME};
use sample::{Column, Kind, ValueType};
use serde_json::Value;

/// One channel's cells.
#[derive(Clone, PartialEq, Debug)]
pub struct TableColumn {
    /// `name`, `type`, `metadata` and so on as in JSON answers.
    pub json: Value,
    /// Values; zero or empty where nothing is held.
    pub values: Column,
    /// Severity codes; 0 where nothing is held.
    pub severity: Vec<u8>,
    /// Whether there is a value.
    pub held: Vec<bool>,
}

/// Some rows of a table.
#[derive(Clone, PartialEq, Debug)]
pub struct Table {
    /// Instants, ns since the Unix epoch.
    pub time: Vec<i64>,
    /// One a channel, all of one length.
    pub columns: Vec<TableColumn>,
}

/// The type that answers call `name`, for example `float64[]`.
pub fn value_type(name: &str) -> Option<ValueType> {
    let (scalar, array) = name.strip_suffix("[]").map_or((name, false), |scalar| (scalar, true));
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == scalar)?;
    Some(ValueType { kind, array })
}

pub(super) fn table(bytes: &[u8]) -> Result<Table, &'static str> {
    let all = Entries::all(bytes);
    let mut text = Text::of(bytes)?;
    let count = usize::try_from(u64_at(bytes, 16).unwrap_or(0)).map_err(|_| "too many rows")?;
    let time = fixed(all.required(TIME)?, i64::from_le_bytes)?;
    if time.len() != count {
        return Err("columns differ in length");
    }
    let Some(Value::Array(descriptions)) = text.json.get_mut("columns").map(Value::take) else {
        return Err("it describes no columns");
    };
    let (mut columns, mut free) = (Vec::new(), 0);
    for json in descriptions {
        let place = |i: usize| json["entries"][i].as_u64().and_then(|n| usize::try_from(n).ok());
        let (Some(first), Some(behind)) = (place(0), place(1)) else {
            return Err("a channel has no entries");
        };
        // Each entry belongs to one channel, so that no more is copied than there is.
        if first < free || first > behind || behind > all.places.end {
            return Err("a channel's entries lie outside");
        }
        free = behind;
        let own = Entries { bytes, places: first..behind };
        let value_type = json["type"].as_str().and_then(value_type).ok_or("unknown value type")?;
        let values = values_of(&own, value_type)?;
        let severity = own.required(SEVERITY)?.to_vec();
        let held: Vec<bool> = own.required(HELD)?.iter().map(|held| *held != 0).collect();
        if values.len() != count || severity.len() != count || held.len() != count {
            return Err("columns differ in length");
        }
        columns.push(TableColumn { json, values, severity, held });
    }
    Ok(Table { time, columns })
}
