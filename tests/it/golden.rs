//! Golden files: what every format version looked like when it was first written, and what it held.
//!
//! `tests/golden/<format>-<major>.<minor>/` holds one file a feature, and beside each a text of the same name that
//! says what is in it. [Decision 12](../../docs/decisions/0012-format-versions.md) has the rules: the formats are
//! frozen, no file there is ever changed or removed. `tests/golden.xxh128` has the hash of each, as `xxh128sum` of xxHash
//! writes and checks them.

mod blocks;
mod indexes;
mod lists;
mod logs;
mod records;
mod tables;
mod text;

use disk::FILE_HEADER_BYTES;
use engine::identity::ArchiveId;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The archive that all golden files belong to.
const ARCHIVE: ArchiveId = ArchiveId(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);

/// A file as today's code writes it.
pub(crate) struct Made {
    /// Its format, the first part of the directory's name.
    pub(crate) format: &'static str,
    /// Its name there: the feature with an ending that says what it is.
    pub(crate) name: String,
    /// What is in it.
    pub(crate) bytes: Vec<u8>,
}

impl Made {
    fn new(format: &'static str, name: String, bytes: Vec<u8>) -> Made {
        Made { format, name, bytes }
    }

    /// Format with version; files of text have none of their own.
    fn directory(&self) -> String {
        let field = |at: usize| u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]]);
        let has_header = !["lock", "snapshot"].contains(&self.format);
        let version = if has_header { (field(8), field(10)) } else { (1, 0) };
        assert!(!has_header || self.bytes.len() >= FILE_HEADER_BYTES);
        format!("{}-{}.{}", self.format, version.0, version.1)
    }
}

/// Every golden file as today's code writes it.
pub(crate) fn made() -> Vec<Made> {
    [tables::made(), logs::made(), lists::made(), indexes::made()].into_iter().flatten().collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// The golden files by directory and name; the texts beside them are among them.
fn stored() -> BTreeMap<(String, String), Vec<u8>> {
    let mut files = BTreeMap::new();
    let Ok(directories) = fs::read_dir(root()) else { return files };
    for directory in directories.map(Result::unwrap) {
        for file in fs::read_dir(directory.path()).unwrap().map(Result::unwrap) {
            let name = |entry: &fs::DirEntry| entry.file_name().into_string().unwrap();
            files.insert((name(&directory), name(&file)), fs::read(file.path()).unwrap());
        }
    }
    files
}

/// Where the text stands that says what is in a file.
fn text_name(name: &str) -> String {
    format!("{name}.txt")
}

/// The name of a file of the same feature whose bytes an encoder chose otherwise.
fn sibling_name(name: &str, number: usize) -> String {
    let (feature, ending) = name.split_once('.').unwrap();
    format!("{feature}~{number}.{ending}")
}

/// The names that files of one feature may have.
fn names(name: &str) -> impl Iterator<Item = String> + '_ {
    std::iter::once(name.to_string()).chain((2..).map(|number| sibling_name(name, number)))
}

fn first_difference(found: &str, expected: &str) -> String {
    let mut pairs = found.lines().zip(expected.lines()).enumerate();
    match pairs.find(|(_, (found, expected))| found != expected) {
        Some((at, (found, expected))) => format!("line {}: found    {found}\nexpected {expected}", at + 1),
        None => format!("{} lines, expected {}", found.lines().count(), expected.lines().count()),
    }
}

/// The list of hashes.
fn list() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden.xxh128")
}

/// A line of the list.
fn line(directory: &str, name: &str, bytes: &[u8]) -> String {
    format!("{:032x}  golden/{directory}/{name}", xxhash_rust::xxh3::xxh3_128(bytes))
}

#[test]
fn no_golden_file_was_changed_or_removed() {
    let lines = fs::read_to_string(list()).unwrap();
    let listed: BTreeSet<String> = lines.lines().map(str::to_owned).collect();
    let found: BTreeSet<String> =
        stored().iter().map(|((directory, name), bytes)| line(directory, name, bytes)).collect();
    let changed: Vec<_> = listed.difference(&found).collect();
    assert!(
        changed.is_empty(),
        "changed or removed, which the freeze forbids (docs/decisions/0012-format-versions.md): {changed:#?}"
    );
    let unlisted: Vec<_> = found.difference(&listed).collect();
    assert!(unlisted.is_empty(), "not in tests/golden.xxh128: {unlisted:#?}");
}

#[test]
fn every_golden_file_holds_what_its_text_says() {
    let files = stored();
    let mut problems = Vec::new();
    let is_text = |name: &str| name.ends_with(".txt");
    for ((directory, name), bytes) in files.iter().filter(|((_, name), _)| !is_text(name)) {
        let format = directory.rsplit_once('-').map_or("", |(format, _)| format);
        let expected = files.get(&(directory.clone(), text_name(name)));
        let expected = expected.map(|text| String::from_utf8_lossy(text).into_owned());
        match (text::of(format, bytes), expected) {
            (Ok(found), Some(expected)) if found == expected => {}
            (Ok(found), Some(expected)) => {
                problems.push(format!("{directory}/{name}: {}", first_difference(&found, &expected)));
            }
            (Err(error), _) => problems.push(format!("{directory}/{name} is not read: {error}")),
            (_, None) => problems.push(format!("{directory}/{name} has no text beside it")),
        }
    }
    let formats: BTreeSet<&str> =
        files.keys().filter_map(|(directory, _)| Some(directory.rsplit_once('-')?.0)).collect();
    let expected =
        ["identity", "lock", "manifest", "master-segment", "partition-index", "snapshot", "sstable", "wal"];
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert_eq!(formats, expected.into(), "tests/golden lacks a format");
}

#[test]
fn bytes_change_with_the_version_only() {
    let files = stored();
    let mut problems = Vec::new();
    for made in made() {
        let directory = made.directory();
        let mut siblings =
            names(&made.name).map_while(|name| files.get(&(directory.clone(), name))).peekable();
        if siblings.peek().is_none() {
            problems.push(format!("{directory}/{} is missing", made.name));
        } else if siblings.all(|bytes| *bytes != made.bytes) {
            problems.push(format!("{directory}/{} would be written with other bytes", made.name));
        }
    }
    assert!(
        problems.is_empty(),
        "{}\n\nWhere bytes mean something else than before: raise the version in the format's constants and FORMAT.md, \
         then `cargo test -p tests -- --ignored write_golden`. Where the format is the same and an encoder only chose \
         otherwise: `cargo test -p tests -- --ignored add_golden_siblings`. Never change or remove a golden file of a \
         released version (docs/decisions/0012-format-versions.md).",
        problems.join("\n")
    );
}

#[test]
fn golden_files_use_every_tag_and_codec_of_chunks() {
    let document = include_str!("../../sstable/FORMAT.md");
    let tags = |heading: &str| -> Vec<&str> {
        let rows = disk::document::table(document, heading);
        assert!(!rows.is_empty(), "{heading}");
        rows.iter().map(|row| row[0]).collect()
    };
    let texts: Vec<String> = made()
        .iter()
        .filter(|made| made.format == "sstable")
        .map(|made| text::of(made.format, &made.bytes).unwrap())
        .collect();
    let columns = texts.iter().flat_map(|text| text.lines()).filter_map(|line| line.split_once(" columns "));
    let pairs: Vec<(&str, &str)> =
        columns.flat_map(|(_, columns)| columns.split(' ')).filter_map(|pair| pair.split_once(':')).collect();
    for tag in tags("Columns") {
        assert!(pairs.iter().any(|(found, _)| *found == tag), "no golden file has a column {tag}");
    }
    // 138 is a codec of array elements, which do not stand in the table of columns.
    for codec in tags("Column codecs").into_iter().filter(|codec| *codec != "138") {
        assert!(pairs.iter().any(|(_, found)| *found == codec), "no golden file has the codec {codec}");
    }
}

/// Writes a file with its text and lists both; one that exists stays as it is.
fn write(directory: &str, name: &str, made: &Made) {
    fs::create_dir_all(root().join(directory)).unwrap();
    let text = text::of(made.format, &made.bytes).unwrap();
    let mut list = fs::OpenOptions::new().append(true).create(true).open(list()).unwrap();
    for (name, bytes) in [(name.to_string(), made.bytes.as_slice()), (text_name(name), text.as_bytes())] {
        let path = root().join(directory).join(&name);
        assert!(!path.exists(), "{} exists", path.display());
        fs::write(path, bytes).unwrap();
        writeln!(list, "{}", line(directory, &name, bytes)).unwrap();
    }
}

#[test]
#[ignore = "writes tests/golden: cargo test -p tests -- --ignored write_golden"]
fn write_golden() {
    let files = stored();
    let mut refused = Vec::new();
    for made in made() {
        let directory = made.directory();
        let mut siblings =
            names(&made.name).map_while(|name| files.get(&(directory.clone(), name))).peekable();
        if siblings.peek().is_none() {
            write(&directory, &made.name, &made);
        } else if siblings.all(|bytes| *bytes != made.bytes) {
            refused.push(format!("{directory}/{}", made.name));
        }
    }
    assert!(
        refused.is_empty(),
        "these exist with other bytes and stay as they are: {}. Raise the version, or add siblings",
        refused.join(", ")
    );
}

#[test]
#[ignore = "writes tests/golden: cargo test -p tests -- --ignored add_golden_siblings"]
fn add_golden_siblings() {
    let files = stored();
    for made in made() {
        let directory = made.directory();
        let stored = |name: &String| files.get(&(directory.clone(), name.clone()));
        if names(&made.name).map_while(|name| stored(&name)).any(|bytes| *bytes == made.bytes) {
            continue;
        }
        let free = names(&made.name).find(|name| stored(name).is_none()).unwrap();
        write(&directory, &free, &made);
    }
}
