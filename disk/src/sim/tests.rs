//! Tests of the simulated disk.

use std::path::Path;

use super::*;
use crate::{Disk, File};

fn written(disk: &SimDisk, path: &str, bytes: &[u8]) -> Arc<dyn File> {
    let file = disk.create(Path::new(path)).unwrap();
    file.write_at(0, bytes).unwrap();
    file
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
fn synced_names_with_synced_bytes_survive_any_cut() {
    for seed in 0..100 {
        let disk = SimDisk::new(seed);
        disk.create_dir(Path::new("/a")).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        let file = written(&disk, "/a/x", b"first");
        file.sync().unwrap();
        disk.sync_dir(Path::new("/a")).unwrap();
        file.write_at(5, b"second").unwrap();
        disk.power_cut(seed);
        disk.power_on();
        assert!(file.len().is_err(), "opened before the cut");
        let content = disk.content(Path::new("/a/x")).unwrap();
        assert!(content.starts_with(b"first") && content.len() <= 11, "{content:?}");
    }
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
    assert!(disk.lock(Path::new("/LOCK")).unwrap().is_some());
    assert_eq!(disk.content(Path::new("/x")).unwrap(), b"bytes");
    disk.power_cut(1);
    assert_eq!(disk.files(), Vec::<PathBuf>::new());
}
