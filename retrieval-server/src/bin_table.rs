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

/// How a column's cell is taken from a bin.
#[derive(Clone, Copy, Debug)]
enum Stat {
    Time(fn(&Bin) -> i64),
    Count(fn(&Bin) -> i64),
    Number(fn(&Bin) -> Option<f64>),
    Severity,
}

/// The chosen columns of some bins.
#[derive(Clone, Debug)]
pub(crate) struct BinTable {
    /// Name and content, in the order of the answer.
    pub(crate) columns: Vec<(&'static str, Cells)>,
    /// How long each state was held, if that was asked for and values are enums.
    pub(crate) states: Option<States>,
    stats: Vec<Stat>,
    rows: usize,
}

fn stat(name: &str) -> Stat {
    match name {
        "start_ns" => Stat::Time(|bin| bin.start),
        "width_ns" => Stat::Time(Bin::width),
        "min_ns" => Stat::Time(|bin| bin.moments().map_or(NO_TIME, |m| m.min_time)),
        "max_ns" => Stat::Time(|bin| bin.moments().map_or(NO_TIME, |m| m.max_time)),
        "first_ns" => Stat::Time(|bin| bin.ends().map_or(NO_TIME, |e| e.first_time)),
        "last_ns" => Stat::Time(|bin| bin.ends().map_or(NO_TIME, |e| e.last_time)),
        "covered_ns" => Stat::Time(|bin| bin.integral().covered_ns),
        "count" => Stat::Count(Bin::count),
        "nonfinite" => Stat::Count(|bin| bin.node.as_ref().map_or(0, |n| n.nonfinite)),
        "invalid" => Stat::Count(|bin| bin.node.as_ref().map_or(0, |n| n.invalid)),
        "severity" => Stat::Severity,
        "mean" => Stat::Number(|bin| bin.moments().map(|m| m.mean)),
        "min" => Stat::Number(|bin| bin.moments().map(|m| m.min)),
        "max" => Stat::Number(|bin| bin.moments().map(|m| m.max)),
        "std" => Stat::Number(|bin| bin.moments().and_then(|m| m.deviation())),
        "first" => Stat::Number(|bin| bin.ends().and_then(|e| e.first)),
        "last" => Stat::Number(|bin| bin.ends().and_then(|e| e.last)),
        // "twmean"; names are checked with the request.
        _ => Stat::Number(Bin::time_weighted_mean),
    }
}

impl Stat {
    fn cells(self) -> Cells {
        match self {
            Stat::Time(_) => Cells::Times(Vec::new()),
            Stat::Count(_) => Cells::Counts(Vec::new()),
            Stat::Number(_) => Cells::Numbers(Vec::new()),
            Stat::Severity => Cells::Severities(Vec::new()),
        }
    }
}

impl BinTable {
    /// No bins yet, with these columns behind `start_ns` and `width_ns`.
    pub(crate) fn new(stats: &[&'static str]) -> BinTable {
        let names = ["start_ns", "width_ns"].into_iter().chain(stats.iter().copied());
        let names: Vec<&'static str> = names.filter(|name| *name != "states").collect();
        let stats: Vec<Stat> = names.iter().map(|name| stat(name)).collect();
        let columns = names.into_iter().zip(stats.iter().map(|stat| stat.cells())).collect();
        BinTable { columns, states: None, stats, rows: 0 }
    }

    /// Number of bins.
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// Appends a bin.
    pub(crate) fn push(&mut self, bin: &Bin) {
        self.rows += 1;
        for ((_, cells), stat) in self.columns.iter_mut().zip(&self.stats) {
            match (cells, stat) {
                (Cells::Times(v), Stat::Time(of)) | (Cells::Counts(v), Stat::Count(of)) => v.push(of(bin)),
                (Cells::Numbers(v), Stat::Number(of)) => v.push(of(bin)),
                (Cells::Severities(v), _) => v.push(bin.node.as_ref().map_or(0, |n| n.worst)),
                // Each column was made for its statistic.
                _ => {}
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
