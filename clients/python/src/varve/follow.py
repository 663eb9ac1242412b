"""What a followed channel tells, as it happens."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from varve.connection import Connections, Response
from varve.errors import BrokenStream, from_answer

__all__ = ["Update", "follow"]


@dataclass(frozen=True)
class Update:
    """One message of a followed channel.

    Attributes
    ----------
    kind : str
        ``"sample"``, ``"event"``, ``"gap"`` or ``"heartbeat"``.
    data : dict
        As the server said it.
    cursor : str or None
        Where to go on after this message: ``follow(..., cursor=update.cursor)``.
    """

    kind: str
    data: dict[str, Any]
    cursor: str | None


def follow(connections: Connections, body: Mapping[str, Any]) -> Iterator[Update]:
    """Give updates for ever; a broken connection goes on behind the last one.

    Raises
    ------
    BrokenStream, Unreachable
        The connection broke, and it did not come back when tried again.
    """
    cursor: str | None = body.get("cursor")

    def opened() -> Iterator[Update]:
        # After the first update the cursor says where; before it nothing was given out.
        request = {key: value for key, value in body.items() if cursor is None or not _is_start(key)}
        if cursor is not None:
            request["cursor"] = cursor
        with connections.post("follow", request) as response:
            yield from _updates(response)

    def first() -> tuple[Update, Iterator[Update]]:
        updates = opened()
        return next(updates), updates

    while True:
        update, updates = connections.again(first)
        try:
            while True:
                cursor = update.cursor or cursor
                _refuse(update)
                yield update
                update = next(updates)
        except BrokenStream:
            continue


def _refuse(update: Update) -> None:
    """Raise what the first heartbeat says about unknown names."""
    for channel in update.data.get("channels") or ():
        if "error" in channel:
            raise from_answer(channel["error"], channel=channel.get("name"))


def _is_start(key: str) -> bool:
    return key in ("from", "from_ns", "cursor")


def _updates(response: Response) -> Iterator[Update]:
    """Read server-sent events."""
    kind, identity = "message", None
    data: list[bytes] = []
    for line in response.lines():
        if not line:
            if data:
                yield Update(kind, _content(b"\n".join(data)), identity)
            kind, data = "message", []
            continue
        field, _, value = line.partition(b":")
        value = value[1:] if value.startswith(b" ") else value
        if field == b"event":
            kind = value.decode("utf-8", "replace")
        elif field == b"data":
            data.append(value)
        elif field == b"id":
            identity = value.decode("utf-8", "replace")
    raise BrokenStream("the server ended the answer")


def _content(data: bytes) -> dict[str, Any]:
    try:
        content = json.loads(data)
    except ValueError as error:
        raise BrokenStream(f"an update is no JSON: {error}") from error
    return content if isinstance(content, dict) else {"value": content}
