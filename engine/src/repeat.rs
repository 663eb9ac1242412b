//! Logs what memory holds a second time, when the files that held it cannot be trusted.

use crate::error::Error;
use crate::memtable::ChannelData;
use crate::shared::Shared;
use crate::slot::Slot;
use crate::wal::{self, BatchEncoder, BufferFull, Placement};
use sample::SampleBlock;
use std::sync::Arc;

/// Bytes of one repeated record.
const RECORD_BYTES: usize = 1 << 20;

/// Appends everything in epochs behind `flushed_epoch` to the log again, writing whenever the buffer is full.
pub(crate) fn repeat(shared: &Shared, log: &mut wal::Writer, flushed_epoch: u64) -> Result<(), Error> {
    let slots: Vec<Arc<Slot>> = shared.directory().slots.iter().flatten().cloned().collect();
    let mut batch = BatchEncoder::default();
    let received = shared.heard_until();
    let mut send = |batch: &mut BatchEncoder, least: usize| -> Result<(), Error> {
        if batch.len() <= least {
            return Ok(());
        }
        if let Err(BufferFull::Waiting { .. }) = shared.log.append(batch.bytes(), received) {
            log.write(&shared.log)?;
            shared.log.append(batch.bytes(), received).map_err(Error::LogBuffer)?;
        }
        batch.clear();
        Ok(())
    };
    for slot in slots {
        let data: Vec<ChannelData> = {
            let state = slot.lock();
            state.epochs().filter(|data| data.epoch > flushed_epoch).cloned().collect()
        };
        for data in data {
            for record in data.records() {
                batch.record(slot.id, record);
            }
            for (time, metadata) in data.metadata() {
                batch.metadata(slot.id, *time, metadata);
            }
            for event in data.events() {
                batch.event(slot.id, event);
            }
            let placed = [
                (data.blocks(), Placement::InOrder),
                (data.late_blocks(), Placement::Late),
                (data.carried_blocks(), Placement::CarryIn),
            ];
            for (blocks, placement) in placed {
                for block in blocks {
                    samples(&block, |sample| {
                        batch.sample(slot.id, placement, sample);
                        send(&mut batch, RECORD_BYTES)
                    })?;
                }
            }
        }
        send(&mut batch, RECORD_BYTES)?;
    }
    batch.heartbeat(received);
    send(&mut batch, 0)
}

fn samples(
    block: &SampleBlock,
    mut each: impl FnMut(&sample::Sample) -> Result<(), Error>,
) -> Result<(), Error> {
    (0..block.len()).try_for_each(|i| each(&block.get(i)))
}
