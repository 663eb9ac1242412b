//! A copy of a running archive opens clean and holds what the archive held.

use crate::crash::check;
use crate::crash::happened::Chore;
use crate::crash::life::{Life, Stop};
use crate::crash::model::Model;
use crate::meddling::Meddling;
use crate::merging::flushed;
use disk::sim::{Crash, Operation};
use disk::{Disk, SimDisk};
use engine::copy_archive;
use engine::error::Error;
use engine::recovery::{Opening, Recovered, open};
use engine::wal::Verdict;
use std::path::Path;
use std::sync::Arc;

const SEEDS: u64 = 60;

/// Opens the copy in `directory` as on another machine; nothing of it is damaged.
pub(crate) fn opened(life: &Life, directory: &str) -> Result<Recovered, String> {
    opened_on(&life.disk, life, directory)
}

fn opened_on(disk: &SimDisk, life: &Life, directory: &str) -> Result<Recovered, String> {
    let disk = disk.copy();
    disk.cancel_crash();
    disk.power_on();
    let opening =
        Opening { disk: Arc::new(disk), directory: directory.into(), create: false, ..life.opening() };
    let recovered = open(opening).map_err(|error| format!("the copy does not open: {error}"))?;
    match recovered.report.cuts.iter().find(|cut| cut.verdict == Verdict::Corrupt) {
        Some(cut) => Err(format!("the copy's log is damaged: {cut}")),
        None => Ok(recovered),
    }
}

fn copied(disk: &dyn Disk) -> Result<engine::Copied, Error> {
    copy_archive(disk, Path::new("/archive"), Path::new("/copy"))
}

#[test]
fn whatever_happens_meanwhile_the_copy_is_one_moment_of_the_archive() {
    for seed in 0..SEEDS {
        let (mut life, mut recovered) = flushed(seed);
        for second in [false, true] {
            for _ in 0..3 {
                life.batch(&mut recovered).unwrap();
            }
            life.write(&recovered).unwrap();
            let least = life.model.batches.len();
            // While the copy is made a flush and a merge come in, and what they make superfluous goes.
            life.batch(&mut recovered).unwrap();
            let frozen = recovered.writer.freeze().unwrap();
            life.clock.advance(1);
            let keeper = &recovered.keeper;
            let deed = Box::new(|| {
                keeper.write_log().unwrap();
                keeper.flush(frozen).unwrap();
                let _ = keeper.merge(&|| false).unwrap();
            });
            let after = life.random.below(if second { 60 } else { 160 });
            let done = copied(&Meddling::new(life.disk.clone(), after, deed)).unwrap();
            assert!(done.copied == 0 && (done.linked > 0) && (!second || done.kept > 0), "{done:?}");
            let copy = opened(&life, "/copy").unwrap();
            let batches = check::whole(&copy, &life.model).unwrap();
            assert!(batches >= least, "seed {seed}: {batches} of {least}");
            assert!(keeper.flush(recovered.writer.freeze().unwrap_or(frozen)).is_ok());
        }
        let again = copied(&life.disk).unwrap();
        assert_eq!((again.linked, again.copied), (again.linked, 0));
        let same = copied(&life.disk).unwrap();
        assert_eq!((same.linked, same.removed, same.generation), (0, 0, again.generation));
    }
}

#[test]
fn an_interrupted_copy_is_no_worse_than_before() {
    for seed in 0..2 * SEEDS {
        let (mut life, mut recovered) = flushed(seed % SEEDS);
        life.disk.set_name_survival(disk::sim::NameSurvival::Subset);
        let first = seed % 3 == 0;
        let mut least = 0;
        if !first {
            copied(&life.disk).unwrap();
            least = life.model.batches.len();
            for round in 0..3 {
                life.batch(&mut recovered).unwrap();
                life.write(&recovered).unwrap();
                if round == seed % 4 {
                    life.freeze(&mut recovered);
                    life.flush(&recovered).unwrap();
                }
            }
        }
        recovered.keeper.sync_log().unwrap();
        life.note_durable(&recovered);
        life.disk.crash_after(life.random.below(if first { 300 } else { 100 }), Crash::PowerCut);
        let cut = copied(&life.disk);
        drop(recovered);
        life.disk.cancel_crash();
        if !life.disk.is_off() {
            cut.unwrap();
            least = life.model.batches.len();
        }
        life.disk.power_on();
        if life.disk.exists(Path::new("/copy/ARCHIVE")).unwrap() {
            let copy = opened(&life, "/copy").unwrap_or_else(|what| panic!("seed {seed}: {what}"));
            let batches =
                check::whole(&copy, &life.model).unwrap_or_else(|what| panic!("seed {seed}: {what}"));
            assert!(batches >= least, "seed {seed}: {batches} of {least}");
        }
        copied(&life.disk).unwrap();
        let copy = opened(&life, "/copy").unwrap();
        assert_eq!(check::whole(&copy, &life.model).unwrap(), life.model.batches.len(), "seed {seed}");
    }
}

/// The copy held what the archive lost with its power. Its new manifest beside its former log told of both: what
/// was received and lost stood among what came instead. No seed cuts a copy behind a crash.
#[test]
fn a_copy_of_what_the_archive_lost_is_the_former_none_or_the_new_one() {
    let (mut none, mut cut) = (0, 0);
    for seed in 0..SEEDS / 2 {
        let (mut life, mut recovered) = flushed(seed);
        recovered.keeper.sync_log().unwrap();
        life.note_durable(&recovered);
        for _ in 0..4 {
            life.batch(&mut recovered).unwrap();
        }
        // Written, not synced.
        life.write(&recovered).unwrap();
        copied(&life.disk).unwrap();
        let former = life.model.clone();
        drop(recovered);
        life.disk.power_cut(seed);
        life.crashed(Crash::PowerCut);
        let mut recovered = life.recover(0).unwrap();
        if life.model.batches.len() == former.batches.len() {
            continue;
        }
        for _ in 0..1 + seed % 3 {
            life.batch(&mut recovered).unwrap();
        }
        life.write(&recovered).unwrap();
        if seed % 2 == 0 {
            life.freeze(&mut recovered);
            life.flush(&recovered).unwrap();
            life.batch(&mut recovered).unwrap();
            life.write(&recovered).unwrap();
        }
        for after in (seed % 13..).step_by(13) {
            let disk = life.disk.copy();
            disk.reseed(seed + after);
            disk.crash_after(after, if after % 3 == 0 { Crash::Kill } else { Crash::PowerCut });
            let done = copied(&disk);
            let crashed = disk.is_off();
            disk.cancel_crash();
            disk.power_on();
            cut += u64::from(crashed);
            if !disk.exists(Path::new("/copy/ARCHIVE")).unwrap() {
                none += 1;
                continue;
            }
            let copy = opened_on(&disk, &life, "/copy").unwrap();
            let before = check::whole(&copy, &former) == Ok(former.batches.len());
            let whole = life.model.batches.len();
            let found = check::whole(&copy, &life.model);
            // With its former log, which ends before the new tables do, it is the archive as they tell it.
            let right = found.as_ref().is_ok_and(|found| *found >= whole - usize::from(crashed));
            assert!(before && crashed || right, "seed {seed}, {after}: {crashed} {whole} {found:?}");
            if !crashed {
                done.unwrap();
                break;
            }
        }
    }
    assert!(cut > 100 && none > 5, "{cut} cut, {none} of them none");
}

#[test]
fn where_links_are_not_possible_bytes_are_copied() {
    let (life, recovered) = flushed(3);
    life.disk.fail(Operation::Link, 0, u64::MAX, std::io::ErrorKind::CrossesDevices);
    let done = copied(&life.disk).unwrap();
    assert!(done.linked == 0 && done.copied > 10 && done.bytes > 1000, "{done:?}");
    assert_eq!(check::whole(&opened(&life, "/copy").unwrap(), &life.model), Ok(life.model.batches.len()));
    drop(recovered);
}

#[test]
fn only_an_empty_directory_or_a_copy_takes_one() {
    let (life, recovered) = flushed(4);
    let refused = |to: &str| copy_archive(&life.disk, Path::new("/archive"), Path::new(to)).unwrap_err();
    life.disk.plant(Path::new("/other/notes.txt"), b"mine").unwrap();
    assert!(matches!(refused("/other"), Error::Destination { .. }));
    assert!(matches!(refused("/archive/copy"), Error::Destination { .. }));
    assert!(matches!(refused("/archive"), Error::Destination { .. }));
    copied(&life.disk).unwrap();
    // An engine writes there: from then on it is an archive of its own.
    let opening = Opening { directory: "/copy".into(), ..life.opening() };
    let copy = open(opening).unwrap();
    assert!(matches!(refused("/copy"), Error::Destination { .. }));
    drop((copy, recovered));
    assert!(matches!(refused("/copy"), Error::Destination { .. }));
    let nothing = SimDisk::new(1);
    assert!(matches!(copied(&nothing), Err(Error::NoArchive(_))));
}

/// A copy with what it holds.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    directory: String,
    /// What it holds, if it is whole.
    truth: Option<Model>,
    /// Whether the archive lost something of that with its power, and went on in another way.
    diverged: bool,
    /// While it is made anew: batches that were written before.
    begun: Option<usize>,
}

impl Copy {
    /// The archive begins again with so many batches.
    pub(crate) fn archive_has(&mut self, batches: usize) {
        self.diverged |= self.truth.as_ref().is_some_and(|truth| batches < truth.batches.len());
    }
}

/// A step of a life: a copy is made while a flush comes in, and holds what the archive held.
pub(crate) fn step(life: &mut Life, recovered: &mut Recovered) -> Result<(), Stop> {
    life.chore(Chore::Log, recovered, Life::write)?;
    let written = life.model.batches.len();
    let frozen = recovered.writer.freeze();
    let flush = frozen.filter(|_| life.random.one_in(2));
    life.may_be_flushed();
    let keeper = &recovered.keeper;
    let deed = Box::new(move || {
        // It may be met by the crash; then the copy is met by it, too.
        let _ = flush.map(|frozen| keeper.flush(frozen));
    });
    let after = life.random.below(80);
    let former = life.copy.take().filter(|_| !life.random.one_in(4));
    let mut copy = former.unwrap_or_else(|| Copy {
        directory: format!("/copy{}", life.random.below(1 << 40)),
        truth: None,
        diverged: false,
        begun: None,
    });
    copy.begun = Some(written);
    let to = copy.directory.clone();
    life.copy = Some(copy);
    life.begin(Chore::Copy);
    let meddling = Meddling::new(life.disk.clone(), after, deed);
    let done = copy_archive(&meddling, Path::new("/archive"), Path::new(&to));
    drop(meddling);
    life.happened.chore(Chore::Copy).done += u64::from(done.is_ok());
    life.end_chore(Chore::Copy, false, done.map(drop))?;
    let batches = holds(life, &to, &life.model).map_err(Stop::Wrong)?;
    if batches < written {
        return Err(Stop::Wrong(format!("the copy holds {batches} batches of {written}")));
    }
    let mut truth = life.model.clone();
    truth.truncate(batches);
    life.copy = Some(Copy { directory: to, truth: Some(truth), diverged: false, begun: None });
    Ok(())
}

/// How many batches of `model` a copy holds.
fn holds(life: &Life, directory: &str, model: &Model) -> Result<usize, String> {
    let opened = opened(life, directory)?;
    check::whole(&opened, model).map_err(|what| format!("the copy: {what}"))
}

/// Behind a crash: a copy that was cut is none, the former one, or a later one.
pub(crate) fn look_behind_crash(life: &mut Life) -> Result<(), Stop> {
    let Some(copy) = life.copy.clone() else { return Ok(()) };
    let Some(written) = copy.begun else { return Ok(()) };
    life.happened.cut_copies += 1;
    let identity = Path::new(&copy.directory).join("ARCHIVE");
    let mut left = Copy { begun: None, ..copy.clone() };
    if !life.disk.exists(&identity).map_err(|error| life.end(&error.into()))? {
        life.happened.no_copies += 1;
        if copy.truth.is_some() && !copy.diverged {
            return Err(Stop::Wrong("a copy was given up for one that was not finished".into()));
        }
        left.truth = None;
        life.copy = Some(left);
        return Ok(());
    }
    let mut as_before = Ok(0);
    if let Some(former) = &copy.truth {
        as_before = holds(life, &copy.directory, former);
        if as_before == Ok(former.batches.len()) {
            life.copy = Some(left);
            return Ok(());
        }
    }
    let least = copy.truth.as_ref().filter(|_| !copy.diverged).map_or(written, |truth| truth.batches.len());
    let batches = holds(life, &copy.directory, &life.model)
        .map_err(|what| Stop::Wrong(format!("a copy that was cut: {what}; {as_before:?}")))?;
    if batches < least {
        return Err(Stop::Wrong(format!("a copy that was cut holds {batches} batches of {least}")));
    }
    let mut truth = life.model.clone();
    truth.truncate(batches);
    life.copy = Some(Copy { truth: Some(truth), diverged: false, ..left });
    Ok(())
}
