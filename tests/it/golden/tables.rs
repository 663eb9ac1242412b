//! SSTables as today's code writes them, one a feature.

use super::{Made, blocks, records};
use disk::SimDisk;
use sample::*;
use sstable::*;
use std::path::Path;

/// What a table is given beside its samples.
#[derive(Default)]
struct Content {
    /// Samples of channels from 1 on, and whether they are a late run.
    samples: Vec<(u64, SampleBlock, bool)>,
    /// Records in the order of their keys.
    records: Vec<(Key, Timestamp, Vec<u8>)>,
    /// Rows for channels without samples, or with more than a name.
    rows: Vec<DictionaryRow>,
    lineage: Option<Lineage>,
    tier: u16,
}

fn of_blocks(blocks: Vec<SampleBlock>) -> Content {
    let samples = (1..).zip(blocks).map(|(channel, block)| (channel, block, false)).collect();
    Content { samples, ..Content::default() }
}

fn of_record(rate: u64, first: Timestamp, last: Timestamp, payload: Vec<u8>) -> Content {
    let records = vec![(Key::new(rate, ChannelId(1), first.0), last, payload)];
    Content { records, rows: vec![plain_row(1)], ..Content::default() }
}

fn plain_row(channel: u64) -> DictionaryRow {
    DictionaryRow::new(ChannelId(channel), records::name(&format!("channel {channel}")))
}

fn table(content: &Content, profile: Profile) -> Vec<u8> {
    let (disk, path) = (SimDisk::new(1), Path::new("/golden.sst"));
    let info = TableInfo {
        archive: 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10,
        table: 0x1122,
        week: Week::containing(Timestamp(blocks::MONDAY)),
        class: 2,
        class_name: "default".to_string(),
        kind: TableKind::Raw,
        known_until: records::time(1000),
        tier: content.tier,
    };
    let mut writer = TableWriter::create(&disk, path, &info).unwrap().for_profile(profile);
    if let Some(lineage) = &content.lineage {
        writer.descend(lineage).unwrap();
    }
    for (channel, block, late) in &content.samples {
        writer.add_samples(ChannelId(*channel), block, *late).unwrap();
    }
    for (key, last, payload) in &content.records {
        writer.add_record(*key, *last, payload.clone()).unwrap();
    }
    let mut rows = content.rows.clone();
    for (channel, ..) in &content.samples {
        if rows.iter().all(|row| row.channel.0 != *channel) {
            rows.push(plain_row(*channel));
        }
    }
    rows.sort_by_key(|row| row.channel);
    writer.finish(rows).unwrap();
    disk.content(path).unwrap()
}

/// Features whose bytes depend on the profile.
fn of_samples() -> Vec<(&'static str, Content)> {
    let late = vec![(1, blocks::scalars().remove(4), false), (1, blocks::late(), true)];
    let mut late = Content { samples: late, ..Content::default() };
    late.samples.sort_by_key(|(_, block, _)| block.position(0));
    let equal = blocks::equal_stamps().into_iter().map(|block| (1, block, false)).collect();
    vec![
        ("scalars", of_blocks(blocks::scalars())),
        ("texts", of_blocks(blocks::texts())),
        ("arrays", of_blocks(blocks::arrays())),
        ("optional-columns", of_blocks(blocks::optional_columns())),
        ("equal-stamps", Content { samples: equal, ..Content::default() }),
        ("late-runs", late),
        ("integers", of_blocks(blocks::integers())),
        ("elements", of_blocks(blocks::elements())),
        ("floats", of_blocks(blocks::float_models())),
        ("stamps", of_blocks(blocks::stamps())),
        ("pages", of_blocks(blocks::pages())),
        ("strays", of_blocks(blocks::strays())),
        ("growing", of_blocks(blocks::growing())),
        ("shared-stamps", of_blocks(blocks::shared_stamps())),
        ("near-stamps", of_blocks(blocks::near_stamps())),
        ("large-values", of_blocks(blocks::large())),
    ]
}

fn of_records() -> Vec<(&'static str, Content)> {
    let (events, metadata, names) = (records::events(), records::metadata(), records::channel_records());
    let event_bytes = encode_events(&events).unwrap();
    let carry_ins = (1..).zip(records::carry_ins()).map(|(channel, carry_in)| {
        let channel = ChannelId(channel);
        let payload = encode_carry_in(channel, &carry_in).unwrap();
        (Key::new(Key::CARRY_IN, channel, blocks::MONDAY), Timestamp(blocks::MONDAY), payload)
    });
    let carry_ins: Vec<_> = carry_ins.collect();
    let rows: Vec<_> = (1..=carry_ins.len() as u64).map(plain_row).collect();
    // Events of channels 1 and 2, metadata of 2 and 3.
    let happened = |rate, channel, first: Timestamp, last, payload: &[u8]| {
        (Key::new(rate, ChannelId(channel), first.0), last, payload.to_vec())
    };
    let (first, last) = (events[0].time, events[events.len() - 1].time);
    let metadata_bytes = encode_metadata(&metadata);
    let mut timelines: Vec<_> = [1, 2].map(|of| happened(Key::EVENTS, of, first, last, &event_bytes)).into();
    let changes =
        [2, 3].map(|of| happened(Key::METADATA, of, records::time(1), records::time(3), &metadata_bytes));
    timelines.extend(changes);
    timelines.extend(carry_ins.iter().cloned());
    let lineage = Lineage {
        through: 99,
        next_channel: 12,
        next_sequence: 1234,
        value_bytes: 4096,
        sequences: (5, 1000),
        group: vec![0x1121, 0x1122],
        parts: vec![3, 4, 300],
        sources: Vec::new(),
    };
    vec![
        ("events", of_record(Key::EVENTS, events[0].time, events[events.len() - 1].time, event_bytes)),
        (
            "metadata",
            of_record(Key::METADATA, records::time(1), records::time(3), encode_metadata(&metadata)),
        ),
        (
            "channel-records",
            of_record(Key::CHANNELS, names[0].time, names[0].time, encode_channel_records(&names)),
        ),
        ("timelines", Content { records: timelines, rows: rows.clone(), ..Content::default() }),
        ("carry-in", Content { records: carry_ins, rows, ..Content::default() }),
        (
            "dictionary",
            Content {
                samples: vec![(1, blocks::scalars().remove(0), false)],
                rows: vec![records::full_row(1), records::full_row(7)],
                ..Content::default()
            },
        ),
        (
            "lineage",
            Content { lineage: Some(lineage), tier: 2, ..of_blocks(vec![blocks::scalars().remove(1)]) },
        ),
        (
            "decimated-rows",
            of_record(60_000_000_000, records::time(0), records::time(239), encode_bins(&records::bins())),
        ),
        (
            "decimated-lineage",
            Content {
                lineage: Some(Lineage { sources: vec![0x1120, 0x1130], ..Lineage::default() }),
                ..of_record(
                    86_400_000_000_000,
                    records::time(0),
                    records::time(86_399),
                    encode_bins(&BinColumns::default()),
                )
            },
        ),
        ("packed-chunks", of_blocks(blocks::packed())),
        ("nothing", Content::default()),
    ]
}

pub(super) fn made() -> Vec<Made> {
    let mut made = Vec::new();
    for (feature, content) in of_samples() {
        for (profile, name) in [(Profile::Hot, "hot"), (Profile::Cold, "cold")] {
            made.push(Made::new("sstable", format!("{feature}-{name}.sst"), table(&content, profile)));
        }
    }
    for (feature, content) in of_records() {
        made.push(Made::new("sstable", format!("{feature}.sst"), table(&content, Profile::Hot)));
    }
    made
}
