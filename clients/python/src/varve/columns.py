"""The wire format `columns`: blocks of a stream, and where their columns lie.

Described byte by byte in `retrieval-server/PROTOCOL.md`. Nothing here knows what becomes of the columns.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from varve.body import Body
from varve.checksum import Checksum
from varve.errors import BrokenStream, VarveError
from varve.native import ChunkDecoder, DamagedChunk

__all__ = ["ELEMENTS", "Block", "End", "Stream"]

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
#: Blocks that are remembered, to know them again, and the most bytes of the text of each.
KNOWN_MAX = 16
KNOWN_TEXT_BYTES_MAX = 1 << 16

_STREAM_HEAD = struct.Struct("<8sHHI")
_BLOCK_HEAD = struct.Struct("<IIQQIIIIIIq8x")
_ENTRY = struct.Struct("<IIQQ")


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
    #: What follows: the tag of each column in the order of their places, None for what lies between, with its bytes.
    _layout: tuple[tuple[int | None, int], ...] = field(repr=False)
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


class Stream:
    """Reads one stream block by block.

    For each block of `blocks` its columns are then read by `fill`, each into the memory meant for it.

    Parameters
    ----------
    body : Body
        The bytes.
    decoder : ChunkDecoder, optional
        For an answer that may have stored chunks.
    """

    def __init__(self, body: Body, decoder: ChunkDecoder | None = None) -> None:
        self._body = body
        self._decoder = decoder
        self._checksum = Checksum()
        self._open: Block | None = None
        #: Blocks of samples or bins by their heads, with their texts.
        self._known: dict[bytes, tuple[bytes, Block]] = {}
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

    def blocks(self) -> Iterator[Block]:
        """Give each batch; the columns that `fill` did not ask for are passed over.

        Raises
        ------
        BrokenStream
            The stream has no valid end block, or its bytes contradict each other.
        """
        head = self._body.take(_STREAM_HEAD.size)
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
        head = self._body.take(_BLOCK_HEAD.size)
        # Most blocks say the same as one before, which was found right.
        known_text, known = self._known.get(head, (b"", None))
        if known is not None:
            text = self._body.take(len(known_text))
            if text == known_text:
                self._checksum.add([head, text])
                self._open = known
                return known
        (kind, columns, size, count, channel, value_type, domain, flags, name_bytes, json_bytes, _) = (
            _BLOCK_HEAD.unpack(head)
        )
        is_end = kind == KIND_END
        text_max = END_TEXT_BYTES_MAX if is_end else TEXT_BYTES_MAX
        if columns > COLUMNS_MAX or name_bytes > TEXT_BYTES_MAX or json_bytes > text_max:
            raise BrokenStream("a block's head is beyond every limit")
        entries_bytes = columns * _ENTRY.size
        text_bytes = entries_bytes + name_bytes + json_bytes
        first = _BLOCK_HEAD.size + text_bytes
        if size > BLOCK_BYTES_MAX or size % 8 or size < first:
            raise BrokenStream(f"a block of {size} bytes cannot be right")
        if known is None:
            text = self._body.take(text_bytes)
        if is_end:
            self._end(size - first, count, bool(flags & FLAG_COMPLETE), head, text, entries_bytes + name_bytes)
            return None
        self._checksum.add([head, text])
        stored = kind in (KIND_CHUNKS, KIND_LENDERS) and self._decoder is not None
        if not stored and kind not in (KIND_BATCH, KIND_BINS):
            self._skip(size - first)
            return None
        if count > BATCH_SAMPLES_MAX:
            raise BrokenStream(f"a batch of {count} samples is beyond the limit")
        placed = {}
        for entry in _ENTRY.iter_unpack(text[:entries_bytes]):
            column = Column(*entry)
            if column.offset % 8 or column.offset + column.bytes > size or column.offset < _BLOCK_HEAD.size:
                raise BrokenStream(f"column {column.tag} does not lie inside its block")
            placed[column.tag] = column
        name = text[entries_bytes : entries_bytes + name_bytes].decode("utf-8", "replace")
        description = self._description(text[entries_bytes + name_bytes :])
        metadata_known = bool(flags & FLAG_METADATA_KNOWN)
        layout = _layout(placed.values(), first, size)
        block = Block(kind, count, channel, value_type, domain, metadata_known, name, description, placed, layout)
        self._open = block
        if stored:
            return self._decoded(block)
        if text_bytes <= KNOWN_TEXT_BYTES_MAX:
            if len(self._known) == KNOWN_MAX:
                self._known.clear()
            self._known[head] = text, block
        return block

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

    def _end(self, rest_bytes: int, count: int, complete: bool, head: bytes, text: bytes, at: int) -> None:
        rest = self._body.take(rest_bytes)
        if len(rest) < 8:
            raise BrokenStream("the end block has no room for the checksum")
        self._checksum.add([head, text, rest[:-8]])
        (said,) = struct.unpack("<Q", rest[-8:])
        if self._checksum.flush() != said:
            raise BrokenStream("the checksum of the answer is wrong: bytes changed on their way")
        description = _parse(text[at:])
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
            for wanted_tag, wanted in destinations.items():
                content = block._decoded[wanted_tag]
                if len(wanted) != len(content):
                    raise BrokenStream(f"column {wanted_tag} has {len(content)} bytes in place of {len(wanted)}")
                wanted[:] = content
            return
        views = []
        for tag, size in block._layout:
            view = None if tag is None else destinations.get(tag)
            if view is None:
                view = memoryview(bytearray(size))
            elif len(view) != size:
                raise BrokenStream(f"column {tag} has {size} bytes in place of {len(view)}")
            views.append(view)
        self._body.readinto(views)
        if block.kind in (KIND_CHUNKS, KIND_LENDERS):
            # Stored chunks check themselves.
            views = [view for (tag, _), view in zip(block._layout, views) if tag != STORED]
        self._checksum.add(views)

    def _skip(self, count: int) -> None:
        while count:
            content = self._body.take(min(count, 1 << 20))
            self._checksum.add([content])
            count -= len(content)


def _layout(columns: Iterable[Column], first: int, size: int) -> tuple[tuple[int | None, int], ...]:
    """Give what a block has from `first` to its end: columns, and what lies between them."""
    layout: list[tuple[int | None, int]] = []
    at = first
    for column in sorted(columns, key=lambda column: column.offset):
        if column.offset < at:
            raise BrokenStream(f"column {column.tag} overlaps the one before")
        layout += [(None, column.offset - at), (column.tag, column.bytes)]
        at = column.offset + column.bytes
    layout.append((None, size - at))
    return tuple((tag, count) for tag, count in layout if tag is not None or count)


def _parse(text: bytes) -> dict[str, Any]:
    try:
        description = json.loads(text)
    except ValueError as error:
        raise BrokenStream(f"a block's description is no JSON: {error}") from error
    if not isinstance(description, dict):
        raise BrokenStream("a block's description is no JSON object")
    return description
