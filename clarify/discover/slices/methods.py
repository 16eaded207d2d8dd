"""The table of discovery methods: what each is called, needs and finds with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from clarify.discover.slices.direction import failure_direction
from clarify.discover.slices.interface import ImageSlice, PhraseBank, SlicedImages
from clarify.discover.slices.mixtures import domino, facts
from clarify.discover.slices.spotlight import spotlight
from clarify.discover.slices.tree import barlow
from clarify.discover.slices.trivial import confusion_cells, k_means_of_wrong_images
from clarify.discover.slices.words import b2t, sliceline, words_by_rate, words_by_score
from clarify.errors import NotFoundError, nearest

__all__ = ["DISCOVERY_METHODS", "DiscoveryMethod", "discovery_method"]


class Finds(Protocol):
    """What finds slices."""

    def __call__(self, images: SlicedImages, bank: PhraseBank, *, most: int, seed: int) -> list[ImageSlice]:
        """Return slices of images, the most telling first, at most so many (of each class)."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryMethod:
    """A way to find images that fail together.

    Parameters
    ----------
    source : str
        The paper, or ``ours``.
    most : int
        Slices that it returns, of each class where it looks at classes one by one.
    captions : bool
        Whether it needs captions.
    by_gain : bool
        Whether its slices are then ordered by what retraining with them brings.
    """

    name: str
    source: str
    find: Finds = dataclasses.field(repr=False)
    most: int = 5
    captions: bool = False
    by_gain: bool = False


DISCOVERY_METHODS: Mapping[str, DiscoveryMethod] = MappingProxyType(
    {
        each.name: each
        for each in (
            DiscoveryMethod(name="confusion-cells", source="trivial", find=confusion_cells),
            DiscoveryMethod(name="k-means", source="trivial", find=k_means_of_wrong_images),
            DiscoveryMethod(name="words-by-score", source="ours", find=words_by_score),
            DiscoveryMethod(name="words-by-gain", source="ours", find=words_by_score, most=12, by_gain=True),
            DiscoveryMethod(name="facts", source="Yenamandra et al. 2023", find=facts, most=10),
            DiscoveryMethod(name="failure-direction", source="Jain et al. 2023", find=failure_direction),
            DiscoveryMethod(name="domino", source="Eyuboglu et al. 2022", find=domino),
            DiscoveryMethod(name="spotlight", source="d'Eon et al. 2022", find=spotlight),
            DiscoveryMethod(name="barlow", source="Singla et al. 2021", find=barlow),
            DiscoveryMethod(name="b2t", source="Kim et al. 2024", find=b2t, captions=True),
            DiscoveryMethod(name="words-by-rate", source="ours", find=words_by_rate, captions=True),
            DiscoveryMethod(name="sliceline", source="Sagadeeva and Boehm 2021", find=sliceline),
        )
    }
)
"""Every method by name, the trivial ones first."""


def discovery_method(name: str) -> DiscoveryMethod:
    """Return a method by name; NotFoundError for one that is not known."""
    if name not in DISCOVERY_METHODS:
        raise NotFoundError(f"no discovery method is called {name!r}; {nearest(name, DISCOVERY_METHODS)}")
    return DISCOVERY_METHODS[name]
