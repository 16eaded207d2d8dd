"""Try a phrase on a class that a model fails on; nothing is recorded: see `recording`."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL.Image import Image

from clarify.data.images import grid
from clarify.errors import InputError
from clarify.method.groups.metrics import HalvesAccuracy, Side, halves_accuracy
from clarify.method.phrases.descriptions import Description
from clarify.method.phrases.error_score import ErrorScore, Evidence, band, evidence
from clarify.method.phrases.phrases import Calibration, Phrase, calibrate, parse_phrase, phrase_scores
from clarify.method.phrases.similarity import similarities as similarities_to
from clarify.track.figures import distribution_figure
from clarify.workflow.model.arrays import DataSet
from clarify.workflow.model.failures import Failures
from clarify.workflow.model.project import SplitData, Workspace

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["TriedPhrase", "description_scores", "halves_of", "phrase_similarity", "try_phrase"]

GRID_IMAGES = 70
NO_VERDICT = "no verdict"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TriedPhrase:
    """A phrase tried on the images of a class, N of them.

    Parameters
    ----------
    description : Description
        The phrase with its cut.
    evidence : Evidence
        Score, p-value corrected for tries, interval, held-out score.
    unknown_words : tuple of str
        Words that the encoder does not know; empty when it has an open vocabulary.
    caution : str
        Why the score says nothing, if it does not: said first, and then there is no verdict.
    rows : (N,) int64
        The images' rows in the split.
    scores : (N,) float64
        The phrase's score of each.
    right : (N,) bool
        Which of them the model gets right.
    """

    description: Description
    evidence: Evidence
    unknown_words: tuple[str, ...]
    caution: str
    rows: NDArray[np.int64]
    scores: NDArray[np.float64]
    right: NDArray[np.bool_]

    @property
    def verdict(self) -> str:
        """What the score means, in words: "strong" and so on, or that nobody can say."""
        return NO_VERDICT if self.caution else band(self.evidence.score.value)

    @property
    def with_half(self) -> NDArray[np.bool_]:
        """Return which of the images have what the phrase says, shape (N,)."""
        return self.description.with_half(self.scores)

    @property
    def halves(self) -> HalvesAccuracy:
        """The model's accuracy on the images with the phrase, and on those without it."""
        return halves_accuracy(self.right, self.with_half)

    def table(self, data: SplitData) -> pl.DataFrame:
        """Return a row an image: ``id, similarity, right, with_phrase``."""
        columns = {"id": data.ids[self.rows], "similarity": self.scores, "right": self.right}
        return pl.DataFrame({**columns, "with_phrase": self.with_half})

    def figure(self) -> Figure:
        """Return how the scores of right and of wrong images are spread, with the cut."""
        what = self.description
        return distribution_figure(
            self.scores, self.right, what.threshold, title=f"{what.class_name}: {what.phrase}"
        )

    def grid(self, project: Workspace, data: SplitData, half: Side, *, seed: int = 0) -> Image:
        """Draw a seeded sample of one half, in the order of the split; wrong images are framed."""
        chosen = self.with_half if half == "with" else ~self.with_half
        rows, right = self.rows[chosen], self.right[chosen]
        order = np.random.default_rng(seed).permutation(len(rows))[:GRID_IMAGES]
        order.sort()
        read = functools.partial(project.thumbnails.image, inside=project.manifest.root)
        return grid([data.path(row) for row in rows[order]], (~right[order]).tolist(), read=read)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        halves, score = self.halves, self.evidence.score
        return {
            "class": self.description.class_name,
            "phrase": self.description.phrase,
            "error_score": score.value,
            "meaning": self.verdict,
            "caution": self.caution,
            "evidence": self.evidence.to_dict(),
            "threshold": self.description.threshold,
            "unknown_words": list(self.unknown_words),
            "with_phrase": dataclasses.asdict(halves.with_phrase),
            "without_phrase": dataclasses.asdict(halves.without_phrase),
        }

    def cut_at(self, threshold: float) -> TriedPhrase:
        """Return it with a cut chosen by hand; the score stays that of the best cut.

        Raises
        ------
        InputError
            If one side would be empty.
        """
        cut = _cut(self.evidence.score, threshold, self.scores)
        moved = dataclasses.replace(self.description, threshold=cut)
        return dataclasses.replace(self, description=moved)


def description_scores(
    project: DataSet,
    phrase: Phrase,
    image_embeddings: NDArray[np.float32],
    calibrations: Mapping[str, Calibration],
) -> NDArray[np.float64]:
    """Return the phrase's score of every image, shape (N,); see `phrase_scores`."""
    return phrase_scores(phrase, _by_atom(project, phrase, image_embeddings), calibrations)


def phrase_similarity(
    project: DataSet, text: str, data: SplitData, *, calibrated_on: SplitData
) -> NDArray[np.float64]:
    """Return a phrase's score of every image, shape (N,); a compound one is calibrated on other images."""
    phrase = parse_phrase(text)
    calibrations = _calibrations(project, phrase, calibrated_on)
    return description_scores(project, phrase, data.embeddings, calibrations)


def try_phrase(
    project: DataSet,
    failures: Failures,
    class_name: str,
    text: str,
    *,
    n_tried: int,
    threshold: float | None = None,
    seed: int = 0,
) -> TriedPhrase:
    """Try a phrase on the model's right and wrong images of a class; nothing is recorded.

    Parameters
    ----------
    project, failures
        The data set, and what the model gets wrong on its validation split.
    class_name : str
        The class whose images are split.
    text : str
        The phrase; ``AND``, ``OR``, ``NOT`` and parentheses join simple ones.
    n_tried : int
        Phrases looked at on the class so far, this one included; at least 1.
    threshold : float or None
        A cut chosen by hand; None takes the best one.
    seed : int
        For the bootstrap and the held-out halves.

    Raises
    ------
    PhraseError, NotFoundError, NoScoreError, InputError
        Where phrase, class or threshold are not legal, or the class has only right or only wrong
        images.
    """
    phrase, data = parse_phrase(text), failures.data
    rows = data.of_class(project.manifest.class_index(class_name))
    calibrations = _calibrations(project, phrase, data)
    scores = description_scores(project, phrase, data.embeddings[rows], calibrations)
    right = failures.right[rows]
    found = evidence(scores[right], scores[~right], n_tried=n_tried, seed=seed)
    unknown = project.encoder.unknown_words([" ".join(phrase.atoms)])[0]
    description = Description(
        data_set=project.manifest.name,
        class_name=class_name,
        phrase=phrase.text,
        template=project.encoder.identity.template,
        encoder=project.encoder.identity.digest,
        calibrations=calibrations,
        threshold=_cut(found.score, threshold, scores),
        wrong_is_above=found.score.wrong_is_above,
        author=project.reviewer,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return TriedPhrase(
        description=description,
        evidence=found,
        unknown_words=unknown,
        caution=". ".join(filter(None, (project.caution, _of_words(unknown)))),
        rows=rows,
        scores=scores,
        right=right,
    )


def halves_of(
    project: DataSet, descriptions: Sequence[Description], data: SplitData
) -> dict[str, list[tuple[str, NDArray[np.bool_]]]]:
    """Return by class each phrase with which images have it: what `fit_partition` takes."""
    found: dict[str, list[tuple[str, NDArray[np.bool_]]]] = {}
    for each in descriptions:
        phrase = parse_phrase(each.phrase)
        scores = description_scores(project, phrase, data.embeddings, each.calibrations)
        found.setdefault(each.class_name, []).append((each.phrase, each.with_half(scores)))
    return found


def _calibrations(project: DataSet, phrase: Phrase, data: SplitData) -> dict[str, Calibration]:
    if not phrase.is_compound:
        return {}
    return {atom: calibrate(each) for atom, each in _by_atom(project, phrase, data.embeddings).items()}


def _by_atom(
    project: DataSet, phrase: Phrase, embeddings: NDArray[np.float32]
) -> dict[str, NDArray[np.float64]]:
    """Return how like each simple phrase of one every image is."""
    of_atoms = project.encoder.encode_phrases(phrase.atoms)
    return {atom: similarities_to(embeddings, of) for atom, of in zip(phrase.atoms, of_atoms, strict=True)}


def _of_words(unknown: Sequence[str]) -> str:
    return f"the encoder does not know: {', '.join(unknown)}" if unknown else ""


def _cut(score: ErrorScore, asked: float | None, scores: NDArray[np.float64]) -> float:
    if asked is None:
        return score.threshold
    low, high = float(scores.min()), float(scores.max())
    if not math.isfinite(asked) or not low <= asked < high:
        raise InputError(
            f"threshold {asked:g} leaves one side empty; the class's scores run from {low:.4f} to "
            f"{high:.4f}: choose one between, or leave it out for the best cut"
        )
    return asked
