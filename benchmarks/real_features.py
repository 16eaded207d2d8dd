"""A data set with embeddings of a real CLIP: 500 photographs, vehicles against animals.

The attribute is planted: whether an image is more like a word of the bank than half of its class
are. In training most vehicles have it and most animals have not; validation and test are balanced.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

NAME, WORD = "cifar-vehicles", "fire truck"
CLASSES, VALUES = ("animal", "vehicle"), ("without", "with")
PHRASES = {"animal": WORD, "vehicle": WORD}
VEHICLES = (0, 1, 8, 9)
HELD = 20
"""Images of each group in validation, and as many in test."""

RARE = 12
"""Training images of either class on the unusual side: fewer are no group of their own."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Planted:
    rows: np.ndarray
    split: list[str]
    label: np.ndarray
    value: np.ndarray


def prepare(home: Path, file: Path) -> None:
    """Write the images and the manifest, and import features and bank by the command."""
    from clarify.data.manifest import write_manifest

    arrays = np.load(file, allow_pickle=False)
    planted = _planted(arrays)
    images = home / "images" / NAME
    images.mkdir(parents=True, exist_ok=True)
    ids = [f"{row:03d}" for row in planted.rows]
    for row, name in zip(planted.rows, ids, strict=True):
        Image.fromarray(arrays["images"][row]).save(images / f"{name}.png")
    write_manifest(
        home / "data_manifests" / NAME,
        name=NAME,
        title="CIFAR-10, vehicles and animals",
        source="the first 500 test images of CIFAR-10",
        licence="none given; not to be passed on",
        root=f"../../images/{NAME}",
        classes=CLASSES,
        splits=("train", "validation", "test"),
        attributes={"word": VALUES},
        table=pl.DataFrame(
            {
                "id": ids,
                "path": [f"{name}.png" for name in ids],
                "label": np.array(CLASSES)[planted.label],
                "split": planted.split,
                "word": np.array(VALUES)[planted.value],
            }
        ),
    )
    _, first = np.unique(np.char.lower(arrays["words"]), return_index=True)
    np.savez(home / "clip.npz", image_features=arrays["image_features"][planted.rows], ids=np.array(ids))
    np.savez(home / "bank.npz", phrases=arrays["words"][first], text_features=arrays["text_features"][first])
    subprocess.run(
        [
            sys.executable,
            "-m",
            "clarify.cli",
            "features",
            "import",
            NAME,
            str(home / "clip.npz"),
            "--bank",
            str(home / "bank.npz"),
            "--label",
            "clip-b32",
            "--template",
            "a {}",
            "--home",
            str(home),
        ],
        check=True,
        stdout=sys.stderr,
    )


def _planted(arrays: np.lib.npyio.NpzFile) -> _Planted:
    label = np.isin(arrays["labels"], VEHICLES).astype(np.int64)
    word = arrays["words"].tolist().index(WORD)
    similarity = arrays["image_features"] @ arrays["text_features"][word]
    value = np.zeros(len(label), dtype=np.int64)
    for number in range(len(CLASSES)):
        rows = label == number
        value[rows] = similarity[rows] > np.median(similarity[rows])
    rng = np.random.default_rng(0)
    rows: list[int] = []
    split: list[str] = []
    for number in range(len(CLASSES)):
        for other in range(len(VALUES)):
            members = rng.permutation(np.flatnonzero((label == number) & (value == other)))
            train = members[2 * HELD :]
            if number != other:
                train = train[:RARE]
            parts = {"test": members[:HELD], "validation": members[HELD : 2 * HELD], "train": train}
            for name, part in parts.items():
                rows += part.tolist()
                split += [name] * len(part)
    kept = np.array(rows)
    return _Planted(rows=kept, split=split, label=label[kept], value=value[kept])
