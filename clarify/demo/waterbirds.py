"""Rendered Waterbirds: birds whose place gives their class away in training, nearly always.

The group counts of training are those of the Waterbirds benchmark (Sagawa et al. 2020). Where
a bird lies on the dial and how large it is decide the difficulty; the rest (time, weather,
style, colour, position) varies independently of the class and of the place.
"""

from __future__ import annotations

import numpy as np

from clarify.demo.dataset import DemoDataset, DemoGroup, group_table
from clarify.demo.scenes import COLOURS, POSITIONS, SIZES, TIMES, Scene

LAND = ("forest", "meadow", "field", "mountain")
WATER = ("sea", "lake", "river")
"""The places behind the attribute values "land" and "water"."""

DIAL_MEAN = {"landbird": 0.30, "waterbird": 0.70}
DIAL_DEVIATION = 0.08
ATYPICAL_SHARE = 0.03
SIZE_SHARES = (0.40, 0.40, 0.20)
"""Difficulty: the dial of each class (normal, clipped to [0, 1]), the share of birds that look like
the other class, and how many birds are small, medium and large. Chosen on the validation split
with the shipped small CLIP. Birds that look like the other class are what makes the place the
better evidence in training: without them a head that is hardly regularised needs it less."""

_WEATHER = ("clear", "rain", "fog", "snow")
_WEATHER_SHARES = (0.55, 0.15, 0.15, 0.15)
_TIME_SHARES = (0.6, 0.2, 0.2)

COUNTS = {
    "train": {
        ("landbird", "land"): 3498,
        ("landbird", "water"): 184,
        ("waterbird", "land"): 56,
        ("waterbird", "water"): 1057,
    },
    "validation": {(label, place): 300 for label in DIAL_MEAN for place in ("land", "water")},
    "test": {(label, place): 600 for label in DIAL_MEAN for place in ("land", "water")},
}


def _pick(rng: np.random.Generator, values: tuple[str, ...], shares: tuple[float, ...]) -> str:
    return values[int(rng.choice(len(values), p=shares))]


def compose(group: DemoGroup, rng: np.random.Generator) -> Scene:
    """Return a scene of one bird of the group's class at the group's place."""
    places = LAND if group.attributes["place"] == "land" else WATER
    looks_like = group.label
    if rng.random() < ATYPICAL_SHARE:
        looks_like = next(name for name in DIAL_MEAN if name != group.label)
    dial = rng.normal(DIAL_MEAN[looks_like], DIAL_DEVIATION)
    return Scene(
        background=places[int(rng.integers(len(places)))],
        subject="bird",
        colour=tuple(COLOURS)[int(rng.integers(len(COLOURS)))],
        time=_pick(rng, TIMES[:3], _TIME_SHARES),
        weather=_pick(rng, _WEATHER, _WEATHER_SHARES),
        style=("photo", "cartoon")[int(rng.integers(2))],
        count=1,
        position=POSITIONS[int(rng.integers(3))],
        size=_pick(rng, SIZES, SIZE_SHARES),
        dial=float(np.clip(dial, 0.0, 1.0)),
        seed=int(rng.integers(2**31)),
    )


WATERBIRDS = DemoDataset(
    name="rendered-waterbirds",
    title="Rendered Waterbirds",
    licence="Apache-2.0",
    classes=("landbird", "waterbird"),
    splits=("train", "validation", "test"),
    attributes={"place": ("land", "water")},
    size_px=128,
    groups=group_table("place", COUNTS),
    compose=compose,
)
