"""Bins in arrays, as they come out of the stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from varve import columns
from varve.buffers import Buffer, byte_view
from varve.columns import Stream
from varve.errors import BrokenStream
from varve.samples import Segment
from varve.times import NAT

__all__ = ["STATISTICS", "BinRows", "Bins"]

_TIME = np.dtype("datetime64[ns]")
_WIDTH = np.dtype("timedelta64[ns]")
_INT64, _UINT64, _FLOAT64, _UINT8 = np.dtype("<i8"), np.dtype("<u8"), np.dtype("<f8"), np.dtype("<u1")


@dataclass(frozen=True)
class Statistic:
    """One column of the wire: its name there, its name and type in a frame."""

    wire: str
    name: str
    stored: np.dtype[Any]
    shown: np.dtype[Any]


#: Columns by their tag, in the order of the interface.
STATISTICS: dict[int, Statistic] = {
    32: Statistic("start_ns", "time", _INT64, _TIME),
    33: Statistic("width_ns", "width", _INT64, _WIDTH),
    34: Statistic("count", "count", _UINT64, _UINT64),
    35: Statistic("mean", "mean", _FLOAT64, _FLOAT64),
    36: Statistic("min", "min", _FLOAT64, _FLOAT64),
    37: Statistic("max", "max", _FLOAT64, _FLOAT64),
    38: Statistic("std", "std", _FLOAT64, _FLOAT64),
    39: Statistic("first", "first", _FLOAT64, _FLOAT64),
    40: Statistic("last", "last", _FLOAT64, _FLOAT64),
    41: Statistic("min_ns", "min_time", _INT64, _TIME),
    42: Statistic("max_ns", "max_time", _INT64, _TIME),
    43: Statistic("first_ns", "first_time", _INT64, _TIME),
    44: Statistic("last_ns", "last_time", _INT64, _TIME),
    45: Statistic("twmean", "twmean", _FLOAT64, _FLOAT64),
    46: Statistic("covered_ns", "covered", _INT64, _WIDTH),
    47: Statistic("severity", "severity", _UINT8, _UINT8),
    48: Statistic("nonfinite", "nonfinite", _UINT64, _UINT64),
    49: Statistic("invalid", "invalid", _UINT64, _UINT64),
}
#: How long each state of an enum was held: one duration for each bin and state.
STATES_NS = 50


@dataclass(frozen=True)
class Bins:
    """Bins of one answer in columns of equal length, channel after channel.

    Attributes
    ----------
    columns : dict of str to numpy.ndarray
        By the name in a frame. ``time`` is a bin's start.
    segments : tuple of Segment
        Which rows belong to which channel.
    info : dict
        What `attrs["varve"]` of a frame holds.
    """

    columns: dict[str, npt.NDArray[Any]]
    segments: tuple[Segment, ...]
    info: dict[str, Any]

    def __len__(self) -> int:
        return len(self.columns["time"])


class BinRows:
    """Takes batches of bins from one stream and keeps them in columns."""

    def __init__(self) -> None:
        self._buffers: dict[int, Buffer] = {}
        self._segments: list[Segment] = []
        self._states: list[tuple[int, list[str], npt.NDArray[np.int64]]] = []
        self._rows = 0

    def take(self, stream: Stream, progress: Callable[[int], None] | None = None) -> columns.End:
        """Read the whole stream.

        Raises
        ------
        BrokenStream
            The stream has no valid end block.
        """
        for block in stream.blocks():
            if block.kind != columns.KIND_BINS or block.count == 0:
                continue
            wanted = {}
            for tag in block.columns:
                if tag in STATISTICS and tag not in self._buffers:
                    self._buffers[tag] = Buffer(STATISTICS[tag].stored, block.count, stream.flush)
            for tag, buffer in self._buffers.items():
                # A statistic that an earlier channel had or a later one has is missing for the others.
                if buffer.count < self._rows:
                    buffer.append(self._rows - buffer.count)[:] = _missing(tag)
                if tag not in block.columns:
                    buffer.append(block.count)[:] = _missing(tag)
                    continue
                wanted[tag] = buffer.append_bytes(block.count)
                if block.columns[tag].bytes != len(wanted[tag]):
                    raise BrokenStream(f"column {tag} does not have {block.count} bins")
            self._want_states(block, wanted)
            stream.fill(block, wanted)
            self._describe(block)
            self._rows += block.count
            if progress is not None:
                progress(self._rows)
        end = stream.end
        if end is None or end.count != self._rows:
            raise BrokenStream("the end block counts other bins than came")
        return end

    def _want_states(self, block: columns.Block, wanted: dict[int, memoryview]) -> None:
        if STATES_NS not in block.columns:
            return
        labels = [str(label) for label in block.description.get("states") or ()]
        held = np.empty((block.count, len(labels)), _INT64)
        if block.columns[STATES_NS].bytes != held.nbytes:
            raise BrokenStream(f"column {STATES_NS} does not have {len(labels)} states of {block.count} bins")
        wanted[STATES_NS] = byte_view(held)
        self._states.append((self._rows, labels, held))

    @property
    def segments(self) -> list[Segment]:
        """Which rows belong to which channel."""
        return self._segments

    def _describe(self, block: columns.Block) -> None:
        said = block.description
        self._segments.append(
            Segment(
                self._rows,
                self._rows + block.count,
                block.name,
                str(said.get("type", "")),
                dict(said.get("metadata") or {}),
                block.metadata_known,
                "ca",
                str(said.get("channel", block.name)),
            )
        )

    def finish(self, info: dict[str, Any]) -> Bins:
        """Give everything; the rows must not be used any more."""
        found = {
            statistic.name: self._buffers[tag].finish().view(statistic.shown)
            for tag, statistic in STATISTICS.items()
            if tag in self._buffers
        }
        found.setdefault("time", np.empty(0, _TIME))
        for first, labels, held in self._states:
            for place, label in enumerate(labels):
                column = found.setdefault(f"state {label}", np.full(self._rows, NAT, _INT64).view(_WIDTH))
                part = column[first : first + len(held)].view(np.int64)
                # Two states may have the same name.
                part[:] = np.where(part == NAT, held[:, place], part + held[:, place])
        return Bins(found, tuple(self._segments), info)


def _missing(tag: int) -> float | int:
    stored = STATISTICS[tag].stored
    return np.nan if stored == _FLOAT64 else NAT if stored == _INT64 else 0
