"""The built wheel works where there is no checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_the_wheel_holds_the_small_clip_and_runs_outside_the_checkout(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path / "dist"), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (wheel,) = (tmp_path / "dist").glob("clarify-*.whl")
    assert wheel.stat().st_size < 16_000_000
    place, elsewhere = tmp_path / "installed", tmp_path / "elsewhere"
    elsewhere.mkdir()
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(place),
         str(wheel)],
        check=True,
    )  # fmt: skip
    code = (
        "import clarify\n"
        "from clarify.cli import main\n"
        "from clarify.embed.encoders import load_encoder\n"
        "assert load_encoder('small-clip').encode_phrases(['water']).shape == (1, 192)\n"
        "from clarify.discover.vocabulary import vocabulary\n"
        "assert len(vocabulary()) > 2500\n"
        "print(clarify.__file__)\n"
        "raise SystemExit(main(['diagnose', 'nothing']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert str(place) in done.stdout
    assert done.returncode == 1
    assert "nothing" in done.stderr
