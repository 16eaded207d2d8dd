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
from clarify.method.phrases.best_cut import concept_threshold
from clarify.method.phrases.descriptions import Description
from clarify.method.phrases.error_score import band
from clarify.method.phrases.evidence import Evidence, evidence_of
from clarify.method.phrases.mentions import MENTIONED, mentioned
from clarify.method.phrases.phrases import (
    CERTAIN,
    Calibration,
    Phrase,
    calibrate,
    parse_phrase,
    phrase_scores,
)
from clarify.method.phrases.similarity import similarities as similarities_to
from clarify.track.figures import distribution_figure
from clarify.workflow.model.arrays import DataSet
from clarify.workflow.model.failures import Failures
from clarify.workflow.model.project import SplitData, Workspace

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = [
    "TriedPhrase",
    "description_scores",
    "halves_of",
    "has_captions",
    "phrase_similarity",
    "try_phrase",
]

GRID_IMAGES = 70
EVERY = slice(None)
NO_VERDICT = "no verdict"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TriedPhrase:
    """A phrase tried on the images of a class, N of them.

    Parameters
    ----------
    description : Description
        The phrase with its cut.
    evidence : Evidence
        Score, p-value corrected for tries, interval, score on the images set aside.
    unknown_words : tuple of str
        Words that the encoder does not know; empty when it has an open vocabulary.
    caution : str
        Why the score says nothing, if it does not: said first, and then there is no verdict.
    rows : (N,) int64
        The rows in the split of the images that were scored: those that people see, not those set aside.
    scores : (N,) float64
        The phrase's score of each.
    right : (N,) bool
        Which of them the model gets right.
    aside_scores, aside_right : (M,) float64 and bool
        The same of the images set aside.
    best_score : float
        Of the best cut; that of the cut in force is `evidence`'s.
    without_caption : int
        Further images of the class that a phrase cannot score which asks what captions mention.
    """

    description: Description
    evidence: Evidence
    unknown_words: tuple[str, ...]
    caution: str
    rows: NDArray[np.int64]
    scores: NDArray[np.float64]
    right: NDArray[np.bool_]
    aside_scores: NDArray[np.float64]
    aside_right: NDArray[np.bool_]
    best_score: float
    without_caption: int = 0

    @property
    def captions_told(self) -> str:
        """How many images its captions are of, for people; empty where it asks none."""
        if not parse_phrase(self.description.phrase).mentions:
            return ""
        return f"scored by the captions of {len(self.rows):,} images; {self.without_caption:,} have none"

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
            what.shown(self.scores), self.right, what.shown_cut, title=f"{what.class_name}: {what.phrase}"
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
            "best_score": self.best_score,
            "meaning": self.verdict,
            "caution": self.caution,
            "evidence": self.evidence.to_dict(),
            "threshold": self.description.threshold,
            "unknown_words": list(self.unknown_words),
            "without_caption": self.without_caption,
            "with_phrase": dataclasses.asdict(halves.with_phrase),
            "without_phrase": dataclasses.asdict(halves.without_phrase),
        }

    def after(self, n_tried: int) -> TriedPhrase:
        """Return it as it stands once so many phrases were tried on the class."""
        return dataclasses.replace(self, evidence=dataclasses.replace(self.evidence, n_tried=n_tried))

    def cut_at(self, threshold: float) -> TriedPhrase:
        """Return it with a cut chosen by hand: score, evidence and direction are of this cut.

        Raises
        ------
        InputError
            If one side would be empty.
        """
        _check_cut(threshold, self.scores)
        found = evidence_of(
            self.scores,
            self.right,
            self.aside_scores,
            self.aside_right,
            threshold=threshold,
            n_tried=self.evidence.n_tried,
            seed=0,
        )
        moved = dataclasses.replace(
            self.description, threshold=threshold, wrong_is_above=found.score.wrong_is_above, fixed_cut=True
        )
        return dataclasses.replace(self, description=moved, evidence=found)


def description_scores(
    project: DataSet,
    phrase: Phrase,
    data: SplitData,
    calibrations: Mapping[str, Calibration],
    rows: NDArray[np.int64] | slice = EVERY,
) -> NDArray[np.float64]:
    """Return the phrase's score of some images, shape (N,), of all unless given; see `phrase_scores`.

    Raises
    ------
    InputError
        If the phrase asks what captions mention, and one of them has no caption.
    """
    missing = ~has_captions(phrase, data, rows)
    if missing.any():
        similar = phrase.text.replace(f"{MENTIONED} ", "")
        raise InputError(
            f"phrase {phrase.text!r}: {int(missing.sum()):,} of {len(missing):,} images of split {data.name} "
            f"have no caption; give captions of all of them (clarify suggest {project.manifest.name} CLASS "
            f"--captions FILE), or use the phrase {similar!r}, which looks at the images themselves"
        )
    return phrase_scores(phrase, _by_atom(project, phrase, data, rows), calibrations)


def has_captions(
    phrase: Phrase, data: SplitData, rows: NDArray[np.int64] | slice = EVERY
) -> NDArray[np.bool_]:
    """Return which images, shape (N,), have a caption where the phrase asks for one; else all."""
    if not phrase.mentions:
        return np.ones(len(data.ids[rows]), dtype=np.bool_)
    return np.array([bool(texts) for texts in data.captions_of(rows)], dtype=np.bool_)


def phrase_similarity(
    project: DataSet, text: str, data: SplitData, *, calibrated_on: SplitData
) -> NDArray[np.float64]:
    """Return a phrase's score of every image, shape (N,); a compound one is calibrated on other images."""
    phrase = parse_phrase(text)
    return description_scores(project, phrase, data, _calibrations(project, phrase, calibrated_on))


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
        The phrase; ``AND``, ``OR``, ``NOT`` and parentheses join simple ones. What it asks of captions,
        it asks of those images of the class that have one.
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
    of_class = data.of_class(project.manifest.class_index(class_name))
    rows = of_class[has_captions(phrase, data, of_class)]
    if len(of_class) and not len(rows):
        rows = of_class  # which is refused, with what to do
    calibrations = _calibrations(project, phrase, data)
    of_rows = description_scores(project, phrase, data, calibrations, rows)
    aside, right = failures.aside(rows), failures.right[rows]
    scores = of_rows[~aside]
    found = evidence_of(scores, right[~aside], of_rows[aside], right[aside], n_tried=n_tried, seed=seed)
    (unknown,) = project.encoder.unknown_words([" ".join(phrase.embedded)]) if phrase.embedded else ((),)
    description = Description(
        data_set=project.manifest.name,
        class_name=class_name,
        phrase=phrase.text,
        template=project.encoder.identity.template,
        encoder=project.encoder.identity.digest,
        calibrations=calibrations,
        threshold=found.score.threshold,
        wrong_is_above=found.score.wrong_is_above,
        fixed_cut=_explains_more(found, project, phrase, data, calibrations, rows[aside], right[aside]),
        author=project.reviewer,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    tried = TriedPhrase(
        description=description,
        evidence=found,
        unknown_words=unknown,
        caution=". ".join(filter(None, (project.caution if phrase.embedded else "", _of_words(unknown)))),
        rows=rows[~aside],
        scores=scores,
        right=right[~aside],
        aside_scores=of_rows[aside],
        aside_right=right[aside],
        best_score=found.score.value,
        without_caption=len(of_class) - len(rows),
    )
    return tried if threshold is None else tried.cut_at(threshold)


def halves_of(
    project: DataSet, descriptions: Sequence[Description], data: SplitData
) -> dict[str, list[tuple[str, NDArray[np.bool_]]]]:
    """Return by class each phrase with which images have it: what `fit_partition` takes.

    Of other classes than its own a phrase that asks captions says nothing, so no image there has it.

    Raises
    ------
    InputError
        If it asks captions, and an image of its class has none.
    """
    found: dict[str, list[tuple[str, NDArray[np.bool_]]]] = {}
    for each in descriptions:
        phrase, having = parse_phrase(each.phrase), np.zeros(len(data.labels), dtype=np.bool_)
        rows = data.of_class(project.manifest.class_index(each.class_name)) if phrase.mentions else EVERY
        having[rows] = each.with_half(description_scores(project, phrase, data, each.calibrations, rows))
        found.setdefault(each.class_name, []).append((each.phrase, having))
    return found


def _calibrations(project: DataSet, phrase: Phrase, data: SplitData) -> dict[str, Calibration]:
    if not phrase.is_compound:
        return {}
    likened = _likened(project, phrase, data.embeddings)
    return {atom: calibrate(likened[atom]) if atom in likened else CERTAIN for atom in phrase.atoms}


def _by_atom(
    project: DataSet, phrase: Phrase, data: SplitData, rows: NDArray[np.int64] | slice
) -> dict[str, NDArray[np.float64]]:
    """Return of every image how like each simple phrase of one it is, or what its captions mention."""
    captions = data.captions_of(rows) if phrase.mentions else []
    asked = {atom: mentioned(atom, captions) for atom in phrase.mentions}
    return asked | _likened(project, phrase, data.embeddings[rows])


def _likened(
    project: DataSet, phrase: Phrase, embeddings: NDArray[np.float32]
) -> dict[str, NDArray[np.float64]]:
    if not phrase.embedded:
        return {}
    of_atoms = project.encoder.encode_phrases(phrase.embedded)
    pairs = zip(phrase.embedded, of_atoms, strict=True)
    return {atom: similarities_to(embeddings, of) for atom, of in pairs}


def _of_words(unknown: Sequence[str]) -> str:
    return f"the encoder does not know: {', '.join(unknown)}" if unknown else ""


def _explains_more(
    found: Evidence,
    project: DataSet,
    phrase: Phrase,
    data: SplitData,
    calibrations: Mapping[str, Calibration],
    aside: NDArray[np.int64],
    right: NDArray[np.bool_],
) -> bool:
    """Whether the best cut explains the errors on the images set aside better than the concept's cut does.

    That one stands on the scores of all classes' images. Where none are set aside nobody can say; what
    captions mention has one cut only.
    """
    if found.confirmation is None or phrase.mentions:
        return False
    everywhere = description_scores(project, phrase, data, calibrations)
    above = everywhere[aside] > concept_threshold(everywhere)
    return found.confirmation.value > abs(float(above[~right].mean() - above[right].mean()))


def _check_cut(asked: float, scores: NDArray[np.float64]) -> None:
    low, high = float(scores.min()), float(scores.max())
    if not math.isfinite(asked) or not low <= asked < high:
        raise InputError(
            f"threshold {asked:g} leaves one side empty; the class's scores run from {low:.4f} to "
            f"{high:.4f}: choose one between, or leave it out for the best cut"
        )
