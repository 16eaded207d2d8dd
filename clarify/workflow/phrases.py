"""Diagnose a model's classes; try a phrase on one; keep it as a description."""

from __future__ import annotations

import dataclasses
import json
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from clarify.data.images import grid
from clarify.errors import InputError, NotFoundError, nearest
from clarify.method.descriptions import Description
from clarify.method.error_score import ErrorScore, Evidence, band, evidence
from clarify.method.metrics import Accuracy, halves_accuracy
from clarify.method.phrases import Calibration, calibrate, parse_phrase, phrase_scores
from clarify.method.similarity import similarities as similarities_to
from clarify.track.records import description_record
from clarify.workflow.project import run_context

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from PIL.Image import Image

    from clarify.method.phrases import Phrase
    from clarify.track.mlflow import Run
    from clarify.workflow.project import Project, SplitData
    from clarify.workflow.runs import Model

__all__ = [
    "ClassDiagnosis",
    "ScoredPhrase",
    "description_scores",
    "diagnose",
    "kept_descriptions",
    "score_phrase",
]

GRID_IMAGES = 70


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClassDiagnosis:
    """How a model does on one class of the validation split.

    Parameters
    ----------
    class_name : str
    accuracy : Accuracy
    confused_with : str or None
        The most frequent wrong prediction, and in `confused_count` how often.
    """

    class_name: str
    accuracy: Accuracy
    confused_with: str | None
    confused_count: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "class": self.class_name,
            "images": self.accuracy.count,
            "right": self.accuracy.correct,
            "accuracy": self.accuracy.value,
            "confused_with": self.confused_with,
            "confused_count": self.confused_count,
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ScoredPhrase:
    """A phrase tried on a class of the validation split.

    Parameters
    ----------
    run_id : str
        The run that records it.
    description : Description
        The phrase with its cut.
    evidence : Evidence
        Score, p-value corrected for tries, interval, held-out score.
    unknown_words : tuple of str
        Words that the encoder was never taught; empty when it has an open vocabulary.
    with_phrase, without_phrase : Accuracy
        The model's accuracy in the two halves of the class.
    kept : bool
    """

    run_id: str
    description: Description
    evidence: Evidence
    unknown_words: tuple[str, ...]
    with_phrase: Accuracy
    without_phrase: Accuracy
    kept: bool

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "run": self.run_id,
            "class": self.description.class_name,
            "phrase": self.description.phrase,
            "error_score": self.evidence.score.value,
            "meaning": band(self.evidence.score.value),
            "evidence": self.evidence.to_dict(),
            "threshold": self.description.threshold,
            "unknown_words": list(self.unknown_words),
            "with_phrase": dataclasses.asdict(self.with_phrase),
            "without_phrase": dataclasses.asdict(self.without_phrase),
            "kept": self.kept,
        }


def diagnose(project: Project, model: Model, data: SplitData) -> tuple[ClassDiagnosis, ...]:
    """Return accuracy and most frequent confusion of each class, worst class first."""
    classes = project.manifest.classes
    predicted = model.head.predict(data.features)
    found = []
    for index, name in enumerate(classes):
        of_class = predicted[data.labels == index]
        counts = np.bincount(of_class, minlength=len(classes))
        right = int(counts[index])
        counts[index] = 0
        other = int(counts.argmax())
        found.append(
            ClassDiagnosis(
                class_name=name,
                accuracy=Accuracy(count=len(of_class), correct=right),
                confused_with=classes[other] if counts[other] else None,
                confused_count=int(counts[other]),
            )
        )
    return tuple(sorted(found, key=lambda each: each.accuracy.value or 0.0))


def description_scores(
    project: Project,
    phrase: Phrase,
    features: NDArray[np.float32],
    calibrations: Mapping[str, Calibration],
) -> NDArray[np.float64]:
    """Return the phrase's score of every image, shape (N,); see `phrase_scores`."""
    embeddings = project.encoder.encode_phrases(phrase.atoms)
    by_atom = {
        atom: similarities_to(features, embedding)
        for atom, embedding in zip(phrase.atoms, embeddings, strict=True)
    }
    return phrase_scores(phrase, by_atom, calibrations)


def score_phrase(
    project: Project,
    model: Model,
    data: SplitData,
    class_name: str,
    text: str,
    *,
    threshold: float | None = None,
    keep: bool = False,
    note: str = "",
    seed: int = 0,
) -> ScoredPhrase:
    """Try a phrase on the model's right and wrong images of a class, and record it.

    Parameters
    ----------
    project, model, data
        The data set, the model whose failures are described, its validation split.
    class_name : str
        The class whose images are split.
    text : str
        The phrase; ``AND``, ``OR``, ``NOT`` and parentheses join simple ones.
    threshold : float or None
        A cut chosen by hand; None takes the best one.
    keep : bool
        Whether the description is kept for retraining.
    note : str
        Anything the reviewer wants to remember.
    seed : int
        For the bootstrap and the held-out halves.

    Raises
    ------
    PhraseError, NotFoundError, NoScoreError, InputError
        Where phrase, class or threshold are not legal, or the class has only right or only wrong
        images.
    """
    if len(note) > 2000:
        raise InputError(f"the note has {len(note)} characters; legal is at most 2000")
    phrase = parse_phrase(text)
    label = project.manifest.class_index(class_name)
    calibrations = _calibrations(project, phrase, data)
    scores = description_scores(project, phrase, data.features, calibrations)
    rows = data.of_class(label)
    right = model.head.predict(data.features[rows]) == label
    of_class = scores[rows]
    tried = _phrases_tried(project, model, class_name) | {phrase.text}
    found = evidence(of_class[right], of_class[~right], n_tried=len(tried), seed=seed)
    description = Description(
        data_set=project.manifest.name,
        class_name=class_name,
        phrase=phrase.text,
        template=project.encoder.identity.template,
        encoder=project.encoder.identity.digest,
        calibrations=calibrations,
        threshold=_cut(found.score, threshold, of_class),
        wrong_is_above=found.score.wrong_is_above,
        author=project.reviewer,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        note=note,
    )
    with_half = description.with_half(of_class)
    halves = halves_accuracy(right, with_half)
    scored = ScoredPhrase(
        run_id="",
        description=description,
        evidence=found,
        unknown_words=project.encoder.unknown_words(" ".join(phrase.atoms)),
        with_phrase=halves.with_phrase,
        without_phrase=halves.without_phrase,
        kept=keep,
    )
    record = description_record(
        run_context(project, data),
        description=description,
        evidence=found,
        with_phrase=scored.with_phrase,
        without_phrase=scored.without_phrase,
        unknown_words=scored.unknown_words,
        similarities=pl.DataFrame(
            {"id": data.ids[rows], "similarity": of_class, "right": right,
             "with_phrase": with_half}
        ),
        pictures={
            "with": _grid(data, rows[with_half], right[with_half], seed),
            "without": _grid(data, rows[~with_half], right[~with_half], seed),
        },
        parent=model.run_id,
        kept=keep,
    )  # fmt: skip
    return dataclasses.replace(scored, run_id=project.tracking.log(record))


def kept_descriptions(
    project: Project, model: Model, runs: Sequence[str] = ()
) -> tuple[Description, ...]:
    """Return the descriptions to retrain with.

    Parameters
    ----------
    project, model
        The data set and the base model that they describe.
    runs : sequence of str
        Runs of kept descriptions, or their first characters; empty takes for each class the kept
        description with the highest error score.

    Raises
    ------
    NotFoundError
        For a run that is no kept description of this model.
    """
    kept = [run for run in _described(project, model) if run.tags["kept"] == "true"]
    chosen: list[Run] = []
    for asked in runs:
        begun = [run for run in kept if run.id.startswith(asked)]
        if len(begun) != 1:
            raise NotFoundError(
                f"{len(begun)} kept descriptions of model {model.run_id[:8]} begin {asked!r}; "
                f"{nearest(asked, [run.id[:8] for run in kept])}"
            )
        chosen += begun
    if not runs:
        best: dict[str, Run] = {}
        for run in kept:
            name = run.tags["class"]
            if name not in best or _value(run) > _value(best[name]):
                best[name] = run
        chosen = list(best.values())
    chosen.sort(key=lambda run: project.manifest.class_index(run.tags["class"]))
    return tuple(
        Description.from_dict(json.loads(project.tracking.artifact(run.id, "description.json")))
        for run in chosen
    )


def halves_of(
    project: Project, descriptions: Sequence[Description], data: SplitData
) -> dict[str, list[tuple[str, NDArray[np.bool_]]]]:
    """Return by class each phrase with which images have it: what `fit_partition` takes."""
    found: dict[str, list[tuple[str, NDArray[np.bool_]]]] = {}
    for each in descriptions:
        phrase = parse_phrase(each.phrase)
        scores = description_scores(project, phrase, data.features, each.calibrations)
        found.setdefault(each.class_name, []).append((each.phrase, each.with_half(scores)))
    return found


def _grid(data: SplitData, rows: NDArray[np.int64], right: NDArray[np.bool_], seed: int) -> Image:
    """Draw a seeded sample of one half, in the order of the split."""
    order = np.random.default_rng(seed).permutation(len(rows))[:GRID_IMAGES]
    order.sort()
    return grid([data.paths[row] for row in rows[order]], (~right[order]).tolist())


def _value(run: Run) -> float:
    return run.metrics["validation/error_score"]


def _described(project: Project, model: Model) -> list[Run]:
    runs = project.tracking.runs(project.manifest.name, kind="description")
    return [run for run in runs if run.tags["parent"] == model.run_id]


def _phrases_tried(project: Project, model: Model, class_name: str) -> set[str]:
    return {
        run.tags["phrase"] for run in _described(project, model) if run.tags["class"] == class_name
    }


def _calibrations(project: Project, phrase: Phrase, data: SplitData) -> dict[str, Calibration]:
    if not phrase.is_compound:
        return {}
    embeddings = project.encoder.encode_phrases(phrase.atoms)
    return {
        atom: calibrate(similarities_to(data.features, embedding))
        for atom, embedding in zip(phrase.atoms, embeddings, strict=True)
    }


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
