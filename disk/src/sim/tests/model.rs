//! The simulated disk against a plain model of what may be left after crashes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::prelude::*;

use crate::sim::file_node::{FileNode, Survival};
use crate::sim::{NameSurvival, Random, SimDisk};
use crate::{Disk, File};

#[derive(Clone, Debug)]
enum Act {
    Create(usize),
    Write(usize, u64, Vec<u8>),
    SetLen(usize, u64),
    Allocate(usize, u64),
    Sync(usize),
    Rename(usize, usize),
    Remove(usize),
    SyncDir(usize),
    PowerCut(u64),
    Kill,
}

const NAMES: usize = 6;

fn path(name: usize) -> PathBuf {
    PathBuf::from(format!("/{}/{}", ["a", "b"][name % 2], name / 2))
}

fn act() -> impl Strategy<Value = Act> {
    let name = || 0..NAMES;
    prop_oneof![
        4 => name().prop_map(Act::Create),
        8 => (name(), 0..1500u64, proptest::collection::vec(any::<u8>(), 0..1200))
            .prop_map(|(name, offset, bytes)| Act::Write(name, offset, bytes)),
        2 => (name(), 0..2500u64).prop_map(|(name, len)| Act::SetLen(name, len)),
        2 => (name(), 0..2500u64).prop_map(|(name, len)| Act::Allocate(name, len)),
        5 => name().prop_map(Act::Sync),
        2 => (name(), name()).prop_map(|(from, to)| Act::Rename(from, to)),
        2 => name().prop_map(Act::Remove),
        4 => (0..2usize).prop_map(Act::SyncDir),
        2 => any::<u64>().prop_map(Act::PowerCut),
        1 => Just(Act::Kill),
    ]
}

/// A file as the model sees it.
#[derive(Clone, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// Where unsynced writes lie.
    touched: Vec<(usize, usize)>,
    /// Unsynced changes of the length reach down to here.
    shortest: usize,
}

impl Content {
    fn sync(&mut self) {
        self.durable = self.now.clone();
        self.touched.clear();
        self.shortest = self.now.len();
    }

    /// Whether `found` may be left by a power cut.
    fn allows(&self, found: &[u8]) -> bool {
        if self.touched.is_empty() && self.shortest == self.now.len() && self.durable == self.now {
            return found == self.durable;
        }
        let sure = self.shortest.min(self.durable.len());
        found.len() >= sure
            && (0..sure).all(|at| {
                found[at] == self.durable[at]
                    || self.touched.iter().any(|(from, to)| (*from..*to).contains(&at))
            })
    }
}

#[derive(Default)]
struct Model {
    files: Vec<Content>,
    now: BTreeMap<usize, usize>,
    durable: BTreeMap<usize, usize>,
}

impl Model {
    fn file(&mut self, name: usize) -> Option<&mut Content> {
        let id = *self.now.get(&name)?;
        Some(&mut self.files[id])
    }

    fn resize(&mut self, name: usize, len: usize) {
        if let Some(file) = self.file(name) {
            file.shortest = file.shortest.min(len).min(file.now.len());
            file.now.resize(len, 0);
        }
    }

    fn apply(&mut self, act: &Act) {
        match act {
            Act::Create(name) => {
                if !self.now.contains_key(name) {
                    self.now.insert(*name, self.files.len());
                    self.files.push(Content::default());
                }
            }
            Act::Write(name, offset, bytes) if !bytes.is_empty() => {
                if let Some(file) = self.file(*name) {
                    let (from, to) = (*offset as usize, *offset as usize + bytes.len());
                    file.now.resize(file.now.len().max(to), 0);
                    file.now[from..to].copy_from_slice(bytes);
                    file.touched.push((from, to));
                }
            }
            Act::SetLen(name, len) => self.resize(*name, *len as usize),
            Act::Allocate(name, len) => {
                if self.file(*name).is_some_and(|file| file.now.len() < *len as usize) {
                    self.resize(*name, *len as usize);
                }
            }
            Act::Sync(name) => {
                if let Some(file) = self.file(*name) {
                    file.sync();
                }
            }
            // Two names of one file (left by a half-forgotten rename): POSIX leaves both.
            Act::Rename(from, to) if self.now.get(from) != self.now.get(to) => {
                if let Some(id) = self.now.remove(from) {
                    self.now.insert(*to, id);
                }
            }
            Act::Remove(name) => {
                self.now.remove(name);
            }
            Act::SyncDir(dir) => {
                self.durable.retain(|name, _| name % 2 != *dir);
                self.durable.extend(self.now.iter().filter(|(name, _)| *name % 2 == *dir));
            }
            Act::PowerCut(_) => self.now = self.durable.clone(),
            Act::Write(..) | Act::Rename(..) | Act::Kill => {}
        }
    }
}

fn execute(disk: &SimDisk, act: &Act) {
    let on = |name: usize, act: &dyn Fn(&dyn File)| {
        if let Ok(file) = disk.open_write(&path(name)) {
            act(&*file);
        }
    };
    match act {
        Act::Create(name) => drop(disk.create(&path(*name))),
        Act::Write(name, offset, bytes) => on(*name, &|file| file.write_at(*offset, bytes).unwrap()),
        Act::SetLen(name, len) => on(*name, &|file| file.set_len(*len).unwrap()),
        Act::Allocate(name, len) => on(*name, &|file| file.allocate(*len).unwrap()),
        Act::Sync(name) => on(*name, &|file| file.sync().unwrap()),
        Act::Rename(from, to) => drop(disk.rename(&path(*from), &path(*to))),
        Act::Remove(name) => drop(disk.remove(&path(*name))),
        Act::SyncDir(dir) => disk.sync_dir(path(*dir).parent().unwrap()).unwrap(),
        Act::PowerCut(seed) => disk.power_cut(*seed),
        Act::Kill => disk.kill(),
    }
    disk.power_on();
}

fn empty(seed: u64) -> SimDisk {
    let disk = SimDisk::new(seed);
    for dir in ["/a", "/b"] {
        crate::create_dir_durable(&disk, dir.as_ref()).unwrap();
    }
    disk
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_was_synced_survives_what_was_not_changes_nothing_else(
        acts in proptest::collection::vec(act(), 1..80),
    ) {
        let disk = empty(1);
        let mut model = Model::default();
        for act in &acts {
            model.apply(act);
            execute(&disk, act);
            let mut names: Vec<PathBuf> = model.now.keys().map(|name| path(*name)).collect();
            names.sort();
            prop_assert_eq!(disk.files(), names, "after {:?}", act);
            for (name, id) in &model.now {
                let found = disk.content(&path(*name)).unwrap();
                let file = &mut model.files[*id];
                if matches!(act, Act::PowerCut(_)) {
                    prop_assert!(file.allows(&found), "{} after {act:?}", path(*name).display());
                    file.now = found;
                    file.sync();
                } else {
                    prop_assert_eq!(&found, &file.now, "{} after {:?}", path(*name).display(), act);
                }
            }
            let used: usize = model.now.values().collect::<std::collections::BTreeSet<_>>().iter()
                .map(|id| model.files[**id].now.len()).sum();
            prop_assert!(disk.used() <= used as u64, "{} of {used} bytes used", disk.used());
        }
    }

    #[test]
    fn a_file_falls_back_to_its_last_sync_or_keeps_all(
        acts in proptest::collection::vec(act(), 1..40),
        last_sync in 0..40usize,
    ) {
        let mut file = FileNode::created();
        let mut synced = Vec::new();
        for (at, act) in acts.iter().enumerate() {
            match act {
                Act::Write(_, offset, bytes) => file.write(*offset, bytes),
                Act::SetLen(_, len) => file.set_len(*len),
                Act::Allocate(_, len) => file.set_len(file.content.len().max(*len)),
                Act::Sync(_) if at <= last_sync => {
                    file.sync(file.changes);
                    synced = file.content.to_vec();
                }
                _ => {}
            }
        }
        let mut kept = file.clone();
        kept.lose_power(Survival::Everything, &mut Random::new(1));
        prop_assert_eq!(kept.content.to_vec(), file.content.to_vec());
        file.lose_power(Survival::Nothing, &mut Random::new(1));
        prop_assert_eq!(file.content.to_vec(), synced);
    }

    #[test]
    fn surviving_names_are_names_that_were_asked_for(acts in proptest::collection::vec(act(), 1..60)) {
        let disk = empty(2);
        disk.set_name_survival(NameSurvival::Subset);
        let mut model = Model::default();
        let mut ever = std::collections::BTreeSet::new();
        for act in acts.iter().filter(|act| !matches!(act, Act::PowerCut(_) | Act::Kill)) {
            model.apply(act);
            execute(&disk, act);
            ever.extend(model.now.keys().map(|name| path(*name)));
        }
        for dir in 0..2 {
            // Names of a directory that was synced last are exactly known.
            if acts.len() % 2 == dir {
                execute(&disk, &Act::SyncDir(dir));
                model.apply(&Act::SyncDir(dir));
            }
        }
        execute(&disk, &Act::PowerCut(acts.len() as u64));
        let found = disk.files();
        prop_assert!(found.iter().all(|path| ever.contains(path)));
        let synced = acts.len() % 2;
        let in_synced = |path: &&PathBuf| path.parent() == self::path(synced).parent();
        let expected: Vec<PathBuf> =
            model.now.keys().filter(|name| *name % 2 == synced).map(|name| path(*name)).collect();
        prop_assert_eq!(found.iter().filter(in_synced).cloned().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_same_seed_gives_the_same_disk(acts in proptest::collection::vec(act(), 1..60), seed: u64) {
        let (one, two) = (empty(seed), empty(seed));
        for act in &acts {
            execute(&one, act);
            execute(&two, act);
        }
        let copy = one.copy();
        for disk in [&one, &two, &copy] {
            disk.power_cut(seed);
        }
        prop_assert_eq!(one.files(), two.files());
        prop_assert_eq!(one.files(), copy.files());
        for path in one.files() {
            prop_assert_eq!(one.content(&path).unwrap(), two.content(&path).unwrap());
            prop_assert_eq!(one.content(&path).unwrap(), copy.content(&path).unwrap());
        }
    }
}
