"""Values of every type, in streams written from PROTOCOL.md."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import varve
from tests import wire
from tests.canned import Canned

EXTREMES: dict[str, list[Any]] = {
    "bool": [True, False],
    "int8": [-128, 127],
    "int16": [-(1 << 15), (1 << 15) - 1],
    "int32": [-(1 << 31), (1 << 31) - 1],
    "int64": [-(1 << 63), (1 << 63) - 1],
    "uint8": [0, 255],
    "uint16": [0, (1 << 16) - 1],
    "uint32": [0, (1 << 32) - 1],
    "uint64": [0, (1 << 64) - 1],
    "float32": [1.5, float("-inf")],
    "float64": [5e-324, float("inf")],
}


def one(canned: Canned, *batches: bytes, count: int, **more: Any) -> varve.Client[Any]:
    canned.columns(wire.stream(batches, [wire.about("A", count, **more)], count))
    return varve.Client(canned.url, retries=0)


@pytest.mark.parametrize("kind", EXTREMES)
def test_numbers_keep_their_type(canned: Canned, kind: str) -> None:
    values = EXTREMES[kind]
    batch = wire.batch("A", kind, [-(1 << 62), (1 << 62)], values)
    frame = one(canned, batch, count=2).samples("A")
    assert frame["value"].dtype == np.dtype(kind)
    assert frame["value"].tolist() == values
    assert frame.index.asi8.tolist() == [-(1 << 62), 1 << 62]
    canned.columns(wire.stream([batch], [wire.about("A", 2)], 2))
    polar = varve.Client(canned.url, frame="polars").samples("A")
    assert polar["value"].to_list() == values
    assert polar["value"].dtype == pl.Series(np.empty(0, kind)).dtype


def test_nan_keeps_its_bits(canned: Canned) -> None:
    bits = [0x7FF8000000000001, 0xFFF0000000000123]
    values = [struct.unpack("<d", struct.pack("<Q", b))[0] for b in bits]
    samples = one(canned, wire.batch("A", "float64", [1, 2], values), count=2).samples("A", as_="numpy")
    assert samples.value.view(np.uint64).tolist() == bits


STRINGS = ["", "plain", "ünïcode \N{SNOWMAN}", "a,b\n", "\0end"]


def test_texts(canned: Canned) -> None:
    batch = wire.batch("A", "string", [1, 2, 3, 4, 5], STRINGS)
    assert one(canned, batch, count=5).samples("A")["value"].tolist() == STRINGS
    canned.columns(wire.stream([batch], [wire.about("A", 5)], 5))
    assert varve.Client(canned.url, frame="polars").samples("A")["value"].to_list() == STRINGS
    latin = wire.batch("A", "string", [1, 2], [b"\xb0C", "°C".encode()])
    assert one(canned, latin, count=2).samples("A")["value"].tolist() == ["°C", "°C"]


def test_texts_of_several_batches(canned: Canned) -> None:
    batches = [wire.batch("A", "string", [n], [f"text {n}" * n]) for n in range(5)]
    frame = one(canned, *batches, count=5).samples("A")
    assert frame["value"].tolist() == [f"text {n}" * n for n in range(5)]
    assert len(frame.attrs["varve"]["segments"]) == 1


@pytest.mark.parametrize("frame", ["pandas", "polars"])
@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("float64[]", [[1.0, 2.0], [3.0, 4.0]]),
        ("int16[]", [[1], [], [2, 3, 4]]),
        ("string[]", [["a", "bc"], [], ["", "ü"]]),
        ("bool[]", [[True], [False, True]]),
        ("uint64[]", [[(1 << 64) - 1]]),
    ],
)
def test_arrays(canned: Canned, frame: str, kind: str, values: list[list[Any]]) -> None:
    count = len(values)
    canned.columns(wire.stream([wire.batch("A", kind, range(count), values)], [wire.about("A", count)], count))
    client: varve.Client[Any] = varve.Client(canned.url, frame=frame)  # type: ignore[call-overload]
    got = client.samples("A")["value"]
    if frame == "pandas":
        assert all(isinstance(item, np.ndarray) for item in got)
        assert [item.tolist() for item in got] == values
    else:
        assert got.to_list() == values


def test_waveforms_are_a_matrix(canned: Canned) -> None:
    values = [[1, 2, 3], [4, 5, 6]]
    batch = wire.batch("A", "int32[]", [1, 2], values, metadata={"units": "mV", "description": "a trace"})
    made = one(canned, batch, count=2).samples("A", as_="xarray")
    assert made["value"].dims == ("time", "element")
    assert made["value"].dtype == np.int32
    assert made["value"].values.tolist() == values
    assert made["value"].attrs == {"units": "mV", "long_name": "a trace"}
    assert made["time"].values.astype(np.int64).tolist() == [1, 2]
    assert "length" not in made


def test_waveforms_of_different_lengths(canned: Canned) -> None:
    batch = wire.batch("A", "int32[]", [1, 2, 3], [[1, 2, 3], [], [4]])
    made = one(canned, batch, count=3).samples("A", as_="xarray")
    np.testing.assert_array_equal(made["value"].values, [[1, 2, 3], [np.nan] * 3, [4, np.nan, np.nan]])
    assert made["length"].values.tolist() == [3, 0, 1]
    texts = wire.batch("A", "string[]", [1, 2], [["a"], ["b", "c"]])
    assert one(canned, texts, count=2).samples("A", as_="xarray")["value"].values.tolist() == [["a", ""], ["b", "c"]]
    assert one(canned, count=0).samples("A", as_="xarray").sizes == {"time": 0}


STATES = {"states": ["Closed", "Open", "Moving"]}


def test_enums_are_categories(canned: Canned) -> None:
    batch = wire.batch("A", "enum", [1, 2, 3], [1, 0, 1], metadata=STATES)
    frame = one(canned, batch, count=3).samples("A")
    assert frame["value"].tolist() == ["Open", "Closed", "Open"]
    assert frame["value"].cat.categories.tolist() == STATES["states"]
    assert frame["value"].cat.codes.tolist() == [1, 0, 1]
    assert frame.attrs["varve"]["states"] == STATES["states"]
    assert one(canned, batch, count=3).samples("A", enum="index")["value"].tolist() == [1, 0, 1]
    canned.columns(wire.stream([batch], [wire.about("A", 3)], 3))
    polar = varve.Client(canned.url, frame="polars").samples("A")["value"]
    assert polar.to_list() == ["Open", "Closed", "Open"]
    assert polar.dtype == pl.Enum(STATES["states"])


def test_states_that_change_and_indices_without_a_name(canned: Canned) -> None:
    first = wire.batch("A", "enum", [1, 2], [1, 0], metadata=STATES)
    second = wire.batch("A", "enum", [3, 4, 5], [0, 1, 7], metadata={"states": ["Open", "Open"]})
    frame = one(canned, first, second, count=5).samples("A")
    assert frame["value"].tolist() == ["Open", "Closed", "Open", "Open", "7"]
    assert frame["value"].cat.categories.tolist() == ["Closed", "Open", "Moving", "7"]
    assert [segment["row"] for segment in frame.attrs["varve"]["segments"]] == [0, 2]
    unknown = wire.batch("A", "enum", [1, 2], [3, 0])
    assert one(canned, unknown, count=2).samples("A")["value"].tolist() == ["3", "0"]


def test_enums_without_samples_have_their_states(canned: Canned) -> None:
    edge = wire.batch("A", "enum", [-5], [2], metadata=STATES, edge=1, held=True)
    frame = one(canned, edge, count=0).samples("A")
    assert frame["value"].cat.categories.tolist() == STATES["states"]
    said = frame.attrs["varve"]["edge"]
    assert (said["value"], said["label"], said["time_ns"], said["held"]) == (2, "Moving", -5, True)


def test_a_type_that_changes_keeps_every_value(canned: Canned) -> None:
    integers = wire.batch("A", "int32", [1, 2], [1, -2])
    doubles = wire.batch("A", "float64", [3], [0.5])
    frame = one(canned, integers, doubles, count=3).samples("A")
    assert frame["value"].dtype == np.float64
    assert frame["value"].tolist() == [1.0, -2.0, 0.5]
    assert [segment["type"] for segment in frame.attrs["varve"]["segments"]] == ["int32", "float64"]
    large = wire.batch("A", "int64", [1], [(1 << 53) + 1])
    values = one(canned, large, doubles, count=2).samples("A")["value"]
    assert values.dtype == object
    assert values.tolist() == [(1 << 53) + 1, 0.5]
    texts = wire.batch("A", "string", [4], ["off"])
    assert one(canned, integers, texts, count=3).samples("A")["value"].tolist() == [1, -2, "off"]
    enums = wire.batch("A", "enum", [5], [1], metadata=STATES)
    assert one(canned, integers, enums, count=3).samples("A")["value"].tolist() == [1, -2, "Open"]
    canned.columns(wire.stream([integers, enums], [wire.about("A", 3)], 3))
    assert varve.Client(canned.url, frame="polars").samples("A")["value"].to_list() == [1, -2, "Open"]


def test_channels_of_several_types_side_by_side(canned: Canned) -> None:
    batches = [
        wire.batch("A", "float64", [1], [0.5]),
        wire.batch("B", "enum", [1], [1], channel=1, metadata=STATES),
        wire.batch("C", "string", [1], ["x"], channel=2),
        wire.batch("D", "float64[]", [1], [[1.0]], channel=3),
    ]
    about = [wire.about(name, 1) for name in "ABCD"]
    canned.columns(wire.stream(batches, about, 4))
    frame = varve.Client(canned.url).samples(list("ABCD"))
    assert frame["channel"].tolist() == list("ABCD")
    assert frame["value"].tolist()[:3] == [0.5, "Open", "x"]
    assert frame["value"][3].tolist() == [1.0]
    canned.columns(wire.stream(batches[1:2], about[1:2], 1))
    assert varve.Client(canned.url).samples(["B"])["value"].dtype == "category"


def test_structures_are_bytes(canned: Canned) -> None:
    batch = wire.batch("A", "structure", [1, 2], [b"\x01\x02", b""], extra=[(12, 7, b"descriptor")])
    samples = one(canned, batch, count=2).samples("A", as_="numpy")
    assert samples.value.tolist() == [b"\x01\x02", b""]
    assert samples.segments[0].descriptor == b"descriptor"
    assert one(canned, batch, count=2).samples("A")["value"].tolist() == [b"\x01\x02", b""]
    canned.columns(wire.stream([batch], [wire.about("A", 2)], 2))
    assert varve.Client(canned.url, frame="polars").samples("A")["value"].to_list() == [b"\x01\x02", b""]


def test_what_only_some_batches_have(canned: Canned) -> None:
    tagged = [(7, 6, struct.pack("<2q", 11, 12)), (8, 6, struct.pack("<2q", 7, -7))]
    message = [(9, 13, b"lowhigh"), (10, 10, struct.pack("<3Q", 0, 3, 7))]
    first = wire.batch("A", "float64", [1], [0.0])
    second = wire.batch("A", "float64", [2, 3], [0.0, 1.0], extra=[*tagged, *message])
    third = wire.batch("A", "float64", [4], [0.0])
    frame = one(canned, first, second, third, count=4).samples("A")
    assert frame["received"].isna().tolist() == [True, False, False, True]
    assert frame["received"].dropna().astype("int64").tolist() == [11, 12]
    assert frame["user_tag"].tolist() == [0, 7, -7, 0]
    assert frame["message"].tolist() == ["", "low", "high", ""]
    canned.columns(wire.stream([first, second, third], [wire.about("A", 4)], 4))
    polar = varve.Client(canned.url, frame="polars").samples("A")
    assert polar["received"].cast(pl.Int64).to_list() == [None, 11, 12, None]


def test_samples_beside_the_range_are_no_rows(canned: Canned) -> None:
    batches = [
        wire.batch("A", "float64[]", [-1], [[1.0, 2.0]], edge=1, held=False, metadata={"units": "old"}),
        wire.batch("A", "int32", [5], [3], edge=0),
        wire.batch("A", "int32", [6, 7], [4, 5], edge=0),
        wire.batch("A", "string", [10**9], ["later"], edge=1),
    ]
    frame = one(canned, *batches, count=3).samples("A", after=True)
    assert frame["value"].tolist() == [3, 4, 5]
    said = frame.attrs["varve"]
    assert said["edge"] == {
        "time_ns": -1,
        "type": "float64[]",
        "value": [1.0, 2.0],
        "severity": 0,
        "status": 0,
        "held": False,
        "metadata": {"units": "old"},
    }
    assert (said["after"]["value"], said["after"]["held"]) == ("later", None)
    wrong = wire.batch("A", "int32", [1, 2], [1, 2], edge=1)
    with pytest.raises(varve.BrokenStream, match="batch of its own"):
        one(canned, wrong, count=0).samples("A")


def test_problems_and_aliases_are_told(canned: Canned) -> None:
    problem = {"code": "damaged", "channel": "A", "from_ns": 1, "to_ns": 2, "file": "x", "message": "m"}
    canned.columns(wire.stream([], [wire.about("A", 0, channel="B")], 0, problems=[problem]))
    said = varve.Client(canned.url).samples("A").attrs["varve"]
    assert (said["complete"], said["problems"], said["channel"]) == (False, [problem], "B")
    assert json.loads(json.dumps(said)) == said


def test_alarms_have_names(canned: Canned) -> None:
    batch = wire.batch("A", "float64", [1, 2], [0.0, 1.0], severity=[3, 1])
    frame = one(canned, batch, count=2).samples("A")
    assert [varve.SEVERITY[code] for code in frame["severity"]] == ["INVALID", "MINOR"]
    assert varve.STATUS[17] == "UDF"
    assert len(varve.STATUS) == 22
    assert isinstance(frame, pd.DataFrame)
