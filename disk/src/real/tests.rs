//! Tests of the operating system's file system, beside the simulated one.

use std::fmt;
use std::sync::atomic::AtomicU64;

use proptest::prelude::*;

use super::*;
use crate::{SimDisk, SlowSyncDisk};

/// An operation, with names and files by number.
#[derive(Clone, Debug)]
enum Act {
    Create(usize),
    Open(usize, bool),
    Write(usize, u64, Vec<u8>),
    Read(usize, u64, usize),
    SetLen(usize, u64),
    Allocate(usize, u64),
    Sync(usize),
    Close(usize),
    Rename(usize, usize),
    Link(usize, usize),
    Remove(usize),
    CreateDir(usize),
    RemoveDir(usize),
    List(usize),
    SyncDir(usize),
    Exists(usize),
    Lock(usize),
}

const PATHS: [&str; 8] = ["a", "b", "dir", "dir/a", "dir/b", "dir/sub", "dir/sub/a", "none/a"];

fn act() -> impl Strategy<Value = Act> {
    let path = || 0..PATHS.len();
    let file = 0..4usize;
    prop_oneof![
        4 => path().prop_map(Act::Create),
        3 => (path(), any::<bool>()).prop_map(|(path, write)| Act::Open(path, write)),
        6 => (file.clone(), 0..3000u64, proptest::collection::vec(any::<u8>(), 0..1500))
            .prop_map(|(file, offset, bytes)| Act::Write(file, offset, bytes)),
        4 => (file.clone(), 0..5000u64, 0..3000usize).prop_map(|(file, at, len)| Act::Read(file, at, len)),
        2 => (file.clone(), 0..5000u64).prop_map(|(file, len)| Act::SetLen(file, len)),
        2 => (file.clone(), 0..5000u64).prop_map(|(file, len)| Act::Allocate(file, len)),
        1 => file.clone().prop_map(Act::Sync),
        1 => file.prop_map(Act::Close),
        2 => (path(), path()).prop_map(|(from, to)| Act::Rename(from, to)),
        2 => (path(), path()).prop_map(|(from, to)| Act::Link(from, to)),
        2 => path().prop_map(Act::Remove),
        3 => path().prop_map(Act::CreateDir),
        2 => path().prop_map(Act::RemoveDir),
        2 => path().prop_map(Act::List),
        1 => path().prop_map(Act::SyncDir),
        2 => path().prop_map(Act::Exists),
        1 => path().prop_map(Act::Lock),
    ]
}

/// What was seen: a digest of a success, or that it failed with a kind that callers act upon.
fn seen<T: fmt::Debug>(result: Result<T, DiskError>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) if error.is_missing() => "missing".into(),
        Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists => "exists".into(),
        Err(_) => "failed".into(),
    }
}

/// Executes `acts` under `root`; one line for each. Renaming a directory is left out: it is not promised.
fn executed(disk: &dyn Disk, root: &Path, acts: &[Act]) -> Vec<String> {
    let path = |number: usize| root.join(PATHS[number]);
    let mut files: Vec<Option<Arc<dyn File>>> = vec![None; 4];
    let mut locks = Vec::new();
    let mut next = 0;
    let mut lines = Vec::new();
    let mut keep = |files: &mut Vec<Option<Arc<dyn File>>>, opened: Result<Arc<dyn File>, DiskError>| {
        seen(opened.map(|file| {
            files[next % 4] = Some(file);
            next += 1;
        }))
    };
    for act in acts {
        let on = |file: usize, act: &dyn Fn(&dyn File) -> String| {
            files[file].as_ref().map_or(String::new(), |file| act(&**file))
        };
        lines.push(match act {
            Act::Create(at) => keep(&mut files, disk.create(&path(*at))),
            Act::Open(at, true) => keep(&mut files, disk.open_write(&path(*at))),
            // The system lets directories be opened for reading; nobody here does.
            Act::Open(at, false) if disk.list(&path(*at)).is_ok() => String::new(),
            Act::Open(at, false) => keep(&mut files, disk.open(&path(*at))),
            Act::Write(file, offset, bytes) => on(*file, &|file| seen(file.write_at(*offset, bytes))),
            Act::Read(file, offset, len) => on(*file, &|file| {
                let mut buffer = vec![0xaa; *len];
                let result = file.read_at(*offset, &mut buffer);
                format!("{} {}", seen(result), crate::checksum(&buffer))
            }),
            Act::SetLen(file, len) => on(*file, &|file| seen(file.set_len(*len))),
            Act::Allocate(file, len) => {
                on(*file, &|file| format!("{} {}", seen(file.allocate(*len)), seen(file.len())))
            }
            Act::Sync(file) => on(*file, &|file| seen(file.sync())),
            Act::Close(file) => {
                files[*file] = None;
                String::new()
            }
            Act::Rename(from, to) if disk.list(&path(*from)).is_ok() || disk.list(&path(*to)).is_ok() => {
                String::new()
            }
            Act::Rename(from, to) => seen(disk.rename(&path(*from), &path(*to))),
            Act::Link(from, _) if disk.list(&path(*from)).is_ok() => String::new(),
            Act::Link(from, to) => seen(disk.link(&path(*from), &path(*to))),
            Act::Remove(at) => seen(disk.remove(&path(*at))),
            Act::CreateDir(at) => seen(disk.create_dir(&path(*at))),
            Act::RemoveDir(at) => seen(disk.remove_dir(&path(*at))),
            Act::List(at) => seen(disk.list(&path(*at))),
            Act::SyncDir(at) if disk.list(&path(*at)).is_err() => String::new(),
            Act::SyncDir(at) => seen(disk.sync_dir(&path(*at))),
            Act::Exists(at) => seen(disk.exists(&path(*at))),
            Act::Lock(at) => {
                let taken = disk.lock(&path(*at));
                let line = seen(taken.as_ref().map(Option::is_some).map_err(Clone::clone));
                locks.extend(taken.ok().flatten());
                line
            }
        });
    }
    lines
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_simulated_disk_answers_as_the_real_one(acts in proptest::collection::vec(act(), 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        let real = executed(&RealDisk, dir.path(), &acts);
        let sim = SimDisk::new(1);
        sim.create_dir(dir.path()).unwrap();
        let slow = SlowSyncDisk::new(Arc::new(sim), Arc::new(AtomicU64::new(1)));
        let simulated = executed(&slow, dir.path(), &acts);
        prop_assert_eq!(real, simulated);
    }
}

#[test]
fn an_error_says_what_where_why() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("none");
    let error = RealDisk.open(&path).unwrap_err();
    assert!(error.is_missing());
    assert_eq!(
        error.to_string(),
        format!("cannot open {}: No such file or directory (os error 2)", path.display())
    );
}

#[test]
fn space_is_known_where_a_directory_is() {
    let dir = tempfile::tempdir().unwrap();
    let space = RealDisk.space(dir.path()).unwrap();
    assert!(0 < space.free && space.free <= space.total, "{space:?}");
    assert!(RealDisk.space(&dir.path().join("none")).unwrap_err().is_missing());
}

#[test]
fn one_holds_the_lock_then_another_may() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("LOCK");
    let lock = RealDisk.lock(&path).unwrap().unwrap();
    lock.write(b"a longer text").unwrap();
    lock.write(b"pid 1").unwrap();
    assert!(RealDisk.lock(&path).unwrap().is_none());
    assert!(RealDisk.is_locked(&path).unwrap());
    assert_eq!(fs::read(&path).unwrap(), b"pid 1");
    drop(lock);
    assert!(!RealDisk.is_locked(&path).unwrap());
    assert!(RealDisk.lock(&path).unwrap().is_some());
    assert!(path.exists(), "the file stays");
}

#[test]
fn zeros_stand_in_for_reserved_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, b"abc").unwrap();
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    write_zeros(&file, 200_000).unwrap();
    write_zeros(&file, 5).unwrap();
    let bytes = fs::read(&path).unwrap();
    assert_eq!((bytes.len(), &bytes[..4]), (200_000, &b"abc\0"[..]));
}

#[test]
fn a_slow_sync_takes_at_least_the_time_asked_for() {
    let extra_ns = Arc::new(AtomicU64::new(0));
    let sim = SimDisk::new(1);
    let disk = SlowSyncDisk::new(Arc::new(sim.clone()), Arc::clone(&extra_ns));
    let file = disk.create(Path::new("f")).unwrap();
    extra_ns.store(2_000_000, std::sync::atomic::Ordering::Relaxed);
    let begin = std::time::Instant::now();
    file.sync().unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    // A sleep is never shorter than asked for: this cannot fail on a busy machine.
    assert!(begin.elapsed() >= std::time::Duration::from_millis(4));
}

/// A process that is being started has copies of all open files until it runs its program.
#[test]
fn a_lock_goes_though_a_copy_of_its_file_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("LOCK");
    let file = fs::File::create(&path).unwrap();
    file.try_lock().unwrap();
    let _copy = file.try_clone().unwrap();
    let lock = RealLock { file, path: path.clone() };
    assert!(RealDisk.is_locked(&path).unwrap());
    drop(lock);
    assert!(!RealDisk.is_locked(&path).unwrap());
    assert!(RealDisk.lock(&path).unwrap().is_some());
}

#[test]
fn content_ends_behind_all_that_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let file = RealDisk.create(&dir.path().join("f")).unwrap();
    assert_eq!(file.content_end().unwrap(), 0);
    file.allocate(8 << 20).unwrap();
    for (offset, least) in [(0, 7), (5_000_000, 5_000_007), (100, 5_000_007), ((8 << 20) - 7, 8 << 20)] {
        file.write_at(offset, b"content").unwrap();
        assert!((least..=8 << 20).contains(&file.content_end().unwrap()), "{offset}");
        file.sync().unwrap();
        assert!((least..=8 << 20).contains(&file.content_end().unwrap()), "{offset}");
    }
}
