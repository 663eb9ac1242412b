"""Samples that come as the archive has stored them are those that come decoded."""

from __future__ import annotations

import gzip
import random
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import varve
from tests import wire
from tests.canned import Canned
from tests.conftest import DAY, NEXT_DAY, Serve
from varve.columns import CHUNKS_MEDIA_TYPE, EXTENTS, KIND_CHUNKS, KIND_LENDERS, STORED
from varve.native import new_decoder

pytestmark = pytest.mark.skipif(
    new_decoder is None, reason="the extension varve_native is not installed: clients/test builds it"
)


@pytest.fixture(scope="module")
def sealed(programs: Path, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the address of a server over a day of the standard mix whose weeks are sealed."""
    directory = tmp_path_factory.mktemp("sealed") / "archive"
    archtool = str(programs / "archtool")
    generate = [archtool, "generate", str(directory), "--channels", "40", "--days", "1", "--seed", "2"]
    subprocess.run(generate, check=True, capture_output=True)
    subprocess.run([archtool, "seal", str(directory)], check=True, capture_output=True)
    return serve(directory)


def raw(url: str, body: dict[str, Any]) -> bytes:
    client = varve.Client(url)
    with client._connections.post("samples", body) as response:
        assert response.content_type == CHUNKS_MEDIA_TYPE
        content = response.read()
    client.close()
    return content


def blocks(content: bytes) -> list[tuple[int, bytes]]:
    """Give kind and bytes of each block."""
    at, found = 16, []
    while at < len(content):
        size = int.from_bytes(content[at + 8 : at + 16], "little")
        found.append((int.from_bytes(content[at : at + 4], "little"), content[at : at + size]))
        at += size
    return found


def columns_of(block: bytes) -> dict[int, bytearray]:
    found = {}
    for entry in range(64, 64 + 24 * int.from_bytes(block[4:8], "little"), 24):
        tag = int.from_bytes(block[entry : entry + 4], "little")
        offset = int.from_bytes(block[entry + 8 : entry + 16], "little")
        size = int.from_bytes(block[entry + 16 : entry + 24], "little")
        found[tag] = bytearray(block[offset : offset + size])
    return found


def compare(url: str, *arguments: Any, **options: Any) -> int:
    """Ask both ways and give the number of rows."""
    stored, decoded = varve.Client(url, chunks=True), varve.Client(url, chunks=False)
    one, other = stored.samples(*arguments, **options), decoded.samples(*arguments, **options)
    pd.testing.assert_frame_equal(one, other)
    assert one.attrs == other.attrs
    stored.close()
    decoded.close()
    return len(one)


@pytest.mark.parametrize("address", ["url", "sealed"])
def test_every_channel_of_the_mix_comes_out_the_same(address: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(address)
    names = varve.Client(url).channels()["name"].tolist()
    assert len(names) == 40
    rows = sum(compare(url, name, DAY, NEXT_DAY) for name in names)
    assert rows > 100_000
    assert compare(url, names[:7], DAY, NEXT_DAY) > 0


@pytest.mark.parametrize("address", ["url", "sealed"])
def test_odd_ranges_and_limits_come_out_the_same(address: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(address)
    names = varve.Client(url).channels()["name"].tolist()
    begin = int(pd.Timestamp(DAY).value)
    chance = random.Random(5)
    for _ in range(30):
        first, last = sorted(begin + chance.randrange(86_400 * 10**9) for _ in range(2))
        start, end = (pd.Timestamp(time, tz="UTC") for time in (first, last))
        compare(url, chance.choice(names), start, end, limit=chance.choice([None, 1000, 20_000]))


def test_chunks_are_what_came(sealed: str) -> None:
    names = varve.Client(sealed).channels()["name"].tolist()
    content = raw(sealed, {"channel": names, "from": DAY, "to": NEXT_DAY, "format": "chunks"})
    plain = raw_columns(sealed, names)
    kinds = [kind for kind, _ in blocks(content)]
    assert kinds.count(KIND_CHUNKS) >= 30
    assert len(content) * 2 < len(plain)


def raw_columns(url: str, names: list[str]) -> bytes:
    client = varve.Client(url)
    with client._connections.post("samples", {"channel": names, "from": DAY, "to": NEXT_DAY, "format": "columns"}) as r:
        content = r.read()
    client.close()
    return content


def test_hostile_chunks_are_exceptions(sealed: str) -> None:
    assert new_decoder is not None
    names = varve.Client(sealed).channels()["name"].tolist()
    content = raw(sealed, {"channel": names, "from": DAY, "to": NEXT_DAY, "format": "chunks"})
    chance = random.Random(1)
    decoder, kept = new_decoder(), []
    for kind, block in blocks(content):
        if kind == KIND_LENDERS:
            found = columns_of(block)
            decoder.lend(found[STORED], found[EXTENTS])
        if kind == KIND_CHUNKS:
            kept.append(columns_of(block))
    refused = 0
    for _ in range(3000):
        found = chance.choice(kept)
        stored, extents = bytearray(found[STORED]), bytearray(found[EXTENTS])
        spoilt = chance.choice([stored, extents])
        way = chance.randrange(3)
        if way == 0:
            del spoilt[chance.randrange(len(spoilt)) :]
        elif way == 1:
            spoilt[chance.randrange(len(spoilt))] ^= 1 << chance.randrange(8)
        else:
            at = chance.randrange(len(spoilt))
            spoilt[at : at + 8] = chance.choice([b"\xff" * 8, bytes(8)])
        for use in (decoder.decode, decoder.lend):
            try:
                use(stored, extents)
            except ValueError:
                refused += 1
    assert refused > 3000
    with pytest.raises(TypeError):
        decoder.decode(1, 2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="pairs"):
        decoder.decode(bytearray(8), bytearray(7))


def test_every_type_comes_out_the_same(canned: Canned) -> None:
    # Sealed, late, in memory; texts, enums, arrays, structures, types and metadata that change: see
    # retrieval-server/tests/it/chunks.rs, which writes them.
    folder = Path(__file__).parent / "data"
    stored, plain = (gzip.decompress((folder / f"{name}.stream.gz").read_bytes()) for name in ("chunks", "columns"))
    assert {1, 2, KIND_CHUNKS, KIND_LENDERS} <= {kind for kind, _ in blocks(stored)}
    canned.answers.append((200, CHUNKS_MEDIA_TYPE, stored, {}))
    canned.columns(plain)
    client = varve.Client(canned.url, retries=0)
    one, other = (client.samples(list("FGNTEAM"), DAY, NEXT_DAY, as_="numpy") for _ in range(2))
    assert len(one) > 5000
    assert one.info == other.info
    assert one.segments == other.segments
    for name in ("time", "severity", "status", "user_tag", "message"):
        ours, theirs = getattr(one, name), getattr(other, name)
        assert ours.dtype == theirs.dtype, name
        assert ours.tolist() == theirs.tolist(), name
    assert plain_values(one.value) == plain_values(other.value)


def plain_values(values: Any) -> str:
    """Give them as text, in which NaN is NaN and a type is told."""
    return repr(
        [(type(value).__name__, value.tolist() if isinstance(value, np.ndarray) else value) for value in values]
    )


def test_damage_is_asked_for_again_as_columns(canned: Canned) -> None:
    extents = np.array([0, 64], "<u8").tobytes()
    block = wire.block(
        KIND_CHUNKS,
        2,
        0,
        12,
        b"A",
        {"type": "float64", "metadata": {}},
        [(EXTENTS, 10, extents), (STORED, 7, bytes(64))],
    )
    canned.answers.append((200, CHUNKS_MEDIA_TYPE, wire.stream([block], [wire.about("A", 2)], 2), {}))
    whole = wire.stream([wire.batch("A", "float64", [1, 2], [0.5, 1.5])], [wire.about("A", 2)], 2)
    canned.columns(whole)
    frame = varve.Client(canned.url, retries=0).samples("A")
    assert frame["value"].tolist() == [0.5, 1.5]
    assert [body["format"] for _, body in canned.requests] == ["chunks", "columns"]


def test_a_server_without_chunks_is_asked_for_columns(canned: Canned) -> None:
    refusal = {"error": {"code": "bad_parameter", "message": "format ..", "parameter": "format"}}
    canned.json(refusal, status=400)
    whole = wire.stream([wire.batch("A", "float64", [1, 2], [0.5, 1.5])], [wire.about("A", 2)], 2)
    canned.columns(whole)
    canned.columns(whole)
    client = varve.Client(canned.url, retries=0)
    assert client.samples("A")["value"].tolist() == client.samples("A")["value"].tolist()
    assert [body["format"] for _, body in canned.requests] == ["chunks", "columns", "columns"]
