"""Writes streams in the format `columns`, from PROTOCOL.md alone: it shares no code with the client."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from typing import Any

TYPES = {
    "bool": (1, "?"),
    "enum": (2, "H"),
    "int8": (3, "b"),
    "int16": (4, "h"),
    "int32": (5, "i"),
    "int64": (6, "q"),
    "uint8": (7, "B"),
    "uint16": (8, "H"),
    "uint32": (9, "I"),
    "uint64": (10, "Q"),
    "float32": (11, "f"),
    "float64": (12, "d"),
    "string": (13, "s"),
    "structure": (14, "s"),
}

HEAD = b"\x93VCOL\r\n\x1a" + struct.pack("<HHI", 1, 1, 0)


def _pack(code: str, values: Sequence[Any]) -> bytes:
    return struct.pack(f"<{len(values)}{code}", *values)


def _offsets(lengths: Sequence[int]) -> bytes:
    total, out = 0, [0]
    for length in lengths:
        total += length
        out.append(total)
    return _pack("Q", out)


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 8)


def block(
    kind: int, count: int, channel: int, value_type: int, name: bytes, text: dict[str, Any], columns: Any
) -> bytes:
    """Give a block with columns of (tag, element type, bytes)."""
    description = json.dumps(text).encode()
    first = 64 + 24 * len(columns) + len(_padded(name + description))
    entries, content, at = b"", b"", first
    for tag, element, data in columns:
        entries += struct.pack("<IIQQ", tag, element, at, len(data))
        content += _padded(data)
        at += len(_padded(data))
    head = struct.pack(
        "<IIQQIIIIIIqQ", kind, len(columns), at, count, channel, value_type, 0, 1, len(name), len(description), 0, 0
    )
    return head + entries + _padded(name + description) + content


def batch(
    name: str,
    kind: str,
    times: Sequence[int],
    values: Sequence[Any],
    *,
    channel: int = 0,
    metadata: dict[str, Any] | None = None,
    severity: Sequence[int] | None = None,
    edge: int | None = None,
    held: bool | None = None,
    extra: Sequence[tuple[int, int, bytes]] = (),
) -> bytes:
    """Give a batch of samples; `kind` is like ``"int16"`` or ``"string[]"``."""
    number, code = TYPES[kind.replace("[]", "")]
    columns: list[tuple[int, int, bytes]] = [(1, 6, _pack("q", times))]
    flat = list(values)
    if kind.endswith("[]"):
        flat = [element for value in values for element in value]
    if code == "s":
        encoded = [value.encode() if isinstance(value, str) else value for value in flat]
        columns.append((2, number, b"".join(encoded)))
        columns.append((4, 10, _offsets([len(value) for value in encoded])))
    else:
        columns.append((2, number, _pack(code, flat)))
    if kind.endswith("[]"):
        columns.append((3, 10, _offsets([len(value) for value in values])))
    count = len(times)
    columns.append((5, 7, _pack("B", severity or [0] * count)))
    columns.append((6, 8, _pack("H", [0] * count)))
    columns.extend(extra)
    if edge is not None:
        columns.append((11, 1, bytes([edge] * count)))
    text: dict[str, Any] = {"type": kind, "metadata": metadata or {}}
    if held is not None:
        text["held"] = held
    value_type = number + (256 if kind.endswith("[]") else 0)
    return block(1, count, channel, value_type, name.encode(), text, columns)


def stream(
    blocks: Sequence[bytes],
    channels: Sequence[dict[str, Any]],
    samples: int,
    *,
    from_ns: int = 0,
    to_ns: int = 10**9,
    problems: Sequence[dict[str, Any]] = (),
    head: bytes = HEAD,
) -> bytes:
    """Give a whole stream."""
    body = head + b"".join(blocks)
    text = {
        "from_ns": from_ns,
        "to_ns": to_ns,
        "complete": not problems,
        "problems": list(problems),
        "channels": list(channels),
        "durable_until_ns": None,
    }
    description = json.dumps(text).encode()
    padded = _padded(description)
    end = struct.pack(
        "<IIQQIIIIIIqQ", 2, 0, 64 + len(padded) + 8, samples, 0, 0, 0, 0 if problems else 1, 0, len(description), 0, 0
    )
    body += end + padded
    return body + struct.pack("<Q", zlib.crc32(body))


def about(name: str, samples: int, **more: Any) -> dict[str, Any]:
    """Give a channel of the end block."""
    return {"name": name, "samples": samples, "gaps": [], "next": None, **more}
