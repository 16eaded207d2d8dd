"""Rendered Waterbirds: birds whose place gives their class away in training, nearly always.

The group counts of training are those of the Waterbirds benchmark (Sagawa et al. 2020). Where
a bird lies on the dial and how large it is decide the difficulty, of which there are four; the rest
(time, weather, style, colour, position) varies independently of the class and of the place.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from clarify.demo.dataset import DemoDataset, DemoGroup, group_table
from clarify.demo.scenes import COLOURS, POSITIONS, SIZES, TIMES, Scene

LAND = ("forest", "meadow", "field", "mountain")
WATER = ("sea", "lake", "river")
"""The places behind the attribute values "land" and "water"."""

CLASSES = ("landbird", "waterbird")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difficulty:
    """How well the birds of the two classes can be told apart.

    Parameters
    ----------
    dial : float
        Where landbirds lie on the dial from songbird to duck on average; waterbirds lie as far
        from its other end.
    deviation : float
        Of the dial, which is normal and clipped to [0, 1].
    atypical : float
        Share of birds that look like the other class.
    sizes : tuple of 3 floats
        Shares of small, medium and large birds.
    """

    dial: float
    deviation: float
    atypical: float
    sizes: tuple[float, float, float]

    def mean_of(self, class_name: str) -> float:
        """Return where a class lies on the dial on average."""
        return self.dial if class_name == CLASSES[0] else 1.0 - self.dial


HARDEST = Difficulty(dial=0.30, deviation=0.08, atypical=0.03, sizes=(0.40, 0.40, 0.20))
"""Chosen on the validation split with the shipped small CLIP. Birds that look like the other class
are what makes the place the better evidence in training: without them a head that is hardly
regularised needs it less."""

DIFFICULTIES = {
    "easy": Difficulty(dial=0.0, deviation=0.08, atypical=0.0, sizes=(0.0, 0.3, 0.7)),
    "medium": Difficulty(dial=0.10, deviation=0.12, atypical=0.0, sizes=(0.05, 0.45, 0.50)),
    "hard": Difficulty(dial=0.22, deviation=0.10, atypical=0.02, sizes=(0.20, 0.40, 0.40)),
}
"""Those beside the hardest, by the ending of the data set's name."""

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
    "validation": {(label, place): 300 for label in CLASSES for place in ("land", "water")},
    "test": {(label, place): 600 for label in CLASSES for place in ("land", "water")},
}


def _pick(rng: np.random.Generator, values: tuple[str, ...], shares: tuple[float, ...]) -> str:
    return values[int(rng.choice(len(values), p=shares))]


def compose(group: DemoGroup, rng: np.random.Generator, difficulty: Difficulty = HARDEST) -> Scene:
    """Return a scene of one bird of the group's class at the group's place."""
    places = LAND if group.attributes["place"] == "land" else WATER
    looks_like = group.label
    if rng.random() < difficulty.atypical:
        looks_like = next(name for name in CLASSES if name != group.label)
    dial = rng.normal(difficulty.mean_of(looks_like), difficulty.deviation)
    return Scene(
        background=places[int(rng.integers(len(places)))],
        subject="bird",
        colour=tuple(COLOURS)[int(rng.integers(len(COLOURS)))],
        time=_pick(rng, TIMES[:3], _TIME_SHARES),
        weather=_pick(rng, _WEATHER, _WEATHER_SHARES),
        style=("photo", "cartoon")[int(rng.integers(2))],
        count=1,
        position=POSITIONS[int(rng.integers(3))],
        size=_pick(rng, SIZES, difficulty.sizes),
        dial=float(np.clip(dial, 0.0, 1.0)),
        seed=int(rng.integers(2**31)),
    )


def _waterbirds(ending: str, difficulty: Difficulty) -> DemoDataset:
    return DemoDataset(
        name=f"rendered-waterbirds{ending and '-'}{ending}",
        title=f"Rendered Waterbirds{ending and ', '}{ending}",
        licence="Apache-2.0",
        classes=CLASSES,
        splits=("train", "validation", "test"),
        attributes={"place": ("land", "water")},
        size_px=128,
        groups=group_table("place", COUNTS),
        compose=functools.partial(compose, difficulty=difficulty),
    )


WATERBIRDS = _waterbirds("", HARDEST)
EASIER = tuple(_waterbirds(*each) for each in DIFFICULTIES.items())
"""The same with birds that are easier to tell apart."""
