"""Sprites: squares and ellipses whose colour gives their class away in training.

The smallest failure that can be put into words: nearly every square is blue and nearly every
ellipse red, so a model that looks at the colour is wrong about the red squares.
"""

from __future__ import annotations

import numpy as np

from clarify.demo.dataset import DemoDataset, DemoGroup, group_table
from clarify.demo.scenes import POSITIONS, Scene

_BACKDROPS = ("white", "grey", "black", "yellow", "green")

DIAL_RANGE = {"square": (0.35, 0.65), "ellipse": (0.05, 0.25)}
"""Difficulty: how round squares are and how square ellipses are. Chosen on the validation split
with the shipped small CLIP, for which plain squares and ellipses are too easy to confuse."""

COUNTS = {
    "train": {
        ("square", "blue"): 238,
        ("square", "red"): 12,
        ("ellipse", "red"): 238,
        ("ellipse", "blue"): 12,
    },
    "validation": {(label, colour): 100 for label in ("square", "ellipse") for colour in ("red", "blue")},
    "test": {(label, colour): 100 for label in ("square", "ellipse") for colour in ("red", "blue")},
}


def compose(group: DemoGroup, rng: np.random.Generator) -> Scene:
    """Return a scene of one sprite of the group's class and colour on a plain backdrop."""
    return Scene(
        background="plain",
        subject=group.label,
        colour=group.attributes["colour"],
        time="none",
        weather="none",
        style=("photo", "cartoon", "sketch")[int(rng.integers(3))],
        count=1,
        position=POSITIONS[int(rng.integers(3))],
        size=("small", "medium")[int(rng.integers(2))],
        dial=float(rng.uniform(*DIAL_RANGE[group.label])),
        background_colour=_BACKDROPS[int(rng.integers(len(_BACKDROPS)))],
        seed=int(rng.integers(2**31)),
    )


SPRITES = DemoDataset(
    name="sprites",
    title="Sprites",
    licence="Apache-2.0",
    classes=("square", "ellipse"),
    splits=("train", "validation", "test"),
    attributes={"colour": ("red", "blue")},
    size_px=96,
    groups=group_table("colour", COUNTS),
    compose=compose,
)
