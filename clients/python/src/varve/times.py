"""Which times are understood, written the way the server reads them."""

from __future__ import annotations

import datetime as dt
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from varve.errors import NaiveTime

__all__ = ["NAT", "TimeLike", "parameter", "to_datetime64"]

#: A time: text for the server (``"-1h"``, ``"2026-01-05T08:00:00Z"``), an aware `datetime`, a
#: `pandas.Timestamp`, or a `numpy.datetime64` (UTC, as everywhere in numpy, pandas and xarray).
TimeLike = Union[str, dt.datetime, np.datetime64]

#: A missing time in integer nanoseconds: numpy's NaT.
NAT = int(np.iinfo(np.int64).min)

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_MICROSECOND = dt.timedelta(microseconds=1)


def parameter(name: str, time: TimeLike, tz: str | None) -> tuple[str, str | int]:
    """Give the request's parameter that means a time.

    Parameters
    ----------
    name : str
        Name of the parameter, like ``"from"``.
    time : TimeLike
        The time.
    tz : str or None
        Name of the zone of times without one.

    Returns
    -------
    tuple of str and (str or int)
        The parameter's name, with ``_ns`` behind it for integer nanoseconds since 1970 UTC, and its value.

    Raises
    ------
    NaiveTime
        The time has no zone and `tz` is None.
    TypeError
        It is no time. Integers are refused, as nobody knows their unit: ``numpy.datetime64(n, "ns")``.
    """
    if isinstance(time, str):
        return name, time
    if isinstance(time, np.datetime64):
        return f"{name}_ns", _datetime64_ns(time)
    if _is_missing(time):
        raise ValueError(f"{name} is not a time (NaT)")
    if isinstance(time, dt.datetime):
        if time.tzinfo is None or time.utcoffset() is None:
            if tz is None:
                raise NaiveTime(
                    f"{name}={time!r} has no zone: give it one, like datetime.timezone.utc, "
                    "or give the client one, like Client(url, tz='Europe/London')"
                )
            # The server decides what a local time means when clocks change, the same for all clients.
            return name, time.isoformat(sep="T")
        return f"{name}_ns", _aware_ns(time)
    scalar = _scalar_datetime64(time)
    if scalar is not None:
        return f"{name}_ns", _datetime64_ns(scalar)
    raise TypeError(f"{name}={time!r} is no time: text, an aware datetime, pandas.Timestamp or numpy.datetime64 is")


def _is_missing(time: object) -> bool:
    return type(time).__name__ == "NaTType"


def _aware_ns(time: dt.datetime) -> int:
    microseconds = (time - _EPOCH) // _MICROSECOND
    # pandas.Timestamp is a datetime with nanoseconds.
    return microseconds * 1000 + int(getattr(time, "nanosecond", 0))


def _datetime64_ns(time: np.datetime64) -> int:
    if np.isnat(time):
        raise ValueError("numpy.datetime64('NaT') is not a time")
    return int(time.astype("datetime64[ns]").astype(np.int64))


def _scalar_datetime64(time: object) -> np.datetime64 | None:
    """Arrays of one time, like an element of an xarray coordinate."""
    if getattr(time, "shape", None) != () or getattr(time, "dtype", None) is None:
        return None
    array = np.asarray(time)
    if array.dtype.kind != "M":
        return None
    if np.isnat(array):
        raise ValueError("NaT is not a time")
    return np.datetime64(int(array.astype("datetime64[ns]").astype(np.int64)), "ns")


def to_datetime64(time_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.datetime64]:
    """View integer nanoseconds since 1970 UTC as times, without a copy."""
    times: npt.NDArray[Any] = time_ns.view("datetime64[ns]")
    return times
