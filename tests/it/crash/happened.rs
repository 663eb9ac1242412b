//! What happened in lives of archives, in numbers.

use disk::sim::Counters;
use std::fmt;

/// A kind of work that an archive does on its disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Chore {
    /// The log is written or synced.
    Log,
    /// The memtable becomes tables.
    Flush,
    /// Tables become one.
    Merge,
    /// Dropped files go behind their grace time.
    Remove,
    /// A week becomes dense.
    Seal,
    /// Tables go that no rule keeps.
    Retain,
    /// An index file is made.
    Index,
    /// Segments of the master index become one.
    IndexMerge,
    /// The archive is copied.
    Copy,
    /// The manifest is rebuilt from the tables.
    Reindex,
}

impl Chore {
    /// Every kind.
    pub const ALL: [Chore; 10] = [
        Chore::Log,
        Chore::Flush,
        Chore::Merge,
        Chore::Remove,
        Chore::Seal,
        Chore::Retain,
        Chore::Index,
        Chore::IndexMerge,
        Chore::Copy,
        Chore::Reindex,
    ];
}

/// How often a chore was done, cut in its midst, and how often recovery behind such a cut was cut as well.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cuts {
    pub done: u64,
    pub cut: u64,
    pub recovery_cut: u64,
}

/// What happened, summed over lives.
#[derive(Clone, Debug, Default)]
pub struct Happened {
    pub flushes: u64,
    /// Files removed after their grace time.
    pub removed: u64,
    pub week_changes: u64,
    pub late: u64,
    pub equal: u64,
    pub type_changes: u64,
    pub redelivered: u64,
    /// First values after a connect that are older than the week.
    pub old_first: u64,
    pub stored: u64,
    pub power_cuts: u64,
    pub kills: u64,
    pub recovery_cuts: u64,
    pub log_replays: u64,
    pub torn_tails: u64,
    /// Copies that were compared after they were cut, and how many of them were no archive.
    pub cut_copies: u64,
    pub no_copies: u64,
    /// Index files that were damaged or removed.
    pub index_losses: u64,
    /// Tables of a week that goes on whose rows were joined.
    pub joined: u64,
    pub chores: [Cuts; Chore::ALL.len()],
    pub disk: Counters,
}

impl Happened {
    fn counts(&mut self) -> [(&'static str, &mut u64); 18] {
        [
            ("flushes", &mut self.flushes),
            ("dropped files removed", &mut self.removed),
            ("week changes", &mut self.week_changes),
            ("late", &mut self.late),
            ("equal stamps", &mut self.equal),
            ("type changes", &mut self.type_changes),
            ("redelivered", &mut self.redelivered),
            ("old first values", &mut self.old_first),
            ("stored", &mut self.stored),
            ("power cuts", &mut self.power_cuts),
            ("kills", &mut self.kills),
            ("cuts inside recovery", &mut self.recovery_cuts),
            ("log replays", &mut self.log_replays),
            ("torn tails", &mut self.torn_tails),
            ("copies looked at after a cut", &mut self.cut_copies),
            ("of them no archive", &mut self.no_copies),
            ("index files lost or damaged", &mut self.index_losses),
            ("tables joined in rows", &mut self.joined),
        ]
    }

    /// Adds another life.
    pub fn add(&mut self, mut other: Happened) {
        self.disk.add(&other.disk);
        for (sum, of) in self.chores.iter_mut().zip(other.chores) {
            sum.done += of.done;
            sum.cut += of.cut;
            sum.recovery_cut += of.recovery_cut;
        }
        for ((_, sum), (_, of)) in self.counts().into_iter().zip(other.counts()) {
            *sum += *of;
        }
    }

    /// Of one kind of work.
    pub fn chore(&mut self, chore: Chore) -> &mut Cuts {
        &mut self.chores[chore as usize]
    }

    /// Whether a life had all that each one must have.
    pub fn complete(&self) -> bool {
        let needed = [self.week_changes, self.late, self.equal, self.type_changes];
        self.flushes >= 3 && needed.iter().all(|count| *count > 0)
    }
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.clone().counts().map(|(what, count)| format!("{count} {what}"));
        writeln!(f, "{}", counts.join(", "))?;
        writeln!(f, "{:<10} {:>12} {:>9} {:>21}", "chore", "done", "cut", "recovery cut as well")?;
        for (chore, of) in Chore::ALL.iter().zip(&self.chores) {
            let name = format!("{chore:?}");
            writeln!(f, "{name:<10} {:>12} {:>9} {:>21}", of.done, of.cut, of.recovery_cut)?;
        }
        write!(f, "{}", self.disk)
    }
}
