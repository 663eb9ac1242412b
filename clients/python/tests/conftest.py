"""Running servers for the tests.

`VARVE_PROGRAMS` names the directory of `archtool` and `archserver`; without it the tests that need them are
skipped, and say so. Channels of every kind of Channel Access come from a real C IOC; it needs `VARVE_LIBCA` and
`VARVE_IOC_PYTHON`, which `cargo xtask test` sets.
"""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.canned import Canned

ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
START_TIMEOUT_S = 120

#: The generated archive: the first day of the standard mix.
DAY = "2026-01-05T00:00:00Z"
NEXT_DAY = "2026-01-06T00:00:00Z"


@pytest.fixture(scope="session")
def programs() -> Path:
    folder = os.environ.get("VARVE_PROGRAMS")
    if not folder:
        pytest.skip("VARVE_PROGRAMS does not name the directory of archtool and archserver")
    return Path(folder)


class Program:
    """A started program, whose output is read to its end."""

    def __init__(self, command: list[str]) -> None:
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace"
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        self.lines.extend(iter(self._process.stdout.readline, ""))

    def address(self) -> str:
        """Wait for the address that it prints."""
        until = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < until:
            for line in list(self.lines):
                found = ADDRESS.search(line)
                if found:
                    return found[0]
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError("the program did not start:\n" + "".join(self.lines))

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join()
            if self._process.stdout is not None:
                self._process.stdout.close()


Serve = Callable[[Path], str]


@pytest.fixture(scope="session")
def serve(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Serve an archive directory on a free port."""
    running: list[Program] = []

    def start(directory: Path) -> str:
        config = tmp_path_factory.mktemp("server") / "archserver.toml"
        config.write_text(f'[http]\nlisten = "127.0.0.1:0"\n[[archives]]\nname = "tests"\ndirectory = "{directory}"\n')
        program = Program([str(programs / "archserver"), "--config", str(config)])
        running.append(program)
        return program.address()

    yield start
    for program in running:
        program.stop()


@pytest.fixture(scope="session")
def url(programs: Path, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the address of a server over a day of 40 channels of the standard mix."""
    directory = tmp_path_factory.mktemp("mix") / "archive"
    generate = [str(programs / "archtool"), "generate", str(directory), "--channels", "40", "--days", "1"]
    subprocess.run([*generate, "--seed", "1"], check=True, capture_output=True)
    return serve(directory)


@pytest.fixture(scope="session")
def ring(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of an engine that archives a simulated ring: a real C IOC over Channel Access."""
    for variable in ("VARVE_LIBCA", "VARVE_IOC_PYTHON"):
        if not os.environ.get(variable):
            pytest.skip(f"{variable} does not name a part of EPICS: `cargo xtask test` installs it")
    directory = tmp_path_factory.mktemp("ring") / "archive"
    program = Program([str(programs / "archtool"), "demo", "--dir", str(directory), "--channels", "40"])
    try:
        address = program.address()
        time.sleep(8)  # as long as the tests look back
        yield address
    finally:
        program.stop()


@pytest.fixture(autouse=True)
def decoded(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clients ask for decoded samples, as they do without the extension; its own tests let it be."""
    if request.module.__name__ != "tests.test_chunks":
        monkeypatch.setattr("varve.client.new_decoder", None)


@pytest.fixture
def canned() -> Iterator[Canned]:
    """Give a server whose answers the test writes."""
    server = Canned()
    try:
        yield server
    finally:
        server.stop()
