"""Samples of any number, in parts that are each whole before they count.

A broken connection costs the part it broke in: what came of it is forgotten and it is asked for again. A
single channel comes in pages, each going on at the cursor of the one before; several channels come together
as long as the server expects few samples, else in groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import Any, TypeVar

from varve import columns
from varve.columns import End, Stream
from varve.connection import Connections, Response
from varve.errors import BadParameter, BrokenStream, from_answer
from varve.native import DamagedChunk, new_decoder
from varve.progress import Progress
from varve.samples import Edge, Rows, Samples, Segment

__all__ = ["Retrieval", "check_columns", "with_range"]

T = TypeVar("T")

#: Samples of the first page of one channel: most answers are one page.
PAGE_SAMPLES = 32 << 20
#: A page that broke makes the next ones smaller, down to this.
PAGE_SAMPLES_MIN = 1 << 19
PAGE_SHRINKS = 4
#: Samples that several channels together may have in one answer.
GROUP_SAMPLES = 32 << 20


class _Closing:
    """What the end blocks of one answer's parts say together."""

    def __init__(self) -> None:
        self.range: dict[str, Any] = {}
        self.complete = True
        self.problems: list[Any] = []
        self.channels: dict[str, dict[str, Any]] = {}
        self.durable_until_ns: int | None = None

    def add(self, end: End) -> None:
        said = end.description
        if not self.range:
            self.range = {"from_ns": said.get("from_ns"), "to_ns": said.get("to_ns")}
        self.complete = self.complete and end.complete
        self.problems.extend(said.get("problems") or [])
        durable = said.get("durable_until_ns")
        if durable is not None:
            self.durable_until_ns = min(durable, self.durable_until_ns or durable)
        for channel in said["channels"]:
            known = self.channels.get(channel["name"])
            if known is None:
                self.channels[channel["name"]] = {**channel, "gaps": list(channel.get("gaps") or [])}
                continue
            known["samples"] = known.get("samples", 0) + channel.get("samples", 0)
            known["next"] = channel.get("next")
            for gap in channel.get("gaps") or []:
                last = known["gaps"][-1] if known["gaps"] else None
                if last and last["to_ns"] == gap["from_ns"] and last["state"] == gap["state"]:
                    known["gaps"][-1] = {**last, "to_ns": gap["to_ns"]}
                else:
                    known["gaps"].append(gap)

    def add_one(self, end: End) -> str | None:
        """Add the end of an answer about one channel and give its cursor."""
        self.add(end)
        channels = end.description["channels"]
        if len(channels) != 1:
            raise BrokenStream(f"one channel was asked for, {len(channels)} came")
        if "error" in channels[0]:
            raise from_answer(channels[0]["error"], channel=channels[0]["name"])
        cursor: str | None = channels[0].get("next")
        return cursor


class Retrieval:
    """Asks for samples, and again where a connection broke.

    Parameters
    ----------
    connections : Connections
        To the server.
    chunks : bool
        Whether to ask for chunks as they are stored, which are then decoded here.
    """

    def __init__(self, connections: Connections, *, chunks: bool) -> None:
        self._connections = connections
        self._chunks = chunks

    def pages(self, body: Mapping[str, Any], limit: int | None, page: int) -> Iterator[Samples]:
        """Give the samples of the one channel of `body` in pages of `page` samples."""
        cursor: str | None = None
        left = limit
        while True:
            rows, closing = Rows(), _Closing()
            count = page if left is None else min(page, left)
            end = self._read(lambda: _page(body, count, cursor), rows, Progress(False))  # noqa: B023
            cursor = closing.add_one(end)
            yield rows.finish(_info_of_one(closing, rows))
            left = None if left is None else left - end.count
            if cursor is None or left == 0:
                return

    def one(self, body: Mapping[str, Any], limit: int | None, progress: Progress) -> Samples:
        """Give all samples of the one channel of `body`."""
        rows, closing = Rows(), _Closing()
        if progress.wanted:
            self._expect(body, rows, progress)
        self._channel(body, limit, rows, closing, progress)
        progress.finish(len(rows))
        return rows.finish(_info_of_one(closing, rows))

    def several(
        self,
        body: Mapping[str, Any],
        names: Callable[[], Sequence[str]],
        limit: int | None,
        progress: Progress,
        *,
        skip_unknown: bool,
    ) -> Samples:
        """Give all samples of the channels that `body` means.

        Parameters
        ----------
        body : mapping
            The request.
        names : callable
            Gives the channels' names, should the answer be too large for one request.
        limit : int or None
            Samples of each channel at most.
        progress : Progress
            Told how far it is.
        skip_unknown : bool
            Whether unknown channels are left out in place of an error.
        """
        rows, closing = Rows(), _Closing()
        if limit is not None:
            body = {**body, "limit": limit}
        if not self._group(body, rows, closing, progress):
            found = list(names())
            body = with_range(body, self._range(body, found[:2]))
            body.pop("match", None)
            groups = [found]
            while groups:
                group = groups.pop()
                request = {**body, "channel": group}
                if len(group) == 1:
                    self._channel(request, limit, rows, closing, progress)
                elif not self._group(request, rows, closing, progress):
                    middle = len(group) // 2
                    groups += [group[middle:], group[:middle]]
        for name, channel in closing.channels.items():
            if "error" in channel and not skip_unknown:
                raise from_answer(channel["error"], channel=name)
        progress.finish(len(rows))
        return rows.finish(_info_of_several(closing, rows))

    def _read(
        self,
        request: Callable[[], Mapping[str, Any]],
        rows: Rows,
        progress: Progress,
        broke: Callable[[], None] = lambda: None,
    ) -> End:
        """Read one answer whole, from its beginning as often as it takes; `broke` is told each failure."""

        def attempt(chunks: bool) -> End:
            with self._asked(request(), chunks) as response:
                expected = check_columns(response)
                progress.expect(len(rows) + expected)
                rows.expect(expected)
                try:
                    return read_stream(response, rows, progress)
                except BrokenStream:
                    broke()
                    raise

        return self._again(attempt)

    def _asked(self, body: Mapping[str, Any], chunks: bool) -> AbstractContextManager[Response]:
        return self._connections.post("samples", {**body, "format": "chunks"} if chunks else body)

    def _again(self, attempt: Callable[[bool], T]) -> T:
        """Try until it works: with chunks, if they are wanted, and without them where that cannot be."""

        def one_way_or_the_other() -> T:
            if not self._chunks:
                return attempt(False)
            try:
                return attempt(True)
            except DamagedChunk:
                # The server decodes up to the damage and says where it is.
                return attempt(False)
            except BadParameter as error:
                # A server that knows no chunks.
                if error.parameter != "format":
                    raise
                self._chunks = False
                return attempt(False)

        return self._connections.again(one_way_or_the_other)

    def _expect(self, body: Mapping[str, Any], rows: Rows, progress: Progress) -> None:
        """Look how much is coming before any page limits it."""

        def attempt(chunks: bool) -> int:
            with self._asked(body, chunks) as response:
                return check_columns(response)

        expected = self._again(attempt)
        progress.expect(expected)
        rows.expect(expected)

    def _channel(
        self, body: Mapping[str, Any], limit: int | None, rows: Rows, closing: _Closing, progress: Progress
    ) -> None:
        """Add all pages of one channel."""
        cursor: str | None = None
        left, page = limit, PAGE_SAMPLES

        def request() -> dict[str, Any]:
            return _page(body, page if left is None else min(page, left), cursor)

        def broke() -> None:
            nonlocal page
            page = max(min(page, PAGE_SAMPLES_MIN), page // PAGE_SHRINKS)

        while True:
            end = self._read(request, rows, progress, broke)
            cursor = closing.add_one(end)
            left = None if left is None else left - end.count
            if cursor is None or left == 0:
                return

    def _group(self, body: Mapping[str, Any], rows: Rows, closing: _Closing, progress: Progress) -> bool:
        """Add several channels at once; False if they are too much for that, then nothing was added."""

        def attempt(chunks: bool) -> End | None:
            with self._asked(body, chunks) as response:
                expected = check_columns(response)
                progress.expect(len(rows) + expected)
                if expected > GROUP_SAMPLES:
                    return None
                rows.expect(expected)
                return read_stream(response, rows, progress)

        end = self._again(attempt)
        if end is not None:
            closing.add(end)
        return end is not None

    def _range(self, body: Mapping[str, Any], names: Sequence[str]) -> dict[str, int]:
        """Resolve relative times once, so that all parts mean the same range."""
        # Two names, because an unknown one alone would be an error.
        times = {key: body[key] for key in ("from", "from_ns", "to", "to_ns", "tz") if key in body}
        answer = self._connections.json("coverage", {**times, "channel": names})
        return {"from_ns": answer["from_ns"], "to_ns": answer["to_ns"]}


def with_range(body: Mapping[str, Any], range_: Mapping[str, int]) -> dict[str, Any]:
    """Give the request with its range in integers."""
    rest = {key: value for key, value in body.items() if key not in ("from", "from_ns", "to", "to_ns")}
    return {**rest, "from_ns": range_["from_ns"], "to_ns": range_["to_ns"]}


def check_columns(response: Response) -> int:
    """Check that an answer is in the format columns and give the number of rows that it announces."""
    if response.content_type not in (columns.MEDIA_TYPE, columns.CHUNKS_MEDIA_TYPE):
        raise BrokenStream(f"the server answers with {response.content_type} in place of {columns.MEDIA_TYPE}")
    return response.number("Varve-Samples") or 0


def read_stream(response: Response, rows: Rows, progress: Progress) -> End:
    """Read one stream into rows."""
    has_chunks = response.content_type == columns.CHUNKS_MEDIA_TYPE
    stream = Stream(response.body(), new_decoder() if has_chunks and new_decoder is not None else None)
    try:
        return rows.take(stream, progress.done)
    finally:
        stream.close()


def _page(body: Mapping[str, Any], count: int, cursor: str | None) -> dict[str, Any]:
    page = {**body, "limit": count}
    if cursor is not None:
        page["cursor"] = cursor
    return page


def _edge(edge: Edge | None) -> dict[str, Any] | None:
    if edge is None:
        return None
    said = asdict(edge)
    if edge.type == "enum":
        states = edge.metadata.get("states") or []
        said["label"] = states[edge.value] if edge.value < len(states) else str(edge.value)
    return said


def _about(name: str, closing: _Closing, rows: Rows, last_segment: Segment | None) -> dict[str, Any]:
    """Say everything about one channel that its samples do not."""
    said = closing.channels[name]
    before, after = rows.before.get(name), rows.after.get(name)
    last = last_segment or before or after
    metadata = last.metadata if last is not None else {}
    return {
        "name": name,
        "channel": said.get("channel", name),
        "type": last.type if last is not None else None,
        "units": metadata.get("units"),
        "states": metadata.get("states"),
        "precision": metadata.get("precision"),
        "description": metadata.get("description"),
        "metadata": metadata,
        "samples": said.get("samples", 0),
        "gaps": said.get("gaps", []),
        "edge": _edge(before),
        "after": _edge(after),
        "next": said.get("next"),
    }


def _shared(closing: _Closing) -> dict[str, Any]:
    return {
        "range": closing.range,
        "complete": closing.complete,
        "problems": closing.problems,
        "durable_until_ns": closing.durable_until_ns,
    }


def _info_of_one(closing: _Closing, rows: Rows) -> dict[str, Any]:
    (name,) = closing.channels
    segments = [{"row": segment.first, "type": segment.type, "metadata": segment.metadata} for segment in rows.segments]
    last = rows.segments[-1] if rows.segments else None
    return {**_about(name, closing, rows, last), **_shared(closing), "segments": segments}


def _info_of_several(closing: _Closing, rows: Rows) -> dict[str, Any]:
    known = [name for name, channel in closing.channels.items() if "error" not in channel]
    last = {segment.name: segment for segment in rows.segments}
    return {
        "channels": {name: _about(name, closing, rows, last.get(name)) for name in known},
        "unknown": {
            name: list(channel["error"].get("near") or ())
            for name, channel in closing.channels.items()
            if "error" in channel
        },
        **_shared(closing),
    }
