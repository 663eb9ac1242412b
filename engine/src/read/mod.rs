//! Reading: what an archive offers to readers, whatever holds the bytes.
//!
//! [`Archive`] is one archive (a directory, a running engine, a remote one); [`Reader`] answers over
//! several as one. Everything is blocking and streams: memory per request does not grow with the range.

mod ahead;
mod archive;
mod edge;
mod merge;
mod meter;
mod reader;
mod rows;
mod run;
mod scan;
mod snapshot;
mod spare;
mod stretches;
mod union;
mod view;

pub use ahead::stand_still;
pub use archive::{
    Archive, ArchiveInfo, ChannelDetail, ChannelFilter, ChannelState, ChannelSummary, Evidence, Ledger, Live,
    MetDamage, Problem, ProblemCode, ReadError, Verdict, Why,
};
pub use decimator::coverage::FirstSample;
pub(crate) use edge::last_before;
pub use merge::{Merge, Step};
pub use meter::{Meter, Reads};
pub use reader::{Member, Reader};
pub use rows::{RowRecord, Rows};
use run::with_parts;
pub use run::{Enough, Extent, Facts, Kept, Numbers, Part, Passed, Piece, Position, Run, RunVersion, Scope};
pub use scan::{Order, Scan};
pub use snapshot::{HeldSnapshot, Snapshot, Tables};
pub use spare::{Crew, Spare, Work};
pub use stretches::{StoredNodes, Stretch, Stretches};
pub use union::Union;
pub use view::{ChannelView, HeldView, REPLANS_MAX, Samples, Version};
