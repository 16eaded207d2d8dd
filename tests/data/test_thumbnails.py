"""Thumbnails: made once, kept by content, bounded, shared by processes, whole after a kill."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clarify.data import thumbnail_store
from clarify.data.images import BadImage, grid, load_image
from clarify.data.thumbnail_store import FILE
from clarify.data.thumbnails import Thumbnails
from clarify.errors import InputError, StoreError
from tests.data.pictures import picture
from tests.warm import Warm


def save(folder: Path, n: int, size: tuple[int, int] = (320, 240)) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number}.jpg" for number in range(n)]
    for number, path in enumerate(paths):
        picture(number, size).save(path)
    return paths


def opened(content: bytes) -> Image.Image:
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == "WEBP"
        return image.convert("RGB")


def test_a_thumbnail_is_the_picture_made_small(tmp_path: Path) -> None:
    (path,) = save(tmp_path / "in", 1, (1600, 1200))
    seen = opened(Thumbnails(tmp_path / "home").of(path))
    assert seen.size == (256, 192)
    whole = load_image(path).resize((256, 192))
    assert np.abs(np.asarray(seen, dtype=int) - np.asarray(whole, dtype=int)).mean() < 4


def test_a_small_picture_stays_as_small_as_it_is(tmp_path: Path) -> None:
    (path,) = save(tmp_path / "in", 1, (20, 30))
    assert opened(Thumbnails(tmp_path / "home").of(path)).size == (20, 30)


def test_a_hit_does_not_read_the_original(tmp_path: Path) -> None:
    (path,) = save(tmp_path / "in", 1)
    thumbnails = Thumbnails(tmp_path / "home")
    first = thumbnails.of(path)
    stamp = path.stat()
    path.write_bytes(b"x" * stamp.st_size)  # as long and as old as before, but no picture
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert thumbnails.of(path) == first


def test_a_changed_file_gets_another_thumbnail(tmp_path: Path) -> None:
    (path,) = save(tmp_path / "in", 1)
    thumbnails = Thumbnails(tmp_path / "home")
    first = thumbnails.of(path)
    picture(5, (320, 240)).save(path)
    assert thumbnails.of(path) != first
    path.write_bytes(b"no picture any more")
    with pytest.raises(BadImage, match="not an image"):
        thumbnails.of(path)


def test_copies_and_touched_files_share_one_thumbnail(tmp_path: Path) -> None:
    (path,) = save(tmp_path / "in", 1)
    thumbnails = Thumbnails(tmp_path / "home")
    thumbnails.of(path)
    before = thumbnails.total_bytes
    copy = path.with_name("copy.jpg")
    shutil.copy(path, copy)
    os.utime(path, (1, 1))
    assert thumbnails.of(copy) == thumbnails.of(path)
    assert thumbnails.total_bytes == before


def test_making_ahead_counts_new_old_and_bad(tmp_path: Path) -> None:
    paths = save(tmp_path / "in", 40)
    (tmp_path / "in/3.jpg").write_bytes(b"")
    thumbnails = Thumbnails(tmp_path / "home")
    thumbnails.make(paths[:10], workers=2)
    seen = []
    made = thumbnails.make(paths, workers=2, progress=seen.append)
    assert (made.made, made.kept) == (30, 9)
    assert [(bad.path.name, bad.reason) for bad in made.bad] == [("3.jpg", "the file is empty")]
    assert (seen[-1].done, seen[-1].total, seen[-1].bad) == (31, 31, 1)
    with pytest.raises(BadImage):
        thumbnails.of(paths[3])
    good = [path for path in paths if path.name != "3.jpg"]
    assert [opened(thumbnails.of(path)).size for path in good] == [(256, 192)] * 39


def test_the_least_recently_used_go_when_there_are_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnail_store, "MINUTE_NS", 0)  # uses are counted to the minute
    paths = save(tmp_path / "in", 12)
    free = Thumbnails(tmp_path / "free")
    size = max(len(free.of(path)) for path in paths)
    thumbnails = Thumbnails(tmp_path / "home", max_bytes=6 * size)
    for path in paths[:5]:
        thumbnails.of(path)
    thumbnails.of(paths[0])  # used again: the others go first
    for path in paths[5:9]:
        thumbnails.of(path)
    assert thumbnails.total_bytes <= 6 * size
    again = thumbnails.make([paths[0], *paths[5:9]], workers=1)
    assert (again.made, again.kept) == (0, 5)
    assert thumbnails.make(paths[1:3], workers=1).made == 2


def test_links_may_not_lead_out_even_when_the_picture_is_kept(tmp_path: Path) -> None:
    (secret,) = save(tmp_path / "secret", 1)
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.jpg").symlink_to(secret)
    thumbnails = Thumbnails(tmp_path / "home")
    thumbnails.of(root / "a.jpg")
    with pytest.raises(BadImage, match="leads out"):
        thumbnails.of(root / "a.jpg", inside=root)


def test_a_grid_can_be_drawn_from_thumbnails(tmp_path: Path) -> None:
    paths = [*save(tmp_path / "in", 3), tmp_path / "absent.jpg"]
    thumbnails = Thumbnails(tmp_path / "home")
    drawn = np.asarray(grid(paths, [False] * 4, 2, 64, read=thumbnails.image), dtype=int)
    whole = np.asarray(grid(paths, [False] * 4, 2, 64), dtype=int)
    assert drawn.shape == whole.shape
    assert np.abs(drawn - whole).mean() < 5


def test_a_broken_cache_is_told_and_can_be_deleted(tmp_path: Path) -> None:
    (path,) = save(tmp_path / "in", 1)
    thumbnails = Thumbnails(tmp_path / "home")
    thumbnails.of(path)
    folder = tmp_path / "home/cache/thumbnails"
    for file in folder.iterdir():
        file.unlink()
    (folder / FILE).write_bytes(b"not a database " * 1000)
    with pytest.raises(StoreError, match="delete the folder: it is only a cache"):
        thumbnails.of(path)
    shutil.rmtree(folder)
    assert thumbnails.of(path)


def test_a_bound_below_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="max_bytes is 0"):
        Thumbnails(tmp_path, max_bytes=0)


CODE = """
import sys
from pathlib import Path
from clarify.data.thumbnails import Thumbnails
paths = sorted(Path(sys.argv[1]).iterdir())
print(Thumbnails(Path(sys.argv[2])).make(paths, workers=2).made, flush=True)
"""


def start(images: Path, home: Path) -> Warm:
    return Warm("-c", CODE, str(images), str(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_several_processes_may_begin_on_a_new_home_at_once(tmp_path: Path) -> None:
    paths = save(tmp_path / "in", 60)
    running = [start(tmp_path / "in", tmp_path / "home") for _ in range(4)]
    for process in running:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert int(out) <= 60
    done = Thumbnails(tmp_path / "home").make(paths, workers=1)
    assert (done.made, done.kept) == (0, 60)


@pytest.mark.slow
def test_after_a_kill_what_was_written_is_whole_and_the_rest_is_made(tmp_path: Path) -> None:
    paths = save(tmp_path / "in", 700, (640, 480))
    process = start(tmp_path / "in", tmp_path / "home")
    thumbnails = Thumbnails(tmp_path / "home")
    until = time.monotonic() + 60
    while thumbnails.total_bytes == 0 and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    out, _ = process.communicate(timeout=60)
    assert out == ""  # it was not done
    made = thumbnails.make(paths, workers=2)
    assert 0 < made.kept < 700
    assert made.made + made.kept == 700
    assert {opened(thumbnails.of(path)).size for path in paths} == {(256, 192)}
