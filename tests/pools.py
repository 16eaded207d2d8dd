"""A pool of which only features are known, and labels of it that came back."""

from __future__ import annotations

from pathlib import Path

import numpy as np

WIDTH = 192
"""Of the small CLIP's features."""


def write_pool(folder: Path) -> tuple[Path, Path]:
    """Write 60 made-up features with ids, and a table of labels for two of them, one of them unknown."""
    np.save(folder / "pool.npy", np.random.default_rng(0).normal(size=(60, WIDTH)).astype(np.float32))
    (folder / "pool.ids.txt").write_text("\n".join(f"new/{number}.png" for number in range(60)))
    (folder / "labels.csv").write_text("id,label\nnew/1.png,landbird\nnew/2.png,\nold/1.png,waterbird\n")
    return folder / "pool.npy", folder / "labels.csv"
