"""The body of an answer, read straight into the memory where it stays."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from collections.abc import Sequence
from typing import Protocol

from varve.errors import BrokenStream

__all__ = ["Body", "PlainBody", "body_of"]

#: Bytes that are read beside what is wanted, and copied from there.
ASIDE_BYTES = 64 << 10
#: As many as the line between two chunks has, with what describes a block behind it.
LINE_BYTES = 1 << 10
#: The longest line between two chunks.
LINE_BYTES_MAX = 4 << 10
#: Fewer wanted bytes are read aside with what precedes them: copying them costs less than a call of their own.
COPIED_MAX = 48 << 10
#: Places that one call fills; operating systems allow no more than 1024.
PLACES_MAX = 256
#: Lines whose meaning is remembered.
SIZES_MAX = 64

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?")


class Body(Protocol):
    """The body of an answer, from its first byte on."""

    def take(self, count: int) -> bytes:
        """Give the next `count` bytes.

        Raises
        ------
        BrokenStream
            The body ends before, or the connection broke.
        """

    def readinto(self, views: Sequence[memoryview]) -> None:
        """Fill memory that lies in several places with the next bytes.

        Raises
        ------
        BrokenStream
            The body ends before, or the connection broke.
        """

    def at_end(self) -> bool:
        """Read the end of the body, where it should be, and tell whether the connection can be used again."""


def body_of(raw: http.client.HTTPResponse, sock: socket.socket) -> Body:
    """Give the body of an answer of which only the head was read, from the socket that it comes from."""
    return ChunkedBody(raw, sock) if raw.chunked else PlainBody(raw)


class PlainBody:
    """A body without chunks."""

    def __init__(self, raw: http.client.HTTPResponse) -> None:
        self._raw = raw

    def take(self, count: int) -> bytes:
        """Give the next bytes."""
        return _taken(self, count)

    def readinto(self, views: Sequence[memoryview]) -> None:
        """Fill memory with the next bytes."""
        for view in views:
            done = 0
            while done < len(view):
                try:
                    count = self._raw.readinto(view[done:])
                except (OSError, http.client.HTTPException, ValueError) as error:
                    raise _broke(error) from error
                if not count:
                    raise _ended_early()
                done += count

    def at_end(self) -> bool:
        """Tell whether this is the end."""
        try:
            return self._raw.read(1) == b"" and not self._raw.will_close
        except (OSError, http.client.HTTPException, ValueError):
            return False


class ChunkedBody:
    """A body in chunks, read with few calls and few copies.

    One call fills the wanted memory up to the end of the chunk and takes what lies behind it aside: the line
    before the next chunk, and bytes that are too few for a call of their own.
    """

    def __init__(self, raw: http.client.HTTPResponse, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock
        # What is encrypted can be read into one place at a time, and there are systems without the call.
        self._scatters = hasattr(sock, "recvmsg_into") and not isinstance(sock, ssl.SSLSocket)
        # What came with the head is aside already.
        try:
            came = raw.fp.read1(ASIDE_BYTES)
        except (OSError, ValueError) as error:
            raise _broke(error) from error
        self._room = bytearray(ASIDE_BYTES)
        self._aside = memoryview(self._room)
        self._aside[: len(came)] = came
        #: What is aside and was not taken yet.
        self._at, self._behind = 0, len(came)
        #: Bytes of the present chunk that were not taken yet.
        self._left = 0
        #: What stands behind a chunk; nothing is before the first.
        self._chunk_end = b""
        #: Sizes of chunks by the lines before them.
        self._sizes: dict[bytes, int] = {}

    def take(self, count: int) -> bytes:
        """Give the next bytes."""
        behind = self._at + count
        if count > self._left or behind > self._behind:
            return _taken(self, count)
        content = bytes(self._aside[self._at : behind])
        self._at = behind
        self._left -= count
        return content

    def readinto(self, views: Sequence[memoryview]) -> None:
        """Fill memory with the next bytes."""
        wanted = [view for view in views if view]
        place, total = 0, sum(map(len, wanted))
        while total:
            left = self._left or self._next_chunk()
            if not left:
                raise _ended_early()
            at, view = self._at, wanted[place]
            count = min(len(view), left, self._behind - at)
            if count:
                view[:count] = self._aside[at : at + count]
                self._at = at + count
            else:
                count = self._receive(wanted[place:], total)
            self._left = left - count
            total -= count
            while count and count >= len(wanted[place]):
                count -= len(wanted[place])
                place += 1
            if count:
                wanted[place] = wanted[place][count:]

    def at_end(self) -> bool:
        """Tell whether this is the end."""
        try:
            if self._left or self._next_chunk() or self._line(0):
                return False
        except BrokenStream:
            return False
        ended = self._at == self._behind and not self._raw.will_close
        self._raw.close()
        return ended

    def _receive(self, wanted: list[memoryview], total: int) -> int:
        """Read bytes of the present chunk, with nothing aside; give how many came of the `total` that are wanted."""
        parts, direct = [], 0
        for view in wanted[:PLACES_MAX]:
            parts.append(view[: self._left - direct])
            direct += len(parts[-1])
            if direct == self._left:
                break
        if self._scatters:
            later = total - direct
            aside = LINE_BYTES if later > COPIED_MAX else LINE_BYTES + later
            count = self._from_socket([*parts, self._aside[:aside]])
        elif len(parts[0]) > COPIED_MAX:
            count = self._from_socket(parts[:1])
        else:
            direct, count = 0, self._from_socket([self._aside])
        self._at, self._behind = 0, max(0, count - direct)
        return min(count, direct)

    def _next_chunk(self) -> int:
        """Read what stands between two chunks; give the bytes of the next, 0 at the end of the body."""
        line = self._line(len(self._chunk_end))
        self._left = self._sizes.get(line, 0)
        if not self._left:
            self._left = _size(line, self._chunk_end)
            if len(self._sizes) < SIZES_MAX:
                self._sizes[line] = self._left
        self._chunk_end = b"\r\n"
        return self._left

    def _line(self, begin: int) -> bytes:
        """Read a line and give it without its end, which does not lie before its byte `begin`."""
        while True:
            end = self._room.find(b"\r\n", self._at + begin, self._behind)
            if end >= 0:
                line = bytes(self._aside[self._at : end])
                self._at = end + 2
                return line
            rest = self._aside[self._at : self._behind]
            if len(rest) > LINE_BYTES_MAX:
                raise BrokenStream(f"more than {LINE_BYTES_MAX} bytes stand between chunks of the answer")
            self._aside[: len(rest)] = rest
            self._at, self._behind = 0, len(rest)
            self._behind += self._from_socket([self._aside[len(rest) :]])

    def _from_socket(self, places: list[memoryview]) -> int:
        """Wait for bytes and give their number; more than one place only where that can be."""
        try:
            if self._scatters:
                count: int = self._sock.recvmsg_into(places)[0]
            else:
                count = self._sock.recv_into(places[0])
        except (OSError, ValueError) as error:
            raise _broke(error) from error
        if not count:
            raise _ended_early()
        return count


def _taken(body: Body, count: int) -> bytes:
    room = bytearray(count)
    body.readinto([memoryview(room)])
    return bytes(room)


def _size(line: bytes, before: bytes) -> int:
    """Give the size of a chunk from the line before it, which begins with `before`."""
    size = _SIZE.fullmatch(line, len(before))
    if size is None or not line.startswith(before):
        raise BrokenStream(f"where a chunk of the answer should begin stands {line[:40]!r}")
    return int(size[1], 16)


def _ended_early() -> BrokenStream:
    return BrokenStream("the answer ends before its end block")


def _broke(error: Exception) -> BrokenStream:
    return BrokenStream(f"the connection broke while the answer was read: {error!r}")
