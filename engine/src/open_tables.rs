//! Tables that stay open from one manifest to the next.

use crate::layout::Layout;
use crate::limits::BLOCK_CACHE_BYTES;
use crate::manifest::Manifest;
use disk::{Disk, FormatError};
use sstable::{BlockCache, Table};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Which file a table is: its number in the archive, its footer's checksum, its length.
type TableIdentity = (u64, u32, u64);

/// The open tables of one archive with the cache of their blocks.
#[derive(Debug)]
pub(crate) struct OpenTables {
    cache: Arc<BlockCache>,
    open: Mutex<HashMap<TableIdentity, Arc<Table>>>,
}

impl OpenTables {
    /// None yet.
    pub(crate) fn new() -> OpenTables {
        OpenTables { cache: BlockCache::new(BLOCK_CACHE_BYTES), open: Mutex::default() }
    }

    /// The cache of their blocks.
    pub(crate) fn cache(&self) -> &Arc<BlockCache> {
        &self.cache
    }

    /// The tables of `manifest` in its order; opens those that are not open, forgets all others.
    pub(crate) fn of(
        &self,
        disk: &dyn Disk,
        layout: &Layout,
        manifest: &Manifest,
    ) -> Result<Vec<Arc<Table>>, FormatError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut named = HashMap::with_capacity(manifest.tables.len());
        let mut tables = Vec::with_capacity(manifest.tables.len());
        for entry in &manifest.tables {
            let identity = (entry.id, entry.footer_crc, entry.len);
            let table = match open.get(&identity) {
                Some(table) => table.clone(),
                None => {
                    let path = entry.path(layout);
                    Arc::new(Table::open(disk, &path, &self.cache)?)
                }
            };
            named.insert(identity, table.clone());
            tables.push(table);
        }
        *open = named;
        Ok(tables)
    }
}
