//! What was read lately and will be wanted again, bounded in bytes.

use crate::block::SharedBlock;
use crate::reader::LentTimes;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A cache for the shared blocks of any number of tables, and for stamps that several chunks need. When it is full
/// what was not used for the longest time goes.
#[derive(Debug)]
pub struct BlockCache {
    bytes_max: usize,
    next_table: AtomicU64,
    content: Mutex<Content>,
}

/// What lies at an offset of a table.
#[derive(Clone, Debug)]
pub(crate) enum Cached {
    Block(Arc<SharedBlock>),
    /// Of the chunk there.
    Times(Arc<LentTimes>),
}

impl Cached {
    fn memory_bytes(&self) -> usize {
        match self {
            Cached::Block(block) => block.memory_bytes(),
            Cached::Times(times) => times.memory_bytes(),
        }
    }
}

#[derive(Debug, Default)]
struct Content {
    blocks: HashMap<(u64, u64), (u64, Cached)>,
    /// Last use of each block.
    uses: BTreeMap<u64, (u64, u64)>,
    clock: u64,
    bytes: usize,
}

impl BlockCache {
    /// A cache of at most `bytes_max` bytes (of what is unpacked); 0 keeps nothing.
    pub fn new(bytes_max: usize) -> Arc<BlockCache> {
        Arc::new(BlockCache { bytes_max, next_table: AtomicU64::new(1), content: Mutex::default() })
    }

    /// Bytes held now.
    pub fn bytes(&self) -> usize {
        self.content.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }

    /// A number under which one opened table keeps its blocks.
    pub(crate) fn register(&self) -> u64 {
        self.next_table.fetch_add(1, Ordering::Relaxed)
    }

    /// What lies at `offset` of `table`.
    pub(crate) fn get(&self, table: u64, offset: u64) -> Option<Cached> {
        let content = &mut *self.content.lock().unwrap_or_else(PoisonError::into_inner);
        content.clock += 1;
        let (used, block) = content.blocks.get_mut(&(table, offset))?;
        content.uses.remove(used);
        *used = content.clock;
        content.uses.insert(content.clock, (table, offset));
        Some(block.clone())
    }

    /// Whether what lies at `offset` of `table` is here. That is no use of it.
    pub(crate) fn holds(&self, table: u64, offset: u64) -> bool {
        let content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        content.blocks.contains_key(&(table, offset))
    }

    /// Whether there is room for so many bytes when all others go.
    pub(crate) fn takes(&self, bytes: usize) -> bool {
        bytes <= self.bytes_max
    }

    /// Keeps what lies at `offset` of `table`, letting others go.
    pub(crate) fn insert(&self, table: u64, offset: u64, block: Cached) {
        if !self.takes(block.memory_bytes()) {
            return;
        }
        let content = &mut *self.content.lock().unwrap_or_else(PoisonError::into_inner);
        content.clock += 1;
        content.bytes += block.memory_bytes();
        let before = content.blocks.insert((table, offset), (content.clock, block));
        content.uses.insert(content.clock, (table, offset));
        if let Some((used, before)) = before {
            content.uses.remove(&used);
            content.bytes -= before.memory_bytes();
        }
        while content.bytes > self.bytes_max
            && let Some((_, key)) = content.uses.pop_first()
        {
            if let Some((_, gone)) = content.blocks.remove(&key) {
                content.bytes -= gone.memory_bytes();
            }
        }
    }

    /// Forgets the blocks of a table that is closed.
    pub(crate) fn forget(&self, table: u64) {
        let content = &mut *self.content.lock().unwrap_or_else(PoisonError::into_inner);
        let Content { blocks, uses, bytes, .. } = content;
        blocks.retain(|(owner, _), (used, block)| {
            if *owner == table {
                uses.remove(used);
                *bytes -= block.memory_bytes();
            }
            *owner != table
        });
    }
}
