//! An archive that no engine runs on, opened to look after its files.

use crate::failure::Failure;
use crate::place::directory;
use disk::{Disk, RealDisk};
use engine::clock::SystemClock;
use engine::config::Config;
use engine::error::Error;
use engine::identity::Holder;
use engine::manifest::TableEntry;
use engine::recovery::{Opening, open_files};
use engine::{Keeper, StorageSettings};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What an archive directory does not say itself.
#[derive(clap::Args)]
pub(crate) struct Rules {
    /// Configuration of the archive's engine: its [archive] holds, and tables that its retention rules do not keep are
    /// removed first. Without it nothing is removed for its age
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Takes the archive's lock and puts what its log holds into tables.
pub(crate) fn open(text: &str, rules: &Rules) -> Result<Keeper, Failure> {
    let directory: PathBuf = directory(text)?;
    let config = rules.config.as_deref().map(|path| configuration(path, &directory)).transpose()?;
    // Not created by mistake.
    crate::stock::identity(&engine::layout::Layout::new(&directory))?;
    let opening = Opening {
        disk: Arc::new(RealDisk) as Arc<dyn Disk>,
        clock: Arc::new(SystemClock),
        directory,
        create: false,
        pinned: config.as_ref().and_then(|config| config.archive.id.clone()),
        fresh_id: None,
        settings: config.as_ref().map(|config| StorageSettings::of(&config.archive)).unwrap_or_default(),
    };
    let files = open_files(opening).map_err(|error| match error {
        Error::Locked { .. } => Failure::Usage(format!(
            "{error}. A running engine merges and seals by itself; to do it now, stop it, or take a snapshot"
        )),
        other => other.into(),
    })?;
    let keeper = files.into_keeper()?;
    if let Some(config) = config {
        keeper.shared().set_retention(&config.retention);
    }
    if let Err(error) = keeper.lock().write(&Holder::here("").encode()) {
        crate::print::warn(&format!("the lock file does not say who holds it: {error}"));
    }
    Ok(keeper)
}

/// The configuration at `path`, which must be that of the archive in `directory`: what its rules remove is gone.
fn configuration(path: &Path, directory: &Path) -> Result<Config, Failure> {
    let config = Config::load(&RealDisk, path)
        .map_err(|errors| Failure::Usage(format!("{} has errors:\n{errors}", path.display())))?;
    let of = &config.archive.directory;
    let same = matches!((of.canonicalize(), directory.canonicalize()), (Ok(of), Ok(here)) if of == here);
    if !same {
        let (path, of, here) = (path.display(), of.display(), directory.display());
        return Err(Failure::Usage(format!("{path} configures the archive {of}, not {here}")));
    }
    Ok(config)
}

/// Removes what the retention rules do not keep. Returns the number of tables, and whether damaged ones stay.
pub(crate) fn retain(keeper: &Keeper) -> Result<(usize, bool), Failure> {
    let (mut removed, mut damaged) = (0, false);
    // Each time one goes at least, or is damaged and stays.
    for _ in 0..=keeper.shared().view().tables.len() {
        let before = keeper.shared().view();
        match keeper.retain() {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) if error.is_damage() => {
                crate::print::warn(&format!("{error}; it stays, with all that was to go with it"));
                damaged = true;
                continue;
            }
            Err(error) => return Err(error.into()),
        }
        let after = &keeper.shared().view().manifest;
        let gone = |table: &&TableEntry| after.tables.iter().all(|left| left.id != table.id);
        removed += before.manifest.tables.iter().filter(gone).count();
    }
    Ok((removed, damaged))
}

/// Makes the decimated table that is due most; `false` when none is. One whose source is damaged is passed over.
pub(crate) fn decimate(keeper: &Keeper) -> Result<bool, Failure> {
    match keeper.decimate(&|| false) {
        Err(error) if error.is_damage() => {
            crate::print::warn(&format!("{error}; there will be no decimated rows of its table"));
            Ok(true)
        }
        other => Ok(other?),
    }
}
