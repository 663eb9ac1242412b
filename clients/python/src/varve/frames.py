"""Frames of pandas and polars made from columns, without a copy where their libraries allow it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from varve.enums import coded, labelled
from varve.samples import Samples, Segment
from varve.times import NAT

__all__ = ["Categories", "Columns", "FrameMaker", "channel_codes", "enumerated", "maker", "sample_columns"]


@dataclass(frozen=True)
class Categories:
    """Values that are places in a list of labels; -1 is none."""

    codes: npt.NDArray[Any]
    labels: Sequence[str]


#: A frame's columns by name: arrays, or categories. Times are datetime64[ns] and mean UTC.
Columns = Mapping[str, "npt.NDArray[Any] | Categories"]


class FrameMaker(Protocol):
    """Makes frames of one library."""

    def frame(self, columns: Columns, index: str | None, info: dict[str, Any]) -> Any:
        """Make a frame; `index` names the column that becomes the index where the library has one; no row lacks it."""


class PandasFrames:
    """Makes `pandas.DataFrame` objects."""

    def __init__(self) -> None:
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("frame='pandas' needs pandas: pip install pandas, or use frame='polars'") from error
        self._pd = pd

    def _column(self, values: npt.NDArray[Any] | Categories) -> Any:
        pd = self._pd
        if isinstance(values, Categories):
            return pd.Categorical.from_codes(values.codes, categories=list(values.labels))  # type: ignore[call-overload, arg-type, unused-ignore]
        if values.dtype.kind == "M":
            return pd.DatetimeIndex(values.view(np.int64), dtype="datetime64[ns, UTC]", copy=False)  # type: ignore[call-overload, unused-ignore]
        if values.dtype == object and len(values) and isinstance(values[0], (np.ndarray, bytes, bool)):
            return pd.Series(values, dtype=object)  # these are never text
        return values

    def frame(self, columns: Columns, index: str | None, info: dict[str, Any]) -> Any:
        """Make a frame."""
        shown = {name: self._column(values) for name, values in columns.items()}
        rows = shown.pop(index) if index is not None else None
        if rows is not None:
            rows = self._pd.Index(rows, name=index, copy=False)
            shown = {
                name: column.array if isinstance(column, self._pd.Series) else column for name, column in shown.items()
            }
        # Without a copy: columns stay where the network left them.
        frame = self._pd.DataFrame(shown, index=rows, copy=False)
        frame.attrs["varve"] = info
        return frame


def _optional(pl: Any, values: npt.NDArray[Any], least: int) -> Any:
    """Make a series with nulls where a value is less than `least`."""
    series = pl.Series(values)
    if not len(values) or values.min() >= least:
        return series
    return pl.select(pl.when(pl.Series(values >= least)).then(series)).to_series()


class PolarsFrames:
    """Makes `polars.DataFrame` objects. Their `attrs` is ours: polars does not carry it to other frames."""

    def __init__(self) -> None:
        try:
            import polars as pl
        except ImportError as error:
            raise ImportError("frame='polars' needs polars: pip install polars") from error
        self._pl = pl

    def _column(self, name: str, values: npt.NDArray[Any] | Categories, has_all: bool) -> Any:
        pl = self._pl
        if isinstance(values, Categories):
            labels = pl.Series(name, list(values.labels), dtype=pl.Enum(list(values.labels)))
            return labels.gather(_optional(pl, values.codes, 0))
        if values.dtype.kind == "M":
            # Through integers, because that way nothing is copied.
            times = values.view(np.int64)
            series = pl.Series(times) if has_all else _optional(pl, times, NAT + 1)
            return series.cast(pl.Datetime("ns", "UTC")).alias(name)
        if values.dtype.kind == "m":
            times = values.view(np.int64)
            return _optional(pl, times, NAT + 1).cast(pl.Duration("ns")).alias(name)
        if values.dtype != object:
            return pl.Series(name, values)
        items = values.tolist()
        kinds = {type(item) for item in items if item is not None}
        if kinds <= {str}:
            return pl.Series(name, items, dtype=pl.String)
        if kinds == {bytes}:
            return pl.Series(name, items, dtype=pl.Binary)
        if kinds == {np.ndarray}:
            lists = [None if item is None else item.tolist() for item in items]
            inner = next((item.dtype for item in items if item is not None and item.dtype != object), None)
            element = pl.String if inner is None else pl.Series(np.empty(0, inner)).dtype
            return pl.Series(name, lists, dtype=pl.List(element))
        return pl.Series(name, items, dtype=pl.Object)

    def frame(self, columns: Columns, index: str | None, info: dict[str, Any]) -> Any:
        """Make a frame; there is no index, its column comes first."""
        names = list(columns)
        if index is not None:
            names.sort(key=lambda name: name != index)
        # Every row has a place in the index; looking for one without takes as long as reading all of it.
        frame = self._pl.DataFrame([self._column(name, columns[name], name == index) for name in names])
        frame.attrs = {"varve": info}  # type: ignore[attr-defined, unused-ignore]
        return frame


def maker(kind: str) -> FrameMaker:
    """Give the maker of ``"pandas"`` or ``"polars"`` frames.

    Raises
    ------
    ImportError
        The library is not installed.
    """
    if kind == "pandas":
        return PandasFrames()
    if kind == "polars":
        return PolarsFrames()
    raise ValueError(f"frame={kind!r} is neither 'pandas' nor 'polars'")


def channel_codes(segments: Sequence[Segment], count: int, names: Sequence[str]) -> Categories:
    """Give each row's channel; `names` are all that were asked for."""
    order = {name: code for code, name in enumerate(names)}
    for segment in segments:
        order.setdefault(segment.name, len(order))
    dtype = np.min_scalar_type(-max(1, len(order)))
    codes = np.empty(count, dtype)
    for segment in segments:
        codes[segment.first : segment.behind] = order[segment.name]
    return Categories(codes, list(order))


def enumerated(samples: Samples) -> npt.NDArray[Any] | Categories:
    """Give the values with enums as categories, or as labels where other types are among them."""
    if not samples.segments and samples.info.get("type") == "enum":
        return Categories(np.empty(0, np.int32), list(dict.fromkeys(samples.info.get("states") or ())))
    enums = [segment for segment in samples.segments if segment.type == "enum"]
    if not enums:
        return samples.value
    if len(enums) == len(samples.segments):
        codes, labels = coded(samples.value, enums)
        return Categories(codes, labels)
    value = samples.value.astype(object)
    for segment in enums:
        rows = slice(segment.first, segment.behind)
        value[rows] = labelled(samples.value[rows].astype(np.uint16), segment)
    return value


def sample_columns(samples: Samples, *, enum: str, names: Sequence[str] | None) -> Columns:
    """Give the columns of a frame of samples; `names` for several channels."""
    columns: dict[str, npt.NDArray[Any] | Categories] = {}
    if names is not None:
        columns["channel"] = channel_codes(samples.segments, len(samples), names)
    columns["time"] = samples.time
    columns["value"] = enumerated(samples) if enum == "category" else samples.value
    columns["severity"] = samples.severity
    columns["status"] = samples.status
    for name in ("received", "user_tag", "message"):
        found = getattr(samples, name)
        if found is not None:
            columns[name] = found
    return columns
