"""A progress bar on standard error."""

from __future__ import annotations

import sys
import time
from typing import Callable, Union

__all__ = ["Progress", "ProgressLike"]

#: True for a bar on standard error, or a function that is told ``(done, expected)`` samples.
ProgressLike = Union[bool, Callable[[int, Union[int, None]], None]]

_WIDTH = 30
_EVERY_S = 0.1


class Progress:
    """Tells how far a request has come, at most ten times a second.

    Parameters
    ----------
    wanted : bool or callable
        Whether, or to whom.
    """

    def __init__(self, wanted: ProgressLike) -> None:
        self._wanted = wanted
        self._next = 0.0
        self._shown = False
        self.expected: int | None = None

    @property
    def wanted(self) -> bool:
        """Whether anybody is told."""
        return self._wanted is not False

    def expect(self, rows: int) -> None:
        """Learn that so many rows are coming, if more than known so far."""
        self.expected = max(rows, self.expected or 0)

    def done(self, rows: int) -> None:
        """Tell that so many rows are there."""
        if self._wanted is False:
            return
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _EVERY_S
            self._show(rows)

    def finish(self, rows: int) -> None:
        """Tell that this is all."""
        if self._wanted is False:
            return
        self.expected = rows
        self._show(rows)
        if self._shown:
            sys.stderr.write("\n")
            sys.stderr.flush()

    def _show(self, rows: int) -> None:
        if callable(self._wanted):
            self._wanted(rows, self.expected)
            return
        text = f"{rows:,} samples"
        if self.expected is not None and self.expected >= rows:
            share = rows / self.expected if self.expected else 1.0
            bar = "#" * round(share * _WIDTH)
            text = f"[{bar:<{_WIDTH}}] {share:4.0%} {text}"
        sys.stderr.write(f"\r{text}")
        sys.stderr.flush()
        self._shown = True
