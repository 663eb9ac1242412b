"""Arrays that grow without being copied."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from varve import memory

__all__ = ["Buffer", "MostlyZeros", "byte_view"]

#: Rows that are reserved on the word of the server alone; more come by doubling.
RESERVED_MAX = 1 << 26
ROWS_MIN = 1 << 10


def byte_view(array: npt.NDArray[Any]) -> memoryview:
    """Give the bytes of a contiguous array."""
    return array.data.cast("B") if array.size else memoryview(bytearray())


class Buffer:
    """Elements end to end.

    Reserved memory costs nothing until it is written to. Growing invalidates what `append` gave before:
    `before_growth` is called to let go of it.

    Parameters
    ----------
    dtype : numpy.dtype
        Type of an element.
    expected : int
        Elements that will probably come.
    before_growth : callable
        Called before the memory moves.
    """

    def __init__(self, dtype: np.dtype[Any], expected: int, before_growth: Callable[[], None]) -> None:
        self._array = self._memory(max(ROWS_MIN, min(expected, RESERVED_MAX)), dtype)
        self._bytes = byte_view(self._array)
        self._before_growth = before_growth
        self.itemsize = dtype.itemsize
        self.count = 0

    def append(self, count: int) -> npt.NDArray[Any]:
        """Give the memory of the next `count` elements, to be filled."""
        first = self._reserve(count)
        return self._array[first : self.count]

    def append_bytes(self, count: int) -> memoryview:
        """Give the memory of the next `count` elements in bytes, to be filled."""
        first = self._reserve(count)
        return self._bytes[first * self.itemsize : self.count * self.itemsize]

    def _memory(self, count: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        return memory.uninitialised(count, dtype)

    def _reserve(self, count: int) -> int:
        """Count `count` elements more and give the place of the first."""
        first = self.count
        self.count += count
        if self.count > len(self._array):
            self._before_growth()
            self._bytes.release()
            self._resize(max(self.count, 2 * len(self._array)))
            self._bytes = byte_view(self._array)
        return first

    def _resize(self, count: int) -> None:
        if self._array.flags.owndata:
            # Large memory moves page by page, nothing is copied.
            self._array.resize(count, refcheck=False)
            return
        before, self._array = self._array, self._memory(count, self._array.dtype)
        kept = min(count, len(before))
        self._array[:kept] = before[:kept]

    def truncate(self, count: int) -> None:
        """Forget what lies behind the first `count` elements."""
        self.count = min(self.count, count)

    def finish(self) -> npt.NDArray[Any]:
        """Give the elements, with the memory behind them returned; the buffer must not be used any more."""
        self._before_growth()
        self._bytes.release()
        spare = len(self._array) - self.count
        # What was never written to takes no memory; returning it is for free only where nothing is copied.
        if spare > self.count or (spare > ROWS_MIN and self._array.flags.owndata):
            self._resize(self.count)
        array, self._array = self._array, np.empty(0, self._array.dtype)
        return array[: self.count]


class MostlyZeros(Buffer):
    """Elements end to end, most of them zero: memory to which only zeros came is never touched."""

    def __init__(self, dtype: np.dtype[Any], expected: int, before_growth: Callable[[], None]) -> None:
        super().__init__(dtype, expected, before_growth)
        #: What came last, in memory of its own, and the place of its first byte.
        self._came = bytearray()
        self._place = 0
        self._zeros = b""

    def _memory(self, count: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        return memory.zeros(count, dtype)

    def append_bytes(self, count: int) -> memoryview:
        """Give memory for the next `count` elements in bytes, to be filled before anything else is asked for."""
        self._settle()
        self._place = self._reserve(count) * self.itemsize
        self._came = bytearray(count * self.itemsize)
        return memoryview(self._came)

    def _settle(self) -> None:
        """Put what came last where it belongs; zeros are there already."""
        came, self._came = self._came, bytearray()
        if len(self._zeros) != len(came):
            self._zeros = bytes(len(came))
        if came != self._zeros:
            self._bytes[self._place : self._place + len(came)] = came

    def truncate(self, count: int) -> None:
        """Forget what lies behind the first `count` elements."""
        self._settle()
        self._array[count : self.count] = 0
        super().truncate(count)

    def finish(self) -> npt.NDArray[Any]:
        """Give the elements; the buffer must not be used any more."""
        self._settle()
        return super().finish()
