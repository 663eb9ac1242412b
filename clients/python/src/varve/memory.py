"""Memory of large columns.

The system hands out memory filled with zeros, page by page as it is touched, which takes a good part of the time in
which an answer arrives. So memory in which an answer was goes to the next one when nobody holds the last any more. The
system is told that it may have it back (`MADV_FREE`), and takes it when it runs short.
"""

from __future__ import annotations

import contextlib
import mmap
import threading
from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["KEPT_BYTES_MAX", "LARGE_BYTES_MIN", "uninitialised", "zeros"]

#: Less than this comes from the allocator.
LARGE_BYTES_MIN = 4 << 20
#: Bytes that are kept at most.
KEPT_BYTES_MAX = 256 << 20
#: Sizes are multiples of a huge page.
_PAGE_BYTES = 2 << 20
#: Other systems have no memory that may be taken back.
_HAS_MAPPINGS = all(hasattr(mmap, name) for name in ("MAP_PRIVATE", "MAP_ANONYMOUS", "MADV_FREE", "MADV_HUGEPAGE"))

_kept: deque[mmap.mmap] = deque()
#: Of `_kept`. Taken without waiting: memory may come back at any line, also of the thread that holds it.
_lock = threading.Lock()


class _Owner(np.ndarray[Any, np.dtype[np.uint8]]):
    """The bytes of a mapping; what arrays over it refer to."""

    mapping: mmap.mmap | None = None

    def __del__(self) -> None:
        if self.mapping is not None:
            _give_back(self.mapping)


def uninitialised(count: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Make an array of `count` elements that mean nothing yet."""
    size = count * dtype.itemsize
    if size < LARGE_BYTES_MIN or not _HAS_MAPPINGS:
        return np.empty(count, dtype)
    mapping = _take(size)
    if mapping is None:
        mapping = _mapped(-(-size // _PAGE_BYTES) * _PAGE_BYTES)
        _advise(mapping, mmap.MADV_HUGEPAGE)
    owner = _Owner(len(mapping), np.uint8, mapping)  # type: ignore[arg-type, unused-ignore]
    owner.mapping = mapping
    return owner.view(np.ndarray)[:size].view(dtype)


def zeros(count: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Make an array of `count` zeros, of which only what is written to takes memory."""
    size = count * dtype.itemsize
    if size < LARGE_BYTES_MIN or not _HAS_MAPPINGS:
        return np.zeros(count, dtype)
    # The C library's may be memory that was used before, and then it writes the zeros.
    return np.ndarray(count, dtype, _mapped(size))  # type: ignore[arg-type, unused-ignore]


def _mapped(size: int) -> mmap.mmap:
    # Private: a process that is forked must not write into its parent's columns.
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def _take(size: int) -> mmap.mmap | None:
    """Find kept memory of at least `size` bytes of which most is needed."""
    if not _lock.acquire(blocking=False):
        return None
    try:
        fitting = [mapping for mapping in _kept if size <= len(mapping) <= 2 * size]
        found = min(fitting, key=len, default=None)
        if found is not None:
            _kept.remove(found)
        return found
    finally:
        _lock.release()


def _give_back(mapping: mmap.mmap) -> None:
    """Keep memory, and let go of what was kept longest where that becomes too much."""
    if len(mapping) > KEPT_BYTES_MAX or not _lock.acquire(blocking=False):
        return
    try:
        _advise(mapping, mmap.MADV_FREE)
        _kept.append(mapping)
        while sum(map(len, _kept)) > KEPT_BYTES_MAX:
            _kept.popleft()
    finally:
        _lock.release()


def _advise(mapping: mmap.mmap, advice: int) -> None:
    with contextlib.suppress(OSError):  # of a system that does not know it
        mapping.madvise(advice)
