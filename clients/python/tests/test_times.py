"""Which times are understood, and which are refused."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import Any

import numpy as np
import pandas as pd
import pytest

import varve
from tests.canned import Canned

UTC = dt.timezone.utc
NS = 1767600000123456789
ZONE = dt.timezone(dt.timedelta(hours=2))


def sent(canned: Canned, time: Any, tz: str | None = None) -> dict[str, Any]:
    canned.json({"time_ns": 0, "channels": []})
    varve.Client(canned.url, tz=tz).at(["A"], time)
    body = canned.requests[-1][1]
    return {key: value for key, value in body.items() if key.startswith("t")}


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("-1h", {"time": "-1h"}),
        ("2026-01-05 08:00:00Z", {"time": "2026-01-05 08:00:00Z"}),
        (np.datetime64(NS, "ns"), {"time_ns": NS}),
        (np.datetime64("2026-01-05", "D"), {"time_ns": 1767571200000000000}),
        (np.array(NS, "datetime64[ns]"), {"time_ns": NS}),
        (pd.Timestamp(NS, tz="UTC"), {"time_ns": NS}),
        (pd.Timestamp(NS, tz="Asia/Tokyo"), {"time_ns": NS}),
        (pd.Timestamp(-1, tz="UTC"), {"time_ns": -1}),
        (dt.datetime(2026, 1, 5, 10, 0, 0, 123456, ZONE), {"time_ns": 1767600000123456000}),
        (dt.datetime(1969, 12, 31, 23, 59, 59, 999999, UTC), {"time_ns": -1000}),
    ],
)
def test_understood(canned: Canned, time: Any, expected: dict[str, Any]) -> None:
    assert sent(canned, time) == expected
    assert sent(canned, time, "Europe/London") == {**expected, "tz": "Europe/London"}


@pytest.mark.parametrize("time", [dt.datetime(2026, 1, 5, 8), pd.Timestamp("2026-01-05T08:00:00.123456789")])
def test_naive_times_need_the_clients_zone(canned: Canned, time: Any) -> None:
    with pytest.raises(varve.NaiveTime, match="no zone"):
        varve.Client(canned.url).at(["A"], time)
    assert canned.requests == []
    got = sent(canned, time, "Europe/London")
    assert got == {"time": time.isoformat(), "tz": "Europe/London"}


@pytest.mark.parametrize("time", [17676, 1.5, dt.date(2026, 1, 5), True, b"now", [1]])
def test_what_is_no_time(canned: Canned, time: Any) -> None:
    with pytest.raises(TypeError, match="is no time"):
        varve.Client(canned.url).at(["A"], time)


@pytest.mark.parametrize("time", [pd.NaT, np.datetime64("NaT"), np.array("NaT", "datetime64[ns]")])
def test_missing_times(canned: Canned, time: Any) -> None:
    with pytest.raises(ValueError, match="not a time"):
        varve.Client(canned.url).at(["A"], time)


def test_zones_of_zoneinfo(canned: Canned) -> None:
    zone: Any = zoneinfo.ZoneInfo("Europe/London")
    canned.json({"time_ns": 0, "channels": []})
    varve.Client(canned.url, tz=zone).at(["A"], "today")
    assert canned.requests[-1][1]["tz"] == "Europe/London"
    no_name: Any = UTC
    with pytest.raises(TypeError, match="name of a zone"):
        varve.Client(canned.url, tz=no_name)


def test_local_times_mean_what_the_server_says(url: str) -> None:
    london = varve.Client(url, tz="Europe/Berlin")
    local = london.samples("SR:PS001:SetPt", dt.datetime(2026, 1, 5, 4), "2026-01-05 05:00")
    utc = varve.Client(url).samples("SR:PS001:SetPt", "2026-01-05T03:00:00Z", "2026-01-05T04:00:00Z")
    assert len(utc) > 50
    pd.testing.assert_frame_equal(local, utc)


def test_a_frames_own_times_are_understood(url: str) -> None:
    client = varve.Client(url)
    frame = client.samples("SR:PS001:SetPt", "2026-01-05T03:00:00Z", "2026-01-05T04:00:00Z")
    part = client.samples("SR:PS001:SetPt", frame.index[10], frame.index[20])
    pd.testing.assert_frame_equal(part, frame.iloc[10:20])
    made = client.samples("SR:PS001:SetPt", frame.index[10], frame.index[20], as_="xarray")
    again = client.samples("SR:PS001:SetPt", made["time"].values[0], frame.index[20].to_datetime64())
    pd.testing.assert_frame_equal(again, part)
