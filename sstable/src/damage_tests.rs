//! Every bit flipped, every length cut: damage is an error that names its place, never wrong data.

use crate::format::{BlockCodec, CODEC_IN_PAGES, ColumnCodec, ColumnTag};
use crate::*;
use disk::{Cursor, Disk, File, FormatError, SimDisk};
use sample::*;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn path() -> PathBuf {
    PathBuf::from("/damaged.sst")
}

/// Every entry of a table as plain data.
#[derive(PartialEq, Debug)]
enum Content {
    Samples(ChannelId, Box<SampleBlock>),
    Record(Key, Vec<u8>),
}

/// A table of channels of one scan in the cold profile.
fn write_siblings(disk: &SimDisk) -> TableSummary {
    let mut writer = TableWriter::create(disk, &path(), &info()).unwrap().for_profile(Profile::Cold);
    for (i, block) in (0..).zip(corpus::siblings()) {
        writer.add_samples(ChannelId(i), &block, false).unwrap();
    }
    writer.finish((0..3).map(plain_row)).unwrap()
}

fn plain_row(channel: u64) -> DictionaryRow {
    DictionaryRow::new(ChannelId(channel), ChannelName::stored(&format!("C{channel}")).unwrap())
}

fn info() -> TableInfo {
    TableInfo {
        archive: 1,
        table: 2,
        week: Week(2900),
        class: 1,
        class_name: "default".to_string(),
        kind: TableKind::Raw,
        known_until: Timestamp(i64::MIN),
        tier: 0,
    }
}

/// A table with every column, record and block kind in it, and every codec but that of siblings.
fn write_table(disk: &SimDisk) -> TableSummary {
    let mut writer = TableWriter::create(disk, &path(), &info()).unwrap();
    let mut blocks = corpus::blocks();
    // Equal stamps on another channel make a reference; thousands of noisy values a block of one chunk.
    blocks.push(blocks[0].clone());
    let noisy = |i: i64| Value::Float64(f64::from_bits((i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)));
    let mut noise = SampleBlock::new(RunType::plain(ValueType::scalar(Kind::Float64)));
    (0..512).for_each(|i| assert!(noise.push(&Sample::new(Timestamp(i), noisy(i)))));
    blocks.push(noise);
    for (i, block) in blocks.iter().enumerate() {
        writer.add_samples(ChannelId(i as u64), block, i == 3).unwrap();
    }
    let channel = ChannelId(1);
    let mut record = |rate, payload: Vec<u8>| {
        writer.add_record(Key::new(rate, channel, 5), Timestamp(9), payload).unwrap();
    };
    record(Key::EVENTS, encode_events(&corpus::events()).unwrap());
    record(Key::METADATA, encode_metadata(&[(Timestamp(1), corpus::metadata())]));
    for carry_in in corpus::carry_ins() {
        record(Key::CARRY_IN, encode_carry_in(channel, &carry_in).unwrap());
    }
    record(Key::CHANNELS, encode_channel_records(&corpus::channel_records()));
    let rows =
        (0..blocks.len() as u64).map(|i| if i == 4 { corpus::dictionary_row(i) } else { plain_row(i) });
    writer.finish(rows).unwrap()
}

/// Everything that can be read; damaged entries are left out, with their error.
fn read_table(disk: &SimDisk) -> Result<(Vec<Option<Content>>, Vec<FormatError>), FormatError> {
    let table = Table::open(disk, &path(), &BlockCache::new(0))?;
    let (mut contents, mut errors) = (Vec::new(), Vec::new());
    for entry in table.all_entries() {
        let content = entry.and_then(|entry| match &entry.chunk {
            Some(_) => Ok(Content::Samples(entry.key.channel, Box::new(table.all_samples(&entry)?))),
            None => Ok(Content::Record(entry.key, table.payload(&entry)?)),
        });
        match content {
            Ok(content) => contents.push(Some(content)),
            Err(error) => errors.push(error),
        }
    }
    for row in table.dictionary() {
        if let Err(error) = row {
            errors.push(error);
        }
    }
    Ok((contents, errors))
}

fn names_its_place(error: &FormatError) -> bool {
    match error {
        FormatError::Corrupt { path: found, offset, .. } => *found == path() && *offset <= 1 << 20,
        FormatError::WrongKind { path: found, .. } => *found == path(),
        _ => false,
    }
}

/// After damage: found by the check, and nothing that can still be read is wrong.
fn assert_found(disk: &SimDisk, truth: &[Option<Content>], what: &str) {
    match verify(disk, &path(), true) {
        Ok(found) => {
            assert!(found.problem_count > 0, "{what} is not found");
            assert!(found.problems.iter().all(names_its_place), "{what}: {:?}", found.problems);
        }
        Err(error) => assert!(names_its_place(&error), "{what}: {error}"),
    }
    if let Ok((contents, errors)) = read_table(disk) {
        assert!(errors.iter().all(names_its_place), "{what}: {errors:?}");
        assert!(contents.iter().all(|content| truth.contains(content)), "{what} is read as wrong data");
    }
}

/// Writes a table.
type Write = fn(&SimDisk) -> TableSummary;

fn intact(write: Write) -> (SimDisk, Arc<dyn File>, Vec<Option<Content>>) {
    let disk = SimDisk::new(1);
    let summary = write(&disk);
    let found = verify(&disk, &path(), true).unwrap();
    assert_eq!((found.problems.len(), found.samples, found.chunks), (0, summary.samples, summary.chunks));
    let file = disk.open_write(&path()).unwrap();
    let (truth, errors) = read_table(&disk).unwrap();
    assert!(errors.is_empty());
    assert_eq!(truth.len() as u64, summary.chunks + summary.records);
    (disk, file, truth)
}

/// Flips every bit of every second byte from `from` on.
fn flip_bits(write: Write, from: u64) {
    let (disk, file, truth) = intact(write);
    for offset in (from..file.len().unwrap()).step_by(2) {
        let mut byte = [0];
        file.read_at(offset, &mut byte).unwrap();
        for bit in 0..8 {
            file.write_at(offset, &[byte[0] ^ (1 << bit)]).unwrap();
            assert_found(&disk, &truth, &format!("bit {bit} of byte {offset}"));
        }
        file.write_at(offset, &byte).unwrap();
        file.sync().unwrap();
    }
}

#[test]
fn every_flipped_bit_of_a_table_is_found() {
    std::thread::scope(|scope| {
        [0, 1].map(|from| scope.spawn(move || flip_bits(write_table, from))).map(|half| half.join().unwrap())
    });
}

#[test]
fn every_flipped_bit_of_a_table_of_siblings_is_found() {
    std::thread::scope(|scope| {
        [0, 1]
            .map(|from| scope.spawn(move || flip_bits(write_siblings, from)))
            .map(|half| half.join().unwrap())
    });
}

#[test]
fn every_cut_of_a_table_is_found() {
    let (disk, file, truth) = intact(write_table);
    for len in (0..file.len().unwrap()).rev() {
        file.set_len(len).unwrap();
        assert_found(&disk, &truth, &format!("a cut to {len} bytes"));
    }
}

#[test]
fn blocks_behind_damage_and_without_a_footer_are_still_read() {
    let (disk, file, _) = intact(write_table);
    let scan = |disk: &SimDisk| Scan::open(disk, &path()).unwrap().partition::<Vec<_>, _>(Result::is_ok);
    let (whole, none) = scan(&disk);
    assert!(none.is_empty() && whole.len() >= 4);
    // The footer and the header of the second block go.
    file.set_len(file.len().unwrap() - 40).unwrap();
    let second = whole[1].as_ref().unwrap().offset;
    file.write_at(second, b"nothing").unwrap();
    let (rest, errors) = scan(&disk);
    assert_eq!(rest.len(), whole.len() - 1, "{errors:?}");
    assert!(matches!(errors[0], Err(FormatError::Corrupt { offset, .. }) if offset == second));
}

fn tags_of(bytes: &[u8], tags: &mut BTreeSet<u8>, codecs: &mut BTreeSet<u8>) {
    for (tag, codec) in ChunkHeader::parse(bytes).unwrap().column_tags() {
        tags.insert(tag);
        codecs.insert(codec);
    }
}

#[test]
fn the_corpus_covers_the_tag_tables() {
    let (mut tags, mut codecs) = (BTreeSet::new(), BTreeSet::new());
    for block in corpus::blocks().iter().chain([&corpus::large()]) {
        tags_of(&encode(ChannelId(1), block, false, None, Profile::Hot).unwrap(), &mut tags, &mut codecs);
    }
    let block = &corpus::blocks()[0];
    tags_of(
        &encode(ChannelId(1), block, false, Some(ChannelId(2)), Profile::Hot).unwrap(),
        &mut tags,
        &mut codecs,
    );
    for block in &corpus::dense_blocks() {
        tags_of(&encode(ChannelId(1), block, false, None, Profile::Cold).unwrap(), &mut tags, &mut codecs);
    }
    let (siblings, _, _) = intact(write_siblings);
    let siblings = Table::open(&siblings, &path(), &BlockCache::new(0)).unwrap();
    for entry in siblings.all_entries() {
        tags_of(&siblings.payload(&entry.unwrap()).unwrap(), &mut tags, &mut codecs);
    }
    // Elements of arrays have codecs of their own.
    codecs.insert(ColumnCodec::Compressed as u8);
    assert_eq!(tags, ColumnTag::ALL.map(|tag| tag as u8).into());
    assert_eq!(codecs, ColumnCodec::ALL.map(|codec| codec as u8).into());
    let dense = corpus::dense_blocks().into_iter().flat_map(|block| block_codecs(&block));
    let missing: Vec<_> = BlockCodec::ALL[5..]
        .iter()
        .filter(|codec| !dense.clone().any(|found| found == **codec as u8))
        .collect();
    assert!(missing.is_empty(), "{missing:?}; codec/integer/tests.rs makes the others");
}

/// Tags of the first blocks of those columns of a cold chunk of one page that begin with an integer stream; those of
/// arrays are of equal length.
fn block_codecs(block: &SampleBlock) -> Vec<u8> {
    let bytes = encode(ChannelId(1), block, false, None, Profile::Cold).unwrap();
    let header = ChunkHeader::parse(&bytes).unwrap();
    let mut page = Cursor::new(&bytes[header.header_len..]);
    let streams = [ColumnCodec::Integers, ColumnCodec::Double, ColumnCodec::Steps, ColumnCodec::Array];
    let streams = streams.map(|codec| codec as u8);
    let mut tags = Vec::new();
    for (_, codec) in header.column_tags().filter(|(_, codec)| codec & CODEC_IN_PAGES != 0) {
        let segment = page.counted_bytes().unwrap();
        if streams.contains(&codec) {
            tags.push(segment[0]);
        }
    }
    tags
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_chunk_is_found() {
    let hot = corpus::blocks().into_iter().chain([corpus::large()]).map(|block| (block, Profile::Hot));
    let cold = corpus::dense_blocks().into_iter().map(|block| (block, Profile::Cold));
    for (block, profile) in hot.chain(cold) {
        let bytes = encode(ChannelId(1), &block, false, None, profile).unwrap();
        assert_eq!(decode(&bytes).as_ref(), Ok(&block));
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len]).is_err(), "a cut to {len} bytes");
        }
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let found = decode(&damaged);
            assert!(found.is_err_and(|error| error.position <= bytes.len()), "bit {bit}");
        }
    }
}

#[test]
fn parts_of_a_large_value_decode_alone() {
    let block = corpus::large();
    let bytes = encode(ChannelId(1), &block, false, None, Profile::Hot).unwrap();
    let header = ChunkHeader::parse(&bytes).unwrap();
    let lens: Vec<_> =
        (0..4).map_while(|i| header.decode_part(&bytes, i)).map(|part| part.unwrap().len()).collect();
    assert_eq!(lens, [CHUNK_VALUE_BYTES_MAX, CHUNK_VALUE_BYTES_MAX, 5]);
}

#[test]
fn limits_are_errors_just_behind_them() {
    let text = |len| {
        let mut sample = Sample::new(Timestamp(0), Value::Int8(1));
        sample.message = Some(vec![0; len].into());
        let mut block = SampleBlock::new(sample.run_type());
        assert!(block.push(&sample));
        encode(ChannelId(1), &block, false, None, Profile::Hot)
    };
    assert_eq!(
        decode(&text(CHUNK_VALUE_BYTES_MAX).unwrap()).unwrap().message.data.len(),
        CHUNK_VALUE_BYTES_MAX
    );
    assert!(matches!(text(CHUNK_VALUE_BYTES_MAX + 1), Err(FormatError::Limit { .. })));
    let scalars = |count: i64| {
        let mut block = SampleBlock::new(RunType::plain(ValueType::scalar(Kind::Int8)));
        (0..count).for_each(|i| assert!(block.push(&Sample::new(Timestamp(i), Value::Int8(1)))));
        encode(ChannelId(1), &block, false, None, Profile::Hot)
    };
    assert!(scalars(CHUNK_SAMPLES_MAX as i64).is_ok());
    assert!(matches!(scalars(CHUNK_SAMPLES_MAX as i64 + 1), Err(FormatError::Limit { .. })));
    assert!(matches!(scalars(0), Err(FormatError::Limit { .. })));
    let info = |len: usize| TableInfo {
        archive: 0,
        table: 0,
        week: Week(0),
        class: 0,
        class_name: "x".repeat(len),
        kind: TableKind::Decimated,
        known_until: Timestamp(0),
        tier: 0,
    };
    let create = |len| TableWriter::create(&SimDisk::new(1), Path::new("/t"), &info(len)).map(drop);
    assert!(create(64).is_ok());
    assert!(matches!(create(65), Err(FormatError::Limit { .. })));
}

#[test]
fn a_carry_in_counts_where_what_it_tells_of_its_channel_does_not_read() {
    let (disk, channel) = (SimDisk::new(1), ChannelId(1));
    let mut writer = TableWriter::create(&disk, &path(), &info()).unwrap();
    writer.add_record(Key::new(Key::EVENTS, channel, 5), Timestamp(6), vec![9, 200]).unwrap();
    let carry_in = corpus::carry_ins().remove(0);
    let key = Key::new(Key::CARRY_IN, channel, 5);
    writer.add_record(key, Timestamp(5), encode_carry_in(channel, &carry_in).unwrap()).unwrap();
    writer.finish([plain_row(1)]).unwrap();
    let table = Table::open(&disk, &path(), &BlockCache::new(0)).unwrap();
    let entry = table.entries(Key::CARRY_IN, channel, TimeRange::ALL).next().unwrap().unwrap();
    let payload = table.payload(&entry).unwrap();
    assert!(table.timeline(&payload).is_err());
    let (read, told) = table.carry_in(&payload).unwrap();
    assert!(told.is_none());
    assert_eq!(format!("{read:?}"), format!("{carry_in:?}"));
}
