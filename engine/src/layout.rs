//! Where everything lies inside an archive directory.

use jiff::Span;
use jiff::civil::{Date, date};
use sample::Week;
use std::path::{Path, PathBuf};

/// Name of the file that says which archive this is.
pub const IDENTITY_NAME: &str = "ARCHIVE";
/// Name of the file that the archive's one writer locks.
pub const LOCK_NAME: &str = "LOCK";
/// Name of the list of live files.
pub const MANIFEST_NAME: &str = "MANIFEST";
/// Name of the file that marks a copy of an archive.
pub const COPY_NAME: &str = "SNAPSHOT";
/// Name of the pre-allocated reserve.
pub const RESERVE_NAME: &str = "RESERVE";
/// Name of the directory of rows of several weeks.
pub const ROLLUP_NAME: &str = "rollup";
/// Monday 1970-01-05, the first day of week 0.
const WEEK_ZERO: Date = date(1970, 1, 5);
const SEGMENT_SUFFIX: &str = ".wal";
const TABLE_SUFFIX: &str = ".sst";
const INDEX_SUFFIX: &str = ".index";

/// The paths of one archive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Of the archive in directory `root`.
    pub fn new(root: impl Into<PathBuf>) -> Layout {
        Layout { root: root.into() }
    }

    /// The archive directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `ARCHIVE`.
    pub fn identity(&self) -> PathBuf {
        self.root.join(IDENTITY_NAME)
    }

    /// `LOCK`.
    pub fn lock(&self) -> PathBuf {
        self.root.join(LOCK_NAME)
    }

    /// `MANIFEST`.
    pub fn manifest(&self) -> PathBuf {
        self.root.join(MANIFEST_NAME)
    }

    /// `SNAPSHOT`, which marks a copy that no engine has written to.
    pub fn copy_mark(&self) -> PathBuf {
        self.root.join(COPY_NAME)
    }

    /// `RESERVE`, the file whose space is given up when the file system is full.
    pub fn reserve(&self) -> PathBuf {
        self.root.join(RESERVE_NAME)
    }

    /// `wal`, the directory of log segments.
    pub fn wal(&self) -> PathBuf {
        self.root.join("wal")
    }

    /// `weeks`, the directory of partitions.
    pub fn weeks(&self) -> PathBuf {
        self.root.join("weeks")
    }

    /// `index`, the directory of the master index.
    pub fn index(&self) -> PathBuf {
        self.root.join("index")
    }

    /// `rollup`, the directory of rows merged across weeks.
    pub fn rollup(&self) -> PathBuf {
        self.root.join(ROLLUP_NAME)
    }

    /// `weeks/<monday>.<generation>`.
    pub fn week(&self, week: Week, generation: u32) -> PathBuf {
        self.weeks().join(week_dir_name(week, generation))
    }

    /// `weeks/<monday>.<generation>/<id>.sst`.
    pub fn table(&self, week: Week, generation: u32, id: u64) -> PathBuf {
        self.week(week, generation).join(table_name(id))
    }

    /// `weeks/<monday>.<generation>/<id>.index`.
    pub fn partition_index(&self, week: Week, generation: u32, id: u64) -> PathBuf {
        self.week(week, generation).join(index_name(id))
    }

    /// The path of a partition index as the manifest writes it.
    pub fn partition_index_inside(week: Week, generation: u32, id: u64) -> String {
        format!("weeks/{}/{}", week_dir_name(week, generation), index_name(id))
    }

    /// `index/<id>.index`.
    pub fn master_segment(&self, id: u64) -> PathBuf {
        self.index().join(index_name(id))
    }

    /// The path of a segment of the master index as the manifest writes it.
    pub fn master_segment_inside(id: u64) -> String {
        format!("index/{}", index_name(id))
    }

    /// A path inside the archive as the manifest writes it: relative, `/` between components.
    pub fn inside(&self, relative: &str) -> PathBuf {
        relative.split('/').fold(self.root.clone(), |path, component| path.join(component))
    }
}

/// The week's Monday as `2026-11-16`.
pub fn week_name(week: Week) -> String {
    // An i32 of weeks reaches beyond every calendar; sample times only reach from 1677 to 2262.
    let monday = Span::new().try_weeks(week.0).and_then(|weeks| WEEK_ZERO.checked_add(weeks));
    monday.map_or_else(|_| format!("week{}", week.0), |monday| monday.to_string())
}

/// The week whose Monday is written as `2026-11-16`.
pub fn parse_week(name: &str) -> Option<Week> {
    let monday: Date = name.parse().ok()?;
    let days = (monday - WEEK_ZERO).get_days();
    let week = Week(days.checked_div(7)?);
    (days % 7 == 0 && week_name(week) == name).then_some(week)
}

/// `<monday>.<generation>`.
pub fn week_dir_name(week: Week, generation: u32) -> String {
    format!("{}.{generation}", week_name(week))
}

/// `<monday>.late-<generation>`: what came for a week after its generation was sealed.
pub fn late_dir_name(week: Week, generation: u32) -> String {
    format!("{}.late-{generation}", week_name(week))
}

/// Week and generation of `<monday>.late-<generation>`.
pub fn parse_late_dir(name: &str) -> Option<(Week, u32)> {
    let (monday, generation) = name.split_once(".late-")?;
    let found = (parse_week(monday)?, generation.parse().ok()?);
    (late_dir_name(found.0, found.1) == name).then_some(found)
}

/// Week and generation of `<monday>.<generation>`.
pub fn parse_week_dir(name: &str) -> Option<(Week, u32)> {
    let (monday, generation) = name.split_once('.')?;
    let found = (parse_week(monday)?, generation.parse().ok()?);
    (week_dir_name(found.0, found.1) == name).then_some(found)
}

/// `<16 hexadecimal digits>.sst`.
pub fn table_name(id: u64) -> String {
    format!("{id:016x}{TABLE_SUFFIX}")
}

/// The id of the table that is called so.
pub fn parse_table(name: &str) -> Option<u64> {
    numbered(name, TABLE_SUFFIX)
}

/// `<16 hexadecimal digits>.index`.
pub fn index_name(id: u64) -> String {
    format!("{id:016x}{INDEX_SUFFIX}")
}

/// The id of the index file that is called so.
pub fn parse_index(name: &str) -> Option<u64> {
    numbered(name, INDEX_SUFFIX)
}

/// `<16 hexadecimal digits>.wal`.
pub fn segment_name(number: u64) -> String {
    format!("{number:016x}{SEGMENT_SUFFIX}")
}

/// The number of the log segment that is called so.
pub fn parse_segment(name: &str) -> Option<u64> {
    numbered(name, SEGMENT_SUFFIX)
}

fn numbered(name: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_suffix(suffix)?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    (format!("{number:016x}") == digits).then_some(number)
}

/// Whether a name may stand in a directory where an archive is to be created: what a crash while creating
/// one leaves, and what a fresh file system brings.
pub fn is_leftover_of_creation(name: &str) -> bool {
    let is_part = |of: &str| name.strip_suffix(disk::PART_SUFFIX) == Some(of);
    let known = [LOCK_NAME, "wal", "weeks", "lost+found", MANIFEST_NAME];
    known.contains(&name) || is_part(IDENTITY_NAME) || is_part(MANIFEST_NAME)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sample::Timestamp;

    #[test]
    fn paths_are_those_of_the_interface() {
        let layout = Layout::new("/a");
        let week = Week::containing(Timestamp(1_794_787_200 * 1_000_000_000));
        assert_eq!(layout.week(week, 3), Path::new("/a/weeks/2026-11-16.3"));
        assert_eq!(layout.table(week, 3, 255), Path::new("/a/weeks/2026-11-16.3/00000000000000ff.sst"));
        assert_eq!(layout.identity(), Path::new("/a/ARCHIVE"));
        assert_eq!(layout.lock(), Path::new("/a/LOCK"));
        assert_eq!(layout.manifest(), Path::new("/a/MANIFEST"));
        assert_eq!(layout.reserve(), Path::new("/a/RESERVE"));
        assert_eq!(layout.wal(), Path::new("/a/wal"));
        assert_eq!(layout.index(), Path::new("/a/index"));
        assert_eq!(layout.rollup(), Path::new("/a/rollup"));
        assert_eq!(layout.inside("weeks/x/y"), Path::new("/a/weeks/x/y"));
        assert_eq!(layout.inside("weeks/2026-11-16.3/00000000000000ff.sst"), layout.table(week, 3, 255));
        assert_eq!(late_dir_name(week, 1), "2026-11-16.late-1");
        assert_eq!(layout.master_segment(255), Path::new("/a/index/00000000000000ff.index"));
        let inside = Layout::partition_index_inside(week, 3, 255);
        assert_eq!(inside, "weeks/2026-11-16.3/00000000000000ff.index");
        assert_eq!(layout.inside(&inside), layout.partition_index(week, 3, 255));
        assert_eq!(layout.inside(&Layout::master_segment_inside(255)), layout.master_segment(255));
    }

    #[test]
    fn other_names_are_nobodys() {
        for name in ["2026-11-17.1", "2026-11-16", "2026-11-16.01", "2026-11-16.late-1", "2026-11-16.-1", ""]
        {
            assert_eq!(parse_week_dir(name), None, "{name}");
        }
        for name in ["2026-11-17.late-1", "2026-11-16.1", "2026-11-16.late-01", "2026-11-16.late-", "late-1"]
        {
            assert_eq!(parse_late_dir(name), None, "{name}");
        }
        for name in ["ff.wal", "00000000000000FF.wal", "00000000000000ff.wal.part", "+0000000000000ff.wal"] {
            assert_eq!(parse_segment(name), None, "{name}");
        }
        assert_eq!(parse_table("00000000000000ff.wal"), None);
    }

    proptest! {
        #[test]
        fn names_round_trip(time: i64, generation: u32, number: u64) {
            let week = Week::containing(Timestamp(time));
            prop_assert_eq!(parse_week(&week_name(week)), Some(week));
            prop_assert_eq!(parse_week_dir(&week_dir_name(week, generation)), Some((week, generation)));
            prop_assert_eq!(parse_late_dir(&late_dir_name(week, generation)), Some((week, generation)));
            prop_assert_eq!(parse_segment(&segment_name(number)), Some(number));
            prop_assert_eq!(parse_table(&table_name(number)), Some(number));
            prop_assert_eq!(parse_index(&index_name(number)), Some(number));
            prop_assert_eq!(parse_table(&index_name(number)), None);
        }

        #[test]
        fn no_text_makes_a_parser_panic(text: String, week: i32) {
            let _ = (parse_week(&text), parse_week_dir(&text), parse_segment(&text), parse_table(&text));
            let _ = week_name(Week(week));
        }
    }
}
