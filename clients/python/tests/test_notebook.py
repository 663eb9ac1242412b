"""The worked notebook runs, and is stored without what it printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "post_mortem.ipynb"


def cells() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in found if cell["cell_type"] == "code"]


def test_the_notebook_holds_no_outputs() -> None:
    assert [cell["outputs"] for cell in cells()] == [[] for _ in cells()]
    assert {cell["execution_count"] for cell in cells()} == {None}


def test_the_cells_run_and_find_the_trip(url: str, tmp_path: Path) -> None:
    check = 'assert around["value"][last] > 100 > 1 > around["value"][trip]\nassert report["complete"]\n'
    script = tmp_path / "post_mortem.py"
    script.write_text("\n\n".join("".join(cell["source"]) for cell in cells()) + "\n\n" + check, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error::FutureWarning", str(script)],
        env={**os.environ, "VARVE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "so it tripped within" in done.stdout
