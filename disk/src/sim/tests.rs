//! Tests of the simulated disk: crashes, faults, space, damage.

mod model;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::{Disk, File, create_dir_durable};

fn written(disk: &SimDisk, path: &str, bytes: &[u8]) -> Arc<dyn File> {
    let file = disk.create(Path::new(path)).unwrap();
    file.write_at(0, bytes).unwrap();
    file
}

/// A disk with the durable file `/f`.
fn disk_with(bytes: &[u8]) -> (SimDisk, Arc<dyn File>) {
    let disk = SimDisk::new(1);
    let file = written(&disk, "/f", bytes);
    file.sync().unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    (disk, file)
}

fn content(disk: &SimDisk) -> Vec<u8> {
    disk.content(Path::new("/f")).unwrap()
}

#[test]
fn names_without_directory_sync_are_forgotten() {
    let disk = SimDisk::new(1);
    disk.create_dir(Path::new("/a/b")).unwrap();
    written(&disk, "/a/b/x", b"xx").sync().unwrap();
    disk.sync_dir(Path::new("/a/b")).unwrap();
    disk.power_cut(2);
    assert!(disk.exists(Path::new("/a")).is_err());
    disk.power_on();
    assert!(!disk.exists(Path::new("/a")).unwrap(), "the root was never synced");
}

#[test]
fn a_removed_name_comes_back_with_its_content() {
    let (disk, file) = disk_with(b"kept");
    drop(file);
    disk.rename(Path::new("/f"), Path::new("/g")).unwrap();
    disk.remove(Path::new("/g")).unwrap();
    // Other files come meanwhile; the forgotten one's place must not go to them.
    for at in 0..1000 {
        written(&disk, &format!("/other{at}"), b"o");
        disk.remove(Path::new(&format!("/other{at}"))).unwrap();
    }
    assert_eq!(disk.used(), 0);
    disk.power_cut(1);
    disk.power_on();
    assert_eq!(content(&disk), b"kept");
    assert_eq!(disk.used(), 4);
}

#[test]
fn nodes_of_removed_files_are_used_again() {
    let disk = SimDisk::new(1);
    for at in 0..10_000 {
        written(&disk, &format!("/{at}"), &[1; 100]);
        disk.remove(Path::new(&format!("/{at}"))).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
    }
    assert!(disk.state().nodes.len() < 200, "{}", disk.state().nodes.len());
}

#[test]
fn a_power_cut_leaves_every_kind_of_wreck() {
    let mut wrecks = BTreeSet::new();
    for seed in 0..400 {
        let (disk, file) = disk_with(&[1; 2048]);
        file.write_at(256, &[2; 1024]).unwrap();
        disk.power_cut(seed);
        let bytes = content(&disk);
        assert!(bytes.len() == 2048 && bytes[..256] == [1; 256] && bytes[1280..] == [1; 768]);
        for piece in [&bytes[256..512], &bytes[512..1024], &bytes[1024..1280]] {
            assert!(piece.iter().all(|byte| *byte == piece[0]) || piece.iter().any(|byte| *byte > 2));
        }
        wrecks.insert(match &bytes[256..1280] {
            piece if piece == [1; 1024] => "nothing",
            piece if piece == [2; 1024] => "everything",
            piece if piece.iter().any(|byte| *byte > 2) => "garbage",
            piece if piece.contains(&0) => "zeros",
            _ => "torn",
        });
    }
    assert_eq!(wrecks.into_iter().collect::<Vec<_>>(), ["everything", "garbage", "nothing", "torn", "zeros"]);
}

#[test]
fn a_killed_process_leaves_what_it_wrote() {
    let disk = SimDisk::new(1);
    written(&disk, "/x", b"bytes");
    let lock = disk.lock(Path::new("/LOCK")).unwrap().unwrap();
    assert!(disk.lock(Path::new("/LOCK")).unwrap().is_none());
    disk.kill();
    disk.power_on();
    assert!(lock.write(b"dead").is_err());
    let second = disk.lock(Path::new("/LOCK")).unwrap().unwrap();
    drop(lock);
    assert!(disk.lock(Path::new("/LOCK")).unwrap().is_none(), "the dead one's end frees nothing");
    second.write(b"longer").unwrap();
    second.write(b"pid").unwrap();
    assert_eq!(disk.content(Path::new("/LOCK")).unwrap(), b"pid");
    drop(second);
    assert!(disk.lock(Path::new("/LOCK")).unwrap().is_some());
    assert_eq!(disk.content(Path::new("/x")).unwrap(), b"bytes");
    disk.power_cut(1);
    assert_eq!(disk.files(), Vec::<PathBuf>::new());
}

#[test]
fn a_crash_comes_at_the_operation_asked_for() {
    let (disk, file) = disk_with(b"1");
    disk.crash_after(2, Crash::PowerCut);
    file.write_at(1, b"2").unwrap();
    file.len().unwrap();
    let error = file.sync().unwrap_err();
    assert_eq!(error.to_string(), "cannot sync /f: the power is cut (simulated)");
    assert!(disk.is_off());
    assert!(disk.open(Path::new("/f")).is_err() && file.len().is_err());
    disk.power_on();
    assert!(file.len().is_err(), "opened before the cut");
    assert_eq!(disk.counters().crashed(Operation::Sync), 1);

    let file = disk.open_write(Path::new("/f")).unwrap();
    disk.crash_at(Operation::Write, 1, Crash::Kill);
    for _ in 0..5 {
        file.len().unwrap();
    }
    file.write_at(0, b"a").unwrap();
    file.write_at(0, b"b").unwrap_err();
    assert_eq!(content(&disk)[0], b'b', "the killed process's last write was made");
    assert_eq!(disk.counters().crashed(Operation::Write), 1);
    disk.power_on();
    disk.crash_after(0, Crash::Kill);
    disk.cancel_crash();
    disk.list(Path::new("/")).unwrap();
}

#[test]
fn a_cut_during_a_directory_sync_leaves_either() {
    let survived = |seed| {
        let disk = SimDisk::new(seed);
        written(&disk, "/f", b"x").sync().unwrap();
        disk.crash_at(Operation::SyncDir, 0, Crash::PowerCut);
        disk.sync_dir(Path::new("/")).unwrap_err();
        disk.files().len()
    };
    let outcomes: BTreeSet<usize> = (0..50).map(survived).collect();
    assert_eq!(outcomes, BTreeSet::from([0, 1]));
}

#[test]
fn a_failed_sync_forgets_dirty_bytes_for_good() {
    let (mut lost, mut kept_reading) = (0, 0);
    for seed in 0..100 {
        let (disk, file) = disk_with(&[1; 512]);
        disk.reseed(seed);
        file.write_at(0, &[2; 512]).unwrap();
        disk.fail(Operation::Sync, 0, 1, io::ErrorKind::Other);
        file.sync().unwrap_err();
        let read = content(&disk);
        file.write_at(512, &[3; 512]).unwrap();
        file.sync().unwrap();
        disk.power_cut(seed);
        let left = content(&disk);
        assert_eq!(left[512..], [3; 512], "the later sync holds for later writes");
        lost += u32::from(left[..512] == [1; 512]);
        kept_reading += u32::from(read == [2; 512] && left[..512] != [2; 512]);
    }
    assert!(lost > 10 && kept_reading > 10, "{lost} {kept_reading}");
}

#[test]
fn faults_come_in_the_place_and_number_asked_for() {
    let (disk, file) = disk_with(b"1");
    disk.fail(Operation::Len, 1, 2, io::ErrorKind::TimedOut);
    let results: Vec<bool> = (0..5).map(|_| file.len().is_ok()).collect();
    assert_eq!(results, [true, false, false, true, true]);
    assert_eq!(disk.counters().failed(Operation::Len), 2);
    disk.fail(Operation::Read, 0, u64::MAX, io::ErrorKind::TimedOut);
    assert_eq!(file.read_at(0, &mut [0]).unwrap_err().source.kind(), io::ErrorKind::TimedOut);
    assert!(file.read_at(0, &mut [0]).is_err());
    disk.clear_faults();
    assert!(file.read_at(0, &mut [0]).is_ok());
    let printed = disk.counters().to_string();
    assert!(printed.contains("Len") && !printed.contains("Rename"), "{printed}");
}

#[test]
fn a_full_disk_takes_what_fits() {
    let (disk, file) = disk_with(&[1; 100]);
    disk.set_capacity(150);
    assert!(file.write_at(90, &[2; 100]).unwrap_err().is_full());
    assert_eq!((disk.used(), file.len().unwrap()), (150, 150));
    file.write_at(0, &[3; 150]).unwrap();
    assert!(disk.create(Path::new("/g")).unwrap_err().is_full());
    assert!(disk.create_dir(Path::new("/d")).unwrap_err().is_full());
    assert!(file.allocate(151).unwrap_err().is_full());
    assert_eq!(disk.space(Path::new("/")).unwrap(), crate::Space { total: 150, free: 0 });
    disk.set_capacity(100);
    assert_eq!(disk.space(Path::new("/")).unwrap().free, 0);
    file.set_len(40).unwrap();
    disk.set_capacity(1000);
    file.allocate(1000).unwrap();
    assert_eq!(disk.used(), 1000);
    disk.remove(Path::new("/f")).unwrap();
    assert_eq!(disk.used(), 1000, "open files keep their space");
    drop(file);
    assert_eq!(disk.used(), 0);
    let far = written(&disk, "/far", b"x");
    assert!(far.write_at(u64::MAX, b"x").unwrap_err().is_full());
    assert!(far.set_len(u64::MAX).is_err());
}

#[test]
fn damage_is_there_with_the_power_on_or_off() {
    let (disk, file) = disk_with(b"abcdef");
    file.write_at(0, b"A").unwrap();
    disk.flip(Path::new("/f"), 1, 0x20).unwrap();
    assert_eq!(content(&disk), b"ABcdef");
    assert!(disk.flip(Path::new("/f"), 6, 1).is_err());
    disk.power_cut(1);
    assert_eq!(content(&disk)[1..], *b"Bcdef");
    disk.truncate(Path::new("/f"), 2).unwrap();
    assert_eq!(content(&disk).len(), 2);
    disk.plant(Path::new("/deep/down/g"), b"planted").unwrap();
    disk.power_on();
    disk.power_cut(9);
    assert_eq!(disk.files(), [Path::new("/deep/down/g"), Path::new("/f")]);
    assert_eq!(disk.content(Path::new("/deep/down/g")).unwrap(), b"planted");
}

#[test]
fn what_is_written_during_a_sync_is_not_covered_by_it() {
    let (disk, file) = disk_with(&[0; 1]);
    let syncs = Arc::new(AtomicU64::new(0));
    let (inner, count) = (disk.open_write(Path::new("/f")).unwrap(), Arc::clone(&syncs));
    disk.on_sync(move |path| {
        assert_eq!(path, Path::new("/f"));
        count.fetch_add(1, Ordering::Relaxed);
        inner.write_at(1, &[7; 1]).unwrap();
    });
    file.write_at(0, &[5; 1]).unwrap();
    file.sync().unwrap();
    disk.clear_sync_hook();
    assert_eq!(syncs.load(Ordering::Relaxed), 1);
    let left: BTreeSet<Vec<u8>> = (0..50)
        .map(|seed| {
            let copy = disk.copy();
            copy.power_cut(seed);
            content(&copy)
        })
        .collect();
    assert!(left.iter().all(|bytes| bytes[0] == 5), "{left:?}");
    assert!(left.contains(&vec![5]) && left.contains(&vec![5, 7]), "{left:?}");
}

#[test]
fn a_file_opened_for_reading_takes_no_writes() {
    let (disk, _) = disk_with(b"x");
    let file = disk.open(Path::new("/f")).unwrap();
    assert!(file.write_at(0, b"y").is_err() && file.set_len(0).is_err() && file.allocate(9).is_err());
    assert_eq!(content(&disk), b"x");
}

#[test]
fn a_directory_moves_with_what_is_in_it_and_never_over_another() {
    let disk = SimDisk::new(1);
    create_dir_durable(&disk, Path::new("/a/b")).unwrap();
    create_dir_durable(&disk, Path::new("/c")).unwrap();
    written(&disk, "/a/b/file", b"content").sync().unwrap();
    disk.sync_dir(Path::new("/a/b")).unwrap();
    assert!(disk.rename(Path::new("/a/b"), Path::new("/c")).is_err());
    disk.rename(Path::new("/a/b"), Path::new("/c/d")).unwrap();
    disk.power_cut(2);
    disk.power_on();
    assert_eq!(disk.files(), [Path::new("/c/d/file")]);
    assert_eq!(disk.content(Path::new("/c/d/file")).unwrap(), b"content");
    assert!(!disk.exists(Path::new("/a/b")).unwrap());
}
