"""CPU time of `/api/v1/bins` beside DuckDB on the same samples, in the same run.

Needs the release programs and DuckDB, which is compiled into its Python package::

    cargo build --release -p archtool -p retrieval-server
    python -m venv target/duckdb-venv && target/duckdb-venv/bin/pip install duckdb
    target/duckdb-venv/bin/python benches/duckdb/bins.py [DAYS]

Two questions: DI (300 channels at 1 Hz for DAYS, 7) and one channel at 1 Hz for 52 times as long, both with about a
thousand bins of the width that the server chose. DuckDB gets the samples that `archtool export` wrote as Parquet, once
as that file and once as a table of its own, ordered by channel and time, and answers with one thread the statistics
that it has an aggregate for: count, least, greatest, mean and standard deviation. The server answers with all columns
over HTTP. CPU time of the whole process, the best of RUNS; everything from the page cache.
"""

from __future__ import annotations

import datetime
import http.client
import json
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import urllib.parse

import duckdb

RUNS = 5
PROGRAMS = pathlib.Path(__file__).parents[2] / "target" / "release"
#: As `archtool generate` does.
START = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)


def tool(*arguments: object) -> str:
    """What `archtool` prints."""
    done = subprocess.run([PROGRAMS / "archtool", *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


class Server:
    """An `archserver` over one directory."""

    def __init__(self, scratch: pathlib.Path, archive: pathlib.Path) -> None:
        config = scratch / f"{archive.name}.toml"
        config.write_text(
            f'[http]\nlisten = "127.0.0.1:0"\n[[archives]]\nname = "a"\ndirectory = "{archive}"\n', encoding="utf-8"
        )
        self.process = subprocess.Popen(
            [PROGRAMS / "archserver", "--config", config], stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if found := re.search(r"address=http://([\d.]+):(\d+)", line):
                self.connection = http.client.HTTPConnection(found[1], int(found[2]))
                return
        raise SystemExit("archserver did not come up")

    def cpu_ns(self) -> int:
        """CPU time of its threads so far."""
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks)

    def best_ms(self, path: str) -> float:
        """The least CPU time of an answer."""
        best = float("inf")
        for _ in range(RUNS):
            before = self.cpu_ns()
            self.connection.request("GET", path)
            answer = self.connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            best = min(best, (self.cpu_ns() - before) / 1e6)
        return best

    def width_ns(self, path: str) -> int:
        """Width of the bins of an answer."""
        self.connection.request("GET", f"{path}&stats=count&format=csv")
        text = self.connection.getresponse().read(1 << 20).decode()
        self.connection.close()
        names, row = text.splitlines()[:2]
        return int(dict(zip(names.split(","), row.split(","), strict=True))["width_ns"])

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait()


def peer_ms(database: duckdb.DuckDBPyConnection, source: str, width_ns: int) -> float:
    """The least CPU time of the same question to DuckDB."""
    question = f"""
        SELECT channel, epoch_ns(time) // {width_ns} AS bin, count(value), min(value), max(value), avg(value),
               stddev_samp(value)
        FROM {source} GROUP BY channel, bin ORDER BY channel, bin
    """
    best = float("inf")
    for _ in range(RUNS):
        before = resource.getrusage(resource.RUSAGE_SELF)
        database.execute(question).fetchnumpy()
        after = resource.getrusage(resource.RUSAGE_SELF)
        best = min(best, 1e3 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
    return best


def compare(scratch: pathlib.Path, what: str, channels: int, days: int) -> None:
    """Ask both."""
    archive, parquet = scratch / f"archive-{channels}", scratch / f"{channels}.parquet"
    tool("generate", archive, "--preset", "di", "--channels", channels, "--days", days)
    tool("seal", archive)
    listed = [row["name"] for row in json.loads(tool("list", archive, "--json"))["channels"]]
    end = START + datetime.timedelta(days=days)
    range_of = [START.isoformat(), end.isoformat()]
    tool(
        "export", archive, *listed, "--from", range_of[0], "--to", range_of[1], "--to-file", parquet, "--format", "parquet"
    )
    server = Server(scratch, archive)
    path = "/api/v1/bins?" + urllib.parse.urlencode({"match": "*", "from": range_of[0], "to": range_of[1], "bins": 1000})
    width_ns = server.width_ns(path)
    own = server.best_ms(f"{path}&format=columns")
    server.stop()
    database = duckdb.connect(str(scratch / f"{channels}.duckdb"))
    database.execute("SET threads = 1")
    database.execute(f"CREATE TABLE samples AS SELECT channel, time, value FROM '{parquet}' ORDER BY channel, time")
    peers = {"Parquet": peer_ms(database, f"'{parquet}'", width_ns), "table": peer_ms(database, "samples", width_ns)}
    least = min(peers.values())
    asked = ", ".join(f"DuckDB {name} {ms:.0f} ms" for name, ms in peers.items())
    print(f"{what}, bins of {width_ns / 1e9:.0f} s: server {own:.1f} ms, {asked}: {least / own:.0f} times less")


def main() -> None:
    days = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as directory:
        compare(pathlib.Path(directory), f"300 channels, {days} days", 300, days)
        compare(pathlib.Path(directory), f"one channel, {52 * days} days", 1, 52 * days)


if __name__ == "__main__":
    main()
