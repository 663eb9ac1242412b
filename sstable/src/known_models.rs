//! What the writers of an archive's tables know of its channels' columns, from table to table.

use crate::chunk::ColumnModels;
use sample::ChannelId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Channels that are known at most; when there are more, all are forgotten. Their models take some 16 MiB then.
const CHANNELS_MAX: usize = 1 << 16;

/// How the columns of channels were written last, so that the next chunk of a channel need not be tried with every
/// model there is. Nothing depends on it but bytes and time: what does not suit is not used. Only channels whose
/// chunks are worth it are remembered. Handles are cheap to clone and share what they know.
#[derive(Clone, Default, Debug)]
pub struct KnownModels(Arc<Mutex<HashMap<ChannelId, Box<ColumnModels>>>>);

impl KnownModels {
    fn channels(&self) -> MutexGuard<'_, HashMap<ChannelId, Box<ColumnModels>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a channel.
    pub(crate) fn of(&self, channel: ChannelId) -> ColumnModels {
        self.channels().get(&channel).map_or_else(ColumnModels::default, |known| (**known).clone())
    }

    /// Remembers what a channel's chunk was written with.
    pub(crate) fn keep(&self, channel: ChannelId, models: ColumnModels) {
        if models.is_empty() {
            return;
        }
        let mut channels = self.channels();
        if channels.len() >= CHANNELS_MAX && !channels.contains_key(&channel) {
            channels.clear();
        }
        channels.insert(channel, Box::new(models));
    }
}
