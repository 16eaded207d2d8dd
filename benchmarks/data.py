"""Data sets: a manifest of a million rows, 100,000 headers, thumbnails against bare Pillow.

Thumbnails and bare Pillow take turns over the same JPEGs, both in as many threads as the machine
has cores. Bare is what one would write first: open, convert to RGB, reduce to 256 pixels; nothing
is encoded or kept.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl

from benchmarks.embedding import pictures
from benchmarks.measurement import Measurement

ROWS = 1_000_000
HEADERS = 100_000
REAL_FILES = 10_000
CORES = len(os.sched_getaffinity(0))
TARGET = 0.80
READING = """
import json, resource, sys, time
from pathlib import Path
from clarify.data.manifest import read_manifest
began = time.perf_counter()
manifest = read_manifest(Path(sys.argv[1]))
seconds = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([manifest.table.height, seconds, peak]))
"""


def measure(rounds: int = 5) -> list[Measurement]:
    """Return seconds, megabytes and rates."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = of_manifest(folder)
        found += of_headers(folder)
        for size, count in (((500, 375), 400), ((1600, 1200), 100)):
            found += of_thumbnails(folder, size, count, rounds)
        return found


def of_manifest(folder: Path) -> list[Measurement]:
    """Read, validate and hash in a fresh process, as a command does."""
    toml = million(folder / "million")
    done = subprocess.run(
        [sys.executable, "-c", READING, str(toml)], capture_output=True, text=True, check=True
    )
    rows, seconds, megabytes = json.loads(done.stdout)
    assert rows == ROWS
    return [
        Measurement(
            name="manifest of 1,000,000 rows", figure=seconds, unit="s", target=5.0, holds=seconds < 5.0
        ),
        Measurement(
            name="manifest of 1,000,000 rows, peak memory",
            figure=megabytes,
            unit="MiB",
            target=1024.0,
            holds=megabytes < 1024.0,
        ),
    ]


def million(folder: Path) -> Path:
    from clarify.data.manifest import write_manifest

    number = pl.int_range(ROWS, eager=True).cast(pl.String)
    label = (pl.int_range(ROWS, eager=True) % 1000).cast(pl.String)
    split = pl.Series(["train", "validation", "test"]).gather(pl.int_range(ROWS, eager=True) // 1000 % 3)
    table = pl.DataFrame(
        {
            "id": "image-" + number,
            "path": "train/n" + label.str.zfill(8) + "/image_" + number.str.zfill(8) + ".JPEG",
            "label": "class " + label,
            "split": split,
            "place": pl.Series(["land", "water"]).gather(pl.int_range(ROWS, eager=True) % 2),
        }
    )
    return write_manifest(
        folder,
        name="million",
        title="million",
        source="made here",
        licence="CC0",
        root="images",
        classes=tuple(f"class {number}" for number in range(1000)),
        splits=("train", "validation", "test"),
        attributes={"place": ("land", "water")},
        table=table,
    )


def of_headers(folder: Path) -> list[Measurement]:
    """Check real files on a disk: links to 100 pictures would be the same few inodes."""
    from clarify.data.checking import check_images
    from clarify.data.manifest import Manifest

    made = pictures(folder / "models", 100, (500, 375), "jpg")
    root = folder / "headers"
    root.mkdir()
    for row in range(REAL_FILES):
        content = (made.root / f"{row % 100}.jpg").read_bytes()
        (root / f"{row}.jpg").write_bytes(content + row.to_bytes(4))  # no two files are the same
    table = pl.DataFrame({"path": [f"{row}.jpg" for row in range(REAL_FILES)]}).with_columns(
        pl.col("path").alias("id"),
        pl.Series("label", [("a", "b")[row % 2] for row in range(REAL_FILES)]),
        pl.Series("split", [("train", "validation")[row // 2 % 2] for row in range(REAL_FILES)]),
    )
    manifest = Manifest(
        name="headers",
        title="headers",
        source="made here",
        licence="CC0",
        root=root,
        classes=("a", "b"),
        splits=("train", "validation"),
        attributes={},
        table=table,
    )
    began = time.perf_counter()
    found = check_images(manifest, deep=False, workers=CORES)
    seconds = (time.perf_counter() - began) * HEADERS / REAL_FILES
    assert found.passed, found.wrong[:1]
    return [
        Measurement(
            name="data check of 100,000 headers, from 10,000 real files",
            figure=seconds,
            unit="s",
            target=60.0,
            holds=seconds < 60.0,
        )
    ]


def of_thumbnails(folder: Path, size: tuple[int, int], count: int, rounds: int) -> list[Measurement]:
    """Make all thumbnails in a new home, with bare Pillow before and after."""
    from clarify.data.thumbnails import Thumbnails

    what = f"{size[0]} x {size[1]} JPEGs"
    manifest = pictures(folder / f"jpeg-{size[0]}", count, size, "jpg")
    paths = [manifest.root / path for path in manifest.table["path"]]
    bare_rates, rates, ratios = [], [], []
    bare(paths[:32])
    for number in range(rounds):
        before = bare(paths)
        began = time.perf_counter()
        made = Thumbnails(folder / f"home-{size[0]}-{number}").make(
            paths, inside=manifest.root, workers=CORES
        )
        seconds = time.perf_counter() - began
        after = bare(paths)
        assert made.made == count
        bare_rates += [count / before, count / after]
        rates.append(count / seconds)
        ratios.append((before + after) / 2 / seconds)
    ratio = statistics.median(ratios)
    return [
        Measurement(name=f"bare Pillow, {what}", figure=statistics.median(bare_rates), unit="images/s"),
        Measurement(
            name=f"thumbnails, {what}", figure=statistics.median(rates), unit="images/s", ratio_to_limit=ratio
        ),
        Measurement(
            name=f"thumbnails over bare Pillow, {what}",
            figure=ratio,
            unit="ratio",
            target=TARGET,
            holds=ratio >= TARGET,
            ratio_to_limit=ratio,
        ),
    ]


def bare(paths: list[Path]) -> float:
    from PIL import Image

    def one(path: Path) -> None:
        with Image.open(path) as image:
            whole = image.convert("RGB")
        scale = 256 / max(whole.size)
        whole.resize((round(whole.width * scale), round(whole.height * scale)))

    began = time.perf_counter()
    with ThreadPoolExecutor(CORES) as pool:
        list(pool.map(one, paths))
    return time.perf_counter() - began


if __name__ == "__main__":
    for measured in measure():
        print(measured)
