"""Where every method starts: features, a base model, and phrases for what it gets wrong."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from clarify.errors import InputError, NoScoreError
from clarify.method.arrays import generator
from clarify.method.fit.correction import Images
from clarify.method.fit.erasure import Concept
from clarify.method.fit.objectives import Erm
from clarify.method.fit.training import ByAverage, fit_head, hold_out, select, sweep
from clarify.method.groups.groups import fit_partition
from clarify.method.phrases.error_score import error_score
from clarify.method.phrases.phrases import calibrate, parse_phrase, phrase_scores
from clarify.method.phrases.similarity import similarities

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clarify.method.fit.head import Head
    from clarify.method.groups.groups import AnnotatedGroups, DescribedGroups

__all__ = ["DECAYS", "GAP", "SHARE", "Described", "Situation", "View", "seen_by"]

DECAYS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003)
"""The weight decays that every method chooses from."""

GAP = 1e-3
"""Relative gap of every fit: accuracies do not move by less."""

SHARE = 0.8
"""Of each group of training and validation images, what a seed sees."""

Encode = Callable[[Sequence[str]], "NDArray[np.float32]"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """The images of one split.

    Parameters
    ----------
    features : ndarray of float, (N, D)
        What heads take.
    embeddings : ndarray of float32, (N, E)
        What phrases are compared with.
    labels : ndarray of int64, (N,)
    truth : AnnotatedGroups
        For reports, and for methods that are marked as using them.
    """

    features: NDArray[np.floating]
    embeddings: NDArray[np.float32]
    labels: NDArray[np.int64]
    truth: AnnotatedGroups

    def take(self, rows: NDArray[np.int64]) -> View:
        """Return some of its images, in the order given."""
        return View(
            features=self.features[rows],
            embeddings=self.embeddings[rows],
            labels=self.labels[rows],
            truth=dataclasses.replace(self.truth, index=self.truth.index[rows]),
        )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Described:
    """What the phrases make of the images.

    Parameters
    ----------
    groups : mapping of split to DescribedGroups
    concepts : mapping of split to tuple of Concept
    scores : mapping of class to error score
        Of the classes that have right and wrong images.
    """

    groups: Mapping[str, DescribedGroups]
    concepts: Mapping[str, tuple[Concept, ...]]
    scores: Mapping[str, float]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Situation:
    """One data set by one encoder, as one seed sees it.

    Parameters
    ----------
    data_set, encoder : str
    classes : tuple of str, (K,)
    values : tuple of str
        Of the annotated attribute, in order.
    train, validation, test : View
    phrases : mapping of class to phrase
        What a person says.
    encode : callable
        Embeds phrases, put into the encoder's prompt.
    seed : int
    thresholds : mapping of class to similarity
        Cuts that stand instead of the best ones.
    """

    data_set: str
    encoder: str
    classes: tuple[str, ...]
    values: tuple[str, ...]
    train: View
    validation: View
    test: View
    phrases: Mapping[str, str]
    encode: Encode
    seed: int = 0
    thresholds: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def base(self) -> Head:
        """The model that is corrected: ERM, its weight decay chosen on held-out training images."""
        data = self.train
        fitted, held = hold_out(data.labels, seed=self.seed)
        fits = sweep(data.features[fitted], data.labels[fitted], self.classes, Erm(), DECAYS, tolerance=GAP)
        chosen = select(fits, data.features[held], data.labels[held], ByAverage())
        return fit_head(
            data.features, data.labels, self.classes, Erm(), chosen.fit.weight_decay, tolerance=GAP
        ).head

    def similarity(self, phrase: str, view: View) -> NDArray[np.float64]:
        """Return how like a phrase, which may be compound, each image is (N,)."""
        parsed = parse_phrase(phrase)
        embedded = dict(zip(parsed.atoms, self.encode(parsed.atoms), strict=True))
        calibrations = {}
        if parsed.is_compound:
            calibrations = {
                atom: calibrate(similarities(self.validation.embeddings, each))
                for atom, each in embedded.items()
            }
        by_atom = {atom: similarities(view.embeddings, each) for atom, each in embedded.items()}
        return phrase_scores(parsed, by_atom, calibrations)

    @functools.cached_property
    def described(self) -> Described:
        """What the phrases make of the images; a class without failures is not described.

        Raises
        ------
        InputError
            If no phrase is given.
        GroupError
            If a phrase leaves one half of its class empty.
        """
        if not self.phrases:
            raise InputError(f"{self.data_set}: a phrase is needed; give --phrase CLASS=PHRASE")
        views = {"train": self.train, "validation": self.validation, "test": self.test}
        right = self.base.predict(self.validation.features) == self.validation.labels
        scores, concepts = {}, {name: list[Concept]() for name in views}
        halves: dict[str, dict[str, list[tuple[str, NDArray[np.bool_]]]]] = {n: {} for n in views}
        for name, phrase in self.phrases.items():
            label = self.classes.index(name)
            similarity = {split: self.similarity(phrase, view) for split, view in views.items()}
            rows = self.validation.labels == label
            at = similarity["validation"]
            try:
                score = error_score(at[rows & right], at[rows & ~right])
            except NoScoreError:
                continue
            scores[name] = score.value
            threshold = self.thresholds.get(name, score.threshold)
            for split, view in views.items():
                concepts[split].append(
                    Concept(
                        name=f"{name}: {phrase}",
                        rows=view.labels == label,
                        similarity=similarity[split],
                        threshold=threshold,
                    )
                )
                having = similarity[split] > threshold
                halves[split][name] = [(phrase, having)]
        partition = fit_partition(self.train.labels, self.classes, halves["train"])
        return Described(
            groups={name: partition.groups(view.labels, halves[name]) for name, view in views.items()},
            concepts={name: tuple(found) for name, found in concepts.items()},
            scores=scores,
        )

    def images(self, split: str) -> Images:
        """Return a split with the groups and concepts that the phrases make."""
        view: View = getattr(self, split)
        described = self.described
        return Images(
            features=view.features,
            labels=view.labels,
            groups=described.groups[split],
            concepts=described.concepts[split],
        )


def seen_by(situation: Situation, seed: int) -> Situation:
    """Return what a seed sees of it: `SHARE` of each group of training and validation images.

    The test images are the same for every seed.
    """

    def part(view: View, name: str) -> View:
        rng = generator(seed, f"seen of {name}")
        rows = [
            rng.permutation(members)[: max(1, round(SHARE * len(members)))]
            for group in range(len(view.truth.names))
            if len(members := np.flatnonzero(view.truth.index == group))
        ]
        return view.take(np.sort(np.concatenate(rows)))

    return dataclasses.replace(
        situation,
        train=part(situation.train, "train"),
        validation=part(situation.validation, "validation"),
        seed=seed,
    )
