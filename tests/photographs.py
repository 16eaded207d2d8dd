"""What a new user brings: pictures in folders, and a CSV of what their own model says of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

CLASSES = ("landbird", "waterbird")
FOLDERS = {"train": "train", "validation": "val", "test": "test"}
COUNTS = {
    "train": {
        ("landbird", "land"): 700,
        ("landbird", "water"): 36,
        ("waterbird", "land"): 24,
        ("waterbird", "water"): 300,
    },
    "validation": {(label, place): 90 for label in CLASSES for place in ("land", "water")},
    "test": {(label, place): 90 for label in CLASSES for place in ("land", "water")},
}


def write_photographs(folder: Path) -> None:
    """Write ``photos/{train,val,test}/CLASS/*.jpg`` and ``predictions.csv`` into a folder.

    The predictions are of a logistic regression on the pictures' colours, so it looks at the
    background.
    """
    from clarify.demo.dataset import group_table
    from clarify.demo.datasets import DATASETS
    from clarify.demo.scenes import render

    birds = dataclasses.replace(
        DATASETS["rendered-waterbirds"], size_px=96, groups=group_table("place", COUNTS)
    )
    rows = birds.rows(0)
    paths, colours = [], []
    for row in rows:
        path = Path(FOLDERS[row.split], row.label, f"{row.id}.jpg")
        picture = Image.fromarray(render(row.scene, birds.size_px))
        (folder / "photos" / path).parent.mkdir(parents=True, exist_ok=True)
        picture.save(folder / "photos" / path, quality=95)
        paths.append(path.as_posix())
        colours.append(np.asarray(picture.resize((6, 6)), dtype=np.float64).ravel() / 255)
    labels = np.array([CLASSES.index(row.label) for row in rows])
    train = np.array([row.split == "train" for row in rows])
    probabilities = _regression(np.array(colours), labels, train)
    table = {"path": paths, "predicted": [CLASSES[k] for k in probabilities.argmax(axis=1)]}
    table |= {name: probabilities[:, k] for k, name in enumerate(CLASSES)}
    pl.DataFrame(table).write_csv(folder / "predictions.csv")


def _regression(values: np.ndarray, labels: np.ndarray, train: np.ndarray) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=2000).fit(values[train], labels[train])
    return np.asarray(model.predict_proba(values))
