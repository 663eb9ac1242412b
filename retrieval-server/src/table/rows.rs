//! All channels advance along the grid together, some rows at a time.

use super::{Cell, Filler, Times};
use crate::limits::{SEGMENT_BYTES_MAX, SEGMENT_SAMPLES_MAX};
use sample::{Column, Kind, Value, ValueType};
use std::sync::Arc;

/// Some cells of one channel, of one type.
#[derive(Clone, Debug)]
pub(crate) struct Cells {
    /// Type of the values; `None` while nothing is held.
    pub value_type: Option<ValueType>,
    /// Description of structures.
    pub descriptor: Option<Arc<[u8]>>,
    /// Values; where nothing is held, zero or empty.
    pub values: Column,
    /// Severity codes; 0 where nothing is held.
    pub severity: Vec<u8>,
    /// 1 where there is a value.
    pub held: Vec<u8>,
}

/// Some rows.
#[derive(Clone, Debug)]
pub(crate) struct RowBlock {
    /// Instants, ns.
    pub times: Vec<i64>,
    /// One a channel.
    pub columns: Vec<Cells>,
}

/// The rows of a table.
pub(crate) struct Rows<'a> {
    times: Times<'a>,
    fillers: Vec<Filler<'a>>,
    /// A row that did not fit the types of the block before it.
    waiting: Option<(i64, Vec<Cell>)>,
}

fn zero(value_type: ValueType) -> Value {
    let ValueType { kind, array } = value_type;
    if array {
        return Value::Array(Box::new(Column::new(ValueType::scalar(kind))));
    }
    match kind {
        Kind::Bool => Value::Bool(false),
        Kind::Enum => Value::Enum(0),
        Kind::Int8 => Value::Int8(0),
        Kind::Int16 => Value::Int16(0),
        Kind::Int32 => Value::Int32(0),
        Kind::Int64 => Value::Int64(0),
        Kind::UInt8 => Value::UInt8(0),
        Kind::UInt16 => Value::UInt16(0),
        Kind::UInt32 => Value::UInt32(0),
        Kind::UInt64 => Value::UInt64(0),
        Kind::Float32 => Value::Float32(0.0),
        Kind::Float64 => Value::Float64(0.0),
        Kind::String => Value::String(Box::default()),
        Kind::Structure => Value::Structure { descriptor: Arc::default(), bytes: Box::default() },
    }
}

const COMPUTED: ValueType = ValueType { kind: Kind::Float64, array: false };

impl Cells {
    fn new() -> Cells {
        Cells {
            value_type: None,
            descriptor: None,
            values: Column::new(COMPUTED),
            severity: Vec::new(),
            held: Vec::new(),
        }
    }

    /// Whether `cell` may stand behind what is there.
    fn admits(&self, cell: &Cell) -> bool {
        match cell {
            Cell::Nothing => true,
            Cell::Number(..) => self.value_type.is_none_or(|t| t == COMPUTED),
            Cell::Sample((piece, _)) => {
                let run = &piece.block.run;
                self.value_type.is_none_or(|t| t == run.value && self.descriptor == run.descriptor)
            }
        }
    }

    fn set_type(&mut self, value_type: ValueType, descriptor: Option<&Arc<[u8]>>) {
        if self.value_type.is_none() {
            self.value_type = Some(value_type);
            self.descriptor = descriptor.cloned();
            self.values = Column::new(value_type);
            let nothing = zero(value_type);
            for _ in 0..self.held.len() {
                self.values.push(&nothing);
            }
        }
    }

    fn push(&mut self, cell: &Cell) {
        match cell {
            Cell::Nothing => {
                self.values.push(&zero(self.value_type.unwrap_or(COMPUTED)));
            }
            Cell::Number(number, _) => {
                self.set_type(COMPUTED, None);
                self.values.push(&Value::Float64(*number));
            }
            Cell::Sample((piece, i)) => {
                self.set_type(piece.block.run.value, piece.block.run.descriptor.as_ref());
                self.values.append(&piece.block.values, *i, *i + 1);
            }
        }
        self.severity.push(match cell {
            Cell::Nothing => 0,
            Cell::Number(_, severity) => *severity,
            Cell::Sample((piece, i)) => piece.block.severity[*i],
        });
        self.held.push(u8::from(!matches!(cell, Cell::Nothing)));
    }
}

impl<'a> Rows<'a> {
    /// Of `fillers` at `times`.
    pub(crate) fn new(times: Times<'a>, fillers: Vec<Filler<'a>>) -> Rows<'a> {
        Rows { times, fillers, waiting: None }
    }

    /// The channels.
    pub(crate) fn fillers(&self) -> &[Filler<'a>] {
        &self.fillers
    }

    /// The instants.
    pub(crate) fn times(&self) -> &Times<'a> {
        &self.times
    }

    fn row(&mut self) -> Option<(i64, Vec<Cell>)> {
        self.waiting.take().or_else(|| {
            let time = self.times.next()?;
            Some((time, self.fillers.iter_mut().map(|filler| filler.cell(time)).collect()))
        })
    }

    /// The next rows, bounded in number and bytes; none behind the last. They end where a channel's type changes.
    pub(crate) fn next(&mut self) -> Option<RowBlock> {
        let mut columns = vec![Cells::new(); self.fillers.len()];
        let mut times = Vec::new();
        let row_bytes = 8 * (columns.len() + 1);
        let rows_max = (SEGMENT_BYTES_MAX / row_bytes).clamp(1, SEGMENT_SAMPLES_MAX);
        while times.len() < rows_max {
            let Some((time, cells)) = self.row() else { break };
            if columns.iter().zip(&cells).any(|(column, cell)| !column.admits(cell)) {
                self.waiting = Some((time, cells));
                break;
            }
            times.push(time);
            for (column, cell) in columns.iter_mut().zip(&cells) {
                column.push(cell);
            }
            // Arrays and texts are looked at now and then, and each time they are large.
            let heavy = |cell: &Cell| match cell {
                Cell::Sample((piece, _)) => piece.block.values.byte_len() > 16 * piece.block.len(),
                Cell::Nothing | Cell::Number(..) => false,
            };
            if cells.iter().any(heavy) {
                let bytes: usize = columns.iter().map(|column| column.values.byte_len()).sum();
                if bytes >= SEGMENT_BYTES_MAX {
                    break;
                }
            }
        }
        (!times.is_empty()).then_some(RowBlock { times, columns })
    }
}
