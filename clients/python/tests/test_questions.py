"""Bins, tables, searches, and what the archive knows about its channels."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import varve
from tests.canned import Canned
from tests.conftest import DAY, NEXT_DAY

NAME = "SR:PS001:SetPt"
VALVE = "SR:VLV001:Status"
HOUR = ("2026-01-05T03:00:00Z", "2026-01-05T04:00:00Z")


@pytest.fixture(scope="session")
def requests(url: str) -> set[str]:
    """Give the requests that the server has."""
    with urllib.request.urlopen(f"{url}/openapi.json") as answer:
        paths: dict[str, Any] = json.load(answer)["paths"]
    return {path.removeprefix("/api/v1/") for path in paths}


def need(requests: set[str], name: str) -> None:
    if name not in requests:
        pytest.skip(f"this server has no request /api/v1/{name}")


def test_bins_are_those_of_pandas(url: str, requests: set[str]) -> None:
    need(requests, "bins")
    client = varve.Client(url)
    bins = client.bins(NAME, *HOUR, width="10m")
    assert bins.index.name == "time"
    samples = client.samples(NAME, *HOUR)["value"]
    groups = samples.resample("10min")
    pd.testing.assert_series_equal(bins["count"].astype("int64"), groups.count(), check_names=False, check_freq=False)
    for statistic in ("mean", "min", "max", "std", "first", "last"):
        expected = getattr(groups, statistic)()
        np.testing.assert_allclose(bins[statistic], expected, rtol=1e-12, err_msg=statistic)
    assert set(bins["width"]) == {pd.Timedelta("10min")}
    assert (bins["covered"] <= bins["width"]).all()
    assert bins["first_time"].iloc[0] == samples.index[0]
    assert [str(bins[name].dtype) for name in ("min_time", "covered", "severity")] == [
        "datetime64[ns, UTC]",
        "timedelta64[ns]",
        "uint8",
    ]
    assert bins.attrs["varve"]["units"] == "A"
    assert bins.attrs["varve"]["range"]["from_ns"] == 1767582000000000000


def test_bins_of_several_channels_are_long(url: str, requests: set[str]) -> None:
    need(requests, "bins")
    frame = varve.Client(url).bins([NAME, VALVE], *HOUR, bins=6, stats=["mean", "count"])
    assert list(frame.columns) == ["channel", "time", "width", "count", "mean"]
    assert list(frame["channel"].cat.categories) == [NAME, VALVE]
    alone = varve.Client(url).bins(VALVE, *HOUR, bins=6)
    assert frame[frame["channel"] == VALVE]["mean"].tolist() == alone["mean"].tolist()
    polar = varve.Client(url, frame="polars").bins([NAME, VALVE], *HOUR, bins=6)
    assert polar["mean"].to_list() == frame["mean"].tolist()
    assert polar.schema["width"] == pl.Duration("ns")


def test_bins_without_samples(url: str, requests: set[str]) -> None:
    need(requests, "bins")
    client = varve.Client(url)
    before = ("2025-01-01T00:00:00Z", "2025-01-01T01:00:00Z")
    assert len(client.bins(NAME, *before, bins=10)) == 0
    empty = client.bins(NAME, *before, width="10m", empty=True)
    assert empty["count"].tolist() == [0] * 6
    assert empty["mean"].isna().all()
    assert empty["min_time"].isna().all()
    assert varve.Client(url, frame="polars").bins(NAME, *before, width="10m", empty=True)["min_time"].null_count() == 6
    with pytest.raises(varve.UnknownChannel):
        client.bins([NAME, "nope"], *HOUR, bins=2)
    assert set(client.bins([NAME, "nope"], *HOUR, bins=2, unknown="skip")["channel"]) == {NAME}
    with pytest.raises(varve.UnknownChannel):
        client.bins("SR:PS001:SetP", *HOUR, bins=2)


def test_bins_of_states(canned: Canned) -> None:
    import struct

    from tests import wire

    def block(states: list[str], held: list[int]) -> bytes:
        columns = [
            (32, 6, struct.pack("<2q", 0, 10)),
            (33, 6, struct.pack("<2q", 10, 10)),
            (50, 6, struct.pack(f"<{len(held)}q", *held)),
        ]
        return wire.block(3, 2, 0, 2, b"A", {"type": "enum", "metadata": {}, "states": states}, columns)

    bins = wire.stream([block(["Off", "On"], [1, 9, 2, 8])], [{"name": "A", "bins": 2}], 2)
    canned.columns(bins)
    frame = varve.Client(canned.url).bins("A", bins=2, stats=["states"])
    assert frame["state Off"].dt.nanoseconds.tolist() == [1, 2]
    assert frame["state On"].dt.nanoseconds.tolist() == [9, 8]
    assert canned.requests[0][1]["stats"] == "states"
    for cut in (8, 40, 100, len(bins) - 1):
        canned.columns(bins[:cut])
        with pytest.raises(varve.BrokenStream):
            varve.Client(canned.url, retries=0).bins("A", bins=2)


def test_table_is_that_of_pandas(url: str, requests: set[str]) -> None:
    need(requests, "table")
    client = varve.Client(url)
    table = client.table([NAME, VALVE], *HOUR, grid="60s", fill="hold")
    assert list(table.columns) == [NAME, VALVE]
    assert table.index.name == "time"
    grid = pd.DataFrame({"time": table.index})
    for name in (NAME, VALVE):
        samples = client.samples(name, DAY, HOUR[1])[["value"]].reset_index()
        expected = pd.merge_asof(grid, samples, on="time")["value"]
        np.testing.assert_array_equal(table[name], expected)
    assert table.attrs["varve"]["channels"][NAME]["units"] == "A"


def test_table_of_every_type(canned: Canned) -> None:
    def column(name: str, kind: str, value: list[Any], **metadata: Any) -> dict[str, Any]:
        return {"name": name, "type": kind, "metadata": metadata, "value": value, "severity": [0, None, 3]}

    answer = {
        "from_ns": 0,
        "to_ns": 30,
        "time_ns": [0, 10, 20],
        "columns": [
            column("f", "float64", [1.5, None, "NaN"], units="A"),
            column("i", "int64", [(1 << 60), 2, 3]),
            column("n", "int32", [1, None, 3]),
            column("m", "int32", [1, 1.5, 2]),
            column("e", "enum", [1, None, 5], states=["Off", "On"]),
            column("s", "string", ["x", None, ""]),
            column("b", "bool", [True, False, True]),
            column("a", "float64[]", [[1.0], None, ["Infinity"]]),
        ],
        "complete": True,
        "problems": [],
    }
    canned.json(answer)
    frame = varve.Client(canned.url).table(list("finmesba"), grid="1s", severity=True)
    assert frame["f"].tolist()[0] == 1.5
    assert frame["f"].isna().tolist() == [False, True, True]
    assert frame["i"].tolist() == [1 << 60, 2, 3]
    assert frame["i"].dtype == np.int64
    assert frame["n"].isna().tolist() == [False, True, False]
    assert frame["m"].tolist() == [1.0, 1.5, 2.0]
    assert frame["e"].tolist()[::2] == ["On", "5"]
    assert frame["e"].isna().tolist() == [False, True, False]
    assert frame["b"].dtype == bool
    assert frame["a"].iloc[2].tolist() == [np.inf]
    assert frame["f severity"].tolist() == [0, None, 3]
    assert frame.index.astype("int64").tolist() == [0, 10, 20]
    canned.json(answer)
    polar = varve.Client(canned.url, frame="polars").table(list("finmesba"), grid="1s")
    assert polar["e"].to_list() == ["On", None, "5"]
    assert polar["s"].to_list() == ["x", None, ""]
    canned.json({**answer, "columns": [{"name": "q", "error": {"code": "unknown_channel", "message": "no q"}}]})
    with pytest.raises(varve.UnknownChannel):
        varve.Client(canned.url).table(["q", "f"], grid="1s")


def test_search_gives_intervals(url: str, requests: set[str], canned: Canned) -> None:
    canned.json({"from_ns": 0, "to_ns": 9, "intervals": [{"from_ns": 1, "to_ns": 4}], "complete": True, "problems": []})
    frame = varve.Client(canned.url).search("A > 1", "-1h")
    assert frame["duration"].tolist() == [pd.Timedelta(3, "ns")]
    assert canned.requests[0] == ("/api/v1/search", {"where": "A > 1", "from": "-1h"})
    need(requests, "search")
    client = varve.Client(url)
    found = client.search(f"{NAME} > 80", *HOUR)
    samples = client.samples(NAME, *HOUR)["value"]
    inside = pd.IntervalIndex.from_arrays(found["from"], found["to"], closed="left")
    for time, value in samples.items():
        assert inside.contains(time).any() == (value > 80), time  # type: ignore[attr-defined]
    where = client.samples(NAME, *HOUR, where=f"{NAME} > 80")
    assert (where["value"] > 80).all()
    assert len(where) == (samples > 80).sum()


def event(kind: str, cursor: str | None, data: dict[str, Any]) -> bytes:
    identity = f"id: {cursor}\n" if cursor else ""
    return f"{identity}event: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def test_follow_goes_on_behind_the_last_update(canned: Canned) -> None:
    stream = "text/event-stream"
    first = b": hello\n\n" + event("sample", "c1", {"value": 1}) + event("heartbeat", "c2", {})
    canned.answers.append((200, stream, first, {}))
    canned.answers.append((200, stream, event("gap", "c3", {"dropped": 2})[:-3], {}))
    canned.answers.append((200, stream, event("gap", "c3", {"dropped": 2}), {}))
    updates = varve.Client(canned.url).follow("A", "-1h")
    got = [next(updates) for _ in range(3)]
    assert [(update.kind, update.cursor) for update in got] == [("sample", "c1"), ("heartbeat", "c2"), ("gap", "c3")]
    assert got[0].data == {"value": 1}
    updates.close()  # type: ignore[attr-defined]
    assert [body for _, body in canned.requests] == [
        {"channel": ["A"], "from": "-1h"},
        {"channel": ["A"], "cursor": "c2"},
        {"channel": ["A"], "cursor": "c2"},
    ]


def test_follow_that_never_comes_back_is_an_error(canned: Canned) -> None:
    for _ in range(2):
        canned.answers.append((200, "text/event-stream", b"", {}))
    with pytest.raises(varve.BrokenStream):
        next(varve.Client(canned.url, retries=1).follow("A"))
    unknown = {"name": "A", "error": {"code": "unknown_channel", "message": "no A", "near": ["B"]}}
    canned.answers.append((200, "text/event-stream", event("heartbeat", "c", {"channels": [unknown]}), {}))
    with pytest.raises(varve.UnknownChannel) as caught:
        next(varve.Client(canned.url).follow(["A", "B"]))
    assert caught.value.near == ("B",)
    canned.json({"error": {"code": "unknown_channel", "message": "no A", "near": ["B"]}}, 404)
    with pytest.raises(varve.UnknownChannel):
        next(varve.Client(canned.url).follow("A"))


def test_follow_of_an_archive(url: str, requests: set[str]) -> None:
    need(requests, "follow")
    client = varve.Client(url)
    history = client.samples(NAME, "2026-01-05T23:00:00Z", NEXT_DAY)
    assert len(history) > 10
    updates = client.follow(NAME, "2026-01-05T23:00:00Z")
    samples = [next(update for update in updates if update.kind == "sample") for _ in range(10)]
    assert [update.data["value"] for update in samples] == history["value"].tolist()[:10]
    again = client.follow(NAME, cursor=samples[4].cursor)
    following = next(update for update in again if update.kind == "sample")
    # The first sample of a stream says the metadata.
    assert {**following.data, "metadata": None} == {**samples[5].data, "metadata": None}
    for iterator in (updates, again):
        iterator.close()  # type: ignore[attr-defined]


def test_at_gives_the_held_value(url: str) -> None:
    client = varve.Client(url)
    samples = client.samples(NAME, DAY, HOUR[0])
    frame = client.at([NAME, "SR:BPM000:X", VALVE], HOUR[0])
    assert list(frame.index) == [NAME, "SR:BPM000:X", VALVE]
    row = frame.loc[NAME]
    assert row["value"] == samples["value"].iloc[-1]
    assert row["time"] == samples.index[-1]
    assert row["age"] == pd.Timestamp(HOUR[0]) - samples.index[-1]
    assert (row["units"], row["held"], row["state"], row["type"]) == ("A", True, "held", "float64")
    assert frame["time"].isna().tolist() == [False, True, False]
    assert frame.attrs["varve"]["time_ns"] == 1767582000000000000
    polar = varve.Client(url, frame="polars").at(match="SR:PS*", time=HOUR[0])
    assert polar["channel"].to_list() == [f"SR:PS00{n}:SetPt" for n in range(10)]
    with pytest.raises(varve.UnknownChannel):
        client.at([NAME, "nope"], HOUR[0])
    assert list(client.at([NAME, "nope"], HOUR[0], unknown="skip").index) == [NAME]


def test_at_of_every_type(canned: Canned) -> None:
    def row(name: str, kind: str, value: Any) -> dict[str, Any]:
        return {"name": name, "held": True, "state": "held", "time_ns": 5, "age_ns": 0, "type": kind, "value": value}

    rows = [
        row("f", "float64", "-Infinity"),
        row("i", "int64", 1 << 62),
        row("a", "int16[]", [1, 2]),
        row("s", "string", "NaN"),
    ]
    canned.json({"time_ns": 5, "channels": rows})
    value = varve.Client(canned.url).at(list("fias"))["value"]
    assert value["f"] == -np.inf
    assert value["i"] == 1 << 62
    assert (value["a"].dtype, value["a"].tolist()) == (np.dtype("int16"), [1, 2])
    assert value["s"] == "NaN"


def test_coverage_fills_the_range(url: str) -> None:
    frame = varve.Client(url).coverage([NAME, VALVE], "2026-01-04T23:00:00Z", HOUR[0])
    for name in (NAME, VALVE):
        part = frame[frame["channel"] == name]
        assert part["from"].iloc[0] == pd.Timestamp("2026-01-04T23:00:00Z")
        assert part["to"].iloc[-1] == pd.Timestamp(HOUR[0])
        assert (part["from"].iloc[1:].array == part["to"].iloc[:-1].array).all()
        totals = frame.attrs["varve"]["totals_ns"][name]
        assert part[part["state"] == "held"]["duration"].sum() == pd.Timedelta(totals["held"], "ns")
    assert len(varve.Client(url, frame="polars").coverage(NAME, DAY, HOUR[0])) == len(
        varve.Client(url).coverage(NAME, DAY, HOUR[0])
    )


def test_events(url: str) -> None:
    frame = varve.Client(url).events(NAME, DAY, HOUR[0])
    assert frame["kind"].tolist()[:2] == ["started", "connected"]
    assert frame["time"].iloc[0] == pd.Timestamp(DAY)
    assert list(frame.columns) == ["channel", "time", "kind", "to", "cause", "count", "detail"]
    assert len(varve.Client(url, frame="polars").events(match="SR:PS*", start=DAY, end=HOUR[0])) == 20


def test_channels(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = varve.Client(url)
    frame = client.channels()
    assert len(frame) == 40
    assert frame["name"].is_monotonic_increasing
    row = frame.set_index("name").loc[NAME]
    assert row["samples"] == len(client.samples(NAME, DAY, NEXT_DAY))
    assert row["type"] == "float64"
    assert frame["first"].isna().sum() == 4
    assert client.channels("SR:PS*")["name"].tolist() == [f"SR:PS00{n}:SetPt" for n in range(10)]
    assert client.channels(regex="SR:PS00[12].*")["name"].tolist() == [NAME, "SR:PS002:SetPt"]
    assert len(client.channels("no such")) == 0
    assert varve.Client(url, frame="polars").channels()["name"].to_list() == frame["name"].tolist()
    monkeypatch.setattr("varve.client.CHANNELS_PAGE", 7)
    pd.testing.assert_frame_equal(client.channels(), frame)


def test_facts_are_the_servers_own(url: str) -> None:
    client = varve.Client(url)
    assert client.channel(NAME)["metadata"]["units"] == "A"
    with pytest.raises(varve.UnknownChannel):
        client.channel("nope")
    assert client.status()["channels"]["total"] == 40
    verdicts = client.why([NAME, "SR:PS001:SetP"])
    assert [row["name"] for row in verdicts] == [NAME, "SR:PS001:SetP"]
    assert verdicts[1]["verdict"] == "not_requested"
    assert repr(client) == f"varve.Client('{url}', frame='pandas')"
    with varve.Client(url + "/", tz="UTC") as other:
        assert other.status()["ready"] is True
