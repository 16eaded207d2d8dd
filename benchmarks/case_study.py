"""The paper's case study at ImageNet's size: hard halves found by the product, described, corrected.

`python -m benchmarks case_study` runs a fiftieth of it (20 classes), `python -m benchmarks.case_study --size
0.1 [--json FILE] [--home DIR]` another part: 100 classes, each as large as ImageNet's. The data are made by
seed; everything after that is the product's own, beginning with its import of features.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.measurement import Measurement
from clarify.assembly import open_project
from clarify.config import Settings
from clarify.data.manifest import open_manifest, write_manifest
from clarify.embed.store import FeatureStore
from clarify.evidence.case_study import CaseStudy, case_study
from clarify.evidence.planted_halves import IMAGENET, HalvesSize, PlantedHalves
from clarify.workflow.exchange.imports import import_features

NAME, SIZE = "made-imagenet", 0.02
SPLITS, VALUES = ("train", "validation", "test"), ("usual", "hard")


def measure(size: float = SIZE) -> Iterator[Measurement]:
    with tempfile.TemporaryDirectory() as home:
        return measured(run(Path(home), IMAGENET.part(size)))


def run(home: Path, size: HalvesSize, *, seed: int = 0) -> CaseStudy:
    """Make the data in a home, and go through the product with it."""
    drawn = PlantedHalves(size=size, seed=seed)
    bring_in(home, drawn)
    project = open_project(Settings(home=home, reviewer="made up"), NAME, say=say)
    return case_study(project, drawn.planted, say=say)


def bring_in(home: Path, drawn: PlantedHalves) -> None:
    """Write manifest and features as another tool would, and import these."""
    count = len(drawn.labels)
    ids = [f"{row:07d}" for row in range(count)]
    write_manifest(
        home / "data_manifests" / NAME,
        name=NAME,
        title="Made up, of ImageNet's shape",
        source="clarify.evidence.planted_halves",
        licence="none needed",
        root=f"../../images/{NAME}",
        classes=drawn.classes,
        splits=SPLITS,
        attributes={"half": VALUES},
        table=pl.DataFrame(
            {
                "id": ids,
                "path": [f"{each}.jpg" for each in ids],
                "label": np.array(drawn.classes)[drawn.labels],
                "split": drawn.split,
                "half": np.array(VALUES)[drawn.hard.astype(np.int64)],
            }
        ),
    )
    features, bank = home / "features.npy", home / "bank.npz"
    shape = (count, drawn.size.width)
    into = np.lib.format.open_memmap(features, mode="w+", dtype=np.float16, shape=shape)
    start = 0
    for part in drawn.features():
        into[start : start + len(part)] = part
        start += len(part)
    into.flush()
    del into
    phrases, embeddings = drawn.bank
    np.savez(bank, phrases=np.array(phrases), text_features=embeddings)
    import_features(
        home,
        open_manifest(home, NAME),
        FeatureStore(home),
        features,
        label="made-clip",
        bank=bank,
        in_order=True,
    )
    features.unlink()


def measured(found: CaseStudy) -> Iterator[Measurement]:
    """Yield its figures; the paper's stand in the docs beside them."""
    values = {"precision": found.precision, "recall": found.recall}
    values |= {key: value for key, value in found.to_dict().items() if isinstance(value, int | float)}
    for key, value in values.items():
        name = f"case study of {found.classes:,} classes, {key.replace('_', ' ')}"
        yield Measurement(name=name, figure=value, unit="")
    for step, minutes in found.minutes.items():
        yield Measurement(name=f"case study, {step}", figure=minutes, unit="min")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=float, default=SIZE, help="share of the classes, 1 is ImageNet")
    parser.add_argument("--json", type=Path, help="write the report here as well")
    parser.add_argument("--home", type=Path, help="make the data here, and keep it")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = run(asked.home or Path(folder), IMAGENET.part(asked.size))
    if asked.json:
        asked.json.write_text(json.dumps(report.to_dict(), indent=1) + "\n", encoding="utf-8")
    for each in measured(report):
        print(f"{each.name:58} {each.figure:12.6g} {each.unit}")
    for passed, text in report.gate:
        print(f"{'passes' if passed else 'FAILS'}: {text}")
