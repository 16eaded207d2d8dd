"""Where every method starts: features, a base model, and phrases for what it gets wrong.

Base model, scores, groups and corrections are the product's own: `clarify.workflow` on these images.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from clarify.errors import InputError, NoScoreError
from clarify.method.arrays import generator
from clarify.method.fit.head import Head
from clarify.method.fit.training import Fit
from clarify.method.groups.groups import AnnotatedGroups, DescribedGroups
from clarify.method.phrases.descriptions import Description
from clarify.track.gate_evidence import GateEvidence
from clarify.workflow.describe.columns import column_phrase, with_columns
from clarify.workflow.describe.grouping import groups_by_descriptions, in_force
from clarify.workflow.describe.phrases import TriedPhrase, phrase_similarity, try_phrase
from clarify.workflow.model.arrays import ArrayData, DataSet
from clarify.workflow.model.failures import Failures, failures_of
from clarify.workflow.model.models import Model
from clarify.workflow.model.project import SplitData
from clarify.workflow.model.recipe import Recipe
from clarify.workflow.retrain.heads import HeadFit, correct_head, crossed_heads, fit_base
from clarify.workflow.retrain.judged import Predicted, gate_evidence

__all__ = ["HELD_OUT", "SHARE", "Situation", "ordinary", "seen_by", "told_the_truth", "truth_of"]

SHARE = 0.8
"""Of each group of training and validation images, what a seed sees."""

HELD_OUT = 0.4
"""Of each class of training images, what an ordinary validation split takes."""

EVEN = 0.9
"""A class is balanced where its rarest group has so many of the images that the commonest one has."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Situation:
    """One data set by one encoder, as one seed sees it.

    Parameters
    ----------
    project : DataSet
        Name, classes, and what embeds phrases.
    encoder : str
        Whose features heads take, for tables.
    values : tuple of str
        Of the annotated attribute, in order.
    train, validation, test : SplitData
        With their annotated groups: for reports, and for methods that are marked as using them.
    phrases : mapping of class to phrase
        What a person says.
    thresholds : mapping of class to similarity
        Cuts that stand instead of the best ones.
    called : str
        The data set's name in tables, where each seed is a data set with a name of its own.
    drawn : bool
        Whether its seeds are data sets drawn anew, test images too; else each sees other training images.
    is_ordinary : bool
        Whether validation was drawn from training; else it is the data set's own.
    """

    project: DataSet
    encoder: str
    values: tuple[str, ...]
    train: SplitData
    validation: SplitData
    test: SplitData
    phrases: Mapping[str, str]
    seed: int = 0
    thresholds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    called: str = ""
    drawn: bool = False
    is_ordinary: bool = False

    @property
    def data_set(self) -> str:
        """Its name."""
        return self.called or self.project.manifest.name

    @property
    def validated(self) -> str:
        """What validation is: ``ordinary``, ``balanced`` by true group in every class, or its ``own``."""
        if self.is_ordinary:
            return "ordinary"
        counts = truth_of(self.validation).counts.reshape(len(self.classes), -1)
        even = (counts.min(axis=1) >= EVEN * counts.max(axis=1)).all()
        return "balanced" if even else "own"

    @property
    def classes(self) -> tuple[str, ...]:
        """Its classes (K,)."""
        return self.project.manifest.classes

    @property
    def splits(self) -> dict[str, SplitData]:
        """Every split by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def encode(self, phrases: Sequence[str]) -> NDArray[np.float32]:
        """Embed phrases, put into the encoder's prompt."""
        return self.project.encoder.encode_phrases(phrases)

    def similarity(self, phrase: str, data: SplitData) -> NDArray[np.float64]:
        """Return how like a phrase, which may be compound, each image is (N,)."""
        return phrase_similarity(self.project, phrase, data, calibrated_on=self.validation)

    @functools.cached_property
    def base_fit(self) -> Fit:
        """The model that is corrected: ERM, as `clarify train` fits it."""
        return fit_base(self.train, self.classes, seed=self.seed).fit

    @property
    def base(self) -> Head:
        """Its head."""
        return self.base_fit.head

    @functools.cached_property
    def failures(self) -> Failures:
        """What it gets wrong on validation."""
        return failures_of(Model(run_id="", name="base", head=self.base), self.validation)

    @functools.cached_property
    def tried(self) -> Mapping[str, TriedPhrase]:
        """By class what the phrases come to; a class without failures is not described.

        Raises
        ------
        InputError
            If no phrase is given.
        """
        if not self.phrases:
            raise InputError(f"{self.data_set}: a phrase is needed; give --phrase CLASS=PHRASE")
        found = {}
        for name, phrase in self.phrases.items():
            try:
                found[name] = try_phrase(
                    self.project, self.failures, name, phrase, n_tried=1, threshold=self.thresholds.get(name)
                )
            except NoScoreError:
                continue
        return found

    @functools.cached_property
    def descriptions(self) -> list[Description]:
        """What the phrases say, with the cuts that `clarify retrain` uses."""
        return in_force(self.project, [each.description for each in self.tried.values()], self.splits)

    @property
    def scores(self) -> list[float]:
        """The error scores of the described classes."""
        return [each.evidence.score.value for each in self.tried.values()]

    @functools.cached_property
    def groups(self) -> Mapping[str, DescribedGroups]:
        """The groups that the phrases make, of every split.

        Raises
        ------
        GroupError
            If a phrase leaves one half of its class empty.
        """
        return groups_by_descriptions(self.project, self.descriptions, self.splits)

    def corrected(self, recipe: Recipe, *, control: bool = False) -> HeadFit:
        """Return what `clarify retrain` fits by a recipe."""
        return correct_head(
            self.project, self.splits, self.groups, recipe, descriptions=self.descriptions, control=control
        )

    def judged(self, recipe: Recipe, now: HeadFit, control: HeadFit) -> GateEvidence:
        """Return what the gate looks at, of what `corrected` came to with the phrases and without."""
        predicted = Predicted(base=self.failures.predicted, now=now.predicted, control=control.predicted)
        crossed = crossed_heads(
            self.project,
            self.splits,
            self.groups,
            recipe,
            base=(self.base, self.base_fit.weight_decay),
            found=now,
            control=control,
            descriptions=self.descriptions,
        )
        return gate_evidence(self.project, self.splits, self.groups, set(self.tried), predicted, crossed)


def truth_of(data: SplitData) -> AnnotatedGroups:
    """Return the annotated groups of a split.

    Raises
    ------
    InputError
        If it has none, so that nothing can be compared.
    """
    if data.truth is None:
        raise InputError(
            f"split {data.name} has no annotated attribute to compare by; add a column to its table and to "
            "the manifest's [attributes]"
        )
    return data.truth


def seen_by(situation: Situation, seed: int) -> Situation:
    """Return what a seed sees of it: `SHARE` of each group of training and validation images.

    The test images are the same for every seed.
    """

    def part(data: SplitData) -> SplitData:
        rng, truth = generator(seed, f"seen of {data.name}"), truth_of(data)
        rows = [
            rng.permutation(members)[: max(1, round(SHARE * len(members)))]
            for group in range(len(truth.names))
            if len(members := np.flatnonzero(truth.index == group))
        ]
        return data.take(np.sort(np.concatenate(rows)))

    return dataclasses.replace(
        situation, train=part(situation.train), validation=part(situation.validation), seed=seed
    )


def ordinary(whole: Situation, seed: int, most: int | None = None) -> Situation:
    """Return it with a validation split like its training split: part of that, drawn class by class.

    Places are not looked at: this is how people hold images out. The rest trains; test stays.

    Parameters
    ----------
    most : int, optional
        So many of the images held out are looked at; all by default.
    """
    rng, labels = generator(seed, "ordinary"), whole.train.labels
    held = np.zeros(len(labels), dtype=np.bool_)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        held[rows[: round(HELD_OUT * len(rows))]] = True
    looked_at = np.sort(rng.permutation(np.flatnonzero(held))[:most])
    return dataclasses.replace(
        whole,
        train=whole.train.take(np.flatnonzero(~held)),
        validation=dataclasses.replace(whole.train.take(looked_at), name="validation"),
        seed=seed,
        is_ordinary=True,
    )


def told_the_truth(at: Situation) -> tuple[ArrayData, dict[str, SplitData], list[Description]]:
    """Return it with the annotated attribute in the place of phrases: what an oracle is told.

    Each value but the first is a phrase of every class, and images are as like it as they have it.
    """
    columns = {
        name: (truth_of(data).index[:, None] % len(at.values)) == np.arange(1, len(at.values))
        for name, data in at.splits.items()
    }
    project, splits = with_columns(at.project, at.splits, columns)
    said = [
        Description(
            data_set=at.data_set,
            class_name=name,
            phrase=column_phrase(number),
            template=project.encoder.identity.template,
            encoder=project.encoder.identity.digest,
            calibrations={},
            threshold=0.5 / np.sqrt(len(at.values) - 1),
            wrong_is_above=True,
            author="oracle",
            created_at="1970-01-01T00:00:00+00:00",
            fixed_cut=True,
        )
        for name in at.classes
        for number in range(len(at.values) - 1)
    ]
    return project, splits, said
