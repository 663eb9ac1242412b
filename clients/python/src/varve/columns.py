"""The wire format `columns`: blocks of a stream, and where their columns lie.

Described byte by byte in `retrieval-server/PROTOCOL.md`. Nothing here knows what becomes of the columns.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from varve.checksum import Checksum
from varve.errors import BrokenStream, VarveError
from varve.native import ChunkDecoder, DamagedChunk

__all__ = ["ELEMENTS", "Block", "End", "Stream", "byte_view"]

MAGIC = b"\x93VCOL\r\n\x1a"
MAJOR = 1
MEDIA_TYPE = "application/vnd.varve.columns"
#: With stored chunks among the batches.
CHUNKS_MEDIA_TYPE = "application/vnd.varve.chunks"

KIND_BATCH, KIND_END, KIND_BINS, KIND_CHUNKS, KIND_LENDERS = 1, 2, 3, 6, 7
FLAG_METADATA_KNOWN = 1
FLAG_COMPLETE = 1
ARRAY = 256

TIME, VALUE, VALUE_OFFSETS, STRING_OFFSETS, SEVERITY, STATUS = 1, 2, 3, 4, 5, 6
RECEIVED, USER_TAG, MESSAGE, MESSAGE_OFFSETS, EDGE, DESCRIPTOR = 7, 8, 9, 10, 11, 12
STORED, EXTENTS = 14, 15

BOOL, ENUM, STRING, STRUCTURE = 1, 2, 13, 14

#: Element types by their number: little-endian on every machine.
ELEMENTS: dict[int, np.dtype[Any]] = {
    BOOL: np.dtype("?"),
    ENUM: np.dtype("<u2"),
    3: np.dtype("<i1"),
    4: np.dtype("<i2"),
    5: np.dtype("<i4"),
    6: np.dtype("<i8"),
    7: np.dtype("<u1"),
    8: np.dtype("<u2"),
    9: np.dtype("<u4"),
    10: np.dtype("<u8"),
    11: np.dtype("<f4"),
    12: np.dtype("<f8"),
    STRING: np.dtype("<u1"),
    STRUCTURE: np.dtype("<u1"),
}

#: Limits on what a stream may claim, so that a broken one cannot make the client allocate without end.
BLOCK_BYTES_MAX = 1 << 32
BATCH_SAMPLES_MAX = 1 << 16
COLUMNS_MAX = 1 << 10
TEXT_BYTES_MAX = 1 << 26
END_TEXT_BYTES_MAX = 1 << 31

_STREAM_HEAD = struct.Struct("<8sHHI")
_BLOCK_HEAD = struct.Struct("<IIQQIIIIIIq8x")
_ENTRY = struct.Struct("<IIQQ")


class Source(Protocol):
    """Where the bytes come from."""

    def readinto(self, view: memoryview) -> None:
        """Fill all of `view` or raise `BrokenStream`."""


@dataclass(frozen=True)
class Column:
    """Where one column of a block lies."""

    tag: int
    element_type: int
    offset: int
    bytes: int


@dataclass(frozen=True)
class Block:
    """Head and description of a batch of samples or bins."""

    kind: int
    count: int
    channel_index: int
    value_type: int
    status_domain: int
    metadata_known: bool
    name: str
    #: The same object as that of the block before where nothing changed.
    description: dict[str, Any]
    columns: dict[int, Column]
    _start: int = field(repr=False)
    _bytes: int = field(repr=False)
    #: The columns, where they did not come as they are.
    _decoded: dict[int, bytes] | None = field(default=None, repr=False)

    @property
    def element_type(self) -> int:
        """Number of the type of one element."""
        return self.value_type & (ARRAY - 1)

    @property
    def is_array(self) -> bool:
        """Whether each sample is an array."""
        return bool(self.value_type & ARRAY)


@dataclass(frozen=True)
class End:
    """What the end block says."""

    complete: bool
    count: int
    description: dict[str, Any]


def byte_view(array: npt.NDArray[Any]) -> memoryview:
    """Give the bytes of a contiguous array."""
    return array.data.cast("B") if array.size else memoryview(bytearray())


class Stream:
    """Reads one stream block by block.

    For each block of `blocks` its columns are then read by `fill`, each into the memory meant for it.

    Parameters
    ----------
    source : Source
        The bytes.
    decoder : ChunkDecoder, optional
        For an answer that may have stored chunks.
    """

    def __init__(self, source: Source, decoder: ChunkDecoder | None = None) -> None:
        self._source = source
        self._decoder = decoder
        self._checksum = Checksum()
        self._position = 0
        self._open: Block | None = None
        self._last_text = b""
        self._last_description: dict[str, Any] = {}
        #: The end block; None before it was read and found right.
        self.end: End | None = None

    def close(self) -> None:
        """End what runs beside the reading."""
        self._checksum.close()

    def flush(self) -> None:
        """Wait until nothing looks any more at the memory that was filled."""
        self._checksum.flush()

    def _take(self, count: int) -> memoryview:
        view = memoryview(bytearray(count))
        self._source.readinto(view)
        self._position += count
        return view

    def blocks(self) -> Iterator[Block]:
        """Give each batch; the columns that `fill` did not ask for are passed over.

        Raises
        ------
        BrokenStream
            The stream has no valid end block, or its bytes contradict each other.
        """
        head = self._take(_STREAM_HEAD.size)
        magic, major, minor, _ = _STREAM_HEAD.unpack(head)
        if magic != MAGIC:
            raise BrokenStream("the answer is not in the format columns")
        if major > MAJOR:
            raise VarveError(
                f"the server sends columns {major}.{minor}, this package reads up to {MAJOR}: update the package"
            )
        self._checksum.add([head])
        while self.end is None:
            block = self._block()
            if block is not None:
                yield block
            if self._open is not None:
                self.fill(self._open, {})

    def _block(self) -> Block | None:
        start = self._position
        head = self._take(_BLOCK_HEAD.size)
        (kind, columns, size, count, channel, value_type, domain, flags, name_bytes, json_bytes, _) = (
            _BLOCK_HEAD.unpack(head)
        )
        is_end = kind == KIND_END
        text_max = END_TEXT_BYTES_MAX if is_end else TEXT_BYTES_MAX
        if columns > COLUMNS_MAX or name_bytes > TEXT_BYTES_MAX or json_bytes > text_max:
            raise BrokenStream("a block's head is beyond every limit")
        entries_bytes = columns * _ENTRY.size
        text_bytes = entries_bytes + name_bytes + json_bytes
        if size > BLOCK_BYTES_MAX or size % 8 or size < _BLOCK_HEAD.size + text_bytes:
            raise BrokenStream(f"a block of {size} bytes cannot be right")
        text = self._take(text_bytes)
        if is_end:
            self._end(start, size, count, bool(flags & FLAG_COMPLETE), head, text, entries_bytes + name_bytes)
            return None
        stored = kind in (KIND_CHUNKS, KIND_LENDERS) and self._decoder is not None
        if not stored and kind not in (KIND_BATCH, KIND_BINS):
            self._checksum.add([head, text])
            self._skip(start + size - self._position)
            return None
        if count > BATCH_SAMPLES_MAX:
            raise BrokenStream(f"a batch of {count} samples is beyond the limit")
        placed = {}
        for entry in _ENTRY.iter_unpack(text[:entries_bytes]):
            column = Column(*entry)
            if column.offset % 8 or column.offset + column.bytes > size or column.offset < _BLOCK_HEAD.size:
                raise BrokenStream(f"column {column.tag} does not lie inside its block")
            placed[column.tag] = column
        name = bytes(text[entries_bytes : entries_bytes + name_bytes]).decode("utf-8", "replace")
        description = self._description(bytes(text[entries_bytes + name_bytes :]))
        self._checksum.add([head, text])
        known = bool(flags & FLAG_METADATA_KNOWN)
        block = Block(kind, count, channel, value_type, domain, known, name, description, placed, start, size)
        self._open = block
        return self._decoded(block) if stored else block

    def _decoded(self, block: Block) -> Block | None:
        """Decode a block of stored chunks; None where it has only what later ones need."""
        content = {}
        for tag in (STORED, EXTENTS):
            if tag not in block.columns:
                raise BrokenStream(f"a block of stored chunks lacks column {tag}")
            content[tag] = bytearray(block.columns[tag].bytes)
        self.fill(block, {tag: memoryview(column) for tag, column in content.items()})
        if self._decoder is None:
            return None
        try:
            if block.kind == KIND_LENDERS:
                self._decoder.lend(content[STORED], content[EXTENTS])
                return None
            count, value_type, decoded = self._decoder.decode(content[STORED], content[EXTENTS])
        except ValueError as error:
            raise DamagedChunk(str(error)) from error
        if (count, value_type) != (block.count, block.value_type):
            raise BrokenStream("stored chunks hold other samples than their block says")
        placed = {tag: Column(tag, 0, 0, len(column)) for tag, column in decoded.items()}
        batch = replace(block, kind=KIND_BATCH, columns=placed, _decoded=decoded)
        self._open = batch
        return batch

    def _description(self, text: bytes) -> dict[str, Any]:
        # Most batches are described like the one before.
        if text != self._last_text:
            self._last_description = _parse(text)
            self._last_text = text
        return self._last_description

    def _end(
        self, start: int, size: int, count: int, complete: bool, head: memoryview, text: memoryview, at: int
    ) -> None:
        rest = self._take(start + size - self._position)
        if len(rest) < 8:
            raise BrokenStream("the end block has no room for the checksum")
        self._checksum.add([head, text, rest[:-8]])
        (said,) = struct.unpack("<Q", rest[-8:])
        if self._checksum.flush() != said:
            raise BrokenStream("the checksum of the answer is wrong: bytes changed on their way")
        description = _parse(bytes(text[at:]))
        if not isinstance(description.get("channels"), list):
            raise BrokenStream("the end block does not say which channels were sent")
        self.end = End(complete, count, description)

    def fill(self, block: Block, destinations: Mapping[int, memoryview]) -> None:
        """Read the columns of a block.

        Parameters
        ----------
        block : Block
            The block that `blocks` gave last.
        destinations : mapping of int to memoryview
            For each wanted tag the memory of exactly the column's length.
        """
        if block is not self._open:
            raise ValueError("this block was read already")
        self._open = None
        if block._decoded is not None:
            for tag, wanted in destinations.items():
                content = block._decoded[tag]
                if len(wanted) != len(content):
                    raise BrokenStream(f"column {tag} has {len(content)} bytes in place of {len(wanted)}")
                wanted[:] = content
            return
        seen = []
        behind = block._start + block._bytes
        for column in sorted(block.columns.values(), key=lambda column: column.offset):
            start = block._start + column.offset
            if start < self._position:
                raise BrokenStream(f"column {column.tag} overlaps the one before")
            if start > self._position:
                seen.append(self._take(start - self._position))
            view = destinations.get(column.tag)
            if view is None:
                view = memoryview(bytearray(column.bytes))
            elif len(view) != column.bytes:
                raise BrokenStream(f"column {column.tag} has {column.bytes} bytes in place of {len(view)}")
            if column.bytes:
                self._source.readinto(view)
                self._position += column.bytes
                # Stored chunks check themselves.
                if column.tag != STORED or block.kind not in (KIND_CHUNKS, KIND_LENDERS):
                    seen.append(view)
        if behind > self._position:
            seen.append(self._take(behind - self._position))
        self._checksum.add(seen)

    def _skip(self, count: int) -> None:
        while count:
            view = self._take(min(count, 1 << 20))
            self._checksum.add([view])
            count -= len(view)


def _parse(text: bytes) -> dict[str, Any]:
    try:
        description = json.loads(text)
    except ValueError as error:
        raise BrokenStream(f"a block's description is no JSON: {error}") from error
    if not isinstance(description, dict):
        raise BrokenStream("a block's description is no JSON object")
    return description
