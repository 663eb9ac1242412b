"""The built wheel, installed where nothing else is."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

FOLDER = Path(__file__).parent.parent


def test_the_wheel_works_alone(url: str, tmp_path: Path) -> None:
    import shutil

    source = tmp_path / "source"
    shutil.copytree(FOLDER, source, ignore=shutil.ignore_patterns("*.egg-info", "build", "dist", "__pycache__"))
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path / "dist"), str(source)]
    done = subprocess.run(build, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (tmp_path / "dist").glob("varve-*-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "varve/py.typed" in names
    assert not [name for name in names if name.startswith("tests")]
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel)]
    # Without PYTHONPATH, through which pip would find the sources and install nothing.
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(pip, check=True, env=clean)
    # Only numpy came along: arrays work, and a frame says what it lacks.
    script = f"""
import sys, varve
client = varve.Client({url!r})
samples = client.samples("SR:PS001:SetPt", "2026-01-05T03:00:00Z", "2026-01-05T04:00:00Z", as_="numpy")
print(len(samples), samples.value.dtype, sorted({{"pandas", "polars", "pyarrow"}} & set(sys.modules)))
try:
    client.samples("SR:PS001:SetPt")
except ImportError as error:
    print(error)
"""
    environment = {"PATH": "/usr/bin:/bin"}
    said = subprocess.run(
        [str(python), "-c", script], check=True, capture_output=True, text=True, cwd=tmp_path, env=environment
    ).stdout.splitlines()
    count, dtype, others = said[0].split(" ", maxsplit=2)
    assert int(count) > 50
    assert (dtype, others) == ("float64", "[]")
    assert "pip install pandas" in said[1]
