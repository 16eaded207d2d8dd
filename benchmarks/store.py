"""Feature store: 1.3 million x 768 opened, read by class, and searched, within bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.measurement import Measurement
from clarify.data.manifest import Manifest, read_manifest, write_manifest
from clarify.embed.identity import EncoderIdentity
from clarify.embed.store import FeatureStore
from clarify.method.phrases.similarity import normalised, similarities

CLASSES, WIDTH = 1_000, 768
IMAGES = {"train": 1_281, "validation": 50}
ENCODER = EncoderIdentity(architecture="synthetic", weights="0" * 64, preprocessing="none")
DRAWN = 65_536
TIMES = 9
GIB = 2**30


def make(home: Path) -> None:
    """Write a data set, class after class as in folders, and features that repeat themselves."""
    rows = [
        (f"{split}/{label:04d}/{number:04d}.JPEG", f"class {label:04d}", split)
        for split, count in IMAGES.items()
        for label in range(CLASSES)
        for number in range(count)
    ]
    ids, labels, splits = zip(*rows, strict=True)
    toml = write_manifest(
        home / "data_manifests" / "large",
        name="large",
        title="large",
        source="a benchmark",
        licence="none",
        root=str(home / "images"),
        classes=tuple(f"class {label:04d}" for label in range(CLASSES)),
        splits=tuple(IMAGES),
        attributes={},
        table=pl.DataFrame({"id": ids, "path": ids, "label": labels, "split": splits}),
    )
    drawn = np.random.default_rng(0).normal(size=(DRAWN, WIDTH)).astype(np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    array = np.lib.format.open_memmap(home / "made.npy", mode="w+", dtype=np.float16, shape=(len(ids), WIDTH))
    for start in range(0, len(array), DRAWN):
        part = array[start : start + DRAWN]
        part[:] = drawn[: len(part)]
    FeatureStore(home).save(read_manifest(toml), ENCODER, array)
    (home / "made.npy").unlink()


def least(run: Callable[[], object], times: int = TIMES) -> dict[str, float]:
    """Return the least seconds of some runs, by the clock and of processors."""
    took: list[tuple[float, float]] = []
    for _ in range(times):
        clock, processor = time.perf_counter(), time.process_time()
        run()
        took.append((time.perf_counter() - clock, time.process_time() - processor))
    clocks, processors = zip(*took, strict=True)
    return {"clock": min(clocks), "processor": min(processors)}


def peak_bytes() -> int:
    """Return the most memory that this process has had at once, pages of files among it."""
    (line,) = (
        each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmHWM")
    )
    return int(line.split()[1]) * 1024


def look(home: Path) -> None:
    """Open and read in a process of its own, and print the figures as JSON."""
    manifest: Manifest = read_manifest(home / "data_manifests" / "large" / "manifest.toml")
    store = FeatureStore(home)
    told: dict[str, object] = {"before": peak_bytes(), "open": least(lambda: store.open(manifest, ENCODER))}
    features = store.open(manifest, ENCODER)
    if features is None:
        raise RuntimeError("the features are not there")
    text = np.random.default_rng(1).normal(size=WIDTH)
    single = text.astype(np.float32)
    rows = manifest.row_numbers("train")[manifest.labels("train") == CLASSES // 2]
    told["cold"] = least(lambda: features.take(rows), 1)
    told["class"] = least(lambda: similarities(features.take(rows), text))
    told["class bare"] = least(lambda: features.array[rows].astype(np.float32) @ single)
    held = normalised(features.take(manifest.row_numbers("validation")))
    told["validation"] = least(lambda: similarities(held, text))
    told["validation bare"] = least(lambda: held @ single)
    features.seal.check(features.array)
    print(json.dumps(told | {"peak": peak_bytes()}))


def measure() -> list[Measurement]:
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder))
        code = (
            "import sys; from pathlib import Path; from benchmarks.store import look; look(Path(sys.argv[1]))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, folder], check=True, stdout=subprocess.PIPE, text=True
        )
    told = json.loads(done.stdout)
    size = f"{CLASSES * sum(IMAGES.values()):,} x {WIDTH}"
    targets = {
        "open": (f"store of {size}: open", 0.3, None),
        "class": (f"a class of {IMAGES['train']:,} images of it, warm", 0.02, "class bare"),
        "validation": (
            f"a phrase with {CLASSES * IMAGES['validation']:,} images of it, warm",
            0.06,
            "validation bare",
        ),
    }
    found = [
        Measurement(
            name=f"{name}{', of processors' if which == 'processor' else ''}",
            figure=told[key][which],
            unit="s",
            target=target,
            holds=told[key][which] <= target,
            ratio_to_limit=None if bare is None else told[key][which] / told[bare][which],
        )
        for key, (name, target, bare) in targets.items()
        for which in ("clock", "processor")
    ]
    found.append(
        Measurement(
            name="a class, the first time (its shards hashed)", figure=told["cold"]["clock"], unit="s"
        )
    )
    peak = told["peak"] / GIB
    return [
        *found,
        Measurement(
            name="most memory, every shard hashed at the end",
            figure=peak,
            unit="GiB",
            target=1.5,
            holds=peak <= 1.5,
        ),
        Measurement(
            name="most memory before opening (libraries, manifest)", figure=told["before"] / GIB, unit="GiB"
        ),
    ]
