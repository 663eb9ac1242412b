//! Tests of replacing: a crash or a fault at every operation.

use super::*;
use crate::sim::{Crash, NameSurvival, Operation};
use crate::{SimDisk, create_dir_durable};

const OLD: &[u8] = b"the former content";

fn disk_with_former_content(seed: u64, former: Option<&[u8]>) -> SimDisk {
    let disk = SimDisk::new(seed);
    create_dir_durable(&disk, Path::new("/a/b")).unwrap();
    if let Some(bytes) = former {
        replace(&disk, Path::new("/a/b"), "name", bytes).unwrap();
    }
    disk
}

/// The content of the file, none if it is missing.
fn found(disk: &SimDisk) -> Option<Vec<u8>> {
    let path = Path::new("/a/b/name");
    disk.exists(path).unwrap().then(|| disk.content(path).unwrap())
}

#[test]
fn a_crash_at_any_operation_leaves_the_former_or_the_whole_new_content() {
    let new: Vec<u8> = (0..5000u32).map(|at| at as u8).collect();
    let (mut kept, mut replaced) = (0, 0);
    for former in [None, Some(OLD)] {
        for survival in [NameSurvival::Forgotten, NameSurvival::Subset] {
            for crash in [Crash::PowerCut, Crash::Kill] {
                for (at, seed) in (0..8).flat_map(|at| (0..50).map(move |seed| (at, seed))) {
                    let disk = disk_with_former_content(seed, former);
                    disk.set_name_survival(survival);
                    disk.crash_after(at, crash);
                    let result = replace(&disk, Path::new("/a/b"), "name", &new);
                    assert_eq!(result.is_err(), disk.is_off());
                    disk.cancel_crash();
                    // A killed process's bytes may still be lost: the file must be whole then, too.
                    disk.power_cut(seed);
                    disk.power_on();
                    disk.power_cut(seed);
                    disk.power_on();
                    let found = found(&disk);
                    if found.as_deref() == Some(&new[..]) {
                        replaced += 1;
                    } else {
                        assert!(result.is_err(), "acknowledged and lost at {at}, seed {seed}");
                        assert_eq!(found.as_deref(), former, "at {at}, seed {seed}");
                        kept += 1;
                    }
                    replace(&disk, Path::new("/a/b"), "name", &new).unwrap();
                    assert_eq!(disk.files(), [Path::new("/a/b/name")], "a part is left");
                }
            }
        }
    }
    assert!(kept > 100 && replaced > 100, "{kept} {replaced}");
}

#[test]
fn a_fault_at_any_operation_leaves_the_former_or_the_whole_new_content() {
    for operation in Operation::ALL {
        let disk = disk_with_former_content(7, Some(OLD));
        disk.fail(operation, 0, 1, std::io::ErrorKind::Other);
        let result = replace(&disk, Path::new("/a/b"), "name", b"new");
        disk.clear_faults();
        let found = found(&disk).unwrap();
        match operation {
            Operation::SyncDir => assert_eq!(found, b"new"),
            _ if result.is_err() => assert_eq!(found, OLD, "{operation:?}"),
            _ => assert_eq!(found, b"new", "{operation:?}"),
        }
        assert_eq!(disk.files(), [Path::new("/a/b/name")], "{operation:?} leaves a part");
    }
}

#[test]
fn a_full_disk_keeps_the_former_content() {
    let disk = disk_with_former_content(7, Some(OLD));
    disk.set_capacity(disk.used() + 3);
    let error = replace(&disk, Path::new("/a/b"), "name", b"longer than that").unwrap_err();
    assert!(error.is_full());
    assert_eq!(found(&disk).unwrap(), OLD);
    assert_eq!(disk.used(), OLD.len() as u64);
}

#[test]
fn a_directory_made_durable_survives_with_its_parents() {
    let disk = SimDisk::new(3);
    create_dir_durable(&disk, Path::new("relative/b/c")).unwrap();
    create_dir_durable(&disk, Path::new("relative/b/c")).unwrap();
    disk.power_cut(3);
    disk.power_on();
    assert!(disk.exists(Path::new("/relative/b/c")).unwrap());
}
