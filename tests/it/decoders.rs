//! Every decoder of stored bytes, as somebody calls it who was handed bytes that nobody vouches for.
//!
//! None may panic or take memory that its input has not earned, whatever the bytes are. `hostile` calls these with
//! mutations of golden content, `fuzz/` with what libFuzzer finds. Each says whether it took the bytes for sound.

use disk::{Disk, SimDisk};
use engine::config::Config;
use engine::identity::{ArchiveId, Holder, Identity};
use engine::layout::Layout;
use engine::manifest::Manifest;
use engine::wal::{BatchDecoder, replay};
use index::{Master, PageCache, PartitionIndex, Statistics};
use sample::{ChannelId, ChannelName, Severity, TimeRange, Timestamp, Week};
use sstable::{
    BlockCache, ChunkHeader, DictionaryRow, Key, Remains, Scan, Table, TableInfo, TableKind, TableWriter,
};
use std::path::Path;
use std::sync::OnceLock;

/// The archive that log and manifest are taken for.
pub const ARCHIVE: ArchiveId = ArchiveId(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
/// Bytes of the caches that are handed in.
const CACHE_BYTES: usize = 1 << 20;

/// A disk with one file.
fn disk_with(path: &Path, bytes: &[u8]) -> SimDisk {
    let disk = SimDisk::new(1);
    disk.create_dir(path.parent().unwrap()).unwrap();
    disk.plant(path, bytes).unwrap();
    disk
}

/// One chunk: header, samples, stamps, parts.
pub fn chunk(bytes: &[u8]) -> bool {
    let sound = sstable::decode(bytes).is_ok();
    let Ok(header) = ChunkHeader::parse(bytes) else { return false };
    let half = header.first.0.midpoint(header.last.0);
    let _ = sstable::decode_range(bytes, TimeRange::new(header.first, Timestamp(half)));
    let last = header.pages().len().saturating_sub(1)..header.pages().len();
    let extent = header.extent_of(last.clone());
    let place = usize::try_from(extent.start).ok().zip(usize::try_from(extent.end).ok());
    if let Some(body) = place.and_then(|(from, to)| bytes.get(from..to)) {
        let borrowed = header.borrowed_times(last.clone());
        let rows = borrowed.iter().map(|(_, samples)| samples.len()).sum::<usize>();
        let times: Vec<i64> = (0..rows as i64).map(|row| header.first.0.wrapping_add(row)).collect();
        for times in [None, Some(times.as_slice())] {
            let _ = header.decode_times(last.clone(), body, times);
            let _ = header.decode_pages(last.clone(), body, times);
        }
    }
    let mut part = 0;
    while let Some(Ok(_)) = header.decode_part(bytes, part) {
        part += 1;
    }
    sound
}

/// Payloads of events, metadata, carry-ins, channel records, single samples, decimated rows.
pub fn records(bytes: &[u8]) -> bool {
    let sound = [
        sstable::decode_events(bytes).is_ok(),
        sstable::decode_metadata(bytes).is_ok(),
        sstable::decode_carry_in(bytes).is_ok(),
        sstable::decode_channel_records(bytes).is_ok(),
        sstable::decode_sample(bytes).is_ok(),
        sstable::decode_bins(bytes).is_ok(),
    ];
    sound.contains(&true)
}

/// A whole table: by its index, without it, verified, salvaged.
pub fn table(bytes: &[u8]) -> bool {
    let path = Path::new("/t/hostile.sst");
    let disk = disk_with(path, bytes);
    if let Ok(table) = Table::open(&disk, path, &BlockCache::new(CACHE_BYTES)) {
        let _ = table.lineage();
        for row in table.dictionary().map_while(Result::ok) {
            let _ = table.dictionary_row(row.channel);
        }
        for entry in table.all_entries().filter_map(Result::ok) {
            let _ = match &entry.chunk {
                Some(_) => table.all_samples(&entry).map(drop),
                None => table.payload(&entry).map(|payload| {
                    records(&payload);
                }),
            };
            let _ = table.whole_chunk(&entry);
            let _ = table.entry_at(entry.locator);
        }
        let _ = table.entries(Key::SAMPLES, ChannelId(1), TimeRange::ALL).count();
    }
    let _ = Scan::open(&disk, path).map(|scan| scan.take_while(Result::is_ok).count());
    let sound = sstable::verify(&disk, path, true).is_ok_and(|found| found.problem_count == 0);
    if let Ok(remains) = Remains::read(&disk, path) {
        let info = remains.info.clone().unwrap_or_else(plain_info);
        let lineage = remains.lineage.clone().unwrap_or_default();
        let name = |_| ChannelName::stored("nameless").unwrap();
        let _ = remains.write(&disk, Path::new("/t/salvaged.sst"), &info, &lineage, &name);
    }
    sound
}

fn plain_info() -> TableInfo {
    TableInfo {
        archive: ARCHIVE.0,
        table: 1,
        week: Week(2922),
        class: 0,
        class_name: "default".into(),
        kind: TableKind::Raw,
        known_until: Timestamp(0),
        tier: 0,
    }
}

/// A table of one record and one channel, checksums 0, up to its dictionary; then its footer.
fn sound_table() -> (&'static [u8], &'static [u8], &'static [u8]) {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes = BYTES.get_or_init(|| {
        let (disk, path) = (SimDisk::new(1), Path::new("/sound.sst"));
        let finished = disk::sim::with_constant_checksums(|| {
            let mut writer = TableWriter::create(&disk, path, &plain_info()).unwrap();
            let payload = sstable::encode_channel_records(&[]);
            writer.add_record(Key::new(Key::CHANNELS, ChannelId(1), 5), Timestamp(9), payload).unwrap();
            writer.finish([DictionaryRow::new(ChannelId(1), ChannelName::stored("A").unwrap())])
        });
        finished.unwrap();
        disk.content(path).unwrap()
    });
    let footer = bytes.len() - FOOTER_BYTES;
    let field = |at: usize| {
        let mut number = [0; 8];
        number.copy_from_slice(&bytes[footer + at..footer + at + 8]);
        u64::from_le_bytes(number) as usize
    };
    let (dictionary, index) = (field(DICTIONARY_AT), field(INDEX_AT));
    (&bytes[..dictionary], &bytes[dictionary..index], &bytes[footer..])
}

const FOOTER_BYTES: usize = 128;
const PROLOGUE_BYTES: usize = 128;
const DICTIONARY_AT: usize = 16;
const INDEX_AT: usize = 24;
const DICTIONARY_BLOCK: u8 = 3;
const INDEX_BLOCK: u8 = 4;

/// A plain block that says to hold so many rows.
fn block(kind: u8, rows: u8, body: &[u8]) -> Vec<u8> {
    let mut block = vec![0xb7, b'V', b'B', b'L', b'O', b'C', 0x0d, 0x0a, kind, 1, 0, 0];
    block.extend(u32::from(rows).to_le_bytes());
    block.extend((body.len() as u64).to_le_bytes());
    block.extend([0; 8]);
    block.extend_from_slice(body);
    block
}

/// The number of rows of the index of the sound table, then they, its dictionary being `dictionary` bytes long.
fn sound_index(dictionary: usize) -> Vec<u8> {
    let data = sound_table().0.len();
    let mut rows = vec![2];
    let keys = [
        (4u64, 5i64, 9i64, PROLOGUE_BYTES, data - PROLOGUE_BYTES),
        (u64::MAX, 0, i64::MIN, data, dictionary),
    ];
    for (rate, bin, last, offset, len) in keys {
        let mut row = Vec::new();
        [offset as u64, len as u64, 1].into_iter().for_each(|number| disk::put_varint(&mut row, number));
        for _ in 0..2 {
            disk::put_varint(&mut row, rate);
            disk::put_varint(&mut row, 1);
            disk::put_i64(&mut row, bin);
        }
        disk::put_i64(&mut row, last);
        disk::put_bytes(&mut rows, &row);
    }
    rows
}

/// The sound table with these blocks for dictionary and index.
fn table_of(dictionary: &[u8], index: &[u8]) -> bool {
    let (data, _, footer) = sound_table();
    let mut file = [data, dictionary, index, footer].concat();
    let at = file.len() - FOOTER_BYTES + INDEX_AT;
    file[at..at + 8].copy_from_slice(&((data.len() + dictionary.len()) as u64).to_le_bytes());
    file[at + 8..at + 16].copy_from_slice(&(index.len() as u64).to_le_bytes());
    table(&file);
    let path = Path::new("/t/hostile.sst");
    let table = Table::open(&disk_with(path, &file), path, &BlockCache::new(CACHE_BYTES));
    table.is_ok_and(|table| table.dictionary().all(|row| row.is_ok()))
}

/// The number of rows of a block index, then they.
pub fn block_index(bytes: &[u8]) -> bool {
    let Some((rows, body)) = bytes.split_first() else { return false };
    table_of(sound_table().1, &block(INDEX_BLOCK, *rows, body))
}

/// The number of rows of a channel dictionary, then they.
pub fn dictionary(bytes: &[u8]) -> bool {
    let Some((rows, body)) = bytes.split_first() else { return false };
    let dictionary = block(DICTIONARY_BLOCK, *rows, body);
    let index = sound_index(dictionary.len());
    table_of(&dictionary, &block(INDEX_BLOCK, index[0], &index[1..]))
}

/// The number of rows of the index of the sound table, then they.
pub fn sound_index_rows() -> Vec<u8> {
    sound_index(sound_table().1.len())
}

/// A segment of the log.
pub fn log(bytes: &[u8]) -> bool {
    let disk = disk_with(Path::new("/wal/0000000000000001.wal"), bytes);
    let found = replay(&disk, Path::new("/wal"), ARCHIVE, 1, &mut |_, entry| drop(entry));
    found.is_ok_and(|found| found.records > 0 && found.cut_bytes.is_empty())
}

/// The payload of one record of the log.
pub fn log_batch(bytes: &[u8]) -> bool {
    BatchDecoder::new(bytes).all(|entry| entry.is_ok())
}

/// A manifest whose length field is right, as that of every manifest is that somebody wrote.
pub fn manifest(bytes: &[u8]) -> bool {
    let mut bytes = bytes.to_vec();
    let len = bytes.len() as u64;
    if let Some(field) = bytes.get_mut(16..24) {
        field.copy_from_slice(&len.to_le_bytes());
    }
    let layout = Layout::new("/a");
    Manifest::load(&disk_with(&layout.manifest(), &bytes), &layout, ARCHIVE).is_ok()
}

/// `ARCHIVE` and `LOCK`.
pub fn identity(bytes: &[u8]) -> bool {
    let layout = Layout::new("/a");
    let _ = Holder::decode(bytes);
    Identity::load(&disk_with(&layout.identity(), bytes), &layout).is_ok()
}

/// What stands for the statistics that an index leaves to the chunk.
pub fn statistics_of(entry: &index::Entry) -> Statistics {
    let count = entry.chunk.as_ref().map_or(1, |chunk| chunk.count);
    Statistics { count, worst: Severity::NoAlarm, invalid: 0, numeric: None }
}

/// A partition index.
pub fn partition_index(bytes: &[u8]) -> bool {
    let path = Path::new("/i/hostile.index");
    let disk = disk_with(path, bytes);
    let Ok(index) = PartitionIndex::open(&disk, path, &PageCache::new(CACHE_BYTES)) else { return false };
    for (rate, channel) in [(0, 1), (0, 2), (0, 100), (1, 1), (9, u64::MAX)] {
        let channel = ChannelId(channel);
        if let Ok(entries) = index.entries(rate, channel, TimeRange::ALL) {
            let _ = entries.take_while(Result::is_ok).count();
        }
        let _ = index.edge(rate, channel, Timestamp(i64::MAX));
        if let Ok(Some(position)) = index.position(rate, channel) {
            let _ = index.entries_at(position, rate, channel, TimeRange::ALL).map(Iterator::count);
        }
    }
    if let Ok(channels) = index.channels(|entry| Ok(statistics_of(entry))) {
        let _ = channels.take_while(Result::is_ok).count();
    }
    index.verify().is_ok()
}

/// A segment of the master index.
pub fn master_segment(bytes: &[u8]) -> bool {
    let path = Path::new("/i/hostile.index");
    let disk = disk_with(path, bytes);
    let Ok(master) = Master::open(&disk, path, &PageCache::new(CACHE_BYTES)) else { return false };
    for name in ["ALIAS", "T", "SR:C01{BPM:1}X-I", "nobody"] {
        let _ = master.find(name);
    }
    if let Ok(names) = master.names_from("A") {
        let _ = names.take_while(Result::is_ok).count();
    }
    if let Ok(rows) = master.all_rows() {
        let _ = rows.take_while(Result::is_ok).count();
    }
    master.verify().is_ok()
}

/// An engine's configuration file.
pub fn configuration(bytes: &[u8]) -> bool {
    let disk = disk_with(Path::new("/c/archive.toml"), bytes);
    Config::load(&disk, Path::new("/c/archive.toml")).is_ok()
}

/// A list of channels.
pub fn channel_list(bytes: &[u8]) -> bool {
    let path = Path::new("/c/list.txt");
    let disk = disk_with(path, bytes);
    Config::without_file(&disk, "/a".into(), &[], &[path.into()]).is_ok()
}
