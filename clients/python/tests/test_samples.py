"""Raw samples of generated data, from a real server."""

from __future__ import annotations

import copy
import csv
import io
import json
import pickle
import urllib.request
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import varve
from tests.conftest import DAY, NEXT_DAY

NAME = "SR:PS001:SetPt"
FAST = "SR00:TC000:Temp"
HOUR = ("2026-01-05T03:00:00Z", "2026-01-05T04:00:00Z")


def ask(url: str, path: str, **body: Any) -> bytes:
    request = urllib.request.Request(
        f"{url}/api/v1/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        content: bytes = answer.read()
    return content


def from_csv(url: str, name: str, start: str, end: str) -> list[tuple[int, float]]:
    """Give times and values by another way."""
    text = ask(url, "samples", **{"channel": name, "from": start, "to": end, "format": "csv"}).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    return [(int(np.datetime64(row["time"].rstrip("Z"), "ns").astype(np.int64)), float(row["value"])) for row in rows]


def test_one_channel_is_a_frame_indexed_by_time(url: str) -> None:
    frame = varve.Client(url).samples(NAME, *HOUR)
    assert list(frame.columns) == ["value", "severity", "status"]
    assert frame.index.name == "time"
    assert str(frame.index.dtype) == "datetime64[ns, UTC]"
    assert [str(dtype) for dtype in frame.dtypes] == ["float64", "uint8", "uint16"]
    expected = from_csv(url, NAME, *HOUR)
    assert len(expected) > 50
    assert list(zip(frame.index.asi8.tolist(), frame["value"].tolist())) == expected  # type: ignore[attr-defined]


def test_polars_frames_hold_the_same(url: str) -> None:
    one = varve.Client(url, frame="polars").samples(NAME, *HOUR)
    assert one.columns == ["time", "value", "severity", "status"]
    assert one.schema["time"] == pl.Datetime("ns", "UTC")
    expected = from_csv(url, NAME, *HOUR)
    assert list(zip(one["time"].cast(pl.Int64).to_list(), one["value"].to_list())) == expected
    assert one.attrs["varve"]["units"] == "A"  # type: ignore[attr-defined]


def test_several_channels_are_a_long_frame(url: str) -> None:
    names = [FAST, NAME]
    frame = varve.Client(url).samples(names, *HOUR)
    assert list(frame.columns) == ["channel", "time", "value", "severity", "status"]
    assert isinstance(frame["channel"].dtype, pd.CategoricalDtype)
    assert list(frame["channel"].cat.categories) == names
    for name in names:
        part = frame[frame["channel"] == name]
        got = part["time"].astype("int64").tolist()
        assert list(zip(got, part["value"].tolist())) == from_csv(url, name, *HOUR)
    about = frame.attrs["varve"]["channels"]
    assert {name: about[name]["units"] for name in names} == {FAST: "degC", NAME: "A"}
    assert len(varve.Client(url).samples([NAME], *HOUR).columns) == 5


def test_long_polars_frames_are_categorical(url: str) -> None:
    frame = varve.Client(url, frame="polars").samples([NAME, FAST], *HOUR)
    assert frame.schema["channel"] == pl.Enum([NAME, FAST])
    counts = dict(frame["channel"].value_counts().iter_rows())
    assert counts == {name: len(from_csv(url, name, *HOUR)) for name in (NAME, FAST)}


def test_a_glob_stands_for_names(url: str) -> None:
    frame = varve.Client(url).samples(match="SR:PS00?:SetPt", start=HOUR[0], end=HOUR[1])
    assert list(frame["channel"].cat.categories) == [f"SR:PS00{n}:SetPt" for n in range(10)]


def test_attrs_say_what_the_samples_do_not(url: str) -> None:
    said = varve.Client(url).samples(NAME, "2026-01-05T00:00:30Z", HOUR[0], after=True).attrs["varve"]
    assert said["name"] == NAME
    assert said["type"] == "float64"
    assert said["units"] == "A"
    assert said["precision"] == 3
    assert said["states"] is None
    assert said["complete"] is True
    assert said["problems"] == []
    assert said["edge"] is None
    assert said["range"] == {"from_ns": 1767571230000000000, "to_ns": 1767582000000000000}
    first = from_csv(url, NAME, DAY, NEXT_DAY)[0][0]
    assert said["gaps"] == [{"from_ns": 1767571230000000000, "to_ns": first, "state": "unknown"}]
    assert said["after"]["time_ns"] >= said["range"]["to_ns"]
    assert said["segments"] == [{"row": 0, "type": "float64", "metadata": said["metadata"]}]


def test_the_edge_is_the_value_before_the_range(url: str) -> None:
    samples = from_csv(url, NAME, DAY, NEXT_DAY)
    time_ns, value = samples[10]
    start, end = np.datetime64(time_ns + 1, "ns"), np.datetime64(samples[12][0], "ns")
    frame = varve.Client(url).samples(NAME, start, end)
    assert frame.index.asi8.tolist() == [samples[11][0]]  # type: ignore[attr-defined]
    edge = frame.attrs["varve"]["edge"]
    assert (edge["time_ns"], edge["value"], edge["held"]) == (time_ns, value, True)
    assert varve.Client(url).samples(NAME, start, end, edge=False).attrs["varve"]["edge"] is None


def test_an_instant_has_no_samples_but_an_edge(url: str) -> None:
    time_ns, value = from_csv(url, NAME, DAY, NEXT_DAY)[5]
    instant = np.datetime64(time_ns, "ns")
    frame = varve.Client(url).samples(NAME, instant, instant)
    assert len(frame) == 0
    assert str(frame.index.dtype) == "datetime64[ns, UTC]"
    assert frame["value"].dtype == np.float64
    edge = frame.attrs["varve"]["edge"]
    assert (edge["time_ns"], edge["value"]) == (time_ns, value)


def test_an_empty_range_is_an_empty_frame(url: str) -> None:
    for kind in ("pandas", "polars"):
        client: varve.Client[Any] = varve.Client(url, frame=kind)
        assert len(client.samples(NAME, "2025-01-01T00:00:00Z", "2025-01-02T00:00:00Z")) == 0
        assert len(client.samples([NAME, FAST], "2025-01-01T00:00:00Z", "2025-01-02T00:00:00Z")) == 0
        assert len(client.samples("SR:BPM000:X", DAY, NEXT_DAY)) == 0


def test_attrs_survive_what_pandas_does_with_them(url: str) -> None:
    client = varve.Client(url)
    parts = [client.samples(NAME, *HOUR) for _ in range(2)]
    assert pd.concat(parts).attrs == parts[0].attrs
    assert json.loads(json.dumps(parts[0].attrs)) == parts[0].attrs
    assert copy.deepcopy(parts[0]).attrs == parts[0].attrs


def test_numpy_needs_no_other_library(url: str) -> None:
    samples = varve.Client(url).samples(NAME, *HOUR, as_="numpy")
    assert samples.time.dtype == np.dtype("datetime64[ns]")
    expected = from_csv(url, NAME, *HOUR)
    assert list(zip(samples.time.astype(np.int64).tolist(), samples.value.tolist())) == expected
    assert len(samples) == len(expected)
    (segment,) = samples.segments
    assert (segment.first, segment.behind, segment.type) == (0, len(expected), "float64")


def test_xarray_can_be_written_to_a_file(url: str) -> None:
    made = varve.Client(url).samples(NAME, *HOUR, as_="xarray")
    assert dict(made.sizes) == {"time": len(from_csv(url, NAME, *HOUR))}
    assert made["value"].attrs["units"] == "A"
    assert json.loads(made.attrs["varve"])["name"] == NAME


def test_limit_and_order(url: str) -> None:
    client = varve.Client(url)
    samples = from_csv(url, NAME, *HOUR)
    oldest = client.samples(NAME, *HOUR, limit=7)
    assert oldest.index.asi8.tolist() == [time_ns for time_ns, _ in samples[:7]]  # type: ignore[attr-defined]
    assert oldest.attrs["varve"]["next"]
    newest = client.samples(NAME, *HOUR, limit=3, order="desc")
    assert newest.index.asi8.tolist() == [time_ns for time_ns, _ in samples[:-4:-1]]  # type: ignore[attr-defined]
    both = client.samples([NAME, FAST], *HOUR, limit=5)
    assert both["channel"].value_counts().to_dict() == {NAME: 5, FAST: 5}


def test_values_can_be_converted(url: str) -> None:
    frame = varve.Client(url).samples(NAME, *HOUR, convert="string", limit=2)
    expected = from_csv(url, NAME, *HOUR)
    assert [float(text) for text in frame["value"]] == [value for _, value in expected[:2]]


def test_iteration_gives_the_same_in_bounded_frames(url: str) -> None:
    client = varve.Client(url)
    whole = client.samples(FAST, DAY, NEXT_DAY)
    parts = list(client.samples_iter(FAST, DAY, NEXT_DAY, batch=10_000))
    assert [len(part) for part in parts] == [10_000] * (len(whole) // 10_000) + [len(whole) % 10_000]
    joined = pd.concat(parts)
    assert joined["value"].equals(whole["value"])
    gaps = [gap for part in parts for gap in part.attrs["varve"]["gaps"]]
    total = sum(gap["to_ns"] - gap["from_ns"] for gap in gaps)
    assert total == sum(gap["to_ns"] - gap["from_ns"] for gap in whole.attrs["varve"]["gaps"])
    several = list(client.samples_iter([NAME, FAST], *HOUR, batch=1000, limit=1500))
    assert [(part["channel"].iloc[0], len(part)) for part in several] == [
        (NAME, len(from_csv(url, NAME, *HOUR))),
        (FAST, 1000),
        (FAST, 500),
    ]


@pytest.mark.parametrize("page", [1000, 30_000])
def test_pages_make_no_difference(url: str, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    whole = varve.Client(url).samples(FAST, DAY, NEXT_DAY)
    monkeypatch.setattr("varve.retrieval.PAGE_SAMPLES", page)
    paged = varve.Client(url).samples(FAST, DAY, NEXT_DAY)
    pd.testing.assert_frame_equal(paged, whole)
    assert paged.attrs == whole.attrs


def test_groups_make_no_difference(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [NAME, FAST, "SR:DCCT000:Current", "SR:VLV001:Status", "SR:PS002:SetPt"]
    whole = varve.Client(url).samples(names, *HOUR)
    globbed = varve.Client(url).samples(match="SR:*", start=HOUR[0], end=HOUR[1])
    monkeypatch.setattr("varve.retrieval.GROUP_SAMPLES", 2000)
    split = varve.Client(url).samples(names, *HOUR)
    pd.testing.assert_frame_equal(split, whole)
    assert split.attrs == whole.attrs
    pd.testing.assert_frame_equal(varve.Client(url).samples(match="SR:*", start=HOUR[0], end=HOUR[1]), globbed)


def test_progress_ends_at_all(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    told: list[tuple[int, int | None]] = []
    frame = varve.Client(url).samples(FAST, DAY, NEXT_DAY, progress=lambda done, of: told.append((done, of)))
    assert told[-1] == (len(frame), len(frame))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    varve.Client(url).samples([NAME, FAST], *HOUR, progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.endswith(" samples\n")
    assert "100%" in shown.err


def test_unknown_names_come_with_near_ones(url: str) -> None:
    client = varve.Client(url)
    with pytest.raises(varve.UnknownChannel) as caught:
        client.samples("SR:PS001:SetP", *HOUR)
    assert NAME in caught.value.near
    assert caught.value.status == 404
    assert caught.value.code == "unknown_channel"
    with pytest.raises(varve.UnknownChannel) as caught:
        client.samples([NAME, "SR:PS001:SetP"], *HOUR)
    assert caught.value.channel == "SR:PS001:SetP"
    assert NAME in caught.value.near
    assert "SR:PS001:SetP" in str(caught.value)
    frame = client.samples([NAME, "SR:PS001:SetP"], *HOUR, unknown="skip")
    assert list(frame["channel"].cat.categories) == [NAME]
    assert NAME in frame.attrs["varve"]["unknown"]["SR:PS001:SetP"]
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), again.near, str(again)) == (type(caught.value), caught.value.near, str(caught.value))


@pytest.mark.parametrize("name", ["A,B", "a b+c", "x{y}[0]<1>/#;^&=%", "ü\N{SNOWMAN}", '"\\', "-1h", "*"])
def test_names_may_hold_anything(url: str, name: str) -> None:
    with pytest.raises(varve.UnknownChannel) as caught:
        varve.Client(url).samples(name, *HOUR)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("ask_badly", "kind", "parameter"),
    [
        (lambda c: c.samples(NAME, "soon"), varve.BadTime, "from"),
        (lambda c: c.samples(NAME, "2026-01-05T08:00:00"), varve.BadTime, "from"),
        (lambda c: c.samples(NAME, HOUR[1], HOUR[0]), varve.BadTime, None),
        (lambda c: c.samples(NAME, *HOUR, limit=-1), varve.BadParameter, "limit"),
        (lambda c: c.samples(NAME, *HOUR, order="sideways"), varve.BadParameter, "order"),
        (lambda c: c.channels(state="asleep"), varve.BadParameter, "state"),
    ],
)
def test_refusals_are_typed(
    url: str, ask_badly: Callable[[Any], Any], kind: type[varve.ServerError], parameter: str | None
) -> None:
    with pytest.raises(kind) as caught:
        ask_badly(varve.Client(url))
    assert caught.value.status == 400
    if parameter is not None:
        assert caught.value.parameter == parameter


def test_misuse_is_told_before_anything_is_asked() -> None:
    client = varve.Client("http://127.0.0.1:1", retries=0)
    with pytest.raises(TypeError, match="name channels"):
        client.samples()
    with pytest.raises(ValueError, match="channels is empty"):
        client.samples([])
    with pytest.raises(ValueError, match="as_="):
        client.samples(NAME, as_="list")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="one channel"):
        client.samples([NAME], as_="xarray")
    with pytest.raises(ValueError, match="at least 1"):
        next(client.samples_iter(NAME, batch=0))
    with pytest.raises(ValueError, match="one of bins= and width="):
        client.bins(NAME)
    with pytest.raises(ValueError, match="not an address"):
        varve.Client("archive:17668")
    with pytest.raises(ValueError, match="neither 'pandas' nor 'polars'"):
        varve.Client("http://archive", frame="spark")  # type: ignore[call-overload]
    with pytest.raises(varve.Unreachable):
        client.samples(NAME)


def test_many_threads_may_share_a_client(url: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    client = varve.Client(url)
    expected = len(client.samples(NAME, *HOUR))
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda _: len(client.samples(NAME, *HOUR)), range(40)))
    assert counts == [expected] * 40
    client.close()


def test_an_arrow_stream_holds_what_columns_hold(url: str) -> None:
    ipc = pytest.importorskip("pyarrow.ipc")
    body = {"channel": [NAME, FAST], "from": HOUR[0], "to": HOUR[1], "format": "arrow"}
    table = ipc.open_stream(ask(url, "samples", **body)).read_all()
    assert table.column_names == ["channel", "time", "value", "severity", "status"]
    told = json.loads(table.schema.metadata[b"varve"])
    assert [channel["name"] for channel in told["channels"]] == [NAME, FAST]
    frame = table.to_pandas()
    for name in (NAME, FAST):
        ours = varve.Client(url).samples(name, *HOUR)
        theirs = frame[frame["channel"] == name]
        assert len(theirs) == len(ours) > 50
        assert (theirs["time"].to_numpy() == ours.index.to_numpy()).all()
        for column in ("value", "severity", "status"):
            assert theirs[column].to_numpy().tobytes() == ours[column].to_numpy().tobytes()
