"""Raw samples in arrays, as they come out of the stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from varve import columns
from varve.buffers import Buffer, MostlyZeros, byte_view
from varve.columns import Block, Column, Stream
from varve.errors import BrokenStream
from varve.times import NAT, to_datetime64

__all__ = ["Edge", "Rows", "Samples", "Segment"]

_INT64 = np.dtype("<i8")
_UINT64 = np.dtype("<u8")
_NUMBERS = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64"]
#: Columns with one number a sample that not every answer has, and what stands where a batch lacks them.
_OPTIONAL = {columns.RECEIVED: NAT, columns.USER_TAG: 0}


@dataclass(frozen=True)
class Segment:
    """Neighbouring samples of one channel, type and metadata.

    Attributes
    ----------
    first, behind : int
        Its rows are ``first <= row < behind``.
    name : str
        The channel as it was asked for.
    type : str
        Like ``"float64"`` or ``"int16[]"``.
    metadata : dict
        Units, states, limits and so on, as far as known.
    metadata_known : bool
        Whether the samples were stored with metadata.
    status_domain : str
        Whose status codes these are: ``"ca"`` or ``"pva"``.
    channel : str
        The stored name, another one where `name` is an alias.
    descriptor : bytes or None
        Of structures: their type description.
    """

    first: int
    behind: int
    name: str
    type: str
    metadata: dict[str, Any]
    metadata_known: bool
    status_domain: str
    channel: str
    descriptor: bytes | None = None


@dataclass(frozen=True)
class Edge:
    """A sample beside the range.

    Attributes
    ----------
    time_ns : int
        Nanoseconds since 1970 UTC.
    type : str
        Type of the value.
    value : object
        The value; enums as their index.
    severity, status : int
        Alarm codes.
    held : bool or None
        Whether it still held at the start of the range.
    metadata : dict
        In force at its time.
    """

    time_ns: int
    type: str
    value: Any
    severity: int
    status: int
    held: bool | None
    metadata: dict[str, Any]


@dataclass(frozen=True)
class Samples:
    """Samples of one answer in columns of equal length, channel after channel.

    Attributes
    ----------
    time : numpy.ndarray of datetime64[ns]
        UTC.
    value : numpy.ndarray
        Numbers in their own type where all segments share one; else objects. Enums are their indices,
        arrays are objects of one ndarray each.
    severity : numpy.ndarray of uint8
        0 no alarm, 1 minor, 2 major, 3 invalid.
    status : numpy.ndarray of uint16
        Codes of Channel Access, or of pvAccess where the segment says so.
    segments : tuple of Segment
        Which rows belong to which channel, type and metadata.
    info : dict
        Range, gaps, edges, problems: what `attrs["varve"]` of a frame holds.
    received, user_tag, message : numpy.ndarray or None
        Where stored: the engine's receive time, pvAccess' tag and alarm message.
    """

    time: npt.NDArray[np.datetime64]
    value: npt.NDArray[Any]
    severity: npt.NDArray[np.uint8]
    status: npt.NDArray[np.uint16]
    segments: tuple[Segment, ...]
    info: dict[str, Any]
    received: npt.NDArray[np.datetime64] | None = None
    user_tag: npt.NDArray[np.int64] | None = None
    message: npt.NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.time)


class Values:
    """Values of neighbouring rows of one type."""

    def __init__(self, block: Block, row: int, expected: int, before_growth: Callable[[], None]) -> None:
        self.value_type = block.value_type
        self.first = row
        self.behind = row
        self._elements = Buffer(_dtype(block), expected, before_growth)
        self._before_growth = before_growth
        self._value_offsets = _Offsets() if block.is_array else None
        text = block.element_type in (columns.STRING, columns.STRUCTURE)
        self._string_offsets = _Offsets() if text else None

    def destinations(self, block: Block) -> dict[int, memoryview]:
        """Give the memory for the value columns of a batch."""
        value = _column(block, columns.VALUE)
        size = self._elements.itemsize
        if value.bytes % size:
            raise BrokenStream("the value column does not hold whole elements")
        wanted = {columns.VALUE: self._elements.append_bytes(value.bytes // size)}
        rows = block.count
        if self._value_offsets is not None:
            wanted[columns.VALUE_OFFSETS] = self._value_offsets.add(block, columns.VALUE_OFFSETS, rows)
        if self._string_offsets is not None:
            strings = None if self._value_offsets is not None else rows
            wanted[columns.STRING_OFFSETS] = self._string_offsets.add(block, columns.STRING_OFFSETS, strings)
        if self._value_offsets is None and self._string_offsets is None and value.bytes != rows * size:
            raise BrokenStream(f"{value.bytes} bytes of values are not {rows} samples")
        self.behind += rows
        return wanted

    def mark(self) -> tuple[int, int, int, int]:
        """Give the place to come back to."""
        value = self._value_offsets.mark() if self._value_offsets is not None else 0
        string = self._string_offsets.mark() if self._string_offsets is not None else 0
        return self.behind, self._elements.count, value, string

    def rollback(self, mark: tuple[int, int, int, int]) -> None:
        """Forget what came since."""
        self.behind, elements, value, string = mark
        self._elements.truncate(elements)
        if self._value_offsets is not None:
            self._value_offsets.rollback(value)
        if self._string_offsets is not None:
            self._string_offsets.rollback(string)

    def finish(self) -> npt.NDArray[Any]:
        """Give one value for each row."""
        flat = self._elements.finish()
        if self._string_offsets is not None:
            offsets = self._string_offsets.joined(len(flat))
            structure = self.value_type & (columns.ARRAY - 1) == columns.STRUCTURE
            flat = _split_bytes(flat, offsets) if structure else _split_text(flat, offsets)
        if self._value_offsets is None:
            return flat
        return _split_elements(flat, self._value_offsets.joined(len(flat)))


class _Offsets:
    """Offsets of batches, put end to end."""

    def __init__(self) -> None:
        self._batches: list[npt.NDArray[np.uint64]] = []

    def add(self, block: Block, tag: int, count: int | None) -> memoryview:
        column = _column(block, tag)
        offsets = np.empty(column.bytes // 8, _UINT64)
        if column.bytes % 8 or not len(offsets) or (count is not None and len(offsets) != count + 1):
            raise BrokenStream("an offsets column is not one longer than what it divides")
        self._batches.append(offsets)
        return byte_view(offsets)

    def mark(self) -> int:
        return len(self._batches)

    def rollback(self, mark: int) -> None:
        del self._batches[mark:]

    def joined(self, total: int) -> npt.NDArray[np.int64]:
        joined = np.zeros(sum(len(batch) - 1 for batch in self._batches) + 1, _INT64)
        at, base = 1, 0
        for batch in self._batches:
            if batch[0] != 0 or np.any(batch[1:] < batch[:-1]) or batch[-1] > total - base:
                raise BrokenStream("offsets do not ascend inside their column")
            joined[at : at + len(batch) - 1] = batch[1:].astype(_INT64) + base
            at += len(batch) - 1
            base += int(batch[-1])
        if base != total:
            raise BrokenStream("offsets do not reach the end of their column")
        return joined


def _split_text(flat: npt.NDArray[Any], offsets: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    content = flat.tobytes()
    out = np.empty(len(offsets) - 1, object)
    bounds = offsets.tolist()
    if content.isascii():
        text = content.decode("ascii")
        out[:] = [text[a:b] for a, b in zip(bounds, bounds[1:])]
    else:
        out[:] = [_text(content[a:b]) for a, b in zip(bounds, bounds[1:])]
    return out


def _text(content: bytes) -> str:
    """Read text as the server does: bytes that are not UTF-8 are Latin-1."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _split_bytes(flat: npt.NDArray[Any], offsets: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    content = flat.tobytes()
    bounds = offsets.tolist()
    out = np.empty(len(offsets) - 1, object)
    out[:] = [content[a:b] for a, b in zip(bounds, bounds[1:])]
    return out


def _split_elements(flat: npt.NDArray[Any], offsets: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    bounds = offsets.tolist()
    out = np.empty(len(offsets) - 1, object)
    for row, (a, b) in enumerate(zip(bounds, bounds[1:])):
        out[row] = flat[a:b]
    return out


def _column(block: Block, tag: int) -> Column:
    column = block.columns.get(tag)
    if column is None:
        raise BrokenStream(f"a batch lacks column {tag}")
    return column


def _dtype(block: Block) -> np.dtype[Any]:
    dtype = columns.ELEMENTS.get(block.element_type)
    if dtype is None:
        raise BrokenStream(f"element type {block.element_type} is unknown: update the package")
    return dtype


class Rows:
    """Takes batches of samples from streams and keeps them in columns."""

    def __init__(self) -> None:
        self._expected = 0
        self._stream: Stream | None = None
        self._fixed = self._empty()
        self._optional: dict[int, Buffer] = {}
        self._messages: list[tuple[int, npt.NDArray[Any]]] = []
        self._values: list[Values] = []
        #: In which `behind` is not set: each ends where the next begins.
        self._segments: list[Segment] = []
        self._described: dict[str, Any] | None = None
        #: Samples before the range and behind it, by the channel's name.
        self.before: dict[str, Edge] = {}
        self.after: dict[str, Edge] = {}

    def _empty(self) -> dict[int, Buffer]:
        return {
            columns.TIME: Buffer(_INT64, self._expected, self._flush),
            columns.SEVERITY: MostlyZeros(np.dtype("<u1"), self._expected, self._flush),
            columns.STATUS: MostlyZeros(np.dtype("<u2"), self._expected, self._flush),
        }

    def expect(self, count: int) -> None:
        """Reserve room for so many more samples, where none are there yet."""
        if len(self) == 0 and count > self._expected:
            self._expected = count
            self._fixed = self._empty()

    @property
    def segments(self) -> list[Segment]:
        """Which rows belong to which channel, type and metadata."""
        behind = [segment.first for segment in self._segments[1:]] + [len(self)]
        return [replace(segment, behind=row) for segment, row in zip(self._segments, behind)]

    def _flush(self) -> None:
        if self._stream is not None:
            self._stream.flush()

    def __len__(self) -> int:
        return self._fixed[columns.TIME].count

    def take(self, stream: Stream, progress: Callable[[int], None] | None = None) -> columns.End:
        """Read a whole stream; when it breaks, the rows are those from before.

        Parameters
        ----------
        stream : Stream
            Where the batches come from.
        progress : callable, optional
            Told the rows that are there after each batch.

        Returns
        -------
        End
            What the end block says.

        Raises
        ------
        BrokenStream
            The stream has no valid end block; nothing of it was kept.
        """
        rows = len(self)
        rollback = self._mark()
        self._stream = stream
        try:
            for block in stream.blocks():
                if block.kind == columns.KIND_BATCH:
                    self._batch(stream, block)
                    if progress is not None:
                        progress(len(self))
            end = stream.end
            if end is None or len(self) - rows != end.count:
                raise BrokenStream("the end block counts other samples than came")
        except BaseException:
            stream.flush()
            rollback()
            raise
        finally:
            self._stream = None
        return end

    def _mark(self) -> Callable[[], None]:
        """Give what undoes everything from here on."""
        row, values, segments, messages = (
            len(self),
            len(self._values),
            len(self._segments),
            len(self._messages),
        )
        undo_last = self._values[-1].mark() if self._values else None
        before, after = dict(self.before), dict(self.after)

        def rollback() -> None:
            for buffer in (*self._fixed.values(), *self._optional.values()):
                buffer.truncate(row)
            del self._values[values:], self._segments[segments:], self._messages[messages:]
            if undo_last is not None:
                self._values[-1].rollback(undo_last)
            self._described = None
            self.before, self.after = before, after

        return rollback

    def _batch(self, stream: Stream, block: Block) -> None:
        if block.count == 0:
            return
        if columns.EDGE not in block.columns or block.count > 1:
            self._keep(block, stream.fill)
            return
        content = {tag: memoryview(bytearray(column.bytes)) for tag, column in block.columns.items()}
        stream.fill(block, content)

        def copy(_: Block, wanted: Mapping[int, memoryview]) -> None:
            for tag, view in wanted.items():
                view[:] = content[tag]

        if not any(content[columns.EDGE]):
            self._keep(block, copy)
            return
        alone = Rows()
        alone._keep(block, copy)
        samples = alone.finish({})
        held = block.description.get("held")
        sample = Edge(
            int(samples.time.view(np.int64)[0]),
            str(block.description.get("type", "")),
            _plain(samples.value[0]),
            int(samples.severity[0]),
            int(samples.status[0]),
            None if held is None else bool(held),
            dict(block.description.get("metadata") or {}),
        )
        # Only the one before the range says whether it was held.
        (self.after if held is None else self.before)[block.name] = sample

    def _keep(self, block: Block, fill: Callable[[Block, Mapping[int, memoryview]], None]) -> None:
        """Add a batch; `fill` brings the bytes of its columns."""
        row, count = len(self), block.count
        wanted: dict[int, memoryview] = {}
        for tag, buffer in self._fixed.items():
            if _column(block, tag).bytes != count * buffer.itemsize:
                raise BrokenStream(f"column {tag} does not have {count} samples")
            wanted[tag] = buffer.append_bytes(count)
        if not self._values or self._values[-1].value_type != block.value_type:
            self._values.append(Values(block, row, max(count, self._expected - row), self._flush))
        wanted.update(self._values[-1].destinations(block))
        self._want_optional(block, row, wanted)
        edge = message = descriptor = None
        if columns.EDGE in block.columns:
            edge = bytearray(block.columns[columns.EDGE].bytes)
            wanted[columns.EDGE] = memoryview(edge)
        if columns.MESSAGE in block.columns:
            message = np.empty(block.columns[columns.MESSAGE].bytes, np.uint8)
            offsets = _Offsets()
            wanted[columns.MESSAGE] = byte_view(message)
            wanted[columns.MESSAGE_OFFSETS] = offsets.add(block, columns.MESSAGE_OFFSETS, count)
        if columns.DESCRIPTOR in block.columns:
            descriptor = np.empty(block.columns[columns.DESCRIPTOR].bytes, np.uint8)
            wanted[columns.DESCRIPTOR] = byte_view(descriptor)
        fill(block, wanted)
        if edge is not None and count > 1 and edge != bytes(len(edge)):
            raise BrokenStream("a sample beside the range is not a batch of its own")
        if message is not None:
            self._messages.append((row, _split_text(message, offsets.joined(len(message)))))
        self._describe(block, row, None if descriptor is None else descriptor.tobytes())

    def _want_optional(self, block: Block, row: int, wanted: dict[int, memoryview]) -> None:
        for tag, missing in _OPTIONAL.items():
            if tag not in block.columns and tag not in self._optional:
                continue
            if tag not in self._optional:
                self._optional[tag] = Buffer(_INT64, self._expected, self._flush)
            buffer = self._optional[tag]
            if buffer.count < row:
                buffer.append(row - buffer.count)[:] = missing
            if tag in block.columns:
                if block.columns[tag].bytes != block.count * 8:
                    raise BrokenStream(f"column {tag} does not have {block.count} samples")
                wanted[tag] = buffer.append_bytes(block.count)

    def _describe(self, block: Block, row: int, descriptor: bytes | None) -> None:
        said = block.description
        last = self._segments[-1] if self._segments else None
        if last is not None and self._described is said and last.descriptor == descriptor and last.name == block.name:
            return
        segment = Segment(
            row,
            row,
            block.name,
            str(said.get("type", "")),
            dict(said.get("metadata") or {}),
            block.metadata_known,
            str(said.get("status_domain", "pva" if block.status_domain == 1 else "ca")),
            str(said.get("channel", block.name)),
            descriptor,
        )
        self._described = said
        if last is None or replace(segment, first=last.first, behind=last.behind) != last:
            self._segments.append(segment)

    def finish(self, info: dict[str, Any]) -> Samples:
        """Give everything; the rows must not be used any more."""
        row, segments = len(self), tuple(self.segments)
        for tag, buffer in self._optional.items():
            if buffer.count < row:
                buffer.append(row - buffer.count)[:] = _OPTIONAL[tag]
        received = self._optional.get(columns.RECEIVED)
        user_tag = self._optional.get(columns.USER_TAG)
        return Samples(
            to_datetime64(self._fixed[columns.TIME].finish()),
            self._value(row, info.get("type")),
            self._fixed[columns.SEVERITY].finish(),
            self._fixed[columns.STATUS].finish(),
            segments,
            info,
            None if received is None else to_datetime64(received.finish()),
            None if user_tag is None else user_tag.finish(),
            self._message(row),
        )

    def _value(self, row: int, type_: str | None) -> npt.NDArray[Any]:
        runs = [run for run in self._values if run.behind > run.first]
        if not runs:
            return np.empty(0, _empty_dtype(type_))
        if len(runs) == 1:
            return runs[0].finish()
        return joined([run.finish() for run in runs], row)

    def _message(self, row: int) -> npt.NDArray[Any] | None:
        if not self._messages:
            return None
        out = np.full(row, "", object)
        for first, part in self._messages:
            out[first : first + len(part)] = part
        return out


def _empty_dtype(type_: str | None) -> np.dtype[Any]:
    """Give the type that values would have."""
    if type_ == "enum":
        return columns.ELEMENTS[columns.ENUM]
    if type_ is None or type_ not in _NUMBERS:
        return np.dtype(np.float64 if type_ is None else object)
    return np.dtype(type_)


def joined(parts: Sequence[npt.NDArray[Any]], count: int) -> npt.NDArray[Any]:
    """Put values of several types into one array that holds each of them exactly.

    Numbers become the type that holds all of them where no value changes by it; everything else becomes
    objects, each as it was.
    """
    kinds = {part.dtype.kind for part in parts}
    if kinds <= set("iuf"):
        common = np.result_type(*parts)
        if all(_exact(part, common) for part in parts):
            return np.concatenate([part.astype(common, copy=False) for part in parts])
    elif kinds == {"b"}:
        return np.concatenate(parts)
    out = np.empty(count, object)
    at = 0
    for part in parts:
        out[at : at + len(part)] = part
        at += len(part)
    return out


def _exact(part: npt.NDArray[Any], common: np.dtype[Any]) -> bool:
    if np.can_cast(part.dtype, common, "safe") and not (part.dtype.itemsize == 8 and common.kind != part.dtype.kind):
        return True
    limit = 1 << 53
    return part.dtype.kind in "iu" and bool(
        np.all(part <= limit) and np.all(part >= -limit if part.dtype.kind == "i" else True)
    )


def _plain(value: Any) -> Any:
    """Give numbers and arrays as Python's own, so that what holds them can be compared and written."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.item() if isinstance(value, np.generic) else value
