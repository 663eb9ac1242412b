//! The live tables of a directory that somebody else writes, as of some manifest.

use crate::damage::DamageLog;
use crate::error::Error;
use crate::identity::ArchiveId;
use crate::layout::Layout;
use crate::manifest::Manifest;
use crate::open_indexes::OpenIndexes;
use crate::open_tables::OpenTables;
use crate::view::View;
use disk::{Disk, FormatError};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often a manifest is read again that is older than the engine says, or names a file that has gone.
const ATTEMPTS: u32 = 20;
/// Pause between them: a file system on another machine may be behind.
const PAUSE: Duration = Duration::from_millis(25);

/// Opened tables, kept from one manifest to the next.
pub(super) struct Files {
    disk: Arc<dyn Disk>,
    layout: Layout,
    archive: ArchiveId,
    pub(super) tables: OpenTables,
    indexes: Arc<OpenIndexes>,
    view: Mutex<Option<Arc<View>>>,
    /// What was met in any of them.
    damage: Arc<DamageLog>,
}

impl Files {
    /// `damage` hears of what is met.
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        layout: Layout,
        archive: ArchiveId,
        damage: Arc<DamageLog>,
    ) -> Files {
        let indexes = OpenIndexes::new(disk.clone(), layout.clone(), archive);
        Files { disk, layout, archive, tables: OpenTables::new(), indexes, view: Mutex::default(), damage }
    }

    /// The tables of a manifest of at least `generation`; the manifest is read only when the one at hand
    /// is older.
    pub(super) fn at_least(&self, generation: u64) -> Result<Arc<View>, Error> {
        let mut kept = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = &*kept
            && view.manifest.generation >= generation
        {
            return Ok(view.clone());
        }
        let mut gone = None;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                std::thread::sleep(PAUSE);
            }
            let manifest = Manifest::load(&*self.disk, &self.layout, self.archive)?
                .unwrap_or_else(|| Manifest::new(self.archive));
            if manifest.generation < generation {
                continue;
            }
            match self.tables.of(&*self.disk, &self.layout, &manifest) {
                Ok(tables) => {
                    // Everything that memory held is in the tail or in these tables.
                    let view = View::new(manifest, tables, u64::MAX).with_indexes(self.indexes.clone());
                    view.damage.tell(self.damage.clone());
                    let view = Arc::new(view);
                    *kept = Some(view.clone());
                    return Ok(view);
                }
                // Replaced since the manifest was read: the next one does not name it.
                Err(FormatError::Io(error)) if error.is_missing() => gone = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        match gone {
            Some(error) => Err(error.into()),
            None => Err(Error::Behind { path: self.manifest_path(), generation }),
        }
    }

    fn manifest_path(&self) -> PathBuf {
        self.layout.manifest()
    }
}
