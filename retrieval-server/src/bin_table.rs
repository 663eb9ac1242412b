//! Bins of one channel in columns, as all formats write them.

use decimator::bins::Bin;
use sample::Kind;

/// Least 64-bit integer: a time that is not there.
pub(crate) const NO_TIME: i64 = i64::MIN;

/// One column.
#[derive(Clone, Debug)]
pub(crate) enum Cells {
    /// Times or durations in ns; [`NO_TIME`] where there is none.
    Times(Vec<i64>),
    /// Counts.
    Counts(Vec<i64>),
    /// Numbers; `None` where there is none.
    Numbers(Vec<Option<f64>>),
    /// Severity codes.
    Severities(Vec<u8>),
}

impl Cells {
    /// Element type in `columns`.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Cells::Times(_) => Kind::Int64,
            Cells::Counts(_) => Kind::UInt64,
            Cells::Numbers(_) => Kind::Float64,
            Cells::Severities(_) => Kind::UInt8,
        }
    }

    /// Little-endian bytes; a missing number is NaN.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Cells::Times(v) | Cells::Counts(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Cells::Numbers(v) => v.iter().flat_map(|x| x.unwrap_or(f64::NAN).to_le_bytes()).collect(),
            Cells::Severities(v) => v.clone(),
        }
    }

    fn clear(&mut self) {
        match self {
            Cells::Times(v) | Cells::Counts(v) => v.clear(),
            Cells::Numbers(v) => v.clear(),
            Cells::Severities(v) => v.clear(),
        }
    }
}

/// Time in each state of an enum: one row a bin, one number a state.
#[derive(Clone, Debug, Default)]
pub(crate) struct States {
    /// Indices of the states that occur, rising.
    pub(crate) indices: Vec<u16>,
    /// Their names.
    pub(crate) labels: Vec<String>,
    /// ns, bin by bin.
    pub(crate) ns: Vec<i64>,
}

/// The chosen columns of some bins.
#[derive(Clone, Debug)]
pub(crate) struct BinTable {
    /// Name and content, in the order of the answer.
    pub(crate) columns: Vec<(&'static str, Cells)>,
    /// How long each state was held, if that was asked for and values are enums.
    pub(crate) states: Option<States>,
    rows: usize,
}

fn cells(name: &str) -> Cells {
    match name {
        "count" | "nonfinite" | "invalid" => Cells::Counts(Vec::new()),
        "severity" => Cells::Severities(Vec::new()),
        name if name.ends_with("_ns") => Cells::Times(Vec::new()),
        _ => Cells::Numbers(Vec::new()),
    }
}

fn time(bin: &Bin, name: &str) -> i64 {
    let (ends, moments) = (bin.ends(), bin.moments());
    match name {
        "start_ns" => bin.start,
        "width_ns" => bin.width(),
        "min_ns" => moments.map_or(NO_TIME, |m| m.min_time),
        "max_ns" => moments.map_or(NO_TIME, |m| m.max_time),
        "first_ns" => ends.map_or(NO_TIME, |e| e.first_time),
        "last_ns" => ends.map_or(NO_TIME, |e| e.last_time),
        _ => bin.integral().covered_ns,
    }
}

fn number(bin: &Bin, name: &str) -> Option<f64> {
    match name {
        "mean" => bin.moments().map(|m| m.mean),
        "min" => bin.moments().map(|m| m.min),
        "max" => bin.moments().map(|m| m.max),
        "std" => bin.moments().and_then(|m| m.deviation()),
        "first" => bin.ends().and_then(|e| e.first),
        "last" => bin.ends().and_then(|e| e.last),
        _ => bin.time_weighted_mean(),
    }
}

impl BinTable {
    /// No bins yet, with these columns behind `start_ns` and `width_ns`.
    pub(crate) fn new(stats: &[&'static str]) -> BinTable {
        let names = ["start_ns", "width_ns"].into_iter().chain(stats.iter().copied());
        let columns = names.filter(|name| *name != "states").map(|name| (name, cells(name))).collect();
        BinTable { columns, states: None, rows: 0 }
    }

    /// Number of bins.
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// Appends a bin.
    pub(crate) fn push(&mut self, bin: &Bin) {
        self.rows += 1;
        for (name, cells) in &mut self.columns {
            match cells {
                Cells::Times(v) => v.push(time(bin, name)),
                Cells::Numbers(v) => v.push(number(bin, name)),
                Cells::Counts(v) => v.push(match *name {
                    "count" => bin.count(),
                    "nonfinite" => bin.node.map_or(0, |n| n.nonfinite),
                    _ => bin.node.map_or(0, |n| n.invalid),
                }),
                Cells::Severities(v) => v.push(bin.node.map_or(0, |n| n.worst)),
            }
        }
    }

    /// Forgets the bins.
    pub(crate) fn clear(&mut self) {
        self.rows = 0;
        self.states = None;
        for (_, cells) in &mut self.columns {
            cells.clear();
        }
    }

    /// Beginnings of the bins, ns.
    pub(crate) fn starts(&self) -> &[i64] {
        match self.columns.first() {
            Some((_, Cells::Times(starts))) => starts,
            _ => &[],
        }
    }
}
