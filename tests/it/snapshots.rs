//! A copy of a running archive opens clean and holds what the archive held.

use crate::crash::check;
use crate::crash::life::{Life, Stop};
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
    let disk = life.disk.copy();
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

/// A step of a life: a copy is made while a flush comes in, and holds what the archive held.
pub(crate) fn step(life: &mut Life, recovered: &mut Recovered) -> Result<(), Stop> {
    let written = life.model.batches.len();
    if let Err(error) = life.write(recovered) {
        return Err(life.end(&error));
    }
    let frozen = recovered.writer.freeze();
    let flush = frozen.filter(|_| life.random.one_in(2));
    let keeper = &recovered.keeper;
    let deed = Box::new(move || {
        // It may be met by the crash; then the copy is met by it, too.
        let _ = flush.map(|frozen| keeper.flush(frozen));
    });
    let after = life.random.below(80);
    let to = format!("/copy{}", life.random.below(1 << 40));
    let done =
        copy_archive(&Meddling::new(life.disk.clone(), after, deed), Path::new("/archive"), Path::new(&to));
    life.happened.copies += 1;
    match done {
        _ if life.disk.is_off() => return Err(Stop::Crashed),
        Err(error) => return Err(life.end(&error)),
        Ok(_) => {}
    }
    let copy = opened(life, &to).map_err(Stop::Wrong)?;
    let batches = check::whole(&copy, &life.model).map_err(Stop::Wrong)?;
    if batches < written {
        return Err(Stop::Wrong(format!("the copy holds {batches} batches of {written}")));
    }
    Ok(())
}
