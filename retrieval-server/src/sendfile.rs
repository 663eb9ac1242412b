//! Sends mapped stretches of files from the page cache, past the process.
//!
//! An HTTP library knows bytes. A mapped stretch is bytes to it, which it hands to the connection without looking at
//! them; the connection knows their addresses and lets the kernel send the file's pages in their place. Whoever does
//! look at them (an encoding, HTTP/2) is given copies, which are read.

use axum::body::Bytes;
use disk::Mapping;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use sstable::Surroundings;
use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// The most that the kernel is asked to send at once: a connection gives way to others between two of these.
const SENT_AT_ONCE_MAX: usize = 1 << 20;

/// Bytes of a mapped file.
#[derive(Clone, Debug)]
struct Part {
    mapping: Arc<Mapping>,
    place: Range<usize>,
}

/// The parts on their way to one connection, by their first address, each with the number of those that begin there and
/// the length of the longest. They leave when nobody has the bytes any more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Underway(Arc<Mutex<BTreeMap<usize, (Part, usize)>>>);

impl Underway {
    /// The bytes of `of` in `place`, for the connection alone; `None` where they are in memory.
    pub(crate) fn add(&self, of: &Surroundings, place: Range<usize>) -> Option<Bytes> {
        let (mapping, place) = of.mapped(place)?;
        let part = Part { mapping: mapping.clone(), place };
        let start = mapping.addresses().start + part.place.start;
        let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, users) = parts.entry(start).or_insert_with(|| (part.clone(), 0));
        known.place.end = known.place.end.max(part.place.end);
        *users += 1;
        drop(parts);
        Some(Bytes::from_owner(Sending { underway: self.clone(), start, part }))
    }

    /// What part of which file `bytes` are.
    fn part(&self, bytes: &[u8]) -> Option<Part> {
        let address = bytes.as_ptr().addr();
        let parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (start, (part, _)) = parts.range(..=address).next_back()?;
        let from = part.place.start + (address - start);
        let place = from..from.checked_add(bytes.len())?;
        (place.end <= part.place.end).then(|| Part { mapping: part.mapping.clone(), place })
    }
}

/// Keeps a part among those underway.
struct Sending {
    underway: Underway,
    start: usize,
    part: Part,
}

impl AsRef<[u8]> for Sending {
    fn as_ref(&self) -> &[u8] {
        &self.part.mapping.bytes()[self.part.place.clone()]
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        let mut parts = self.underway.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, users)) = parts.get_mut(&self.start) {
            *users -= 1;
            if *users == 0 {
                parts.remove(&self.start);
            }
        }
    }
}

/// A connection that sends what is underway from the files.
pub(crate) struct SendingStream {
    stream: TcpStream,
    underway: Underway,
}

impl SendingStream {
    /// Of a connection without parts underway.
    pub(crate) fn new(stream: TcpStream) -> SendingStream {
        SendingStream { stream, underway: Underway::default() }
    }

    /// Where answers on this connection add theirs.
    pub(crate) fn underway(&self) -> Underway {
        self.underway.clone()
    }

    /// Sends of a part as much as the connection takes.
    fn poll_send(&self, context: &mut Context<'_>, part: &Part) -> Poll<io::Result<usize>> {
        let count = part.place.len().min(SENT_AT_ONCE_MAX);
        self.poll_with(context, || {
            let mut offset = part.place.start as u64;
            match rustix::fs::sendfile(&self.stream, part.mapping.file(), Some(&mut offset), count)? {
                0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a table became shorter")),
                sent => Ok(sent),
            }
        })
    }

    /// Sends with `send` what the connection takes, once it takes some.
    fn poll_with(
        &self,
        context: &mut Context<'_>,
        mut send: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(context))?;
            match self.stream.try_io(Interest::WRITABLE, &mut send) {
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                other => return Poll::Ready(other),
            }
        }
    }
}

impl AsyncWrite for SendingStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(part) = pieces.first().and_then(|piece| self.underway.part(piece)) {
            return self.poll_send(context, &part);
        }
        let Some(before) = pieces.iter().position(|piece| self.underway.part(piece).is_some()) else {
            return Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        };
        // A packet of its own would wake the client for a few bytes.
        let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
        let mut nothing = SendAncillaryBuffer::default();
        self.poll_with(context, || Ok(sendmsg(&self.stream, &pieces[..before], &mut nothing, flags)?))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl AsyncRead for SendingStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use disk::{Disk as _, File, RealDisk};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    fn mapped(content: &[u8]) -> (Surroundings, Arc<dyn File>) {
        let directory = tempfile::tempdir().unwrap();
        let file = RealDisk.create(&directory.path().join("table")).unwrap();
        file.write_at(0, content).unwrap();
        (Surroundings::Mapped(Arc::new(file.map().unwrap()), 100..content.len() - 100), file)
    }

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (listener.accept().await.unwrap().0, client)
    }

    async fn sent(stream: &mut SendingStream, mut pieces: &mut [IoSlice<'_>]) {
        while pieces.iter().any(|piece| !piece.is_empty()) {
            let count = stream.write_vectored(pieces).await.unwrap();
            assert!(count > 0);
            IoSlice::advance_slices(&mut pieces, count);
        }
    }

    #[tokio::test]
    async fn files_and_memory_come_in_their_order() {
        let content: Vec<u8> = (0..5_000_000u32).flat_map(|i| (i / 3).to_le_bytes()).collect();
        let (file, _) = mapped(&content);
        let (server, mut client) = pair().await;
        let reading = tokio::spawn(async move {
            let mut bytes = Vec::new();
            client.read_to_end(&mut bytes).await.unwrap();
            bytes
        });
        let mut stream = SendingStream::new(server);
        let underway = stream.underway();
        let places = [0..3_000_000, 3_000_000..3_000_001, 2_999_999..19_999_000, 0..50_000];
        let parts = places.clone().map(|place| underway.add(&file, place).unwrap());
        let piece = |part| [IoSlice::new(b"between"), IoSlice::new(part), IoSlice::new(b"")];
        sent(&mut stream, &mut parts.iter().flat_map(|part| piece(part)).collect::<Vec<_>>()).await;
        let again = underway.add(&file, 0..9).unwrap();
        drop(parts);
        assert!(underway.part(&again).is_some(), "what is sent a second time stays");
        sent(&mut stream, &mut [IoSlice::new(b"at last"), IoSlice::new(&again[3..])]).await;
        drop((stream, again));
        assert!(underway.0.lock().unwrap().is_empty());
        let mut expected = Vec::new();
        for place in places {
            expected.extend_from_slice(b"between");
            expected.extend_from_slice(&content[100..][place]);
        }
        expected.extend_from_slice(b"at last");
        expected.extend_from_slice(&content[103..109]);
        assert!(reading.await.unwrap() == expected);
    }

    #[tokio::test]
    async fn a_file_that_became_shorter_breaks_the_connection() {
        let (of, file) = mapped(&[7; 100_000]);
        let (server, _client) = pair().await;
        let mut stream = SendingStream::new(server);
        let part = stream.underway().add(&of, 50_000..90_000).unwrap();
        file.set_len(10).unwrap();
        assert_eq!(stream.write(&part).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
