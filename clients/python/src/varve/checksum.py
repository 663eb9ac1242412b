"""The checksum of a stream, computed beside its reading."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Union

__all__ = ["Checksum"]

Bytes = Union[bytes, memoryview]

#: Bytes that are handed over together: fewer cost more in turns than the thread brings.
TURN_BYTES = 4 << 20
#: Turns that may wait.
WAITING_MAX = 16


def _fast() -> Callable[[Bytes, int], int] | None:
    """Give a CRC-32 that is many times as fast as zlib's, where the package `isal` is installed."""
    try:
        from isal import isal_zlib
    except ImportError:
        return None
    crc32: Callable[[Bytes, int], int] = isal_zlib.crc32
    return crc32


class Checksum:
    """CRC-32 of zlib over all bytes that were added.

    A fast one is computed at once, while the bytes are still near the processor. zlib's own has a thread where
    there are many bytes: it lets other threads run, so that it costs no time while the reader waits for the
    network. What was added must stay as it is until `flush`.
    """

    def __init__(self) -> None:
        self._value = 0
        self._fast = _fast()
        self._turn: list[Bytes] = []
        self._turn_bytes = 0
        self._thread: ThreadPoolExecutor | None = None
        self._waiting: list[Future[None]] = []

    def add(self, views: Sequence[Bytes]) -> None:
        """Add bytes, in their order in the stream."""
        if self._fast is not None:
            for view in views:
                self._value = self._fast(view, self._value)
            return
        self._turn.extend(views)
        self._turn_bytes += sum(len(view) for view in views)
        if self._turn_bytes >= TURN_BYTES:
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, "varve-checksum")
            if len(self._waiting) >= WAITING_MAX:
                self._waiting.pop(0).result()
            self._waiting.append(self._thread.submit(self._work, self._turn))
            self._turn, self._turn_bytes = [], 0

    def _work(self, views: Sequence[Bytes]) -> None:
        for view in views:
            self._value = zlib.crc32(view, self._value)

    def flush(self) -> int:
        """Wait until everything added is in, and give the sum so far."""
        for future in self._waiting:
            future.result()
        self._waiting.clear()
        self._work(self._turn)
        self._turn, self._turn_bytes = [], 0
        return self._value

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._thread.shutdown(wait=True)
            self._thread = None
        self._waiting.clear()
        self._turn = []
