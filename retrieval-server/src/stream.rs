//! An answer on its way from a blocking thread to a connection, bounded in bytes.

use crate::error::ApiError;
use crate::fairness;
use crate::limits::{
    COMPRESSED_AT_ONCE_BYTES, COMPRESSED_PIECE_BYTES, PARTS_BYTES, PIECE_BYTES, PIECES_QUEUED_MAX, STALL,
    ZSTD_WINDOW_LOG,
};
use crate::memory;
use crate::negotiate::Encoding;
use crate::output::{Head, Output, copied};
use crate::pieces::Pieces;
use crate::sendfile::Underway;
use crate::validator::{Validation, Validator};
use axum::body::Bytes;
use flate2::write::GzEncoder;
use http_body::{Body, Frame};
use sstable::Surroundings;
use std::io::{self, Write as _};
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

/// What travels.
enum Piece {
    Bytes(Bytes),
    /// Parts of files, with what stands between them.
    Parts(Vec<Bytes>),
    /// The answer is whole. A stream that closes without it is broken.
    End,
}

/// The body of a response: what a [`StreamOutput`] sends. Breaks the connection if that is dropped early.
pub(crate) struct StreamBody {
    pieces: mpsc::Receiver<Piece>,
    /// Those that came together, but for the ones that left.
    parts: std::vec::IntoIter<Bytes>,
    ended: bool,
}

impl Body for StreamBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        loop {
            if let Some(bytes) = self.parts.next() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            match ready!(self.pieces.poll_recv(context)) {
                Some(Piece::Bytes(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(Piece::Parts(parts)) => self.parts = parts.into_iter(),
                Some(Piece::End) => self.ended = true,
                None => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(io::Error::other("the answer broke off"))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

/// Compression of a stream; what is ready waits inside.
enum Encoder {
    Identity(Vec<u8>),
    Zstd(Box<zstd::stream::write::Encoder<'static, Pieces>>),
    Gzip(Box<GzEncoder<Pieces>>),
}

impl Encoder {
    fn new(encoding: Encoding) -> io::Result<Encoder> {
        let pieces = Pieces::of(COMPRESSED_PIECE_BYTES);
        Ok(match encoding {
            Encoding::Identity => Encoder::Identity(Vec::new()),
            Encoding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(pieces, 1)?;
                encoder.window_log(ZSTD_WINDOW_LOG)?;
                Encoder::Zstd(Box::new(encoder))
            }
            Encoding::Gzip => Encoder::Gzip(Box::new(GzEncoder::new(pieces, flate2::Compression::fast()))),
        })
    }

    /// How many bytes to write at once so that what becomes ready is a piece or little more; at least one.
    fn room(&self) -> usize {
        match self {
            Encoder::Identity(ready) => PIECE_BYTES.saturating_sub(ready.len()).max(1),
            Encoder::Zstd(_) | Encoder::Gzip(_) => COMPRESSED_AT_ONCE_BYTES,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Encoder::Identity(ready) => ready.extend_from_slice(bytes),
            Encoder::Zstd(encoder) => encoder.write_all(bytes)?,
            Encoder::Gzip(encoder) => encoder.write_all(bytes)?,
        }
        Ok(())
    }

    /// The whole pieces that are ready. Their room is no larger than they are.
    fn pieces(&mut self) -> Vec<Vec<u8>> {
        match self {
            Encoder::Identity(ready) if ready.len() < PIECE_BYTES => Vec::new(),
            Encoder::Identity(ready) => vec![std::mem::take(ready)],
            Encoder::Zstd(encoder) => encoder.get_mut().take_full(),
            Encoder::Gzip(encoder) => encoder.get_mut().take_full(),
        }
    }

    /// All that was written and is not taken yet; more may come.
    fn flush(&mut self) -> io::Result<Vec<Vec<u8>>> {
        Ok(match self {
            Encoder::Identity(ready) if ready.is_empty() => Vec::new(),
            Encoder::Identity(ready) => vec![std::mem::take(ready)],
            Encoder::Zstd(encoder) => {
                encoder.flush()?;
                encoder.get_mut().take()
            }
            Encoder::Gzip(encoder) => {
                encoder.flush()?;
                encoder.get_mut().take()
            }
        })
    }

    /// All that was written and is not taken yet.
    fn finish(mut self) -> io::Result<Vec<Vec<u8>>> {
        match self {
            Encoder::Identity(_) => self.flush(),
            Encoder::Zstd(encoder) => Ok(encoder.finish()?.take()),
            Encoder::Gzip(encoder) => Ok(encoder.finish()?.take()),
        }
    }
}

/// All bytes of an answer in an encoding.
pub(crate) fn encoded(encoding: Encoding, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    if encoding == Encoding::Identity {
        return Ok(bytes);
    }
    let mut encoder = Encoder::new(encoding)?;
    encoder.write(&bytes)?;
    Ok(encoder.finish()?.concat())
}

/// What the connection waits for: the head of the answer or a refusal.
pub(crate) type HeadReceiver = oneshot::Receiver<Result<Head, ApiError>>;

/// Bytes that others hold, too.
struct SharedBytes(Arc<Surroundings>);

impl AsRef<[u8]> for SharedBytes {
    fn as_ref(&self) -> &[u8] {
        match &*self.0 {
            Surroundings::Read(bytes) => bytes,
            Surroundings::Mapped(..) => &[],
        }
    }
}

/// The sending end; used on a blocking thread only.
pub(crate) struct StreamOutput {
    head: Option<oneshot::Sender<Result<Head, ApiError>>>,
    pieces: mpsc::Sender<Piece>,
    encoder: Encoder,
    runtime: Handle,
    idle_timeout: Duration,
    stopping: Option<Stopping>,
    underway: Option<Underway>,
    /// Parts of files that will leave together: handing over costs as much as sending one.
    parts: Vec<Bytes>,
    parts_bytes: usize,
    validation: Validation,
}

/// Turns true when the server is told to stop: answers without an end of their own then end.
#[derive(Clone)]
pub(crate) struct Stopping(pub(crate) watch::Receiver<bool>);

impl StreamOutput {
    /// A pair of ends. A client that takes nothing for `idle_timeout` is gone.
    pub(crate) fn new(
        encoding: Encoding,
        idle_timeout: Duration,
        stopping: Option<Stopping>,
        validation: Validation,
    ) -> io::Result<(StreamOutput, HeadReceiver, StreamBody)> {
        let (head, receiver) = oneshot::channel();
        let (pieces, taken) = mpsc::channel(PIECES_QUEUED_MAX);
        let encoder = Encoder::new(encoding)?;
        let runtime = Handle::current();
        let head = Some(head);
        let output = StreamOutput {
            head,
            pieces,
            encoder,
            runtime,
            idle_timeout,
            stopping,
            underway: None,
            parts: Vec::new(),
            parts_bytes: 0,
            validation,
        };
        Ok((output, receiver, StreamBody { pieces: taken, parts: Vec::new().into_iter(), ended: false }))
    }

    /// On a connection that sends from files what is added there.
    pub(crate) fn sending(self, underway: Option<Underway>) -> StreamOutput {
        StreamOutput { underway, ..self }
    }

    /// Refuses; without effect once the head has left.
    pub(crate) fn refuse(&mut self, error: ApiError) {
        if let Some(head) = self.head.take() {
            // The client may have gone.
            let _ = head.send(Err(error));
        }
    }

    /// The client has the answer; without effect once the head has left.
    pub(crate) fn unchanged(&mut self) {
        let head = Head { validator: self.validation.given, ..Head::default() };
        if let Some(sender) = self.head.take() {
            // The client may have gone.
            let _ = sender.send(Ok(head));
        }
    }

    /// Hands over the parts of files that wait, then `piece`.
    fn send(&mut self, piece: Bytes) -> io::Result<()> {
        self.send_parts()?;
        send(&self.runtime, &self.pieces, self.idle_timeout, Piece::Bytes(piece))
    }

    fn send_parts(&mut self) -> io::Result<()> {
        if self.parts.is_empty() {
            return Ok(());
        }
        self.parts_bytes = 0;
        let parts = Piece::Parts(std::mem::take(&mut self.parts));
        send(&self.runtime, &self.pieces, self.idle_timeout, parts)
    }

    /// The answer is whole.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.send_parts()?;
        let StreamOutput { pieces, encoder, runtime, idle_timeout, .. } = self;
        let rest = encoder.finish()?;
        let send = |piece| send(&runtime, &pieces, idle_timeout, piece);
        for piece in rest {
            send(Piece::Bytes(piece.into()))?;
        }
        send(Piece::End)
    }
}

fn send(runtime: &Handle, pieces: &mpsc::Sender<Piece>, idle: Duration, piece: Piece) -> io::Result<()> {
    let piece = match pieces.try_send(piece) {
        Ok(()) => return Ok(()),
        Err(mpsc::error::TrySendError::Closed(_)) => return Err(io::ErrorKind::BrokenPipe.into()),
        Err(mpsc::error::TrySendError::Full(piece)) => piece,
    };
    let room = |wait| runtime.block_on(async { tokio::time::timeout(wait, pieces.reserve()).await });
    let waiting = || {
        room(STALL.min(idle)).or_else(|_| {
            engine::read::stand_still();
            memory::give_back();
            room(idle.saturating_sub(STALL))
        })
    };
    match fairness::rest(waiting) {
        Ok(Ok(room)) => {
            room.send(piece);
            Ok(())
        }
        Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the client took nothing for too long")),
    }
}

impl Output for StreamOutput {
    fn validate(&mut self, validator: &mut dyn FnMut() -> Option<Validator>) -> bool {
        self.validation.check(validator())
    }

    fn incomplete(&mut self) {
        self.validation.spoil();
    }

    fn head(&mut self, head: &Head) -> io::Result<()> {
        let head = Head { validator: self.validation.given, ..head.clone() };
        match self.head.take() {
            Some(sender) => sender.send(Ok(head)).map_err(|_| io::ErrorKind::BrokenPipe.into()),
            None => Ok(()),
        }
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (chunk, behind) = rest.split_at(rest.len().min(self.encoder.room()));
            rest = behind;
            fairness::pass_on();
            self.encoder.write(chunk)?;
            for piece in self.encoder.pieces() {
                self.send(piece.into())?;
                // Only then: the client may take long.
                if let Encoder::Identity(ready) = &mut self.encoder {
                    ready.reserve_exact(PIECE_BYTES);
                }
            }
        }
        Ok(())
    }

    fn owned(&mut self, mut bytes: Bytes) -> io::Result<()> {
        let Encoder::Identity(ready) = &mut self.encoder else { return self.bytes(&bytes) };
        // Where most bytes come so, little stands between them: no room is kept for it.
        let before = std::mem::take(ready).into_boxed_slice();
        let mut before = Some(Bytes::from(before)).filter(|before| !before.is_empty());
        while !bytes.is_empty() {
            fairness::pass_on();
            let piece = bytes.split_to(bytes.len().min(PIECE_BYTES));
            self.send_parts()?;
            self.parts = before.take().into_iter().chain([piece]).collect();
            self.send_parts()?;
        }
        Ok(())
    }

    fn shared(&mut self, bytes: &Arc<Surroundings>, place: Range<usize>) -> io::Result<()> {
        let is_read = matches!(&**bytes, Surroundings::Read(_));
        let Encoder::Identity(ready) = &mut self.encoder else { return copied(self, bytes, place) };
        if !is_read && self.underway.is_none() {
            return copied(self, bytes, place);
        }
        if let Some(part) = self.underway.as_ref().and_then(|underway| underway.add(bytes, place.clone())) {
            fairness::pass_on();
            let before = std::mem::take(ready);
            self.parts.extend(Some(before).filter(|before| !before.is_empty()).map(Bytes::from));
            self.parts_bytes += part.len();
            self.parts.push(part);
            return if self.parts_bytes < PARTS_BYTES { Ok(()) } else { self.send_parts() };
        }
        self.owned(Bytes::from_owner(SharedBytes(bytes.clone())).slice(place))
    }

    fn listens(&mut self, _pending: usize) -> bool {
        !self.pieces.is_closed()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send_parts()?;
        self.encoder.flush()?.into_iter().try_for_each(|piece| self.send(piece.into()))
    }

    fn pause(&mut self, duration: Duration) -> io::Result<bool> {
        let StreamOutput { pieces, runtime, stopping, .. } = self;
        let told = async {
            match stopping {
                // A server that has gone without a word has stopped, too.
                Some(Stopping(stopping)) => drop(stopping.wait_for(|stopping| *stopping).await),
                None => std::future::pending().await,
            }
        };
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = pieces.closed() => Err(io::ErrorKind::BrokenPipe.into()),
                () = told => Ok(false),
                () = tokio::time::sleep(duration) => Ok(true),
            }
        })
    }
}
