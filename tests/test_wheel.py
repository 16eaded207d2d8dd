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
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(place), str(wheel)],
        check=True,
    )
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
    assert "What is your name?" in dashboard_of(place, elsewhere)


def dashboard_of(place: Path, home: Path) -> str:
    """Open the installed dashboard on an empty home; returns what its first page says."""
    from clarify.ui.server.app import SCRIPT

    script = place / SCRIPT.relative_to(ROOT)
    code = (
        "import sys\n"
        "from streamlit.testing.v1 import AppTest\n"
        "page = AppTest.from_file(sys.argv[1], default_timeout=60).run()\n"
        "assert not page.exception, page.exception\n"
        "from clarify.cli.dashboard import INSTALLED\n"
        "from clarify.ui.pieces.page import PAGES\n"
        "assert (INSTALLED / 'app.py').is_file() and (PAGES / 'describe.py').is_file()\n"
        "assert PAGES.is_relative_to(INSTALLED)\n"
        "assert (INSTALLED / '.streamlit' / 'config.toml').is_file()\n"
        "print(*(each.proto.body for each in page.get('html')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(script)],
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
