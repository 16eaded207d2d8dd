"""Real photographs and the packages that know such, where they are there; tests skip where not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from clarify.embed.packages import EXTRA, NETWORKS

PHOTOGRAPHS = Path(__file__).resolve().parents[2] / "shared" / "data" / "waterbirds240"
LITE0 = "tf_efficientnet_lite0"


def missing() -> str:
    """Return why real photographs cannot be tested here; empty if they can."""
    if not (PHOTOGRAPHS / "images.csv").is_file():
        return f"there is no {PHOTOGRAPHS.name} beside the project, in shared/data"
    if not NETWORKS[LITE0].installed():
        return f"{NETWORKS[LITE0].name} is not installed: {EXTRA}"
    return ""


needs_photographs = pytest.mark.skipif(bool(missing()), reason=missing() or "all is there")


def write_waterbirds(folder: Path, counts: dict[str, int]) -> None:
    """Copy as many photographs of each group as each split is to have: ``SPLIT/CLASS/*.jpg``."""
    table = pl.read_csv(PHOTOGRAPHS / "images.csv").sort("path")
    # Neighbours are of one species.
    mixed = table[np.random.default_rng(0).permutation(table.height)]
    for (label, _), group in mixed.group_by("label", "place", maintain_order=True):
        paths = iter(group["path"])
        for split, count in counts.items():
            place = folder / split / str(label)
            place.mkdir(parents=True, exist_ok=True)
            for _ in range(count):
                shutil.copy(PHOTOGRAPHS / (path := next(paths)), place / path)
