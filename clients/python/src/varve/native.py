"""Stored chunks become batches, where the extension `varve_native` is installed.

It decodes without the interpreter's lock and without touching a single sample in Python.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from varve.errors import VarveError

__all__ = ["ChunkDecoder", "DamagedChunk", "new_decoder"]


class DamagedChunk(VarveError):
    """A stored chunk cannot be decoded: bytes of the archive are damaged."""


class ChunkDecoder(Protocol):
    """Decodes the stored chunks of one answer in the order in which they come."""

    def lend(self, stored: bytearray, extents: bytearray) -> None:
        """Keep the stamps of chunks that later ones refer to."""

    def decode(self, stored: bytearray, extents: bytearray) -> tuple[int, int, dict[int, bytes]]:
        """Give the number of samples, the number of their type, and the columns of a batch by their tags."""


def _installed() -> Callable[[], ChunkDecoder] | None:
    try:
        import varve_native
    except ImportError:
        return None
    make: Callable[[], ChunkDecoder] = varve_native.Decoder
    return make


#: Makes a decoder for one answer; None where the extension is not installed.
new_decoder: Callable[[], ChunkDecoder] | None = _installed()
