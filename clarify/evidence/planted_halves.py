"""Made-up features of ImageNet's shape, with a hard half planted in one class of every ten.

Classes come in families. Of each family one class has a hard half: images that lie towards a sibling and
show a thing (a *concept*) that most of the sibling's images show, few of its own. So ERM learns the thing as
a sign of the sibling. Another class is blurred: as often wrong, but with no pattern to find. Every class
shows things that have nothing to do with its errors. A concept has several words, as vocabularies have.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from clarify.errors import InputError
from clarify.method.arrays import generator

__all__ = ["IMAGENET", "HalvesSize", "PlantedHalves"]

HELD_OUT = ("validation", "test")
FAMILY, WORDS = 10, 5
"""Classes in a family; words of a concept."""

SHARED, OWN, BLURRED = 0.6, 0.8, 0.5
"""How far a family lies from the others, a class from its siblings, a blurred class from them."""

NOISE = 0.22
"""Deviation in each axis: a head is right about as often as one on the features of a large CLIP."""

STRENGTH, TOWARDS = 0.9, 0.8
"""Of a concept in an image that shows it; how far a hard image lies towards the sibling."""

HARD, SIBLING, ELSEWHERE = 0.2, 0.9, 0.3
"""Share of images that show the concept: of the class with the hard half, of the sibling, of any class
that shows it for no reason."""

WORD_NOISE = 0.5
"""Length of what a word of a concept has of its own."""

ROWS_AT_ONCE = 16_384


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HalvesSize:
    """How large it is.

    Parameters
    ----------
    classes : int
        A multiple of `FAMILY`.
    train : int
        Images in all, as many of each class as the division allows.
    held_out : int
        Images a class in validation, drawn like training; as many in test.
    concepts : int
        Of the vocabulary; at least one and a half a family.
    """

    classes: int
    train: int
    width: int = 768
    held_out: int = 50
    concepts: int = 400

    def __post_init__(self) -> None:
        if self.classes < FAMILY or self.classes % FAMILY or 2 * self.concepts < 3 * self.classes // FAMILY:
            raise InputError(
                f"{self.classes} classes, {self.concepts} concepts; a multiple of {FAMILY} classes is legal, "
                "and 3 concepts for 2 families of these"
            )

    def part(self, share: float) -> HalvesSize:
        """Return a part of it: fewer classes, each as large as before."""
        if not 0 < share <= 1:
            raise InputError(f"size is {share:g}; legal is more than 0, and 1 at most")
        classes = FAMILY * max(1, round(share * self.classes / FAMILY))
        return dataclasses.replace(self, classes=classes, train=self.train * classes // self.classes)


IMAGENET = HalvesSize(classes=1_000, train=1_281_167)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlantedHalves:
    """A data set drawn by a seed: labels, splits and hard halves at once, features as they are read."""

    size: HalvesSize
    seed: int = 0

    @functools.cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of its K classes."""
        return tuple(f"kind {number}" for number in range(self.size.classes))

    @functools.cached_property
    def planted(self) -> Mapping[str, tuple[str, ...]]:
        """By class with a hard half the words that tell it."""
        return {
            self.classes[k]: tuple(_word(family, number) for number in range(WORDS))
            for family, (k, _, _) in enumerate(self._roles)
        }

    @functools.cached_property
    def split(self) -> NDArray[np.str_]:
        """Split of each image (N,): first training, then those held out."""
        held = self.size.held_out * self.size.classes
        return np.repeat(("train", *HELD_OUT), (self.size.train, held, held))

    @functools.cached_property
    def labels(self) -> NDArray[np.int64]:
        """Class of each image (N,), in turn."""
        held = self.size.held_out * self.size.classes
        return np.concatenate(
            [np.arange(count) % self.size.classes for count in (self.size.train, held, held)]
        )

    @functools.cached_property
    def hard(self) -> NDArray[np.bool_]:
        """Which images lie in a hard half (N,)."""
        has_half = np.isin(self.labels, self._roles[:, 0])
        return np.asarray(has_half & (self._drawn("hard").random(len(self.labels)) < HARD), dtype=np.bool_)

    @functools.cached_property
    def bank(self) -> tuple[tuple[str, ...], NDArray[np.float32]]:
        """Its vocabulary with embeddings: each class's name, and the words of every concept."""
        concepts = np.repeat(self._concepts, WORDS, axis=0)
        own = _directions(self._drawn("words"), len(concepts), self.size.width)
        words = [_word(concept, number) for concept in range(self.size.concepts) for number in range(WORDS)]
        return (*self.classes, *words), np.vstack((self._centres, concepts + WORD_NOISE * own))

    def features(self) -> Iterator[NDArray[np.float16]]:
        """Yield the features of all images, a bounded part at a time."""
        rng = self._drawn("features")
        for start in range(0, len(self.labels), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            labels, hard = self.labels[rows], self.hard[rows]
            block = NOISE * rng.standard_normal((len(labels), self.size.width), dtype=np.float32)
            block += self._centres[labels]
            sibling = self._roles[labels // FAMILY, 1]
            block[hard] += TOWARDS * (self._centres[sibling] - self._centres[labels])[hard]
            shows = hard | ((labels == sibling) & (rng.random(len(labels)) < SIBLING))
            block[shows] += STRENGTH * self._concepts[(labels // FAMILY)[shows]]
            for of_class in self._elsewhere.T:
                shown = rng.random(len(labels)) < ELSEWHERE
                block[shown] += STRENGTH * self._concepts[of_class[labels[shown]]]
            yield block.astype(np.float16)

    @functools.cached_property
    def _roles(self) -> NDArray[np.int64]:
        """By family the class with the hard half, its sibling, and the blurred one (F, 3)."""
        rng, families = self._drawn("roles"), self.size.classes // FAMILY
        return np.stack([FAMILY * each + rng.permutation(FAMILY)[:3] for each in range(families)])

    @functools.cached_property
    def _centres(self) -> NDArray[np.float32]:
        rng, width = self._drawn("centres"), self.size.width
        far = np.full(self.size.classes, OWN, dtype=np.float32)
        far[self._roles[:, 2]] = BLURRED
        families = np.repeat(_directions(rng, len(self._roles), width), FAMILY, axis=0)
        return SHARED * families + far[:, None] * _directions(rng, self.size.classes, width)

    @functools.cached_property
    def _concepts(self) -> NDArray[np.float32]:
        return _directions(self._drawn("concepts"), self.size.concepts, self.size.width)

    @functools.cached_property
    def _elsewhere(self) -> NDArray[np.int64]:
        """The two concepts that each class shows for no reason (K, 2): no planted ones are among them."""
        first = self.size.classes // FAMILY
        return self._drawn("elsewhere").integers(first, self.size.concepts, size=(self.size.classes, 2))

    def _drawn(self, name: str) -> np.random.Generator:
        return generator(self.seed, f"planted halves, {name}")


def _word(concept: int, number: int) -> str:
    return f"thing {concept}{'abcde'[number]}"


def _directions(rng: np.random.Generator, count: int, width: int) -> NDArray[np.float32]:
    found = rng.standard_normal((count, width), dtype=np.float32)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found
