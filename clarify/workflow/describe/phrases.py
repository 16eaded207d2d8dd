"""Try a phrase on a class that a model fails on; record it; keep it as a description."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL.Image import Image

from clarify.data.images import grid
from clarify.errors import InputError, NotFoundError, nearest
from clarify.method.groups.metrics import HalvesAccuracy, Side, halves_accuracy
from clarify.method.phrases.descriptions import Description
from clarify.method.phrases.error_score import ErrorScore, Evidence, band, evidence
from clarify.method.phrases.phrases import Calibration, Phrase, calibrate, parse_phrase, phrase_scores
from clarify.method.phrases.similarity import similarities as similarities_to
from clarify.track.figures import distribution_figure
from clarify.track.mlflow import WAITING
from clarify.track.records import description_record
from clarify.track.runs import DescriptionRun
from clarify.workflow.describe.suggest import phrases_searched
from clarify.workflow.model.arrays import DataSet
from clarify.workflow.model.failures import Failures
from clarify.workflow.model.models import Model
from clarify.workflow.model.project import SplitData, Workspace, run_context

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = [
    "ScoredPhrase",
    "TriedPhrase",
    "description_scores",
    "kept_descriptions",
    "phrase_similarity",
    "phrases_tried",
    "record_phrase",
    "score_phrase",
    "take_back",
    "try_phrase",
]

GRID_IMAGES = 70
SIDES: tuple[Side, ...] = ("with", "without")


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
        Words that the encoder was never taught; empty when it has an open vocabulary.
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
    rows: NDArray[np.int64]
    scores: NDArray[np.float64]
    right: NDArray[np.bool_]

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
            "meaning": band(score.value),
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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoredPhrase:
    """A phrase that was tried, and the run that records it."""

    run_id: str
    tried: TriedPhrase
    kept: bool

    @property
    def description(self) -> Description:
        """The phrase with its cut."""
        return self.tried.description

    @property
    def evidence(self) -> Evidence:
        """Score, p-value corrected for tries, interval, held-out score."""
        return self.tried.evidence

    @property
    def waiting(self) -> bool:
        """Whether it waits in the outbox: the tracking store was away."""
        return self.run_id.startswith(WAITING)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"run": self.run_id, **self.tried.to_dict(), "kept": self.kept}


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
        unknown_words=project.encoder.unknown_words(" ".join(phrase.atoms)),
        rows=rows,
        scores=scores,
        right=right,
    )


def record_phrase(
    project: Workspace, failures: Failures, tried: TriedPhrase, *, keep: bool, note: str = "", seed: int = 0
) -> ScoredPhrase:
    """Record a phrase that was tried: its score, its evidence, every image's similarity.

    Parameters
    ----------
    keep : bool
        Whether the description is kept for retraining; then pictures of both halves and a chart
        are recorded as well, which can be made again from the similarities of any other.
    note : str
        Anything the reviewer wants to remember.
    seed : int
        Which images the pictures show.

    Raises
    ------
    InputError
        For a note of more than 2,000 characters.
    """
    if len(note) > 2000:
        raise InputError(f"the note has {len(note)} characters; legal is at most 2000")
    noted = dataclasses.replace(tried, description=dataclasses.replace(tried.description, note=note))
    data, halves = failures.data, noted.halves
    record = description_record(
        run_context(project, data.name),
        description=noted.description,
        evidence=noted.evidence,
        with_phrase=halves.with_phrase,
        without_phrase=halves.without_phrase,
        unknown_words=noted.unknown_words,
        similarities=noted.table(data),
        pictures={half: noted.grid(project, data, half, seed=seed) for half in SIDES if keep},
        parent=failures.model.run_id,
        kept=keep,
    )
    run_id = project.tracking.log(record)
    described = dataclasses.replace(noted.description, run=run_id)
    return ScoredPhrase(run_id=run_id, tried=dataclasses.replace(noted, description=described), kept=keep)


def take_back(project: Workspace, run_id: str) -> None:
    """Keep a description no longer; its run stays, as one that was only tried.

    Raises
    ------
    NotFoundError
        If it is not this reviewer's.
    StoreError
        If the store is away, or the description still waits in the outbox.
    """
    name = project.manifest.name
    own = [
        run
        for run in project.tracking.runs(name, DescriptionRun)
        if run.id == run_id and run.by == project.reviewer
    ]
    if not own:
        raise NotFoundError(
            f"data set {name}: no description {run_id[:8]} by {project.reviewer}; only who kept "
            "one takes it back"
        )
    project.tracking.retag(run_id, "kept", "false")


def score_phrase(
    project: Workspace,
    failures: Failures,
    class_name: str,
    text: str,
    *,
    threshold: float | None = None,
    keep: bool = False,
    note: str = "",
) -> ScoredPhrase:
    """Try a phrase on a class and record it, corrected for the phrases tried before.

    What a machine searched on the class counts as tried, too.

    Raises
    ------
    PhraseError, NotFoundError, NoScoreError, InputError
        As `try_phrase` and `record_phrase`.
    """
    known = phrases_tried(project, failures.model, class_name) | {parse_phrase(text).text}
    n_tried = len(known) + phrases_searched(project, failures.model, class_name)
    tried = try_phrase(project, failures, class_name, text, n_tried=n_tried, threshold=threshold)
    return record_phrase(project, failures, tried, keep=keep, note=note)


def kept_descriptions(project: Workspace, model: Model, runs: Sequence[str] = ()) -> tuple[Description, ...]:
    """Return the descriptions to retrain with, each with its run, so that a lineage finds it again.

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
    kept = [run for run in _described(project, model) if run.kept]
    chosen: list[DescriptionRun] = []
    for asked in runs:
        begun = [run for run in kept if run.id.startswith(asked) or asked in run.ids]
        if len(begun) != 1:
            raise NotFoundError(
                f"{len(begun)} kept descriptions of model {model.run_id[:8]} begin {asked!r}; "
                f"{nearest(asked, [run.id[:8] for run in kept])}"
            )
        chosen += begun
    if not runs:
        best: dict[str, DescriptionRun] = {}
        for run in kept:
            if run.class_name not in best or run.score > best[run.class_name].score:
                best[run.class_name] = run
        chosen = list(best.values())
    chosen.sort(key=lambda run: project.manifest.class_index(run.class_name))
    return tuple(_description(project, run) for run in chosen)


def _description(project: Workspace, run: DescriptionRun) -> Description:
    found = json.loads(project.tracking.artifact(run.id, "description.json"))
    # By its first id, which is known on every machine that a bundle takes it to.
    return Description.from_dict(found | {"run": run.origin})


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


def _described(project: Workspace, model: Model) -> list[DescriptionRun]:
    runs = project.tracking.runs(project.manifest.name, DescriptionRun)
    return [run for run in runs if run.parent == model.run_id]


def phrases_tried(project: Workspace, model: Model, class_name: str) -> set[str]:
    """Return the phrases that were recorded for a class of a model, kept or not."""
    return {run.phrase for run in _described(project, model) if run.class_name == class_name}


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
