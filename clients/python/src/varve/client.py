"""The client: one method for each question that an archive answers."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, Union, overload

from varve import facts
from varve.bins import BinRows, Bins
from varve.columns import Stream
from varve.connection import Connections
from varve.errors import from_answer
from varve.follow import Update, follow
from varve.frames import FrameMaker, channel_codes, maker, sample_columns
from varve.native import new_decoder
from varve.progress import Progress, ProgressLike
from varve.retrieval import Retrieval, check_columns, with_range
from varve.samples import Samples
from varve.times import TimeLike, parameter
from varve.waveforms import dataset

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import xarray as xr

__all__ = ["Client"]

FrameT = TypeVar("FrameT")

#: One channel, or several.
Names = Union[str, Sequence[str]]

#: Samples of one frame of `samples_iter`, unless said otherwise.
ITER_SAMPLES = 1_000_000

#: Rows of one answer about the channels of an archive.
CHANNELS_PAGE = 10_000


class Client(Generic[FrameT]):
    """Asks an archive engine or an archive server.

    Times are text that the server understands (``"2026-01-05T08:00:00Z"``, ``"-1h"``, ``"now-30m"``), aware
    `datetime` objects, `pandas.Timestamp` or `numpy.datetime64` (which is UTC). A range holds
    ``start <= t < end``; `end` is now and `start` an hour before it unless given. Threads may share a client.

    Parameters
    ----------
    url : str
        Address of the server, like ``"http://archive:17668"``.
    tz : str, optional
        Name of the zone of times without one, like ``"Europe/London"``; without it such times are refused.
    frame : {"pandas", "polars"}
        Which frames are made.
    timeout_s : float
        How long the server may be silent, in seconds.
    retries : int
        How often a request is sent again when the connection breaks.
    headers : mapping, optional
        Sent with every request.
    tls : ssl.SSLContext, optional
        For ``https`` with authorities of your own.
    chunks : {"auto", True, False}
        Whether samples come as the archive has stored them and are decoded here, which takes the extension
        ``varve_native``; "auto" does so where it is installed. The frames are the same.

    Raises
    ------
    ValueError
        `url` is no address.
    ImportError
        The library of `frame` is not installed (said when a frame is made), or `chunks` is True and the
        extension is not.

    Examples
    --------
    >>> client = Client("http://127.0.0.1:17668", tz="Europe/London")
    >>> client.url
    'http://127.0.0.1:17668'
    """

    @overload
    def __init__(
        self: Client[pd.DataFrame],
        url: str,
        tz: str | None = None,
        frame: Literal["pandas"] = "pandas",
        *,
        timeout_s: float = 60.0,
        retries: int = 3,
        headers: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        chunks: Literal["auto"] | bool = "auto",
    ) -> None: ...

    @overload
    def __init__(
        self: Client[pl.DataFrame],
        url: str,
        tz: str | None = None,
        *,
        frame: Literal["polars"],
        timeout_s: float = 60.0,
        retries: int = 3,
        headers: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        chunks: Literal["auto"] | bool = "auto",
    ) -> None: ...

    @overload
    def __init__(
        self: Client[pl.DataFrame],
        url: str,
        tz: str | None,
        frame: Literal["polars"],
        *,
        timeout_s: float = 60.0,
        retries: int = 3,
        headers: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        chunks: Literal["auto"] | bool = "auto",
    ) -> None: ...

    def __init__(
        self,
        url: str,
        tz: str | None = None,
        frame: str = "pandas",
        *,
        timeout_s: float = 60.0,
        retries: int = 3,
        headers: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        chunks: Literal["auto"] | bool = "auto",
    ) -> None:
        if frame not in ("pandas", "polars"):
            raise ValueError(f"frame={frame!r} is neither 'pandas' nor 'polars'")
        if tz is not None and not isinstance(tz, str):
            # zoneinfo.ZoneInfo knows its name; other zones may have none.
            tz = getattr(tz, "key", None)
            if tz is None:
                raise TypeError("tz is the name of a zone, like 'Europe/London'")
        self._tz = tz
        self._frame = frame
        self._frames: FrameMaker | None = None
        self._connections = Connections(url, timeout_s=timeout_s, retries=retries, headers=headers, tls=tls)
        if chunks not in ("auto", True, False):
            raise ValueError(f"chunks={chunks!r} is neither 'auto' nor True nor False")
        if chunks is True and new_decoder is None:
            raise ImportError("chunks=True needs the extension varve_native: see the package's README")
        self._retrieval = Retrieval(self._connections, chunks=bool(chunks) and new_decoder is not None)

    @property
    def url(self) -> str:
        """Address of the server."""
        return self._connections.url

    def close(self) -> None:
        """Close the connections; the client can still be used and makes new ones."""
        self._connections.close()

    def __enter__(self) -> Client[FrameT]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        tz = f", tz={self._tz!r}" if self._tz is not None else ""
        return f"varve.Client({self.url!r}{tz}, frame={self._frame!r})"

    def _maker(self) -> FrameMaker:
        if self._frames is None:
            self._frames = maker(self._frame)
        return self._frames

    def _body(
        self,
        channels: Names | None,
        match: str | None,
        times: Mapping[str, TimeLike | None],
        more: Mapping[str, Any],
    ) -> dict[str, Any]:
        body: dict[str, Any] = {}
        if channels is not None:
            names = [channels] if isinstance(channels, str) else [str(name) for name in channels]
            if not names and match is None:
                raise ValueError("channels is empty: name at least one")
            body["channel"] = names
        elif match is None:
            raise TypeError("name channels, or a glob with match=")
        if match is not None:
            body["match"] = match
        self._add_times(body, times)
        body.update({key: value for key, value in more.items() if value is not None})
        return body

    def _add_times(self, body: dict[str, Any], times: Mapping[str, TimeLike | None]) -> None:
        for name, time in times.items():
            if time is not None:
                key, value = parameter(name, time, self._tz)
                body[key] = value
        if self._tz is not None:
            body["tz"] = self._tz

    @overload
    def samples(
        self,
        channels: Names | None = None,
        start: TimeLike | None = None,
        end: TimeLike | None = None,
        *,
        as_: None = None,
        match: str | None = None,
        where: str | None = None,
        limit: int | None = None,
        order: Literal["asc", "desc"] = "asc",
        elements: tuple[int, int] | None = None,
        convert: Literal["float64", "string"] | None = None,
        enum: Literal["category", "index"] = "category",
        edge: bool = True,
        after: bool = False,
        damaged: Literal["skip"] | None = None,
        unknown: Literal["raise", "skip"] = "raise",
        progress: ProgressLike = False,
    ) -> FrameT: ...

    @overload
    def samples(
        self,
        channels: Names | None = None,
        start: TimeLike | None = None,
        end: TimeLike | None = None,
        *,
        as_: Literal["xarray"],
        match: str | None = None,
        where: str | None = None,
        limit: int | None = None,
        order: Literal["asc", "desc"] = "asc",
        elements: tuple[int, int] | None = None,
        convert: Literal["float64", "string"] | None = None,
        enum: Literal["category", "index"] = "category",
        edge: bool = True,
        after: bool = False,
        damaged: Literal["skip"] | None = None,
        unknown: Literal["raise", "skip"] = "raise",
        progress: ProgressLike = False,
    ) -> xr.Dataset: ...

    @overload
    def samples(
        self,
        channels: Names | None = None,
        start: TimeLike | None = None,
        end: TimeLike | None = None,
        *,
        as_: Literal["numpy"],
        match: str | None = None,
        where: str | None = None,
        limit: int | None = None,
        order: Literal["asc", "desc"] = "asc",
        elements: tuple[int, int] | None = None,
        convert: Literal["float64", "string"] | None = None,
        enum: Literal["category", "index"] = "category",
        edge: bool = True,
        after: bool = False,
        damaged: Literal["skip"] | None = None,
        unknown: Literal["raise", "skip"] = "raise",
        progress: ProgressLike = False,
    ) -> Samples: ...

    def samples(
        self,
        channels: Names | None = None,
        start: TimeLike | None = None,
        end: TimeLike | None = None,
        *,
        as_: Literal["xarray", "numpy"] | None = None,
        match: str | None = None,
        where: str | None = None,
        limit: int | None = None,
        order: Literal["asc", "desc"] = "asc",
        elements: tuple[int, int] | None = None,
        convert: Literal["float64", "string"] | None = None,
        enum: Literal["category", "index"] = "category",
        edge: bool = True,
        after: bool = False,
        damaged: Literal["skip"] | None = None,
        unknown: Literal["raise", "skip"] = "raise",
        progress: ProgressLike = False,
    ) -> Any:
        """Give raw samples, every one, as they were stored.

        Parameters
        ----------
        channels : str or sequence of str, optional
            A name gives a frame indexed by `time`; a sequence, or `match`, a long frame with `channel`.
        start, end : TimeLike, optional
            The range. Where they are equal it is empty, and `attrs["varve"]["edge"]` is the value held then.
        as_ : {"xarray", "numpy"}, optional
            `xarray.Dataset` (one channel; the form for waveforms) or `varve.Samples` in place of a frame.
        match : str, optional
            A glob over whole names, at most 1000 channels.
        where : str, optional
            Only samples from when a condition held, like ``"SR:DCCT > 10"``.
        limit : int, optional
            At most so many samples of each channel, the oldest ones (with ``order="desc"`` the newest).
        order : {"asc", "desc"}
            Oldest or newest first.
        elements : tuple of int, optional
            First element of arrays, and the one behind the last.
        convert : {"float64", "string"}, optional
            Makes numbers or text of every value.
        enum : {"category", "index"}
            Enumerated values as categories with their labels, or as integers.
        edge, after : bool
            Whether `attrs["varve"]` has the last sample before the range, and the first one behind it.
        damaged : {"skip"}, optional
            Read on behind damage; otherwise reading a channel stops there. Both say so in ``problems``.
        unknown : {"raise", "skip"}
            What becomes of unknown names among several; skipped ones are in ``attrs["varve"]["unknown"]``.
        progress : bool or callable
            A bar on standard error, or a function that is told ``(done, expected)`` samples.

        Returns
        -------
        pandas.DataFrame, polars.DataFrame, xarray.Dataset or Samples
            `time` (datetime64[ns, UTC]), `value`, `severity` (`varve.SEVERITY` names the codes), `status`
            (`varve.STATUS`), and where stored `received`, `user_tag`, `message`. Its ``attrs["varve"]``
            holds ``units states precision metadata gaps edge range complete problems segments``.

        Raises
        ------
        UnknownChannel
            No channel has a name; ``near`` of the error holds the nearest ones.
        NaiveTime
            A time has no zone.
        BrokenStream, Unreachable
            The connection broke more often than `retries`.
        ServerError
            The server refused.

        Examples
        --------
        >>> hour = client.samples("SR:DCCT:CURRENT", "-1h")  # doctest: +SKIP
        >>> hour.attrs["varve"]["units"]  # doctest: +SKIP
        'mA'
        """
        self._check_form(as_, channels, match)
        body = self._samples_body(channels, match, start, end, where, order, elements, convert, edge, after, damaged)
        told = Progress(progress)
        if isinstance(channels, str) and match is None:
            samples = self._retrieval.one(body, limit, told)
            return self._shown(samples, as_, enum, None)
        names = self._resolver(channels, match)
        samples = self._retrieval.several(body, names, limit, told, skip_unknown=unknown == "skip")
        return self._shown(samples, as_, enum, list(samples.info["channels"]))

    def samples_iter(
        self,
        channels: Names | None = None,
        start: TimeLike | None = None,
        end: TimeLike | None = None,
        *,
        batch: int = ITER_SAMPLES,
        match: str | None = None,
        where: str | None = None,
        limit: int | None = None,
        order: Literal["asc", "desc"] = "asc",
        elements: tuple[int, int] | None = None,
        convert: Literal["float64", "string"] | None = None,
        enum: Literal["category", "index"] = "category",
        damaged: Literal["skip"] | None = None,
    ) -> Iterator[FrameT]:
        """Give raw samples in frames of at most `batch` samples of one channel, in bounded memory.

        Parameters
        ----------
        channels, start, end, match, where, limit, order, elements, convert, enum, damaged
            As for `samples`.
        batch : int
            Samples of a frame at most.

        Yields
        ------
        pandas.DataFrame or polars.DataFrame
            As `samples` gives them, of one channel after the other; a channel without samples gives one empty
            frame. Each frame was checked whole before it is given out.

        Raises
        ------
        UnknownChannel, NaiveTime, BrokenStream, Unreachable, ServerError
            As for `samples`.
        """
        if batch < 1:
            raise ValueError("batch is at least 1")
        alone = isinstance(channels, str) and match is None
        body = self._samples_body(channels, match, start, end, where, order, elements, convert, True, False, damaged)
        body.pop("match", None)
        for name in [channels] if alone else self._resolver(channels, match)():
            for samples in self._retrieval.pages({**body, "channel": [name]}, limit, batch):
                body = with_range(body, samples.info["range"])
                shown: FrameT = self._shown(samples, None, enum, None if alone else [str(name)])
                yield shown

    def _check_form(self, as_: str | None, channels: Names | None, match: str | None) -> None:
        if as_ not in (None, "xarray", "numpy"):
            raise ValueError(f"as_={as_!r} is neither 'xarray' nor 'numpy'")
        if as_ == "xarray" and (match is not None or not isinstance(channels, str)):
            raise ValueError("as_='xarray' is for one channel")
        if as_ is None:
            self._maker()  # a missing library is told before anything is read

    def _samples_body(
        self,
        channels: Names | None,
        match: str | None,
        start: TimeLike | None,
        end: TimeLike | None,
        where: str | None,
        order: str,
        elements: tuple[int, int] | None,
        convert: str | None,
        edge: bool,
        after: bool,
        damaged: str | None,
    ) -> dict[str, Any]:
        more = {
            "format": "columns",
            "edge": edge,
            "after": after or None,
            "where": where,
            "order": None if order == "asc" else order,
            "elements": None if elements is None else f"{elements[0]}:{elements[1]}",
            "as": convert,
            "damaged": damaged,
        }
        return self._body(channels, match, {"from": start, "to": end}, more)

    def _resolver(self, channels: Names | None, match: str | None) -> Callable[[], list[str]]:
        """Give what finds the names of the channels that a request means."""

        def names() -> list[str]:
            known = [channels] if isinstance(channels, str) else list(channels or ())
            if match is not None:
                known += [row["name"] for row in self._channel_rows(match=match, regex=None, state=None)]
            return list(dict.fromkeys(known))

        return names

    def _shown(self, samples: Samples, as_: str | None, enum: str, names: list[str] | None) -> Any:
        if as_ == "numpy":
            return samples
        if as_ == "xarray":
            return dataset(samples)
        columns = sample_columns(samples, enum=enum, names=names)
        return self._maker().frame(columns, "time" if names is None else None, samples.info)

    def bins(
        self,
        channels: Names | None = None,
        start: TimeLike | None = None,
        end: TimeLike | None = None,
        *,
        bins: int | None = None,
        width: str | None = None,
        stats: Sequence[str] | None = None,
        match: str | None = None,
        where: str | None = None,
        exclude: Literal["invalid"] | None = None,
        fill: Literal["hold"] | None = None,
        empty: bool = False,
        unknown: Literal["raise", "skip"] = "raise",
        progress: ProgressLike = False,
    ) -> FrameT:
        """Give statistics of channels over bins of time.

        Parameters
        ----------
        channels, start, end, match, where, unknown, progress
            As for `samples`.
        bins : int, optional
            About so many bins, never more, of a round width. One bin is exactly the range.
        width : str, optional
            Width of a bin, like ``"60s"``; with the client's `tz` also ``"1d"``, ``"1w"``, ``"1mo"``, ``"1y"``
            of local time. One of `bins` and `width` is needed.
        stats : sequence of str, optional
            Only these statistics, by their names in the interface: ``mean min max std first last twmean`` ...
        exclude : {"invalid"}, optional
            Leave out samples of severity INVALID.
        fill : {"hold"}, optional
            Also bins without samples in which a value was held.
        empty : bool
            Also bins without anything.

        Returns
        -------
        pandas.DataFrame or polars.DataFrame
            One channel: indexed by `time`, the start of a bin; several: long, with `channel`. Columns `width`
            and `covered` (durations), `count nonfinite invalid` (samples), `mean min max std first last twmean`
            (in the channel's units), `min_time max_time first_time last_time`, `severity` (the greatest); with
            ``stats=["states"]`` for enums ``"state LABEL"``, how long each state was held.

        Raises
        ------
        UnknownChannel, NaiveTime, BrokenStream, Unreachable, ServerError
            As for `samples`.
        """
        if (bins is None) == (width is None):
            raise ValueError("give one of bins= and width=")
        more = {
            "format": "columns",
            "bins": bins,
            "width": width,
            "stats": None if stats is None else ",".join(stats),
            "where": where,
            "exclude": exclude,
            "fill": fill,
            "empty": empty or None,
        }
        frames = self._maker()
        body = self._body(channels, match, {"from": start, "to": end}, more)
        told = Progress(progress)

        def attempt() -> Bins:
            with self._connections.post("bins", body) as response:
                check_columns(response)
                stream, rows = Stream(response.body()), BinRows()
                try:
                    end = rows.take(stream, told.done)
                finally:
                    stream.close()
            return rows.finish(facts.about_bins(end, rows.segments))

        found = self._connections.again(attempt)
        told.finish(len(found))
        alone = isinstance(channels, str) and match is None
        for name, error in found.info["errors"].items():
            if alone or unknown != "skip":
                raise from_answer(error, channel=name)
        shown: dict[str, Any] = {}
        if not alone:
            shown["channel"] = channel_codes(found.segments, len(found), list(found.info["channels"]))
        shown.update(found.columns)
        info = facts.flat(found.info) if alone else {**found.info}
        info.pop("errors", None)
        frame: FrameT = frames.frame(shown, "time" if alone else None, info)
        return frame

    def table(
        self,
        channels: Names | None = None,
        start: TimeLike | None = None,
        end: TimeLike | None = None,
        *,
        grid: str | None = None,
        fill: Literal["hold", "none", "linear", "mean"] | None = None,
        max_age: str | None = None,
        severity: bool = False,
        match: str | None = None,
        where: str | None = None,
    ) -> FrameT:
        """Give channels side by side on one grid of times.

        Parameters
        ----------
        channels, start, end, match, where
            As for `samples`.
        grid : str, optional
            A step like ``"1s"``, ``"at:CHANNEL"`` for that channel's own stamps, or ``"union"`` for everyone's.
        fill : {"hold", "none", "linear", "mean"}, optional
            What stands between samples.
        max_age : str, optional
            A value older than this, like ``"10s"``, does not count as held.
        severity : bool
            Also a column ``"NAME severity"`` for each channel.

        Returns
        -------
        pandas.DataFrame or polars.DataFrame
            Indexed by `time`, one column for each channel, under its name. Where nothing was held there is no
            value. ``attrs["varve"]["channels"]`` holds type and metadata of each.

        Raises
        ------
        UnknownChannel, NaiveTime, Unreachable, ServerError
            As for `samples`.
        """
        frames = self._maker()
        more = {
            "format": "json",
            "grid": grid,
            "fill": fill,
            "max_age": max_age,
            "where": where,
        }
        body = self._body(channels, match, {"from": start, "to": end}, more)
        answer = self._connections.json("table", body)
        columns, info = facts.table(answer, severity)
        frame: FrameT = frames.frame(columns, "time", info)
        return frame

    def at(
        self,
        channels: Names | None = None,
        time: TimeLike | None = None,
        *,
        match: str | None = None,
        unknown: Literal["raise", "skip"] = "raise",
    ) -> FrameT:
        """Give the value that each channel had at an instant.

        Parameters
        ----------
        channels, match, unknown
            As for `samples`.
        time : TimeLike, optional
            The instant; now unless given.

        Returns
        -------
        pandas.DataFrame or polars.DataFrame
            A row for each channel, in the order asked for: `channel` (the index in pandas), `time` of the last
            sample, `age` (a duration), `value` (enums as labels), `severity`, `status`, `type`, `units`, `held`
            (whether it still held), `state`.

        Raises
        ------
        UnknownChannel, NaiveTime, Unreachable, ServerError
            As for `samples`.
        """
        frames = self._maker()
        body = self._body(channels, match, {"time": time}, {"enum": "label", "format": "json"})
        answer = self._connections.json("at", body)
        columns, info = facts.at(answer, skip_unknown=unknown == "skip")
        frame: FrameT = frames.frame(columns, "channel", info)
        return frame

    def channels(self, match: str | None = None, *, regex: str | None = None, state: str | None = None) -> FrameT:
        """Give the channels of the archive.

        Parameters
        ----------
        match : str, optional
            A glob over whole names: ``*`` is any text, ``?`` one character.
        regex : str, optional
            A regular expression over whole names.
        state : str, optional
            One of ``connected disconnected never_connected paused silent retired``.

        Returns
        -------
        pandas.DataFrame or polars.DataFrame
            `name type first last samples bytes connected state reason origin alias_of`, in bytewise order.

        Raises
        ------
        Unreachable, ServerError
            As for `samples`.
        """
        frames = self._maker()
        rows = list(self._channel_rows(match=match, regex=regex, state=state))
        frame: FrameT = frames.frame(facts.channels(rows), None, {})
        return frame

    def _channel_rows(self, *, match: str | None, regex: str | None, state: str | None) -> Iterator[dict[str, Any]]:
        body = {"match": match, "regex": regex, "state": state, "limit": CHANNELS_PAGE}
        body = {key: value for key, value in body.items() if value is not None}
        while True:
            answer = self._connections.json("channels", body)
            yield from answer["channels"]
            if answer.get("next") is None:
                return
            body["after"] = answer["next"]

    def channel(self, name: str, time: TimeLike | None = None) -> dict[str, Any]:
        """Give everything about one channel.

        Parameters
        ----------
        name : str
            The channel.
        time : TimeLike, optional
            Whose metadata is meant; now unless given.

        Returns
        -------
        dict
            The server's answer: types over time, metadata, state, what was received, stored and dropped.
            Times are integers, nanoseconds since 1970 UTC, under names in ``_ns``.

        Raises
        ------
        UnknownChannel, NaiveTime, Unreachable, ServerError
            As for `samples`.
        """
        body: dict[str, Any] = {"channel": [name]}
        self._add_times(body, {"time": time})
        return self._connections.json("channel", body)

    def search(self, where: str, start: TimeLike | None = None, end: TimeLike | None = None) -> FrameT:
        """Find when a condition held.

        Parameters
        ----------
        where : str
            Comparisons over channels, like ``'`FE:SHUTTER` == "Open" and SR:DCCT > 10'``. Names stand in
            backticks unless they consist of letters, digits and ``_:.-``.
        start, end : TimeLike, optional
            The range.

        Returns
        -------
        pandas.DataFrame or polars.DataFrame
            Intervals: `from`, `to` (not part of it), `duration`.

        Raises
        ------
        UnknownChannel, NaiveTime, Unreachable, ServerError
            As for `samples`; `BadParameter` where the condition cannot be understood.
        """
        frames = self._maker()
        body: dict[str, Any] = {"where": where}
        self._add_times(body, {"from": start, "to": end})
        columns, info = facts.search(self._connections.json("search", body))
        frame: FrameT = frames.frame(columns, None, info)
        return frame

    def coverage(
        self,
        channels: Names | None = None,
        start: TimeLike | None = None,
        end: TimeLike | None = None,
        *,
        match: str | None = None,
        unknown: Literal["raise", "skip"] = "raise",
    ) -> FrameT:
        """Say for every instant of a range what the archive knows about it.

        Parameters
        ----------
        channels, start, end, match, unknown
            As for `samples`.

        Returns
        -------
        pandas.DataFrame or polars.DataFrame
            Intervals: `channel`, `from`, `to`, `duration`, `state` (``held disconnected paused engine_down
            dropped unknown damaged not_archived``). ``attrs["varve"]["totals_ns"]`` sums each channel's states.

        Raises
        ------
        UnknownChannel, NaiveTime, Unreachable, ServerError
            As for `samples`.
        """
        frames = self._maker()
        body = self._body(channels, match, {"from": start, "to": end}, {})
        columns, info = facts.coverage(self._connections.json("coverage", body), skip_unknown=unknown == "skip")
        frame: FrameT = frames.frame(columns, None, info)
        return frame

    def events(
        self,
        channels: Names | None = None,
        start: TimeLike | None = None,
        end: TimeLike | None = None,
        *,
        match: str | None = None,
        unknown: Literal["raise", "skip"] = "raise",
    ) -> FrameT:
        """Give what happened to channels: connections, pauses, drops.

        Parameters
        ----------
        channels, start, end, match, unknown
            As for `samples`.

        Returns
        -------
        pandas.DataFrame or polars.DataFrame
            `channel`, `time`, `kind` (``connected disconnected started stopped paused resumed retired
            engine_down dropped time_replaced``), `to` (of what lasted), `cause`, `count`, `detail`.

        Raises
        ------
        UnknownChannel, NaiveTime, Unreachable, ServerError
            As for `samples`.
        """
        frames = self._maker()
        body = self._body(channels, match, {"from": start, "to": end}, {})
        columns, info = facts.events(self._connections.json("events", body), skip_unknown=unknown == "skip")
        frame: FrameT = frames.frame(columns, None, info)
        return frame

    def follow(
        self,
        channels: Names,
        start: TimeLike | None = None,
        *,
        cursor: str | None = None,
    ) -> Iterator[Update]:
        """Give samples from a time on, and then every new one as it comes, without a seam.

        A broken connection goes on behind the last update. The iterator ends only with an error or when it is
        closed.

        Parameters
        ----------
        channels : str or sequence of str
            The channels.
        start : TimeLike, optional
            Where history begins.
        cursor : str, optional
            `Update.cursor` of the last update of an earlier call, in place of `start`.

        Yields
        ------
        Update
            Of kind ``sample``, ``event``, ``gap`` or ``heartbeat``.

        Raises
        ------
        UnknownChannel, NaiveTime, BrokenStream, Unreachable, ServerError
            As for `samples`.
        """
        body = self._body(channels, None, {"from": start}, {"cursor": cursor})
        yield from follow(self._connections, body)

    def why(self, channels: Names) -> list[dict[str, Any]]:
        """Say why channels are or are not archived.

        Parameters
        ----------
        channels : str or sequence of str
            Names, also unknown ones.

        Returns
        -------
        list of dict
            For each name ``name``, ``verdict`` (``archived not_requested never_connected disconnected
            no_read_access silent dropping paused disk_full retired two_servers``), ``evidence``, ``near``.

        Raises
        ------
        Unreachable, ServerError
            As for `samples`.
        """
        body = {"channel": [channels] if isinstance(channels, str) else list(channels)}
        verdicts: list[dict[str, Any]] = self._connections.json("why", body)["channels"]
        return verdicts

    def status(self) -> dict[str, Any]:
        """Say how the server is doing.

        Returns
        -------
        dict
            The server's answer: version, channels, disk, ``problems`` with what to do about them.

        Raises
        ------
        Unreachable, ServerError
            As for `samples`.
        """
        return self._connections.json("status", None)
