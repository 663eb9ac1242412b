//! Following channels: how far a follower has got, what lies behind that.

mod cursor;
mod moment;

pub(crate) use cursor::{FollowCursor, Place};
pub(crate) use moment::Moment;
