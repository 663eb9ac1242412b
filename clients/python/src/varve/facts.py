"""What the server says in JSON, as columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from varve.columns import End
from varve.errors import from_answer
from varve.frames import Categories
from varve.samples import Segment
from varve.times import NAT

__all__ = ["about_bins", "at", "channels", "coverage", "events", "flat", "search", "table"]

_Columns = dict[str, Any]


def _times(values: Iterable[int | None]) -> npt.NDArray[np.datetime64]:
    return np.array([NAT if value is None else value for value in values], np.int64).view("datetime64[ns]")


def _durations(values: Iterable[int | None]) -> npt.NDArray[np.timedelta64]:
    return np.array([NAT if value is None else value for value in values], np.int64).view("timedelta64[ns]")


def _objects(values: Sequence[Any]) -> npt.NDArray[Any]:
    out = np.empty(len(values), object)
    out[:] = values
    return out


def _categories(values: Sequence[Any]) -> Categories:
    labels: dict[str, int] = {}
    codes = [-1 if value is None else labels.setdefault(str(value), len(labels)) for value in values]
    return Categories(np.array(codes, np.int32), list(labels))


def _column(rows: Sequence[dict[str, Any]], key: str, make: Callable[[list[Any]], Any]) -> Any:
    return make([row.get(key) for row in rows])


def _shared(answer: dict[str, Any]) -> dict[str, Any]:
    info: dict[str, Any] = {
        "complete": answer.get("complete", True),
        "problems": answer.get("problems", []),
    }
    if "from_ns" in answer:
        info["range"] = {"from_ns": answer["from_ns"], "to_ns": answer["to_ns"]}
    return info


def _known(answer: dict[str, Any], skip_unknown: bool) -> tuple[list[dict[str, Any]], dict[str, list[str]]]:
    """Divide channels into those that were answered and those that were refused."""
    known: list[dict[str, Any]] = []
    unknown: dict[str, list[str]] = {}
    for channel in answer["channels"]:
        if "error" not in channel:
            known.append(channel)
            continue
        if not skip_unknown:
            raise from_answer(channel["error"], channel=channel["name"])
        unknown[channel["name"]] = list(channel["error"].get("near") or ())
    return known, unknown


def channels(rows: Sequence[dict[str, Any]]) -> _Columns:
    """Give the columns of a list of channels."""
    return {
        "name": _column(rows, "name", _texts),
        "type": _column(rows, "type", _categories),
        "first": _column(rows, "first_ns", _times),
        "last": _column(rows, "last_ns", _times),
        "samples": _column(rows, "samples", _integers),
        "bytes": _column(rows, "bytes", _integers),
        "connected": _column(rows, "connected", _objects),
        "state": _column(rows, "state", _categories),
        "reason": _column(rows, "reason", _texts),
        "origin": _column(rows, "origin", _texts),
        "alias_of": _column(rows, "alias_of", _texts),
    }


def _integers(values: list[Any]) -> npt.NDArray[np.int64]:
    return np.array([0 if value is None else value for value in values], np.int64)


def _texts(values: list[Any]) -> npt.NDArray[Any]:
    return _objects([None if value is None else str(value) for value in values])


_SPECIAL = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def _value(value: Any, type_: str | None) -> Any:
    """Give a value of JSON in its own type."""
    if value is None or type_ is None:
        return value
    if type_.endswith("[]"):
        element = type_[:-2]
        if element in ("string", "enum"):
            return _objects([str(item) for item in value])
        return np.array([_value(item, element) for item in value], "?" if element == "bool" else element)
    if type_ in ("float32", "float64") and isinstance(value, str):
        return _SPECIAL[value]
    return float(value) if type_ in ("float32", "float64") else value


def at(answer: dict[str, Any], *, skip_unknown: bool) -> tuple[_Columns, dict[str, Any]]:
    """Give the columns of values at an instant."""
    rows, unknown = _known(answer, skip_unknown)
    columns = {
        "channel": _column(rows, "name", _texts),
        "time": _column(rows, "time_ns", _times),
        "age": _column(rows, "age_ns", _durations),
        "value": _mixed([_value(row.get("value"), row.get("type")) for row in rows]),
        "severity": _column(rows, "severity", _integers_or_none),
        "status": _column(rows, "status", _integers_or_none),
        "type": _column(rows, "type", _categories),
        "units": _texts([(row.get("metadata") or {}).get("units") for row in rows]),
        "held": np.array([bool(row.get("held")) for row in rows], bool),
        "state": _column(rows, "state", _categories),
    }
    metadata = {row["name"]: row.get("metadata") or {} for row in rows}
    info = {**_shared(answer), "time_ns": answer["time_ns"], "unknown": unknown, "metadata": metadata}
    return columns, info


def _integers_or_none(values: list[Any]) -> npt.NDArray[Any]:
    return _objects(values) if any(value is None for value in values) else np.array(values, np.int64)


def _mixed(values: list[Any]) -> npt.NDArray[Any]:
    if values and all(type(value) is float for value in values):
        return np.array(values, np.float64)
    return _objects(values)


def coverage(answer: dict[str, Any], *, skip_unknown: bool) -> tuple[_Columns, dict[str, Any]]:
    """Give the columns of coverage."""
    known, unknown = _known(answer, skip_unknown)
    rows = [{"name": channel["name"], **row} for channel in known for row in channel["intervals"]]
    columns = {"channel": _column(rows, "name", _categories), **_intervals(rows)}
    columns["state"] = _column(rows, "state", _categories)
    totals = {channel["name"]: channel["totals_ns"] for channel in known}
    return columns, {**_shared(answer), "unknown": unknown, "totals_ns": totals}


def _intervals(rows: Sequence[dict[str, Any]]) -> _Columns:
    return {
        "from": _column(rows, "from_ns", _times),
        "to": _column(rows, "to_ns", _times),
        "duration": _durations([row["to_ns"] - row["from_ns"] for row in rows]),
    }


def search(answer: dict[str, Any]) -> tuple[_Columns, dict[str, Any]]:
    """Give the columns of the intervals in which a condition held."""
    return _intervals(answer["intervals"]), _shared(answer)


def events(answer: dict[str, Any], *, skip_unknown: bool) -> tuple[_Columns, dict[str, Any]]:
    """Give the columns of events."""
    known, unknown = _known(answer, skip_unknown)
    rows = [{"name": channel["name"], **row} for channel in known for row in channel["events"]]
    columns = {
        "channel": _column(rows, "name", _categories),
        "time": _column(rows, "time_ns", _times),
        "kind": _column(rows, "kind", _categories),
        "to": _column(rows, "to_ns", _times),
        "cause": _column(rows, "cause", _texts),
        "count": _column(rows, "count", _integers_or_none),
        "detail": _column(rows, "detail", _texts),
    }
    return columns, {**_shared(answer), "unknown": unknown}


def table(answer: dict[str, Any], severity: bool) -> tuple[_Columns, dict[str, Any]]:
    """Give the columns of a table."""
    columns: _Columns = {"time": _times(answer["time_ns"])}
    about: dict[str, Any] = {}
    for column in answer["columns"]:
        name = column["name"]
        if "error" in column:
            raise from_answer(column["error"], channel=name)
        columns[name] = _table_values(column)
        if severity and column.get("severity") is not None:
            columns[f"{name} severity"] = _integers_or_none(column["severity"])
        metadata = column.get("metadata") or {}
        about[name] = {"type": column.get("type"), "units": metadata.get("units"), "metadata": metadata}
    return columns, {**_shared(answer), "channels": about}


def _table_values(column: dict[str, Any]) -> Any:
    kind, values = column.get("type"), column["value"]
    if kind == "enum":
        return _labels(values, (column.get("metadata") or {}).get("states") or [])
    shown = [_value(value, kind) for value in values]
    whole = kind is not None and kind.lstrip("u").startswith("int") and not kind.endswith("[]")
    missing = None in [None if value is None else 0 for value in shown]
    numbers = kind in ("float32", "float64") or any(isinstance(value, float) for value in shown)
    if numbers or (whole and missing and all(value is None or abs(value) <= 1 << 53 for value in shown)):
        return np.array([np.nan if value is None else value for value in shown], np.float64)
    if missing or not (whole or kind == "bool"):
        return _objects(shown)
    return np.array(shown, kind)


def _labels(values: Sequence[Any], states: Sequence[Any]) -> Categories:
    """Give enumerated values as categories, the states first, in their order."""
    codes: dict[str, int] = {}
    for state in states:
        codes.setdefault(str(state), len(codes))
    found = []
    for value in values:
        label = value if value is None or isinstance(value, str) or value >= len(states) else states[value]
        found.append(-1 if label is None else codes.setdefault(str(label), len(codes)))
    return Categories(np.array(found, np.int32), list(codes))


def about_bins(end: End, segments: Sequence[Segment]) -> dict[str, Any]:
    """Say what the end block of bins and their batches say."""
    last = {segment.name: segment for segment in segments}
    about: dict[str, Any] = {}
    errors: dict[str, Any] = {}
    for channel in end.description["channels"]:
        name = channel["name"]
        if "error" in channel:
            errors[name] = channel["error"]
            continue
        segment = last.get(name)
        metadata = segment.metadata if segment is not None else {}
        about[name] = {
            "name": name,
            "channel": channel.get("channel", name),
            "type": None if segment is None else segment.type,
            "units": metadata.get("units"),
            "states": metadata.get("states"),
            "metadata": metadata,
            "bins": channel.get("bins"),
            "gaps": channel.get("gaps", []),
        }
    said = end.description
    unknown = {name: list(error.get("near") or ()) for name, error in errors.items()}
    return {
        "channels": about,
        "errors": errors,
        "unknown": unknown,
        **_shared({**said, "complete": end.complete}),
    }


def flat(info: dict[str, Any]) -> dict[str, Any]:
    """Give what is said about the one channel on one level."""
    about: dict[str, Any] = next(iter(info["channels"].values()), {})
    return {**{key: value for key, value in info.items() if key not in ("channels", "unknown")}, **about}
