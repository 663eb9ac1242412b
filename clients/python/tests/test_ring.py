"""Channels of a real C IOC, as a running engine archives them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import varve


@pytest.mark.parametrize("frame", ["pandas", "polars"])
def test_every_kind_of_the_ring(ring: str, frame: str) -> None:
    client: varve.Client[object] = varve.Client(ring, frame=frame)  # type: ignore[call-overload]
    for name in ("SR:MODE", "SR:MESSAGE", "SR:C01:BPM1:ORBIT", "SR:DCCT:CURRENT"):
        assert client.samples(name, "-1m").shape[0] > 0, name  # type: ignore[attr-defined]


def test_enums_of_the_ring(ring: str) -> None:
    frame = varve.Client(ring).samples("SR:MODE", "-1m")
    assert list(frame["value"].cat.categories) == ["Shutdown", "Injection", "Top-up", "User beam"]
    assert frame.attrs["varve"]["states"] == ["Shutdown", "Injection", "Top-up", "User beam"]
    valve = varve.Client(ring, frame="polars").samples("SR:C01:VALVE1:STATUS", "-1m")
    assert valve.schema["value"] == pl.Enum(["Closed", "Open"])
    assert varve.Client(ring).at("SR:MODE")["value"].iloc[0] in frame["value"].cat.categories


def test_texts_of_the_ring(ring: str) -> None:
    frame = varve.Client(ring).samples("SR:MESSAGE", "-1m")
    assert "welcome to the simulated ring" in frame["value"].tolist()


def test_waveforms_of_the_ring(ring: str) -> None:
    client = varve.Client(ring)
    made = client.samples("SR:C01:BPM1:ORBIT", "-1m", as_="xarray")
    assert made["value"].dims == ("time", "element")
    assert made["value"].attrs["units"] == "um"
    part = client.samples("SR:C01:BPM1:ORBIT", "-1m", made["time"].values[-1], as_="xarray", elements=(1, 3))
    np.testing.assert_array_equal(part["value"], made["value"][: part.sizes["time"], 1:3])
    assert part.sizes["time"] > 2


def test_a_live_engine_has_news(ring: str) -> None:
    client = varve.Client(ring)
    assert client.why("SR:DCCT:CURRENT")[0]["verdict"] == "archived"
    status = client.status()
    assert status["channels"]["connected"] == 40
    assert set(client.channels()["state"]) == {"connected"}
    mixed = client.samples(["SR:MODE", "SR:MESSAGE", "SR:DCCT:CURRENT"], "-1m")
    kinds = {name: {type(value) for value in part} for name, part in mixed.groupby("channel", observed=True)["value"]}
    assert kinds == {"SR:MODE": {str}, "SR:MESSAGE": {str}, "SR:DCCT:CURRENT": {float}}
