//! An archive that no engine runs on, opened to look after its files.

use crate::failure::Failure;
use crate::place::directory;
use disk::{Disk, RealDisk};
use engine::clock::SystemClock;
use engine::error::Error;
use engine::identity::Holder;
use engine::recovery::{Opening, open_files};
use engine::{Keeper, StorageSettings};
use std::path::PathBuf;
use std::sync::Arc;

/// Takes the archive's lock and puts what its log holds into tables.
pub(crate) fn open(text: &str) -> Result<Keeper, Failure> {
    let directory: PathBuf = directory(text)?;
    // Not created by mistake.
    crate::stock::identity(&engine::layout::Layout::new(&directory))?;
    let opening = Opening {
        disk: Arc::new(RealDisk) as Arc<dyn Disk>,
        clock: Arc::new(SystemClock),
        directory,
        create: false,
        pinned: None,
        fresh_id: None,
        settings: StorageSettings::default(),
    };
    let files = open_files(opening).map_err(|error| match error {
        Error::Locked { .. } => Failure::Usage(format!(
            "{error}. A running engine merges and seals by itself; to do it now, stop it, or take a snapshot"
        )),
        other => other.into(),
    })?;
    let keeper = files.into_keeper()?;
    if let Err(error) = keeper.lock().write(&Holder::here("").encode()) {
        crate::print::warn(&format!("the lock file does not say who holds it: {error}"));
    }
    Ok(keeper)
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
