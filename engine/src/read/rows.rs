//! Stored nodes of the decimator's tree: the one form in which decimated tables hand them over.

use super::ReadError;
use decimator::node::Node;
use sample::{TimeRange, Timestamp};

/// Some consecutive rows of one level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RowRecord {
    /// First instant of the first bin.
    pub first: Timestamp,
    /// Last instant of the last bin.
    pub last: Timestamp,
    /// What [`Rows::load`] needs to find it.
    pub token: u64,
    /// Its bytes in the file.
    pub bytes: u64,
}

/// One channel's nodes that were made of all its samples in one table, the source, or in several.
/// At a level that has any row, a node without row holds no sample of a source.
pub trait Rows: Send + Sync {
    /// Numbers of the sources, ascending: [`super::Run::source`] of the runs that the rows were made of.
    fn sources(&self) -> &[u64];
    /// Times of the first and last sample in the sources, of all channels.
    fn span(&self) -> (Timestamp, Timestamp);
    /// The file, inside the archive.
    fn origin(&self) -> String;
    /// The records of one level that touch `range`, in order; none where the level is not stored.
    fn records(&self, level: usize, range: TimeRange) -> Result<Vec<RowRecord>, ReadError>;
    /// The nodes of a record of `level`, in order, each complete.
    fn load(&self, level: usize, record: &RowRecord) -> Result<Vec<Node>, ReadError>;
}
