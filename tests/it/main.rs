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

/// How much of an archive one hour reads.
mod cold_hour;
/// Coverage follows the script of what happened.
mod coverage;
/// A chunk that is damaged under a running download.
mod damage;
/// Decoders as those call them who have bytes that nobody vouches for.
mod decimating;
mod decoders;
/// A file system that is full, again and again.
mod disk_full;
/// What was dropped is known whatever ends the engine.
mod drops;
/// Files that every version must read.
mod golden;
/// Mutated bytes in every decoder.
mod hostile;
/// Index files change no answer, whatever becomes of them.
mod indexing;
/// Rows of tables of a week that goes on are joined.
mod joined_days;
/// Whatever arrived is accounted for at every moment.
mod ledger;
/// The least limits that are allowed.
mod limits;
/// A disk on which something else happens meanwhile.
mod meddling;
/// Merging tables changes no answer.
mod merging;
/// Names as control systems have them.
mod names;
/// Opening what may not be opened, or only carefully.
mod opening;
/// Rebuilding an archive from its tables alone.
mod reindexing;
/// What a retention rule removes changes no answer about later weeks.
mod retention;
/// An archive that the tests below drive by hand.
mod rig;
/// Rows of several weeks in one table.
mod rollups;
/// Sealing a week changes no answer.
mod sealing;
/// Copies of running archives.
mod snapshots;
/// Stamps as control systems send them.
mod stamps;
/// House rules that no compiler checks.
mod tidy;
/// Whatever changes an answer changes its version.
mod versions;
/// Weeks apart: each answers for itself.
mod weeks;
