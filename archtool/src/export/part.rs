//! The directory `FILE.part`: the plan, how far it is carried out, and the stretches that are finished.
//!
//! Each file in it is replaced durably and whole, a stretch before the progress that counts it. So after any
//! interruption the progress names stretches that are there, and what lies beside them means nothing.

use super::plan::{Plan, Question};
use super::tree::{self, Tree};
use crate::command_line::Outcome;
use crate::failure::Failure;
use disk::{Disk, DiskError, File, Lock};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const PLAN: &str = "plan.json";
const PROGRESS: &str = "progress.json";
const WHOLE: &str = "whole";
const LOCK: &str = "LOCK";
/// Most bytes of a JSON file that are read.
const JSON_BYTES_MAX: u64 = 1 << 30;

/// Most bytes of a stretch that are read. It is closed long before, except within one time.
const STRETCH_BYTES_MAX: u64 = 8 << 30;

/// How far an export is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Stretches that are finished.
    pub(crate) stretches: u64,
    /// Place of the channel in the plan that comes next.
    pub(crate) channel: usize,
    /// Its samples from here on.
    pub(crate) from_ns: i64,
    /// Samples in the finished stretches.
    pub(crate) samples: u64,
    /// Whether damaged places were left out.
    pub(crate) damaged: bool,
    /// Bytes of the whole file, once it is only to be renamed.
    pub(crate) whole: Option<u64>,
}

/// An export that is not finished.
#[derive(Debug)]
pub(crate) struct Part {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    plan: Plan,
    progress: Progress,
    /// Nobody else works on it.
    _lock: Box<dyn Lock>,
}

/// The directory of an unfinished export to `file`.
pub(crate) fn directory_of(file: &Path) -> PathBuf {
    let mut name = OsString::from(file.file_name().unwrap_or_default());
    name.push(disk::PART_SUFFIX);
    file.with_file_name(name)
}

pub(super) fn failed(error: DiskError) -> Failure {
    let what = format!("{} {}", error.operation, error.path.display());
    Failure::Io { what, source: reason(&error) }
}

/// The cause, with what to do about it.
fn reason(error: &DiskError) -> io::Error {
    let hint = if error.is_full() { " (make room there first)" } else { "" };
    io::Error::new(error.source.kind(), format!("{}{hint}", error.source))
}

fn take(disk: &Arc<dyn Disk>, directory: &Path) -> Result<Box<dyn Lock>, Failure> {
    let lock = disk.lock(&directory.join(LOCK)).map_err(failed)?;
    lock.ok_or_else(|| Failure::Io {
        what: format!("go on with {}", directory.display()),
        source: io::Error::other("another export is at work there; wait for it"),
    })
}

impl Part {
    /// Begins an export to `file`.
    pub(crate) fn begin(disk: Arc<dyn Disk>, file: &Path, plan: Plan) -> Result<Part, Failure> {
        let directory = directory_of(file);
        disk.create_dir(&directory).map_err(failed)?;
        let lock = take(&disk, &directory)?;
        disk.sync_dir(parent(file)).map_err(failed)?;
        let progress = Progress { from_ns: plan.from_ns, ..Progress::default() };
        let mut part = Part { disk, directory, plan, progress, _lock: lock };
        part.put(PLAN, &part.plan)?;
        part.note(progress)?;
        Ok(part)
    }

    /// The unfinished export to `file`, if there is one that got so far as to know its plan. One that answers
    /// another question than `question` is a failure.
    pub(crate) fn resume(
        disk: Arc<dyn Disk>,
        file: &Path,
        question: &Question,
    ) -> Result<Option<Part>, Failure> {
        let directory = directory_of(file);
        if !disk.exists(&directory).map_err(failed)? {
            return Ok(None);
        }
        let lock = take(&disk, &directory)?;
        let plan: Option<Plan> = get(&*disk, &directory.join(PLAN))?;
        let progress = get(&*disk, &directory.join(PROGRESS))?;
        let (Some(plan), Some(progress)) = (plan, progress) else { return Ok(None) };
        if let Some(difference) = question.difference(&plan.question) {
            return Err(Failure::Usage(format!(
                "{} belongs to another export: it {difference}; give the question of then, or begin anew with --force",
                directory.display()
            )));
        }
        Ok(Some(Part { disk, directory, plan, progress, _lock: lock }))
    }

    /// The plan.
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What the export lacks of what was asked for.
    pub(crate) fn outcome(&self) -> Outcome {
        match (self.progress.damaged, self.plan.refused.is_empty()) {
            (true, _) => Outcome::Damage,
            (false, false) => Outcome::Missing,
            (false, true) => Outcome::Done,
        }
    }

    /// How far it is.
    pub(crate) fn progress(&self) -> Progress {
        self.progress
    }

    fn put(&self, name: &str, value: &impl Serialize) -> Result<(), Failure> {
        let bytes =
            serde_json::to_vec(value).map_err(|error| Failure::io(format!("write {name}"))(error.into()))?;
        disk::replace(&*self.disk, &self.directory, name, &bytes).map_err(failed)
    }

    /// Keeps a finished stretch durably; they count from 1.
    pub(crate) fn keep(&self, number: u64, bytes: &[u8]) -> Result<(), Failure> {
        let packed = pack(bytes).map_err(Failure::io(format!("compress stretch {number}")))?;
        disk::replace(&*self.disk, &self.directory, &stretch(number), &packed).map_err(failed)
    }

    /// Notes durably how far it is.
    pub(crate) fn note(&mut self, progress: Progress) -> Result<(), Failure> {
        self.put(PROGRESS, &progress)?;
        self.progress = progress;
        Ok(())
    }

    /// A finished stretch.
    pub(crate) fn stretch(&self, number: u64) -> Result<Vec<u8>, Failure> {
        let path = self.directory.join(stretch(number));
        let packed = read(&*self.disk, &path, STRETCH_BYTES_MAX).map_err(failed)?;
        unpack(&packed).map_err(|source| Failure::Io {
            what: format!("read {}, which is damaged; begin anew with --force", path.display()),
            source,
        })
    }

    /// An empty file for the whole, in place of one that was not finished.
    pub(crate) fn whole(&self) -> Result<Appending, Failure> {
        Appending::to(&*self.disk, &self.whole_path()?)
    }

    /// Where the whole is to be, with nothing there: for a writer that opens its file itself.
    pub(crate) fn whole_path(&self) -> Result<PathBuf, Failure> {
        let path = self.directory.join(WHOLE);
        remove(&*self.disk, &path)?;
        Ok(path)
    }

    /// Makes durable what such a writer wrote.
    #[cfg(feature = "nexus")]
    pub(crate) fn sync_whole(&self) -> Result<(), Failure> {
        let file = self.disk.open_write(&self.directory.join(WHOLE)).map_err(failed)?;
        file.sync().map_err(failed)
    }

    /// An empty directory for a whole of many files, in place of one that was not finished.
    pub(crate) fn tree(&self) -> Result<Tree, Failure> {
        let root = self.directory.join(WHOLE);
        tree::remove(&*self.disk, &root).map_err(failed)?;
        Tree::begin(self.disk.clone(), root).map_err(failed)
    }

    /// Makes the whole, which was written and synced, `file`; then nothing of this export is left but that.
    /// Returns its bytes.
    pub(crate) fn publish(mut self, file: &Path) -> Result<u64, Failure> {
        let whole = self.directory.join(WHOLE);
        let bytes = tree::bytes(&*self.disk, &whole).map_err(failed)?;
        self.disk.sync_dir(&self.directory).map_err(failed)?;
        self.note(Progress { whole: Some(bytes), ..self.progress })?;
        self.disk.rename(&whole, file).map_err(failed)?;
        self.disk.sync_dir(parent(file)).map_err(failed)?;
        self.clear(file)
    }

    /// Whether `file` is this export's whole, which was renamed and only not cleared away behind.
    pub(crate) fn is_published(&self, file: &Path) -> Result<bool, Failure> {
        let Some(bytes) = self.progress.whole else { return Ok(false) };
        if self.disk.exists(&self.directory.join(WHOLE)).map_err(failed)? {
            return Ok(false);
        }
        Ok(tree::bytes(&*self.disk, file).is_ok_and(|found| found == bytes))
    }

    /// Removes the directory and what this program put there. Returns the bytes of the whole.
    pub(crate) fn clear(self, file: &Path) -> Result<u64, Failure> {
        clear(&*self.disk, &self.directory, file)?;
        Ok(self.progress.whole.unwrap_or_default())
    }
}

/// Removes what an unfinished export to `file` left, if there is any.
pub(crate) fn discard(disk: &Arc<dyn Disk>, file: &Path) -> Result<(), Failure> {
    let directory = directory_of(file);
    if !disk.exists(&directory).map_err(failed)? {
        return Ok(());
    }
    let _lock = take(disk, &directory)?;
    // Without it, what is left means nothing.
    remove(&**disk, &directory.join(PROGRESS))?;
    disk.sync_dir(&directory).map_err(failed)?;
    clear(&**disk, &directory, file)
}

/// The stretches go first: progress that counts them either says that they are needed no more, or is gone.
fn clear(disk: &dyn Disk, directory: &Path, file: &Path) -> Result<(), Failure> {
    let names = disk.list(directory).map_err(failed)?;
    let own = |name: &str| {
        let name = name.strip_suffix(disk::PART_SUFFIX).unwrap_or(name);
        name == WHOLE || name.parse::<u64>().is_ok_and(|number| stretch(number) == name)
    };
    for entry in names.iter().filter(|entry| own(&entry.name)) {
        tree::remove(disk, &directory.join(&entry.name)).map_err(failed)?;
    }
    for name in [PROGRESS, PLAN] {
        remove(disk, &directory.join(format!("{name}{}", disk::PART_SUFFIX)))?;
        remove(disk, &directory.join(name))?;
    }
    remove(disk, &directory.join(LOCK))?;
    disk.remove_dir(directory).map_err(failed)?;
    disk.sync_dir(parent(file)).map_err(failed)
}

fn remove(disk: &dyn Disk, path: &Path) -> Result<(), Failure> {
    match disk.remove(path) {
        Err(error) if !error.is_missing() => Err(failed(error)),
        _ => Ok(()),
    }
}

fn stretch(number: u64) -> String {
    format!("{number:08}")
}

/// Compressed, so that little room is needed beside the whole, and with a checksum.
fn pack(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1)?;
    encoder.include_checksum(true)?;
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn unpack(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    zstd::Decoder::new(packed)?.take(STRETCH_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > STRETCH_BYTES_MAX {
        return Err(io::Error::other(format!("it has more than {STRETCH_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

/// The directory that holds `file`.
pub(crate) fn parent(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn get<T: DeserializeOwned>(disk: &dyn Disk, path: &Path) -> Result<Option<T>, Failure> {
    let bytes = match read(disk, path, JSON_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| Failure::Io {
        what: format!("understand {}; begin anew with --force", path.display()),
        source: error.into(),
    })
}

/// A file's bytes, at most `most`; memory grows with what is there.
fn read(disk: &dyn Disk, path: &Path, most: u64) -> Result<Vec<u8>, DiskError> {
    let file = disk.open(path)?;
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 1 << 20]);
    loop {
        match file.read_at(bytes.len() as u64, &mut piece)? {
            0 => return Ok(bytes),
            count => bytes.extend_from_slice(&piece[..count]),
        }
        if bytes.len() as u64 > most {
            let source = io::Error::other(format!("it has more than {most} bytes"));
            return Err(DiskError::new("read", path, source));
        }
    }
}

/// Writes a file from its start on.
#[derive(Debug)]
pub(crate) struct Appending {
    file: Arc<dyn File>,
    at: u64,
}

impl Appending {
    /// A file that is not there yet.
    pub(super) fn to(disk: &dyn Disk, path: &Path) -> Result<Appending, Failure> {
        Ok(Appending { file: disk.create(path).map_err(failed)?, at: 0 })
    }

    /// Writes in place of what was written there.
    pub(crate) fn put_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(at, bytes).map_err(|error| reason(&error))
    }

    /// Makes all of it durable.
    pub(crate) fn sync(&self) -> Result<(), Failure> {
        self.file.sync().map_err(failed)
    }
}

impl Write for Appending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_at(self.at, bytes).map_err(|error| reason(&error))?;
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
