//! Every integration test of the workspace, one module a subject.

/// Random scripts on the simulated disk, cut anywhere: nothing durable is lost, nothing invented or doubled.
mod crash;
/// The crash scripts find every bug that is planted.
mod planted;
/// Random readings of every type.
mod readings;
/// Syncs that fail: the log begins anew, or nothing more is promised.
mod sync_failure;
/// Type, length and enum states change at any time: every sample comes back bit-equal.
mod type_changes;
