//! Every limit of the retrieval server, named once.

use std::time::Duration;

/// Samples of one JSON segment or `columns` batch, as the formats have it.
pub const SEGMENT_SAMPLES_MAX: usize = 65_536;
/// Most samples of a segment or batch that is sent, of which it has three quarters unless what follows is long: it stays
/// in memory until the client has taken nearly all of it.
pub const SEGMENT_SAMPLES: usize = 8192;
/// Value bytes after which a segment or batch ends; one larger sample stands alone.
pub const SEGMENT_BYTES_MAX: usize = 4 << 20;
/// Estimated samples above which JSON and CSV are refused.
pub const TEXT_SAMPLES_MAX: u64 = 50_000_000;
/// Bins of one `columns` batch or one write of CSV.
pub const BINS_BATCH_MAX: usize = 65_536;
/// Bins of one channel in JSON, which needs all at once; bounds the memory.
pub const BINS_JSON_MAX: u64 = 1_000_000;
/// Channels that `match=` may stand for.
pub const MATCH_CHANNELS_MAX: usize = 1000;
/// Names in one request.
pub const NAMES_MAX: usize = 100_000;
/// Channels of which one request holds the moment at once; those beyond are looked at when their turn comes.
pub const VIEWS_HELD_MAX: usize = 1000;
/// Unknown names of one request for which near names are looked up.
pub const NEAR_NAMES_MAX: usize = 20;
/// Rows of `/channels` where no `limit` is given.
pub const CHANNELS_DEFAULT: u64 = 1000;
/// Bytes of a glob or a regular expression.
pub const PATTERN_BYTES_MAX: usize = 4096;
/// Bytes of a compiled regular expression.
pub const PATTERN_COMPILED_BYTES_MAX: usize = 4 << 20;
/// Bytes of a request's body.
pub const BODY_BYTES_MAX: usize = 16 << 20;
/// Bytes of an answer that is tried on the thread that read the request.
pub const SHORT_BYTES_MAX: usize = 32 << 10;
/// Channels that such a request names.
pub const SHORT_NAMES_MAX: usize = 16;
/// Answers that broke off or lacked something and whose validators are remembered as no good.
pub const SPOILT_MAX: usize = 65_536;
/// How long a client may take an answer from sealed weeks for true without asking, s.
pub const SEALED_AGE_S: u64 = 60;
/// Bytes of one piece of an answer on its way to the client.
pub const PIECE_BYTES: usize = 64 << 10;
/// Compressed bytes of one piece: compressing takes longer than handing over.
pub const COMPRESSED_PIECE_BYTES: usize = 16 << 10;
/// Bytes that are compressed at once: as many as zstd does.
pub const COMPRESSED_AT_ONCE_BYTES: usize = 32 << 10;
/// How far back zstd looks, as a power of two: what it holds is a few times as much. Columns repeat themselves within
/// some kB, and come out as small as with its own 512 KiB.
pub const ZSTD_WINDOW_LOG: u32 = 14;
/// Bytes of files that are handed over together; they are in the page cache, not in memory.
pub const PARTS_BYTES: usize = 2 << 20;
/// Pieces that wait for a slow client, beside the one being filled.
pub const PIECES_QUEUED_MAX: usize = 1;
/// Bytes that a connection has taken over and the operating system has not, but for one piece; and of the head of a
/// request, whose target may have 64 KiB.
pub const CONNECTION_BYTES_MAX: usize = 80 << 10;
/// How long a client takes nothing before what was decoded ahead for it is let go.
pub const STALL: Duration = Duration::from_millis(100);
/// Requests answered at the same time, by all clients; one client has at most as many as are free.
pub const DATA_REQUESTS_MAX: usize = 64;
/// Requests of one client that wait for a place; one more is told to come back.
pub const WAITING_MAX: usize = 1024;
/// The longest that a request waits for a place.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How long an answer computes while others wait for their turn.
pub const TURN: Duration = Duration::from_millis(5);
/// A client has at most so many times as many connections as are free.
pub const CONNECTIONS_FACTOR: usize = 64;
/// How long a connection that was refused stays open, so that the client reads why.
pub const REFUSAL_LINGERS: Duration = Duration::from_millis(100);
/// Channels of one table, each of which holds a block of samples in memory.
pub const TABLE_CHANNELS_MAX: usize = 300;
/// Rows of a table in JSON, which has all times before all values.
pub const TABLE_JSON_ROWS_MAX: u64 = 1_000_000;
/// Bytes of a condition.
pub const WHERE_BYTES_MAX: usize = 4096;
/// Parentheses and negations inside each other.
pub const WHERE_DEPTH_MAX: usize = 32;
/// Comparisons of one condition.
pub const WHERE_TERMS_MAX: usize = 64;
/// Channels of one condition.
pub const WHERE_CHANNELS_MAX: usize = 16;
/// Stretches of time in which a condition holds; they are held in memory.
pub const SEARCH_INTERVALS_MAX: usize = 1_000_000;
/// Blocks that a search reads before it looks whether another processor could read some, and again between two looks.
pub const SEARCH_LOADS: usize = 4;
/// Streams that follow channels at the same time; each holds a thread that mostly sleeps.
pub const FOLLOWERS_MAX: usize = 256;
/// Threads of a server's runtime for what blocks: each follower and each request has one, of which a configuration may
/// allow 400.
pub const BLOCKING_THREADS_MAX: usize = FOLLOWERS_MAX + 512;
/// Channels that one stream follows: its cursor, which goes with every event, holds 14 bytes of each.
pub const FOLLOW_CHANNELS_MAX: usize = 256;
/// How often a stream looks for new samples.
pub const FOLLOW_PERIOD: Duration = Duration::from_millis(200);
/// The longest it waits where looking takes long: it then looks a fifth of the time.
pub const FOLLOW_PERIOD_MAX: Duration = Duration::from_millis(800);
/// How often it says that it lives.
pub const FOLLOW_HEARTBEAT: Duration = Duration::from_secs(10);
/// Samples of one channel after which the next has its turn.
pub const FOLLOW_TURN_SAMPLES: usize = 65_536;
/// Value bytes after which the next channel has its turn.
pub const FOLLOW_TURN_BYTES: usize = 4 << 20;
/// How far behind the newest sample that was sent a late one is sent, ns: an hour.
pub const FOLLOW_LATE_NS: i64 = 3_600_000_000_000;
/// Samples of one channel that a follower which had caught up may be behind before it is told what it missed.
pub const FOLLOW_BEHIND_MAX: u64 = 1_000_000;
/// How long behind its end a bounded range is still followed: until everything received in it can be seen.
pub const FOLLOW_END_NS: i64 = 1_000_000_000;
/// When a client that was told to come back should.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Connections held open; more wait in the listener's queue.
pub const CONNECTIONS_MAX: usize = 1024;
/// How long a client may take to send a request's head.
pub const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may take to send a request's body.
pub const BODY_READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How long running answers may go on after the order to stop.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
/// Bytes of `Varve-Problems` and of `Varve-Next`.
pub const HEADER_BYTES_MAX: usize = 8 << 10;
/// Stored chunks of one block.
pub const CHUNKS_BLOCK_MAX: usize = 16;
/// Bytes of stored chunks after which a block ends.
pub const CHUNKS_BLOCK_BYTES_MAX: usize = 512 << 10;
/// Chunks whose stamps were sent and are not sent again. The client keeps twice as many, so that those which chunks of
/// one block need are there whatever comes before that block.
pub const STAMPS_SENT_MAX: usize = sstable::LENDERS_KEPT_MAX / 2;
/// Bytes of one block that a decoder of `columns` takes.
pub const COLUMNS_BLOCK_BYTES_MAX: u64 = 4 << 30;
