"""What a terminal, a reader or a disk does with the output changes neither the work nor its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from clarify.data.manifest import find_manifests, read_manifest
from tests.data.pictures import save_tree

ASCII = {"PYTHONIOENCODING": "ascii"}
LATIN = {"PYTHONIOENCODING": "latin-1"}
UTF = {"PYTHONIOENCODING": "utf-8"}
OLD_SYSTEM = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
COMMAND = (sys.executable, "-m", "clarify.cli")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return save_tree(tmp_path / "images", {"Möwe": 12, "Ente": 12})


def brought_in(
    images: Path, *more: str, settings: Mapping[str, str] | None = None, redirected: str = ""
) -> subprocess.CompletedProcess[bytes]:
    home = images.parent / "home"
    given = ["data", "import", "folder", str(images), "--name", "birds", "--home", str(home), *more]
    line = f'"$@" {redirected}; exit ${{PIPESTATUS[0]}}'
    return subprocess.run(
        ["bash", "-c", line, "bash", *COMMAND, *given],
        env={**os.environ, **(settings or {})},
        capture_output=True,
        check=False,
    )


def kept(images: Path) -> set[str]:
    place = find_manifests(images.parent / "home")["birds"]
    return set(read_manifest(place).table["label"])


@pytest.mark.parametrize(("settings", "told"), [(ASCII, b"M?we"), (LATIN, "Möwe".encode("latin-1"))])
def test_a_terminal_that_lacks_a_letter_gets_another_and_the_work_is_kept_as_it_was_meant(
    images: Path, settings: dict[str, str], told: bytes
) -> None:
    done = brought_in(images, settings=settings)
    assert b"Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr
    assert told in done.stdout
    assert kept(images) == {"Möwe", "Ente"}


def test_json_says_the_same_in_every_encoding(images: Path) -> None:
    told = [
        json.loads(brought_in(images, "--json", settings=each).stdout.decode())
        for each in (ASCII, LATIN, UTF)
    ]
    assert "Möwe" in str(told[0])
    assert told[0] == told[1] == told[2]


def test_letters_that_python_does_not_take_from_the_terminal_are_noted_with_the_cause(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "diagnose", "Möwe", "--home", str(tmp_path)],
        env={**os.environ, **OLD_SYSTEM},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert b"Python takes this terminal for ascii" in done.stderr
    assert b"PYTHONUTF8=1" in done.stderr


@pytest.mark.parametrize("redirected", [">/dev/full", ">&-", "2>/dev/full", "2>&-", "| true", "&>/dev/full"])
def test_nobody_who_takes_the_output_is_no_reason_to_fail(images: Path, redirected: str) -> None:
    done = brought_in(images, redirected=redirected)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    if redirected == ">/dev/full":
        assert b"not all of the result could be printed (No space left on device)" in done.stderr
    assert kept(images) == {"Möwe", "Ente"}


def test_a_refusal_that_nobody_reads_is_still_a_refusal(tmp_path: Path) -> None:
    assert brought_in(tmp_path / "nowhere", redirected="2>/dev/full").returncode == 1
