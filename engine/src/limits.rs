//! Every limit of the engine, named once.

/// Samples of one block that readers hand over.
pub const BLOCK_SAMPLES_MAX: usize = 8192;
/// Samples after which a block that readers hand over is not joined with what follows: joining copies.
pub const BLOCK_SAMPLES_JOINED: usize = 2048;
/// Samples of a channel that a stored node of the least level holds on average.
pub const DECIMATED_BIN_SAMPLES: u64 = 300;
/// Weeks whose rows are joined in a roll-up, the greatest number first.
pub const ROLLUP_WEEKS: [i32; 3] = [64, 16, 4];
/// Tables of rows of a week that goes on which are joined in one.
pub const ROLLUP_TABLES: usize = 4;
/// Width of the narrowest bins in a roll-up of weeks: an hour.
pub const ROLLUP_WIDTH_NS_MIN: i64 = 3_600_000_000_000;
/// How long a table of a week that goes on must span to get decimated rows: fifty minutes, a little less than those span
/// that are flushed for their age.
pub const DECIMATED_SPAN_NS_MIN: i64 = 3_000_000_000_000;
/// Bytes of decoded samples that one scan has loaded ahead, plus one part for each thread that loads.
pub const AHEAD_BYTES_MAX: usize = 4 << 20;
/// Parts that one scan has said it will load.
pub const AHEAD_PARTS_MAX: usize = 32;
/// Parts that a scan which could pass over some has loaded whole, one after the other, before it loads ahead.
pub const WHOLE_BEFORE_AHEAD: usize = 4;
/// Parts that such a scan has loaded whole before it looks into one of so many only.
pub const WHOLE_BEFORE_SELDOM: usize = 16;
/// One of how many.
pub const LOOKED_INTO_SELDOM: usize = 4;
/// Value bytes after which a block that readers hand over ends (plus one sample).
pub const BLOCK_VALUE_BYTES_MAX: usize = 1 << 20;
/// Samples of the first chunk that a channel fills in the memtable; each further one is twice as large.
pub const CHUNK_SAMPLES_FIRST: usize = 64;
/// Samples of the largest chunk.
pub const CHUNK_SAMPLES_MAX: usize = 8192;
/// Raw value bytes at which a chunk closes (it holds at most so many plus one sample).
pub const CHUNK_VALUE_BYTES_MAX: usize = 1 << 20;
/// Rank of a channel's first late sample: above every in-order rank, because a late sample at some time
/// always arrives after all in-order samples at that time.
pub const LATE_RANK_FIRST: u32 = 1 << 31;
/// Memory and log bytes counted for a sample beside its value.
pub const SAMPLE_OVERHEAD_BYTES: usize = 64;
/// Largest value that a run of drops remembers as the last dropped one.
pub const DROP_LAST_BYTES_MAX: usize = 256;
/// Samples of one channel that wait for the metadata of a fresh connection.
pub const HELD_BACK_SAMPLES_MAX: usize = 16;
/// Longest wait of the ingest thread for something to arrive.
pub const INGEST_WAIT: std::time::Duration = std::time::Duration::from_millis(50);
/// Pause of the ingest thread after a batch, so that arrivals gather.
pub const INGEST_PAUSE: std::time::Duration = std::time::Duration::from_millis(1);
/// A batch of so many arrivals is large enough: the next one begins at once.
pub const BATCH_ARRIVALS: usize = 256;
/// Time between two heartbeats in the log; promised to be at most 500 ms.
pub const HEARTBEAT_NS: i64 = 250_000_000;
/// Time between two entries in the log about a run of drops that goes on.
pub const DROPS_LOGGED_NS: i64 = 1_000_000_000;
/// A run of drops that has been quiet for so long is recorded.
pub const QUIET_DROPS_NS: i64 = 5_000_000_000;
/// A connected channel without a sample for so long is silent.
pub const SILENT_NS: i64 = 86_400_000_000_000;
/// The memtable is flushed at least so often.
pub const FLUSH_AGE: std::time::Duration = std::time::Duration::from_secs(3600);
/// Time between two hand-overs of the log to the operating system.
pub const LOG_WRITE_PAUSE: std::time::Duration = std::time::Duration::from_millis(20);
/// Time between two looks at a full file system; recording is to resume within 10 s of space.
pub const SPACE_CHECK_PAUSE: std::time::Duration = std::time::Duration::from_secs(1);
/// Longest wait for the threads when an engine stops; a stalled disk must not keep it longer.
pub const STOP_WAIT: std::time::Duration = std::time::Duration::from_secs(8);
/// Largest newest value that a channel keeps in memory once it is in files.
pub const LAST_BYTES_MAX: usize = 4096;
/// Decoded blocks of tables that an open archive keeps.
pub const BLOCK_CACHE_BYTES: usize = 64 << 20;
/// Pages of index files that an open archive keeps.
pub const INDEX_CACHE_BYTES: usize = 32 << 20;
/// Names that are taken from the directory at once when the master index is written.
pub const INDEX_NAMES_AT_ONCE: usize = 1024;
/// Bytes of a batch's entries at which a log record is made of them.
pub const BATCH_BYTES_MAX: usize = 4 << 20;
/// Largest sample: value and what is counted beside it. Larger ones are dropped with cause `memory`.
pub const SAMPLE_BYTES_MAX: usize = 48 << 20;
/// Time between two looks at every channel's counts, for rates.
pub const RATES_LOOK_NS: i64 = 30_000_000_000;
/// Least memtable: below it a flush would hold next to nothing.
pub const MEMTABLE_BYTES_LEAST: u64 = 64 << 10;
/// Least buffer between memory and log file.
pub const LOG_BUFFER_BYTES_LEAST: u64 = 64 << 10;
/// Least log segment: a header and some records.
pub const SEGMENT_BYTES_LEAST: u64 = 1 << 10;
/// An engine whose last batch is younger than this is alive: silence since then is known to be silence.
pub const BEATING_NS: i64 = 1_000_000_000;
/// Channels that one archive may have, those without data included.
pub const CHANNELS_MAX: u64 = 1 << 26;
/// Neighbouring tables of one tier that are merged to one of the next.
pub const MERGE_FAN_IN: usize = 8;
/// Most tiers above what a flush writes: so often is a sample rewritten at most.
pub const MERGE_TIERS_MAX: u16 = 6;
/// Chunks of so many samples are copied by merges, smaller ones joined: larger ones would be read little faster, and
/// sealing writes all of them anew.
pub const MERGE_COPY_SAMPLES: usize = CHUNK_SAMPLES_MAX / 16;
/// Chunks of so many bytes are copied by merges, whatever they hold.
pub const MERGE_COPY_BYTES: u64 = 64 << 10;
/// Bytes that a merge writes between two syncs: a sync of the log never waits behind more.
pub const MERGE_SYNC_BYTES: u64 = 8 << 20;
/// Bytes of one joined record of events or metadata.
pub const MERGE_RECORD_BYTES: usize = 1 << 20;
/// A chunk in a shared block with fewer samples has no statistics in an index.
pub const INDEXED_SAMPLES_MIN: u32 = 16;
/// Unpacked blocks of its inputs that a merge keeps.
pub const MERGE_CACHE_BYTES: usize = 16 << 20;
/// A merge may take a quarter of its week, and so many bytes whatever the week holds; so may dropped files
/// that wait for their grace time to end.
pub const MERGE_SMALL_BYTES: u64 = 64 << 20;
/// Bytes at which a table of a sealed week ends: so much is lost when a seal is interrupted.
pub const SEAL_TABLE_BYTES: u64 = 1 << 30;
/// A sealed week is sealed again when what came late holds one of so many parts of its bytes.
pub const RESEAL_SHARE: u64 = 8;
/// And when nothing has come for so long.
pub const RESEAL_QUIET_NS: i64 = 3_600_000_000_000;
/// Time between two looks whether tables need not be kept any longer.
pub const RETENTION_PAUSE: std::time::Duration = std::time::Duration::from_secs(60);
/// Bytes of chunks that are passed on undecoded that are read at once; a longer chunk is decoded.
pub const STORED_BYTES_MAX: u64 = 512 << 10;
/// Bytes that are copied at a time.
pub const COPY_BYTES: usize = 1 << 20;
/// Time between two looks whether a merge is due.
pub const MERGE_PAUSE: std::time::Duration = std::time::Duration::from_millis(200);
/// Time after a failed merge until the next attempt.
pub const MERGE_RETRY: std::time::Duration = std::time::Duration::from_secs(60);
/// Niceness of the thread that merges, from 0 (as everything else) to 19.
pub const MERGE_NICENESS: i32 = 10;
