"""Measures `samples()` against draining the same response.

Against a running server::

    python benchmarks/samples.py --url http://127.0.0.1:17668 --channel NAME --from T --to T

``--record`` stores the server's answer in a temporary file and measures against a process that replays it from
memory as fast as loopback carries it. Drains and frames alternate. Compared are the best of each, as whatever else
runs on the machine only adds time, and each frame with the drain of its round, of which the median is told: where the
machine is at times faster than at others, one lucky drain says little. The bar is 1.2.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import varve

DRAIN_BYTES = 1 << 20
CHUNK_BYTES = 1 << 18


def body(arguments: argparse.Namespace) -> dict[str, object]:
    """Give the request, the same that `samples` makes."""
    return {
        "channel": [arguments.channel],
        "from": arguments.start,
        "to": arguments.end,
        "format": "columns",
        "edge": True,
    }


@contextmanager
def answer(url: str, request: dict[str, object]) -> Iterator[http.client.HTTPResponse]:
    """Send the request and give its answer."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    try:
        content = json.dumps(request)
        connection.request("POST", "/api/v1/samples", content, {"Content-Type": "application/json"})
        yield connection.getresponse()
    finally:
        connection.close()


def drain(url: str, request: dict[str, object]) -> int:
    """Read the whole answer into one small buffer."""
    buffer = memoryview(bytearray(DRAIN_BYTES))
    total = 0
    with answer(url, request) as response:
        while count := response.readinto(buffer):
            total += count
    return total


@contextmanager
def replay(url: str, request: dict[str, object]) -> Iterator[str]:
    """Record the answer and give the address of a process that replays it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answer"
        with answer(url, request) as response, path.open("wb") as file:
            samples = response.headers["Varve-Samples"]
            while part := response.read(DRAIN_BYTES):
                file.write(part)
        program = Path(__file__).with_name("replay.py")
        command = [sys.executable, str(program), str(path), str(CHUNK_BYTES), samples]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
            finally:
                process.kill()


def timed(work: Callable[[], int]) -> tuple[float, float, int]:
    """Give wall and CPU seconds of this process, and what the work gave."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def compare(title: str, url: str, arguments: argparse.Namespace) -> None:
    """Measure and print both frames against draining."""
    request = body(arguments)
    clients = {
        "pandas": varve.Client(url, frame="pandas"),
        "polars": varve.Client(url, frame="polars"),
    }
    works: dict[str, Callable[[], int]] = {"drain": lambda: drain(url, request)}
    for kind, client in clients.items():
        works[kind] = lambda client=client: len(client.samples(arguments.channel, arguments.start, arguments.end))  # type: ignore[misc]
    measured: dict[str, list[tuple[float, float, int]]] = {name: [] for name in works}
    for work in works.values():
        work()  # imports, and the server's caches
    for _ in range(arguments.rounds):
        for name, work in works.items():
            measured[name].append(timed(work))
    best = {name: min(runs) for name, runs in measured.items()}
    rows = best["pandas"][2]
    megabytes = best["drain"][2] / 1e6
    print(f"{title}: {rows:,} samples, {megabytes:,.0f} MB, best of {arguments.rounds}")
    for name, (wall, cpu, _) in best.items():
        ratio = wall / best["drain"][0]
        rate = rows / wall / 1e6
        rounds = zip(measured[name], measured["drain"], strict=True)
        median = statistics.median(run[0] / drained[0] for run, drained in rounds)
        print(
            f"  {name:7} {wall:7.3f} s wall {cpu:7.3f} s CPU {rate:7.1f} M samples/s"
            f" {ratio:5.2f} x drain, median of the rounds {median:5.2f}"
        )


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--url", required=True, help="address of the server")
    parser.add_argument("--channel", required=True, help="the channel")
    parser.add_argument("--from", dest="start", required=True, help="start of the range")
    parser.add_argument("--to", dest="end", required=True, help="end of the range")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured")
    parser.add_argument("--record", action="store_true", help="measure also against a recorded answer")
    arguments = parser.parse_args()
    compare("server", arguments.url, arguments)
    if arguments.record:
        with replay(arguments.url, body(arguments)) as url:
            compare("replayed from memory", url, arguments)


if __name__ == "__main__":
    main()
