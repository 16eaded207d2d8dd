"""A tracking store whose disk is full: a real one of a few megabytes."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clarify.errors import AwayError, StoreError
from clarify.track.artifacts import Artifact
from clarify.track.mlflow import TrackingStore
from tests.track.conftest import model, phrase_tried


@pytest.fixture
def small_disk(template: Path, tmp_path: Path) -> Iterator[Path]:
    """A home on a disk of its own, full but for some kilobytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "clarify-test", str(disk)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk can be mounted by root only")
    try:
        shutil.copytree(template, disk / "home")
        TrackingStore(disk / "home").relocate()
        for copy in (disk / "home" / "mlruns").glob("*.before-*"):
            copy.unlink()
        yield disk / "home"
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(home: Path, *, leave: int) -> Path:
    ballast = home.parent / "ballast"
    with open(ballast, "wb") as file:
        file.write(b"\0" * (shutil.disk_usage(home).free - leave))
    return ballast


@pytest.mark.parametrize("leave", [0, 16_384, 400_000])
def test_a_run_that_finds_no_room_is_refused_and_nothing_of_it_is_listed(
    small_disk: Path, leave: int
) -> None:
    store = TrackingStore(small_disk)
    store.open()
    ballast = fill(small_disk, leave=leave)
    large = Artifact(path="large.bin", content=bytes(2_000_000))  # as a network's file
    for phrase in ("forest", "snow"):
        said = phrase_tried(phrase)
        record = dataclasses.replace(said, artifacts=(*said.artifacts, large))
        with pytest.raises(StoreError, match=r"free space|make room|No space|full") as refused:
            store.log(record)
        assert not isinstance(refused.value, AwayError)
        assert "\n" not in str(refused.value)
    ballast.unlink()
    again = TrackingStore(small_disk)
    assert len(again.stored("birds", kind="description")) == 1
    again.log(phrase_tried("forest"))
    again.log(model(name="after"))
    assert len(again.stored("birds", kind="description")) == 2
    assert again.stored("birds", kind="base")[0].name == "after"


def test_a_command_on_a_disk_without_room_even_to_read_says_that_it_is_full(small_disk: Path) -> None:
    ballast = fill(small_disk, leave=0)
    # A process of its own: this one would still hold SQLite's files of when there was room.
    code = (
        "import sys, pathlib; from clarify.track.mlflow import TrackingStore; "
        "TrackingStore(pathlib.Path(sys.argv[1])).look()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(small_disk)], capture_output=True, text=True, check=False
    )
    said = done.stderr.splitlines()[-1]
    assert "StoreError" in said
    assert "on a full disk" in said
    assert "make room" in said
    assert "restore" not in said
    ballast.unlink()
    assert "as this MLflow makes it" in TrackingStore(small_disk).look()


def test_a_store_that_finds_no_room_to_be_made_leaves_none_and_is_made_later(small_disk: Path) -> None:
    home = small_disk.parent / "new"
    ballast = fill(small_disk, leave=200_000)
    with pytest.raises(StoreError, match=r"free space|full"):
        TrackingStore(home).open()
    ballast.unlink()
    assert TrackingStore(home).stored("birds", kind="base") == []
    TrackingStore(home).log(model())
    assert len(TrackingStore(home).stored("birds", kind="base")) == 1
