"""Bodies in chunks of HTTP: however they are cut, they are what was sent, or an error."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable

import pandas as pd
import pytest

import varve
from tests import wire
from tests.canned import Canned
from tests.conftest import DAY, NEXT_DAY

FAST = "SR00:TC000:Temp"
ROWS = 30_000

#: Columns larger and smaller than what is copied, and a text.
LONG = wire.stream(
    [
        wire.batch(
            "A", "float64", range(ROWS), [row / 8 for row in range(ROWS)], severity=[row % 3 for row in range(ROWS)]
        ),
        wire.batch("A", "float64", [ROWS, ROWS + 1], [0.5, 1.5]),
        wire.batch("A", "string", [ROWS + 2], ["text"]),
    ],
    [wire.about("A", ROWS + 3)],
    ROWS + 3,
)


@pytest.fixture(params=["scattered", "one place a call"])
def places(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param != "scattered":
        # What is encrypted is read into one place.
        monkeypatch.setattr("varve.body.ssl.SSLSocket", socket.socket)


def in_chunks(body: bytes, sizes: Iterable[int], extension: bytes = b"") -> bytes:
    """Give the body in chunks of these sizes, the rest in one more."""
    out, at = b"", 0
    for size in [*sizes, len(body)]:
        part = body[at : at + size]
        at += size
        if part:
            out += b"%x%s\r\n%s\r\n" % (len(part), extension, part)
    return out + b"0\r\n\r\n"


def sizes(seed: int) -> list[int]:
    """Give sizes of which small and large ones follow each other."""
    chance = random.Random(seed)
    return [chance.choice([1, 2, 7, 63, 64, 65, 1000, 8192, 65_536, 100_000]) for _ in range(300)]


@pytest.mark.usefixtures("places")
@pytest.mark.parametrize("seed", range(8))
def test_a_body_is_the_same_in_any_chunks(canned: Canned, seed: int) -> None:
    canned.columns(LONG)
    expected = varve.Client(canned.url, retries=0).samples("A", as_="numpy")
    canned.chunked(in_chunks(LONG, sizes(seed), b" ; name=value" if seed % 2 else b""))
    samples = varve.Client(canned.url, retries=0).samples("A", as_="numpy")
    assert samples.value.tolist() == expected.value.tolist()
    assert samples.value.tolist()[-4:] == [(ROWS - 1) / 8, 0.5, 1.5, "text"]
    assert samples.time.tolist() == list(range(ROWS + 3))
    assert samples.severity.tolist() == [row % 3 for row in range(ROWS)] + [0] * 3
    assert samples.segments == expected.segments


@pytest.mark.usefixtures("places")
def test_a_slow_body_is_the_same(url: str) -> None:
    """Bytes that come one by one end in every place where a call may."""
    expected = varve.Client(url).samples(FAST, DAY, NEXT_DAY)

    class Sock(socket.socket):
        chance = random.Random(3)

        def recvmsg_into(self, places, *rest):  # type: ignore[no-untyped-def]
            first = places[0][: self.chance.choice([1, 5, 4000, 1 << 20])]
            return super().recvmsg_into([first] if len(first) < len(places[0]) else places, *rest)

        def recv_into(self, place, *rest):  # type: ignore[no-untyped-def]
            return super().recv_into(place[: self.chance.choice([1, 5, 4000, 1 << 20])], *rest)

    client = varve.Client(url)
    connection = client._connections._new()
    connection.connect()
    plain = connection.sock
    connection.sock = Sock(fileno=plain.detach())
    connection.sock.settimeout(60)
    client._connections._idle.append(connection)
    pd.testing.assert_frame_equal(client.samples(FAST, DAY, NEXT_DAY), expected)
    assert list(client._connections._idle) == [connection]
    client.close()


TWO = wire.stream([wire.batch("A", "float64", [1, 2], [0.5, 1.5])], [wire.about("A", 2)], 2)


@pytest.mark.usefixtures("places")
def test_every_cut_is_an_error(canned: Canned) -> None:
    body = in_chunks(TWO, [20, 100, 3])
    whole = len(body) - len(b"\r\n0\r\n\r\n")
    for length in [*range(0, whole, 3), whole - 1]:
        canned.chunked(body[:length], Connection="close")
        with pytest.raises(varve.BrokenStream):
            varve.Client(canned.url, retries=0).samples("A")
    canned.chunked(body[:whole], Connection="close")
    assert len(varve.Client(canned.url, retries=0).samples("A")) == 2


@pytest.mark.parametrize("line", [b"", b"-5", b"+5", b"0x5", b"1_0", b"g", b"5" * 5000, b";a=b", b"\xd9\xa1"])
def test_what_is_no_size_is_an_error(canned: Canned, line: bytes) -> None:
    canned.chunked(line + b"\r\n" + TWO, Connection="close")
    with pytest.raises(varve.BrokenStream, match="chunk"):
        varve.Client(canned.url, retries=0).samples("A")


def test_a_chunk_that_is_longer_than_it_said_is_an_error(canned: Canned) -> None:
    canned.chunked(b"10\r\n" + TWO[:16] + b"xx%x\r\n" % len(TWO[16:]) + TWO[16:] + b"\r\n0\r\n\r\n", Connection="close")
    with pytest.raises(varve.BrokenStream, match="where a chunk"):
        varve.Client(canned.url, retries=0).samples("A")


def test_the_connection_is_used_again(canned: Canned) -> None:
    client = varve.Client(canned.url, retries=0)
    for _ in range(3):
        canned.chunked(in_chunks(TWO, [50]))
        assert client.samples("A")["value"].tolist() == [0.5, 1.5]
    assert canned.connections == 1
    # Something follows the body: whatever it is, the next answer must not begin with it.
    canned.chunked(in_chunks(TWO, [50]) + b"HTTP/1.1 200 OK\r\n")
    assert len(client.samples("A")) == 2
    canned.chunked(in_chunks(TWO, []))
    assert len(client.samples("A")) == 2
    assert canned.connections == 2
    client.close()
