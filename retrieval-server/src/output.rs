//! Where the bytes of an answer go, piece by piece.

use crate::error::ApiError;
use crate::limits::PIECE_BYTES;
use crate::validator::Validator;
use axum::body::Bytes;
use serde_json::Value;
use sstable::Surroundings;
use std::hash::Hasher as _;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

/// What is known about an answer when its first piece leaves.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// Media type.
    pub media_type: &'static str,
    /// Samples of the whole answer, estimated unless `whole`.
    pub samples: Option<u64>,
    /// Bytes of the whole answer before compression, estimated unless `whole`.
    pub bytes: Option<u64>,
    /// Problems met so far.
    pub problems: Vec<Value>,
    /// Cursors of cut channels, where the format has no place for them.
    pub next: Vec<Value>,
    /// Hash of the whole answer, if this piece is all of it.
    pub whole: Option<u64>,
    /// What tells this answer from others to the same request, where that is known without making it.
    pub validator: Option<Validator>,
}

/// The receiving end: a connection, a file, a pipe.
pub trait Output {
    /// Learns, where it wants to, what tells this answer from others: called before anything else. `false`: whoever
    /// listens has the answer already.
    fn validate(&mut self, validator: &mut dyn FnMut() -> Option<Validator>) -> bool {
        let _ = validator;
        true
    }
    /// The answer lacks something: the next to the same request may be another one.
    fn incomplete(&mut self) {}
    /// Called once, before the first byte.
    fn head(&mut self, head: &Head) -> io::Result<()>;
    /// The next bytes.
    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// The next bytes, which are the receiver's: it may send them without copying them.
    fn owned(&mut self, bytes: Bytes) -> io::Result<()> {
        self.bytes(&bytes)
    }
    /// The next bytes, those of `bytes` in `place`; who can pass them on without copying them does.
    fn shared(&mut self, bytes: &Arc<Surroundings>, place: Range<usize>) -> io::Result<()> {
        copied(self, bytes, place)
    }
    /// Whether somebody still listens, now that `pending` bytes are rendered and not yet handed on.
    fn listens(&mut self, pending: usize) -> bool;
    /// Everything handed over so far is to reach the client now.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
    /// Waits for what may come next, perhaps shorter than `duration`. `false`: this answer is to end now, whole.
    fn pause(&mut self, duration: Duration) -> io::Result<bool> {
        std::thread::sleep(duration);
        Ok(true)
    }
}

/// Hands on bytes in pieces that are read where they are not in memory.
pub(crate) fn copied<O: Output + ?Sized>(
    output: &mut O,
    bytes: &Surroundings,
    place: Range<usize>,
) -> io::Result<()> {
    let mut at = place.start;
    while at < place.end {
        let end = place.end.min(at + PIECE_BYTES);
        output.bytes(&bytes.get(at..end)?)?;
        at = end;
    }
    Ok(())
}

/// Any writer receives an answer without its head.
pub struct Plain<W>(pub W);

impl<W: io::Write> Output for Plain<W> {
    fn head(&mut self, _head: &Head) -> io::Result<()> {
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn listens(&mut self, _pending: usize) -> bool {
        true
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Why an answer ended early.
#[derive(Debug)]
pub enum Stopped {
    /// Whoever listens has the answer already.
    Unchanged,
    /// Refused before the first byte.
    Refused(ApiError),
    /// Failed after the first byte in a format that cannot say so: the connection must break.
    Broken(ApiError),
    /// The receiving end is gone.
    Gone(io::Error),
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stopped::Unchanged => f.write_str("the client has this answer already"),
            Stopped::Refused(error) | Stopped::Broken(error) => error.fmt(f),
            Stopped::Gone(error) => write!(f, "the client is gone: {error}"),
        }
    }
}

impl std::error::Error for Stopped {}

impl From<ApiError> for Stopped {
    fn from(error: ApiError) -> Stopped {
        Stopped::Refused(error)
    }
}

/// So many bytes at once are not worth copying into the buffer.
const PAST_BUFFER_BYTES: usize = 16 << 10;

/// Collects rendered text and hands it on in pieces. The head leaves with the first piece, so that a short
/// answer's head tells all and an error met early can still be a status.
pub struct Writer<'a> {
    output: &'a mut dyn Output,
    /// Rendered and not yet handed on.
    pub buffer: Vec<u8>,
    /// What the head will say.
    pub head: Head,
    /// Samples rendered so far.
    pub samples: u64,
    /// About how many bytes one sample of the answer takes.
    pub sample_bytes: u64,
    started: bool,
    checksum: Option<crc32fast::Hasher>,
    /// So many bytes of the buffer are in it, or are not to be.
    summed: usize,
}

impl<'a> Writer<'a> {
    /// A writer of an answer of one media type.
    pub fn new(output: &'a mut dyn Output, media_type: &'static str) -> Writer<'a> {
        let head = Head { media_type, ..Head::default() };
        Writer {
            output,
            buffer: Vec::new(),
            head,
            samples: 0,
            sample_bytes: 0,
            started: false,
            checksum: None,
            summed: 0,
        }
    }

    /// From now on computes the CRC-32 of what is handed on, but for [`Writer::put_shared`].
    pub fn start_checksum(&mut self) {
        self.checksum = Some(crc32fast::Hasher::new());
    }

    /// CRC-32 of all bytes so far that it covers.
    pub fn checksum(&self) -> u32 {
        let mut hasher = self.checksum.clone().unwrap_or_default();
        hasher.update(&self.buffer[self.summed..]);
        hasher.finalize()
    }

    /// Whether the answer is complete, which it ends with.
    pub fn is_complete(&mut self, problems: &[Value]) -> bool {
        if !problems.is_empty() {
            self.output.incomplete();
        }
        problems.is_empty()
    }

    /// Whether bytes have left.
    pub fn started(&self) -> bool {
        self.started
    }

    /// Hands the buffer on when it is a piece; errs when nobody listens any more.
    pub fn settle(&mut self) -> Result<(), Stopped> {
        if self.buffer.len() >= PIECE_BYTES {
            return self.flush();
        }
        if !self.output.listens(self.buffer.len()) {
            return Err(Stopped::Gone(io::ErrorKind::BrokenPipe.into()));
        }
        Ok(())
    }

    /// Appends bytes of any length. Many go past the buffer.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), Stopped> {
        if self.passes_buffer(bytes)? {
            return self.output.bytes(bytes).map_err(Stopped::Gone);
        }
        for piece in bytes.chunks(PIECE_BYTES) {
            self.buffer.extend_from_slice(piece);
            self.settle()?;
        }
        Ok(())
    }

    /// As [`Writer::put`], of bytes that leave with what stands around them: at most some kB.
    pub fn put_beside(&mut self, bytes: &[u8]) -> Result<(), Stopped> {
        self.buffer.extend_from_slice(bytes);
        self.settle()
    }

    /// As [`Writer::put`], of bytes that need not be copied.
    pub fn put_owned(&mut self, bytes: Bytes) -> Result<(), Stopped> {
        if self.passes_buffer(&bytes)? {
            return self.output.owned(bytes).map_err(Stopped::Gone);
        }
        self.put(&bytes)
    }

    /// Whether these bytes, which come next, go past the buffer: what is in it has left, and they are in the checksum.
    fn passes_buffer(&mut self, bytes: &[u8]) -> Result<bool, Stopped> {
        if bytes.len() < PAST_BUFFER_BYTES || !self.started {
            return Ok(false);
        }
        self.flush()?;
        // The first piece, which tells whether it is all, is larger than any that comes between these.
        self.buffer.shrink_to(PAST_BUFFER_BYTES);
        if let Some(checksum) = &mut self.checksum {
            checksum.update(bytes);
        }
        Ok(true)
    }

    /// The bytes of `bytes` in `place`, which are not copied where that can be, and which check themselves: the checksum
    /// does not cover them.
    pub fn put_shared(&mut self, bytes: &Arc<Surroundings>, place: Range<usize>) -> Result<(), Stopped> {
        if place.len() >= PAST_BUFFER_BYTES && self.started {
            self.flush()?;
            return self.output.shared(bytes, place).map_err(Stopped::Gone);
        }
        self.sum();
        self.buffer.extend_from_slice(&bytes.get(place).map_err(Stopped::Gone)?);
        self.summed = self.buffer.len();
        self.settle()
    }

    /// Brings the checksum up to the end of the buffer.
    fn sum(&mut self) {
        if let Some(checksum) = &mut self.checksum {
            checksum.update(&self.buffer[self.summed..]);
            self.summed = self.buffer.len();
        }
    }

    fn start(&mut self, whole: bool) -> Result<(), Stopped> {
        self.started = true;
        let bytes = self.buffer.len() as u64;
        if whole {
            let mut hasher = std::hash::DefaultHasher::new();
            hasher.write(self.head.media_type.as_bytes());
            hasher.write(&self.buffer);
            self.head.whole = Some(hasher.finish());
            self.head.bytes = Some(bytes);
            self.head.samples = self.head.samples.map(|_| self.samples);
        } else if let Some(samples) = self.head.samples {
            self.head.bytes = Some(samples.saturating_mul(self.sample_bytes).max(bytes));
        }
        if !self.head.problems.is_empty() {
            self.output.incomplete();
        }
        self.output.head(&self.head).map_err(Stopped::Gone)
    }

    fn flush(&mut self) -> Result<(), Stopped> {
        if !self.started {
            self.start(false)?;
        }
        self.sum();
        self.output.bytes(&self.buffer).map_err(Stopped::Gone)?;
        self.buffer.clear();
        self.summed = 0;
        Ok(())
    }

    /// Hands on everything, down to the client.
    pub fn hand_on(&mut self) -> Result<(), Stopped> {
        self.flush()?;
        self.output.flush().map_err(Stopped::Gone)
    }

    /// Waits for what may come next; `false` when the answer is to end. See [`Output::pause`].
    pub fn pause(&mut self, duration: Duration) -> Result<bool, Stopped> {
        self.output.pause(duration).map_err(Stopped::Gone)
    }

    /// Hands on what is left; the answer is complete.
    pub fn finish(mut self) -> Result<(), Stopped> {
        if !self.started {
            self.start(true)?;
        }
        self.flush()
    }
}
