"""Streams that break, lie or end early: they are asked for again, or they are errors, never data."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pandas as pd
import pytest

import varve
from tests import wire
from tests.canned import Canned, Proxy
from tests.conftest import DAY, NEXT_DAY

FAST = "SR00:TC000:Temp"


@contextmanager
def through(url: str, cut: Callable[[int], int | None]) -> Iterator[Proxy]:
    proxy = Proxy(url, cut)
    try:
        yield proxy
    finally:
        proxy.stop()


def test_a_cut_connection_goes_on_at_the_cursor(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = varve.Client(url).samples(FAST, DAY, NEXT_DAY)
    monkeypatch.setattr("varve.retrieval.PAGE_SAMPLES", 30_000)
    monkeypatch.setattr("varve.retrieval.PAGE_SAMPLES_MIN", 5_000)
    # A page has 600 kB: the second connection breaks in it, the first behind it.
    with through(url, lambda number: (900_000, 200_000, None)[min(number, 2)]) as proxy:
        client = varve.Client(proxy.url)
        resumed = client.samples(FAST, DAY, NEXT_DAY)
        client.close()
        assert proxy.connections == 3
        assert sum(b'"cursor"' in request for request in proxy.requests) >= 2
    pd.testing.assert_frame_equal(resumed, whole)
    assert resumed.attrs == whole.attrs


def test_iteration_goes_on_too(url: str) -> None:
    whole = varve.Client(url).samples(FAST, DAY, NEXT_DAY)
    with through(url, lambda number: 500_000 if number < 2 else None) as proxy:
        parts = list(varve.Client(proxy.url).samples_iter(FAST, DAY, NEXT_DAY, batch=20_000))
        assert proxy.connections == 3
    assert pd.concat(parts)["value"].equals(whole["value"])


def test_several_channels_are_asked_for_again(url: str) -> None:
    names = [FAST, "SR00:TC001:Temp"]
    whole = varve.Client(url).samples(names, DAY, NEXT_DAY)
    with through(url, lambda number: 2_000_000 if number == 0 else None) as proxy:
        again = varve.Client(proxy.url).samples(names, DAY, NEXT_DAY)
        assert proxy.connections == 2
    pd.testing.assert_frame_equal(again, whole)
    assert again.attrs == whole.attrs


@pytest.mark.parametrize("cut", [0, 100, 400, 100_000, 1_000_000])
def test_a_connection_that_always_breaks_is_an_error(url: str, cut: int) -> None:
    with through(url, lambda _: cut) as proxy:
        client = varve.Client(proxy.url, retries=1)
        kinds = (varve.BrokenStream, varve.Unreachable)
        with pytest.raises(kinds):
            client.samples(FAST, DAY, NEXT_DAY)
        with pytest.raises(kinds):
            client.bins(FAST, DAY, NEXT_DAY, width="1s")
        assert proxy.connections == 4


def test_a_stale_connection_is_replaced(url: str) -> None:
    with through(url, lambda _: None) as proxy:
        client = varve.Client(proxy.url, retries=0)
        client.status()
        for connection in list(client._connections._idle):
            connection.sock.shutdown(2)
        assert client.status()["ready"] is True
        assert proxy.connections == 2
        client.close()


TWO = wire.stream([wire.batch("A", "float64", [1, 2], [0.5, 1.5])], [wire.about("A", 2)], 2)


def test_a_canned_stream_is_read(canned: Canned) -> None:
    canned.columns(TWO)
    frame = varve.Client(canned.url, retries=0).samples("A")
    assert frame["value"].tolist() == [0.5, 1.5]
    assert canned.requests == [
        ("/api/v1/samples", {"channel": ["A"], "format": "columns", "edge": True, "limit": 32 << 20})
    ]


def test_every_cut_is_an_error(canned: Canned) -> None:
    client = varve.Client(canned.url, retries=0)
    for length in range(len(TWO)):
        canned.columns(TWO[:length])
        with pytest.raises(varve.BrokenStream):
            client.samples("A")


def test_every_changed_byte_is_an_error(canned: Canned) -> None:
    client = varve.Client(canned.url, retries=0)
    for place in range(len(TWO)):
        changed = bytearray(TWO)
        changed[place] ^= 0x41
        canned.columns(bytes(changed))
        # Only that there is no data: a changed version number asks for a newer package.
        with pytest.raises(varve.VarveError):
            client.samples("A")


def lying(change: Callable[[bytearray], None]) -> bytes:
    """Give the stream with a change and a right checksum."""
    body = bytearray(TWO[:-8])
    change(body)
    return bytes(body) + struct.pack("<Q", zlib.crc32(body))


@pytest.mark.parametrize(
    ("offset", "code", "value", "what"),
    [
        (16 + 4, "I", 2000, "beyond every limit"),
        (16 + 8, "Q", 1 << 62, "cannot be right"),
        (16 + 8, "Q", 12, "cannot be right"),
        (16 + 16, "Q", 1 << 40, "beyond the limit"),
        (16 + 16, "Q", 3, "does not have 3 samples"),
        (16 + 28, "I", 99, "unknown"),
        (16 + 40, "I", 1 << 31, "beyond every limit"),
        (16 + 64, "I", 77, "lacks column 1"),
        (16 + 64 + 8, "Q", 1 << 20, "inside its block"),
        (16 + 64 + 24 + 8, "Q", 64 + 24, "overlaps"),
    ],
)
def test_a_lying_stream_is_an_error(canned: Canned, offset: int, code: str, value: int, what: str) -> None:
    canned.columns(lying(lambda body: struct.pack_into(f"<{code}", body, offset, value)))
    with pytest.raises(varve.BrokenStream, match=what):
        varve.Client(canned.url, retries=0).samples("A")


def test_the_end_block_counts_samples(canned: Canned) -> None:
    canned.columns(wire.stream([wire.batch("A", "float64", [1], [1.0])], [wire.about("A", 2)], 2))
    with pytest.raises(varve.BrokenStream, match="other samples"):
        varve.Client(canned.url, retries=0).samples("A")


def test_offsets_must_fit(canned: Canned) -> None:
    good = wire.batch("A", "string", [1, 2], ["ab", "c"])
    for bad in ((0, 2, 9), (0, 2, 1), (1, 2, 3), (0, 2, 2)):
        changed = good.replace(struct.pack("<3Q", 0, 2, 3), struct.pack("<3Q", *bad))
        assert changed != good
        canned.columns(wire.stream([changed], [wire.about("A", 2)], 2))
        with pytest.raises(varve.BrokenStream, match="offsets"):
            varve.Client(canned.url, retries=0).samples("A")


def test_what_is_newer_by_a_minor_version_is_passed_over(canned: Canned) -> None:
    head = wire.HEAD[:8] + struct.pack("<HHI", 1, 9, 0)
    unknown_block = wire.block(7, 1, 0, 0, b"A", {"new": True}, [(900, 12, bytes(24))])
    unknown_column = wire.batch("A", "float64", [1], [2.5], extra=[(901, 12, bytes(8))])
    canned.columns(wire.stream([unknown_block, unknown_column], [wire.about("A", 1)], 1, head=head))
    assert varve.Client(canned.url).samples("A")["value"].tolist() == [2.5]
    head = wire.HEAD[:8] + struct.pack("<HHI", 2, 0, 0)
    canned.columns(wire.stream([], [wire.about("A", 0)], 0, head=head))
    with pytest.raises(varve.VarveError, match="update the package"):
        varve.Client(canned.url, retries=0).samples("A")


def test_another_format_is_an_error(canned: Canned) -> None:
    canned.json({})
    with pytest.raises(varve.BrokenStream, match="application/json"):
        varve.Client(canned.url, retries=0).samples("A")
    canned.answers.append((200, "text/html", b"<html>", {}))
    with pytest.raises(varve.BrokenStream, match="no JSON"):
        varve.Client(canned.url, retries=0).status()
    canned.answers.append((502, "text/html", b"<html>bad gateway", {}))
    with pytest.raises(varve.ServerError, match=r"502.*bad gateway"):
        varve.Client(canned.url, retries=0).status()


def test_a_busy_server_is_asked_again(canned: Canned) -> None:
    error = {"error": {"code": "too_many", "message": "too many requests"}}
    canned.json(error, 429, **{"Retry-After": "0"})
    canned.json({"error": {"code": "not_ready", "message": "starting"}}, 503, **{"Retry-After": "0"})
    canned.json({"ready": True})
    assert varve.Client(canned.url).status() == {"ready": True}
    canned.json(error, 429, **{"Retry-After": "0"})
    with pytest.raises(varve.TooMany) as caught:
        varve.Client(canned.url, retries=0).status()
    assert caught.value.retry_after_s == 0
    assert caught.value.status == 429


def test_a_slow_server_is_an_error() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = varve.Client(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_s=0.05, retries=0)
        with pytest.raises(varve.Unreachable):
            client.status()


def test_a_checksum_without_a_fast_library_is_the_same(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"SR00:TC00{n}:Temp" for n in range(6)]
    expected = varve.Client(url).samples(names, DAY, NEXT_DAY)
    monkeypatch.setattr("varve.checksum._fast", lambda: None)
    pd.testing.assert_frame_equal(varve.Client(url).samples(names, DAY, NEXT_DAY), expected)
    with through(url, lambda _: 7_000_000) as proxy, pytest.raises(varve.BrokenStream):
        varve.Client(proxy.url, retries=0).samples(names, DAY, NEXT_DAY)


def test_buffers_grow_beside_the_checksum(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that moves while a thread sums its bytes would be a wrong checksum or a crash."""
    expected = varve.Client(url).samples(FAST, DAY, NEXT_DAY)
    monkeypatch.setattr("varve.checksum._fast", lambda: None)
    monkeypatch.setattr("varve.checksum.TURN_BYTES", 1)
    monkeypatch.setattr("varve.buffers.RESERVED_MAX", 1)
    for _ in range(5):
        pd.testing.assert_frame_equal(varve.Client(url).samples(FAST, DAY, NEXT_DAY), expected)


def test_blocks_that_differ_in_their_text_alone_are_told_apart(canned: Canned) -> None:
    """A head that came before is known again; what stands behind it may be another."""
    units = ["mA", "mm", "mA", "mA", "mm"]
    batches = [
        wire.batch("A", "float64", [row], [0.5 + row], metadata={"units": unit}) for row, unit in enumerate(units)
    ]
    assert len({batch[:64] for batch in batches}) == 1
    canned.columns(wire.stream(batches, [wire.about("A", 5)], 5))
    samples = varve.Client(canned.url, retries=0).samples("A", as_="numpy")
    assert samples.value.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5]
    assert [(part.first, part.behind, part.metadata["units"]) for part in samples.segments] == [
        (0, 1, "mA"),
        (1, 2, "mm"),
        (2, 4, "mA"),
        (4, 5, "mm"),
    ]


def test_more_kinds_of_blocks_than_are_remembered(canned: Canned) -> None:
    counts = [1 + row % 23 for row in range(100)]
    batches = [wire.batch("A", "int32", [0] * count, [place] * count) for place, count in enumerate(counts)]
    canned.columns(wire.stream(batches, [wire.about("A", sum(counts))], sum(counts)))
    samples = varve.Client(canned.url, retries=0).samples("A", as_="numpy")
    assert samples.value.tolist() == [place for place, count in enumerate(counts) for _ in range(count)]


def test_alarms_of_what_broke_are_forgotten(canned: Canned) -> None:
    """Where an alarm was and its batch was lost, the batch that comes again has none."""
    alarms = [wire.batch("A", "float64", [row], [0.5], severity=[3]) for row in range(4)]
    calm = [wire.batch("A", "float64", [row], [0.5], severity=[int(row == 2)]) for row in range(4)]
    about = [wire.about("A", 4)]
    canned.columns(wire.stream(alarms, about, 4)[:-1])
    canned.columns(wire.stream(calm, about, 4))
    samples = varve.Client(canned.url, retries=1).samples("A", as_="numpy")
    assert not canned.answers
    assert samples.severity.tolist() == [0, 0, 1, 0]
