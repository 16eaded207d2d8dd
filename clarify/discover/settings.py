"""Axes of the setting: along what the surroundings of images differ, by the words of the vocabulary.

Where and how a picture was taken (places, light and weather, colours, style, position) are topics of the
vocabulary. What the words of one topic say of images goes together: where there is more "sea" there is
less "forest". The main directions of that, two a topic, are axes on which every image lies. Topics of what a
picture is *of* (animals, things, vehicles) are left out: along these the classes themselves lie, and a
classifier that leans less on the setting will lose images that look like another class.

The gate looks along these axes for images that pay for a correction. Single words would be many more tests,
and a word of a weak encoder tells of the subject, too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from clarify.errors import FeatureError
from clarify.method.arrays import generator, label_vector

__all__ = ["SETTINGS", "Axis", "setting_axes"]

SETTINGS = ("places", "light_weather_time", "colors_materials_patterns", "picture", "counts_positions")
"""Topics of the setting."""

AXES = 2
LEAST_WORDS = 8
"""Of a topic, that the encoder knows: fewer span nothing."""

MOST_IMAGES = 3_000
"""Behind the directions: more change nothing."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One direction: the two words that lie furthest towards either end."""

    low: tuple[str, ...]
    high: tuple[str, ...]

    def end(self, *, high: bool) -> str:
        """Name one end, for people."""
        return ", ".join(self.high if high else self.low)


def setting_axes(
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    topics: Mapping[str, tuple[Sequence[str], NDArray[np.float32]]],
) -> tuple[tuple[Axis, ...], NDArray[np.float32]]:
    """Return the axes of some topics, and where each image lies on them.

    Parameters
    ----------
    images : (N, D) float32, rows of unit length
    labels : (N,) int64
        Their classes: the directions are those within classes, so that no axis is the class itself.
    topics : mapping of topic to words and their embeddings (P, D)
        Of unit length; a topic of fewer than `LEAST_WORDS` is left out.

    Returns
    -------
    axes : tuple of A Axis
    places : (N, A) float32

    Raises
    ------
    FeatureError
        For unlike widths.
    """
    truth = label_vector(labels, n_classes=int(np.max(labels, initial=0)) + 1)
    sample = np.sort(generator(0, "setting axes").permutation(len(truth))[:MOST_IMAGES])
    axes: list[Axis] = []
    places: list[NDArray[np.float32]] = []
    for words, embeddings in topics.values():
        if len(words) < LEAST_WORDS or len(sample) < 2:
            continue
        if embeddings.shape[1:] != images.shape[1:]:
            raise FeatureError(
                f"phrase embeddings: have shape {embeddings.shape}, the images' {images.shape}; embed "
                "both with one encoder"
            )
        for direction in _directions(images[sample] @ embeddings.T, truth[sample]):
            # What all words of a topic share tells images of few words from those of many: no setting.
            along = embeddings.T @ (direction - direction.mean())
            order = np.argsort(direction, kind="stable")
            axes.append(
                Axis(low=tuple(words[n] for n in order[:2]), high=tuple(words[n] for n in order[:-3:-1]))
            )
            places.append((images @ along).astype(np.float32))
    return tuple(axes), np.stack(places, axis=1) if places else np.empty((len(truth), 0), dtype=np.float32)


def _directions(similarity: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the main directions (A, P) in which similarities (N, P) to words differ within classes."""
    within = similarity.astype(np.float64)
    for label in np.unique(labels):
        rows = labels == label
        within[rows] -= within[rows].mean(axis=0)
    within -= within.mean(axis=1, keepdims=True)
    _, _, directions = np.linalg.svd(within, full_matrices=False)
    # An axis has no sign of its own: its strongest word is at its upper end, on every machine.
    chosen = directions[:AXES]
    strongest = np.abs(chosen).argmax(axis=1)
    return np.asarray(chosen * np.sign(chosen[np.arange(len(chosen)), strongest])[:, None])
