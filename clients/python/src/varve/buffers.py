"""Arrays that grow without being copied."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Buffer"]

#: Rows that are reserved on the word of the server alone; more come by doubling.
RESERVED_MAX = 1 << 26
ROWS_MIN = 1 << 10


class Buffer:
    """Elements end to end.

    Reserved memory costs nothing until it is written to, and growing large memory moves pages, not bytes
    (`realloc`). Growing invalidates what `append` gave before: `before_growth` is called to let go of it.

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
        self._array = np.empty(max(ROWS_MIN, min(expected, RESERVED_MAX)), dtype)
        self._before_growth = before_growth
        self.count = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of an element."""
        dtype: np.dtype[Any] = self._array.dtype
        return dtype

    def append(self, count: int) -> npt.NDArray[Any]:
        """Give the memory of the next `count` elements, to be filled."""
        needed = self.count + count
        if needed > len(self._array):
            self._before_growth()
            self._array.resize(max(needed, 2 * len(self._array)), refcheck=False)
        part = self._array[self.count : needed]
        self.count = needed
        return part

    def truncate(self, count: int) -> None:
        """Forget what lies behind the first `count` elements."""
        self.count = min(self.count, count)

    def view(self) -> npt.NDArray[Any]:
        """Give what is there, until the next growth."""
        return self._array[: self.count]

    def finish(self) -> npt.NDArray[Any]:
        """Give the elements, with the memory behind them returned; the buffer must not be used any more."""
        self._before_growth()
        array, self._array = self._array, np.empty(0, self._array.dtype)
        if 2 * self.count < len(array) or len(array) - self.count > ROWS_MIN:
            array.resize(self.count, refcheck=False)
        return array[: self.count]
