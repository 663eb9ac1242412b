"""Writes a stream with a batch of every type into a file, for clients in other languages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests import wire

VALUES: dict[str, list[Any]] = {
    "int64": [-(1 << 63), (1 << 63) - 1],
    "uint64": [0, (1 << 64) - 1],
    "int8": [-128, 127],
    "float32": [1.5, float("-inf")],
    "float64": [0.1, float("nan")],
    "bool": [True, False],
    "enum": [1, 0],
    "string": ["plain", "", "a,b"],
    "int32[]": [[1, 2, 3], [4, 5, 6]],
    "int16[]": [[1], [], [2, 3]],
    "string[]": [["a", "bc"], []],
    "structure": [b"\x01\xff", b""],
}


def stream() -> bytes:
    """Give the stream: a channel for each type."""
    times = [-(1 << 62), 1 << 62, (1 << 62) + 1]
    batches = [
        wire.batch(kind, kind, times[: len(values)], values, channel=channel)
        for channel, (kind, values) in enumerate(VALUES.items())
    ]
    about = [wire.about(kind, len(values)) for kind, values in VALUES.items()]
    count = sum(map(len, VALUES.values()))
    return wire.stream(batches, about, count, from_ns=1767571200000000001, to_ns=1767571200000000002)


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(stream())
