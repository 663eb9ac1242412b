//! Reading the whole log back after anything.

use super::decoder::BatchDecoder;
use super::entry::Entry;
use super::format::{KIND_BATCH, RECORD_HEADER_BYTES, SEGMENT_HEADER, SEGMENT_HEADER_BYTES};
use super::frame::{Head, RecordHeader};
use super::scan::{Piece, Segment, Survey, survey};
use super::segment::{Found, SegmentHeader, archive_named, read_header, salt};
use super::verdict::{Content, Evidence, judge};
use crate::error::Error;
use crate::identity::ArchiveId;
use crate::layout::parse_segment;
use disk::Disk;
use sample::Timestamp;
use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

pub use super::verdict::Verdict;

/// Bytes of the log that were not delivered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CutReport {
    /// The segment file.
    pub file: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// How many bytes; 0 where records are missing without a trace.
    pub bytes: u64,
    /// Torn tail or corruption.
    pub verdict: Verdict,
    /// First and last sequence of the missing records, where they are known.
    pub missing: Option<(u64, u64)>,
    /// What is wrong.
    pub what: Cow<'static, str>,
}

impl fmt::Display for CutReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, offset, bytes) = (self.file.display(), self.offset, self.bytes);
        write!(f, "{file}: {bytes} bytes from byte {offset} on: {}", self.what)?;
        match self.missing {
            Some((first, last)) => write!(f, "; records {first} to {last} are missing"),
            None => Ok(()),
        }
    }
}

/// One segment file as replay found it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentSpan {
    /// The file.
    pub path: PathBuf,
    /// Its number.
    pub number: u64,
    /// Length in bytes.
    pub len: u64,
    /// No record in it has a higher sequence than this.
    pub last_sequence: u64,
    /// Whether a newer program of the same major version wrote it.
    pub(super) newer_minor: Option<u16>,
}

/// What replay found. [`super::Writer::resume`] goes on from it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replay {
    /// Sequence of the last record delivered, 0 if there was none.
    pub last_sequence: u64,
    /// The lowest sequence that the next record may get.
    pub next_sequence: u64,
    /// All that was received up to this time was delivered (or is in tables); the earliest time if unknown.
    pub last_received: Timestamp,
    /// Highest sequence that some record says was durable, 0 for none.
    pub durable_note: u64,
    /// Records delivered.
    pub records: u64,
    /// What was not delivered.
    pub cut_bytes: Vec<CutReport>,
    /// Every segment file, in order.
    pub segments: Vec<SegmentSpan>,
    /// First sequence of the life of the log that goes on.
    pub(super) life: u64,
    /// Where the torn tail begins: index of the segment, offset.
    pub(super) torn: Option<(usize, u64)>,
    /// The segments from this one on were read.
    pub(super) read_from: usize,
}

impl Replay {
    /// Bytes that were not delivered, by verdict.
    pub fn bytes(&self, verdict: Verdict) -> u64 {
        self.cut_bytes.iter().filter(|cut| cut.verdict == verdict).map(|cut| cut.bytes).sum()
    }
}

/// Takes what a log's records hold.
pub type Sink<'a> = dyn FnMut(&RecordHeader, Entry) + 'a;

/// A segment file with its header.
struct Opened {
    path: PathBuf,
    number: u64,
    segment: Segment,
    found: Found,
}

impl Opened {
    fn header(&self) -> Option<SegmentHeader> {
        match self.found {
            Found::Header { header, .. } => Some(header),
            Found::Nothing | Found::Damage => None,
        }
    }

    fn newer_minor(&self) -> Option<u16> {
        match self.found {
            Found::Header { minor, .. } if minor > SEGMENT_HEADER.minor => Some(minor),
            _ => None,
        }
    }
}

/// Delivers the entries of all records from `from_sequence` on to `sink`, in the order in which they were
/// written. Changes nothing on the disk. A missing directory is an empty log.
///
/// After [`super::Writer::restart`] and a crash before the manifest said so, entries come twice: as they
/// were first and as they were repeated.
///
/// # Errors
/// The disk's; a segment of a newer major version or of another archive. Damage is no error: it is in
/// [`Replay::cut_bytes`].
pub fn replay(
    disk: &dyn Disk,
    dir: &Path,
    archive: ArchiveId,
    from_sequence: u64,
    sink: &mut Sink<'_>,
) -> Result<Replay, Error> {
    let wanted = from_sequence.max(1);
    let mut opened = open_all(disk, dir, archive)?;
    let read_from = superfluous(&opened, wanted);
    let surveys = opened[read_from..]
        .iter_mut()
        .map(|file| survey_with_header(file, archive))
        .collect::<Result<Vec<Survey>, Error>>()?;
    let evidence = with_lives(&opened[read_from..], surveys);
    let judgement = judge(&evidence, wanted);
    let mut cut_bytes: Vec<CutReport> = judgement
        .cuts
        .iter()
        .map(|cut| CutReport {
            file: opened[read_from + cut.segment].path.clone(),
            offset: cut.offset,
            bytes: cut.bytes,
            verdict: cut.verdict,
            missing: cut.missing,
            what: Cow::Borrowed(match cut.verdict {
                Verdict::TornTail => "a torn tail that was never durable, cut off",
                Verdict::Corrupt => "damaged after it was durable",
            }),
        })
        .collect();
    let mut records = 0;
    for content in &judgement.content {
        let file = &mut opened[read_from + content.segment];
        records += deliver(file, archive, content, sink, &mut cut_bytes)?;
    }
    Ok(Replay {
        last_sequence: judgement.last_sequence,
        next_sequence: wanted
            .max(judgement.life)
            .max(judgement.last_sequence.max(judgement.durable_note) + 1),
        last_received: judgement.last_received.unwrap_or(Timestamp::MIN),
        durable_note: judgement.durable_note,
        records,
        cut_bytes,
        segments: spans(&opened, read_from, &evidence),
        life: judgement.life,
        torn: judgement.torn.map(|(segment, offset)| (read_from + segment, offset)),
        read_from,
    })
}

/// What a log holds, seen from a sequence on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reach {
    /// The earliest record that is there at all; 0 for none.
    pub(crate) earliest: u64,
    /// The last one that is content.
    pub(crate) through: u64,
    /// Whether nothing that was durable has changed or gone.
    pub(crate) sound: bool,
}

/// What the log in `dir` holds from sequence `from` on.
pub(crate) fn reach(disk: &dyn Disk, dir: &Path, archive: ArchiveId, from: u64) -> Result<Reach, Error> {
    let mut opened = open_all(disk, dir, archive)?;
    let mut earliest = 0;
    for file in &mut opened {
        let survey = survey_with_header(file, archive)?;
        let first = survey.pieces.iter().find_map(|piece| match piece {
            Piece::Run { first, .. } => Some(*first),
            Piece::Header | Piece::Damage { .. } => None,
        });
        if let Some(first) = first {
            earliest = first;
            break;
        }
    }
    if earliest == 0 {
        return Ok(Reach { earliest, through: 0, sound: true });
    }
    let from = from.max(earliest);
    let replay = replay(disk, dir, archive, from, &mut |_, _| {})?;
    let sound = replay.cut_bytes.iter().all(|cut| cut.verdict == Verdict::TornTail);
    Ok(Reach { earliest, through: replay.last_sequence, sound })
}

/// The archive that the log in `dir` says it is of.
pub(crate) fn archive_of(disk: &dyn Disk, dir: &Path) -> Result<Option<ArchiveId>, Error> {
    let names = match disk.list(dir) {
        Ok(names) => names,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    for name in names.iter().filter(|entry| parse_segment(&entry.name).is_some()) {
        let path = dir.join(&name.name);
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        disk.open(&path)?.read_at(0, &mut bytes)?;
        if let Some(archive) = archive_named(&bytes, &path) {
            return Ok(Some(archive));
        }
    }
    Ok(None)
}

fn open_all(disk: &dyn Disk, dir: &Path, archive: ArchiveId) -> Result<Vec<Opened>, Error> {
    let names = match disk.list(dir) {
        Ok(names) => names,
        Err(error) if error.is_missing() => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut opened = Vec::new();
    // Sorted by name, which is sorted by number.
    for (name, number) in names.iter().filter_map(|entry| Some((&entry.name, parse_segment(&entry.name)?))) {
        let path = dir.join(name);
        let mut segment = Segment::new(disk.open(&path)?)?;
        let found = read_header(segment.bytes(0, SEGMENT_HEADER_BYTES)?, archive, number, &path)?;
        opened.push(Opened { path, number, segment, found });
    }
    Ok(opened)
}

/// How many segments at the beginning hold nothing from `wanted` on: the next one begins no later.
fn superfluous(opened: &[Opened], wanted: u64) -> usize {
    let begins_in_time = |file: &Opened| file.header().is_some_and(|header| header.first_sequence <= wanted);
    opened.iter().rposition(begins_in_time).unwrap_or(0)
}

fn survey_with_header(file: &mut Opened, archive: ArchiveId) -> Result<Survey, Error> {
    let mut found = survey(&mut file.segment, &salt(archive, file.number))?;
    let unreadable = match file.found {
        Found::Header { .. } => false,
        Found::Nothing => !found.pieces.is_empty(),
        Found::Damage => true,
    };
    if unreadable {
        found.pieces.insert(0, Piece::Header);
    }
    Ok(found)
}

/// A segment whose header is unreadable belongs to the life of the one before it, unless what it holds
/// shows that it belongs to that of the next.
fn with_lives(opened: &[Opened], surveys: Vec<Survey>) -> Vec<Evidence> {
    let lives: Vec<Option<u64>> = opened.iter().map(|file| file.header().map(|header| header.life)).collect();
    let mut before = 0;
    let mut log = Vec::with_capacity(surveys.len());
    for (at, survey) in surveys.into_iter().enumerate() {
        let first = survey.pieces.iter().find_map(|piece| match piece {
            Piece::Run { first, .. } => Some(*first),
            Piece::Header | Piece::Damage { .. } => None,
        });
        let after = lives[at..].iter().flatten().next().copied();
        let by_content = after.filter(|life| first.is_some_and(|first| *life <= first));
        let life = lives[at].or(by_content).unwrap_or(before);
        before = life;
        log.push(Evidence { life, survey });
    }
    log
}

fn spans(opened: &[Opened], read_from: usize, evidence: &[Evidence]) -> Vec<SegmentSpan> {
    let mut last_sequence = 0;
    opened
        .iter()
        .enumerate()
        .map(|(at, file)| {
            let pieces = at.checked_sub(read_from).map_or(&[][..], |at| &evidence[at].survey.pieces);
            let seen = pieces.iter().map(|piece| match piece {
                Piece::Run { last, .. } => *last,
                Piece::Header | Piece::Damage { .. } => 0,
            });
            // What was not read ends before the next segment begins.
            let next = opened[at + 1..].iter().find_map(Opened::header);
            let unread =
                next.filter(|_| at < read_from).map_or(0, |next| next.first_sequence.saturating_sub(1));
            last_sequence = seen.fold(unread.max(last_sequence), u64::max);
            SegmentSpan {
                path: file.path.clone(),
                number: file.number,
                len: file.segment.len(),
                last_sequence,
                newer_minor: file.newer_minor(),
            }
        })
        .collect()
}

/// Hands the entries of one run to `sink`; returns the number of records.
fn deliver(
    file: &mut Opened,
    archive: ArchiveId,
    content: &Content,
    sink: &mut Sink<'_>,
    cut_bytes: &mut Vec<CutReport>,
) -> Result<u64, Error> {
    let salt = salt(archive, file.number);
    let newer = file.newer_minor().is_some();
    let mut offset = content.offset;
    let mut records = 0;
    while offset < content.end {
        let head = file.segment.head(offset, &salt)?;
        let bytes = match &head {
            Some(head) => head.record_bytes() as u64,
            None => content.end - offset,
        };
        if head.is_none_or(|head| head.record.sequence >= content.from) {
            records += 1;
            let problem = deliver_record(&mut file.segment, offset, head, newer, sink)?;
            cut_bytes.extend(problem.map(|what| CutReport {
                file: file.path.clone(),
                offset,
                bytes,
                verdict: Verdict::Corrupt,
                missing: head.map(|head| (head.record.sequence, head.record.sequence)),
                what,
            }));
        }
        offset += bytes;
    }
    Ok(records)
}

/// Hands the entries of one record to `sink`; returns what is wrong with it.
fn deliver_record(
    segment: &mut Segment,
    offset: u64,
    head: Option<Head>,
    newer: bool,
    sink: &mut Sink<'_>,
) -> Result<Option<Cow<'static, str>>, Error> {
    const CHANGED: &str = "the record changed while it was read";
    let Some(head) = head else { return Ok(Some(Cow::Borrowed(CHANGED))) };
    if head.kind != KIND_BATCH {
        // A newer minor version may have kinds of records that this program may pass over.
        let what = format!("a record of the unknown kind {}", head.kind);
        return Ok((!newer).then_some(Cow::Owned(what)));
    }
    let Some(payload) = segment.payload(offset, &head)? else { return Ok(Some(Cow::Borrowed(CHANGED))) };
    for entry in BatchDecoder::new(payload) {
        match entry {
            Ok(entry) => sink(&head.record, entry),
            Err(error) => {
                let at = offset + (RECORD_HEADER_BYTES + error.position) as u64;
                return Ok(Some(Cow::Owned(format!("at byte {at}: {}", error.what))));
            }
        }
    }
    Ok(None)
}
