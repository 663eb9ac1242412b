//! Failed syncs, full disks, large records, segments that come and go.

use super::model::{ARCHIVE, DIR, Model, deliver};
use super::*;
use crate::error::Error;
use disk::sim::Operation;
use disk::{Disk, SimDisk};
use sample::{ChannelId, Column, Sample, Timestamp, Value};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

fn received(model: &mut Model, count: usize) {
    for _ in 0..count {
        model.receive();
    }
}

#[test]
fn after_a_failed_sync_everything_is_repeated_in_a_new_file() {
    for failing in [Operation::Sync, Operation::SyncDir] {
        let mut model = Model::new(1, 1 << 16);
        if failing == Operation::Sync {
            received(&mut model, 3);
            model.write().unwrap();
            model.sync().unwrap();
        }
        received(&mut model, 3);
        model.write().unwrap();
        model.disk.fail(failing, 0, 1, ErrorKind::Other);
        let promised = model.writer.durable();
        let ticket = model.writer.begin_sync().unwrap();
        let result = ticket.run();
        assert!(model.writer.finish_sync(ticket, result).is_err());
        assert!(model.writer.needs_restart() && model.writer.begin_sync().is_none());
        assert_eq!(model.writer.durable(), promised);
        assert!(matches!(model.write(), Err(Error::LogFailed { .. })));
        let files = model.disk.files();
        model.restart().unwrap();
        assert_eq!(model.acknowledged, model.newest(), "all is promised again");
        assert!(model.disk.files().iter().all(|file| !files.contains(file)), "no file is used again");
        received(&mut model, 3);
        model.write().unwrap();
        model.sync().unwrap();
        model.disk.power_cut(1);
        model.recover_through_crashes();
        assert_eq!(model.memory.len(), model.newest() as usize);
    }
}

#[test]
fn nothing_is_promised_while_records_are_repeated() {
    let mut model = Model::new(1, 1 << 16);
    received(&mut model, 2);
    model.write().unwrap();
    model.sync().unwrap();
    received(&mut model, 2);
    let first = model.writer.restart(&model.buffer);
    assert_eq!(first, 5);
    // A live value comes in between, before all is repeated.
    model.receive();
    model.write().unwrap();
    model.sync().unwrap();
    assert_eq!(model.acknowledged, 2);
    model.buffer.finish_repeat();
    model.write().unwrap();
    model.sync().unwrap();
    assert_eq!(model.acknowledged, 5);
}

#[test]
fn a_ticket_from_before_a_restart_changes_nothing() {
    let mut model = Model::new(1, 1 << 16);
    received(&mut model, 2);
    model.write().unwrap();
    let ticket = model.writer.begin_sync().unwrap();
    model.writer.restart(&model.buffer);
    let durable = model.writer.durable();
    assert_eq!(model.writer.finish_sync(ticket, Ok(())).unwrap(), durable);
    assert!(durable.received < Timestamp(1));
}

#[test]
fn what_is_written_during_a_sync_waits_for_the_next_one() {
    let mut model = Model::new(1, 400);
    received(&mut model, 2);
    model.write().unwrap();
    let ticket = model.writer.begin_sync().unwrap();
    received(&mut model, 5);
    model.write().unwrap();
    assert!(model.writer.begin_sync().is_none(), "one at a time");
    let result = ticket.run();
    let durable = model.writer.finish_sync(ticket, result).unwrap();
    assert_eq!((durable.sequence, durable.received), (2, Timestamp(2)));
    model.acknowledged = 2;
    model.disk.set_name_survival(disk::sim::NameSurvival::Forgotten);
    model.disk.power_cut(1);
    model.recover_through_crashes();
    assert!(model.newest() >= 2);
}

#[test]
fn a_full_disk_in_the_middle_of_a_record_leaves_a_log_that_goes_on_there() {
    for room in 0..600 {
        // Files are not allocated ahead here: the write itself meets the limit.
        let mut model = Model::new(room, 65);
        model.receive();
        model.write().unwrap();
        model.sync().unwrap();
        received(&mut model, 4);
        model.disk.set_capacity(model.disk.used() + room);
        match model.write() {
            Ok(()) => assert!(room > 100),
            Err(error) => assert!(error.is_full(), "{error}"),
        }
        let waiting = model.buffer.waiting();
        if room % 2 == 0 {
            // Either there is room again ..
            model.disk.set_capacity(1 << 20);
            model.receive();
            model.write().unwrap();
            assert_eq!(model.buffer.waiting(), 0);
            model.sync().unwrap();
            assert_eq!(model.acknowledged, 6);
        } else {
            // .. or the process ends.
            assert_eq!(waiting > 0, model.writer.written().received < Timestamp(5));
        }
        model.disk.set_capacity(1 << 20);
        model.disk.kill();
        model.recover_through_crashes();
        let all = if room % 2 == 0 { 6 } else { model.newest() };
        assert_eq!(model.memory.len() as u64, all);
    }
}

#[test]
fn a_torn_write_is_overwritten_at_the_same_place() {
    let mut model = Model::new(1, 1 << 16);
    received(&mut model, 2);
    model.write().unwrap();
    for torn in 0..5 {
        model.disk.fail(Operation::Write, 0, 1, ErrorKind::StorageFull);
        received(&mut model, 2);
        let error = model.write().unwrap_err();
        assert!(error.is_full());
        assert!(model.buffer.waiting() > 0, "{torn}");
        model.receive();
        model.write().unwrap();
    }
    model.sync().unwrap();
    let (values, replay) = deliver(&model.disk, 1).unwrap();
    assert_eq!(values.len(), 17);
    assert_eq!(replay.cut_bytes, []);
    assert_eq!(model.disk.files().len(), 1);
}

#[test]
fn released_segments_go_and_the_rest_stays() {
    let mut model = Model::new(1, 256);
    received(&mut model, 20);
    model.write().unwrap();
    model.sync().unwrap();
    let before = model.writer.segments();
    assert_eq!(before, model.disk.files().len() as u64);
    assert!(before > 5);
    model.writer.release(10).unwrap();
    let left = model.writer.segments();
    assert!(left < before && left == model.disk.files().len() as u64);
    let (values, replay) = deliver(&model.disk, 11).unwrap();
    assert_eq!(values.iter().map(|(value, _)| *value).collect::<Vec<_>>(), (11..=20).collect::<Vec<_>>());
    assert_eq!(replay.cut_bytes, []);
    model.writer.release(20).unwrap();
    assert_eq!(model.writer.segments(), 1, "the one that is written stays");
    assert_eq!(model.writer.bytes(), model.disk.content(&model.disk.files()[0]).unwrap().len() as u64);
}

#[test]
fn an_idle_log_moves_its_promise_without_writing() {
    let mut model = Model::new(1, 1 << 12);
    model.receive();
    model.write().unwrap();
    model.sync().unwrap();
    let syncs = model.disk.counters().total();
    model.buffer.mark(Timestamp(77));
    model.write().unwrap();
    assert!(model.writer.begin_sync().is_none());
    assert_eq!(model.writer.durable().received, Timestamp(77));
    assert_eq!(model.disk.counters().total(), syncs);
}

#[test]
fn a_buffer_takes_what_fits_and_one_large_record() {
    let buffer = Buffer::new(200, 1, Timestamp(0));
    assert_eq!(buffer.append(&[1; 400], Timestamp(1)), Ok(1), "alone");
    let error = buffer.append(&[1], Timestamp(2)).unwrap_err();
    assert_eq!(error, BufferFull::Waiting { wanted: 48, waiting: 440, limit: 200 });
    let buffer = Buffer::new(200, 5, Timestamp(0));
    assert_eq!(buffer.append(&[1; 56], Timestamp(1)), Ok(5));
    assert_eq!(buffer.append(&[1; 64], Timestamp(2)), Ok(6), "just fits");
    assert!(buffer.append(&[], Timestamp(3)).is_err());
    assert_eq!((buffer.waiting(), buffer.next_sequence()), (200, 7));
    let too_large = vec![0; format::PAYLOAD_BYTES_MAX + 1];
    assert!(matches!(buffer.append(&too_large, Timestamp(3)), Err(BufferFull::TooLarge { .. })));
}

#[test]
fn a_record_larger_than_a_segment_gets_a_segment_of_its_own() {
    let disk = SimDisk::new(1);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let nothing = replay(&disk, Path::new(DIR), ARCHIVE, 1, &mut |_, _| ()).unwrap();
    let settings = Settings { segment_bytes: 4096 };
    let mut writer = Writer::resume(shared, Path::new(DIR), ARCHIVE, settings, &nothing, 1).unwrap();
    let buffer = Buffer::new(1 << 20, 1, Timestamp(0));
    let large = Value::Array(Box::new(Column::Float64((0..1 << 23).map(f64::from).collect())));
    let mut sent = Vec::new();
    for (time, value) in [Value::Bool(true), large, Value::Bool(false)].into_iter().enumerate() {
        let mut batch = BatchEncoder::new();
        sent.push(Sample::new(Timestamp(time as i64), value));
        batch.sample(ChannelId(1), Placement::InOrder, &sent[time]);
        buffer.append(batch.bytes(), Timestamp(time as i64)).unwrap();
        writer.write(&buffer).unwrap();
    }
    assert_eq!(writer.segments(), 3);
    let mut found = Vec::new();
    let replay = replay(&disk, Path::new(DIR), ARCHIVE, 1, &mut |_, entry| found.push(entry)).unwrap();
    assert_eq!(replay.cut_bytes, []);
    let samples = found.iter().map(|entry| match entry {
        Entry::Sample { sample, .. } => sample,
        other => panic!("{other:?}"),
    });
    assert!(samples.eq(&sent));
}
