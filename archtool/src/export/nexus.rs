//! A NeXus file of gathered samples: HDF5 with an NXlog for each channel.
//!
//! The group `entry` (NXentry) has a group for each channel (NXlog), with the datasets `time` (int64, nanoseconds),
//! `value` (one element a sample, or a row), `severity` and `status`. The cargo feature `nexus` brings the library that
//! writes HDF5.

#[cfg(feature = "nexus")]
mod log;

#[cfg(feature = "nexus")]
pub(super) use self::log::join;

use super::plan::{Plan, types_of};
use crate::failure::Failure;
use sample::{Kind, ValueType};

/// What else to do with samples that do not fit.
const OTHERWISE: &str = "leave it out, or export it with --format arrow or parquet";

/// Nothing is gathered by a program that cannot write it.
#[cfg(not(feature = "nexus"))]
pub(super) fn join(_: &super::part::Part) -> Result<(), super::whole::Unjoined> {
    Err(Box::new(absent()))
}

fn absent() -> Failure {
    let message = "this archtool was built without the feature nexus; take --format arrow, parquet or mat";
    Failure::Usage(message.to_owned())
}

/// Whether all channels of `plan` can be written, as far as their types tell.
pub(super) fn check(plan: &Plan) -> Result<(), Failure> {
    if cfg!(not(feature = "nexus")) {
        return Err(absent());
    }
    for (name, channel) in plan.names().iter().zip(&plan.channels) {
        let types = types_of(channel)?;
        let fits = match types.as_slice() {
            [] => true,
            [one] => one.kind.width().is_some() || *one == ValueType::scalar(Kind::String),
            _ => false,
        };
        if !fits {
            let types: Vec<String> = types.iter().map(|one| one.name()).collect();
            return Err(Failure::Usage(format!(
                "an NXlog does not hold the values of {name}, which are {}; {OTHERWISE}",
                types.join(" and ")
            )));
        }
    }
    Ok(())
}
