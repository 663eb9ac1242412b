//! What an answer says of one bin.

use crate::node::{Ends, Integral, Moments, Node, as_float};

/// Which bins without samples are delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Empty {
    /// None.
    #[default]
    Skip,
    /// Those in which a value was held.
    Held,
    /// All.
    All,
}

impl Empty {
    /// Whether `bin` is delivered.
    pub fn wants(self, bin: &Bin) -> bool {
        match self {
            Empty::Skip => bin.count() > 0,
            Empty::Held => bin.count() > 0 || bin.integral().covered_ns > 0,
            Empty::All => true,
        }
    }
}

/// One bin.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Bin {
    /// First instant, ns, in the grid: the first bin may begin before the range.
    pub start: i64,
    /// First instant behind it, ns.
    pub end: i64,
    /// Of what was held at its beginning until its first sample.
    pub lead: Integral,
    /// Its samples, if there are any; the node ends where the bin does, or the range.
    pub node: Option<Node>,
}

impl Bin {
    /// Samples that count.
    pub fn count(&self) -> i64 {
        self.node.as_ref().map_or(0, |node| node.count)
    }

    /// First and last sample that count.
    pub fn ends(&self) -> Option<Ends> {
        self.node.as_ref().and_then(|node| node.ends)
    }

    /// Statistics of the finite numbers.
    pub fn moments(&self) -> Option<Moments> {
        self.node.as_ref().and_then(|node| node.moments)
    }

    /// Of all that was held inside bin and range.
    pub fn integral(&self) -> Integral {
        let mut integral = self.lead;
        if let Some(node) = &self.node {
            integral.append(&node.integral);
        }
        integral
    }

    /// Width in ns, held at the end of the i64 range.
    pub fn width(&self) -> i64 {
        self.end.saturating_sub(self.start)
    }

    /// Mean of the finite numbers that were held, each weighted by how long; `None` if none was.
    pub fn time_weighted_mean(&self) -> Option<f64> {
        let integral = self.integral();
        (integral.finite_ns > 0).then(|| integral.sum / as_float(integral.finite_ns))
    }
}
