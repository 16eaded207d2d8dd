"""Slices that a discovery method finds, each with its images, what describes it and what it brings.

A method sees of each class the images that people see; those set aside confirm. A slice is then scored, cut
and retrained with as a phrase is (`clarify.workflow.describe.columns`), and described by the phrases that
part its images from the rest of the class best.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clarify.data.parallel import Progress
from clarify.discover.halves import ImagesOfClass
from clarify.discover.slices.interface import LEAST_WRONG, ImageSlice, PhraseBank, SlicedImages, large_enough
from clarify.discover.slices.methods import DiscoveryMethod
from clarify.discover.suggest import Gain, suggest
from clarify.discover.vocabulary import without_names
from clarify.errors import ClarifyError, InputError, NoScoreError
from clarify.workflow.describe.columns import column_phrase, with_columns
from clarify.workflow.describe.phrase_cache import embedded, known_phrases
from clarify.workflow.describe.phrases import TriedPhrase, try_phrase
from clarify.workflow.describe.suggest import embedded_phrases, phrases_to_search
from clarify.workflow.describe.tries import note_searched
from clarify.workflow.model.arrays import ArrayData, DataSet
from clarify.workflow.model.failures import Failures
from clarify.workflow.model.models import Model
from clarify.workflow.model.project import SplitData, Workspace
from clarify.workflow.retrain.gains import gain_of, phrase_gain
from clarify.workflow.retrain.preview import retrained

__all__ = [
    "DESCRIBED_BY",
    "FoundSlice",
    "bank_of",
    "by_gain",
    "discover",
    "find_slices",
    "found_slices",
    "phrases_of",
    "sliced",
    "tried_slices",
]

DESCRIBED_BY = 3
"""Phrases that are told of a slice."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoundSlice:
    """A slice of a class, on the validation images.

    Parameters
    ----------
    name : str
        By the method.
    tried : TriedPhrase
        Its error score, cut and evidence, as of a phrase.
    ids : tuple of str
        Its images, those that most belong to it first.
    wrong : int
        How many of them the model gets wrong.
    phrases : tuple of (str, float)
        What describes it best, with how well each parts its images from the rest of the class: as an error
        score, in [0, 1].
    gain : Gain or None
        What retraining with it brings; None where nothing can be retrained with it.
    """

    class_name: str
    name: str
    tried: TriedPhrase
    ids: tuple[str, ...]
    wrong: int
    phrases: tuple[tuple[str, float], ...]
    gain: Gain | None

    @property
    def accuracy(self) -> float | None:
        """Share of its images that the model gets right; None of an empty one."""
        return 1 - self.wrong / len(self.ids) if self.ids else None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        known = self.tried.evidence
        return {
            "class": self.class_name,
            "slice": self.name,
            "size": len(self.ids),
            "wrong": self.wrong,
            "accuracy": self.accuracy,
            "error_score": known.score.value,
            "held_out": known.held_out,
            "phrases": [{"phrase": phrase, "score": score} for phrase, score in self.phrases],
            "gain": None if self.gain is None else dataclasses.asdict(self.gain),
            "images": list(self.ids),
        }


def sliced(model: Model, data: SplitData, classes: Sequence[str]) -> SlicedImages:
    """Return the images of a split as methods see them."""
    if model.head is not None:
        probabilities = model.head.probabilities(data.features)
    else:
        probabilities = np.eye(len(classes))[model.predict(data)]
    return SlicedImages(
        features=data.features,
        embeddings=data.embeddings,
        labels=data.labels,
        probabilities=probabilities.astype(np.float64),
        captions=tuple(data.captions_of(slice(None))),
    )


def bank_of(project: DataSet, phrases: tuple[str, ...], embeddings: NDArray[np.float32]) -> PhraseBank:
    """Return phrases for methods, who may ask for others that the encoder knows."""

    def embed(texts: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.float32]]:
        known = tuple(dict.fromkeys(known_phrases(project, texts)))
        return known, embedded(project, known) if known else embeddings[:0]

    return PhraseBank(phrases=phrases, embeddings=embeddings, embed=embed, classes=project.manifest.classes)


def find_slices(
    project: DataSet,
    failures: Failures,
    method: DiscoveryMethod,
    bank: PhraseBank,
    *,
    class_name: str | None = None,
    seed: int = 0,
) -> list[ImageSlice]:
    """Let a method look at the images that people see, of one class or of all.

    Raises
    ------
    NotFoundError
        For an unknown class.
    InputError
        Where the class, or every class, has too few right or wrong images, or the method needs captions and
        none of them has one.
    """
    classes = project.manifest.classes
    label = None if class_name is None else project.manifest.class_index(class_name)
    labels = range(len(classes)) if label is None else [label]
    seen = {each: failures.explored(each) for each in labels}
    enough = [rows for rows in seen.values() if large_enough(failures.right[rows])]
    if not enough:
        raise InputError(_too_few(project.manifest.name, class_name, failures.right, seen))
    images = sliced(failures.model, failures.data, classes).take(np.sort(np.concatenate(enough)))
    if method.captions and not any(texts for texts in images.captions):
        of = f"class {class_name!r}" if class_name else "its classes"
        raise InputError(
            f"data set {project.manifest.name}: method {method.name} needs captions, and no validation image "
            f"of {of} has one; give some (clarify suggest {project.manifest.name} CLASS --captions FILE), or "
            "take another method"
        )
    return method.find(images, bank, most=method.most, seed=seed)


def _too_few(
    name: str, class_name: str | None, right: NDArray[np.bool_], seen: Mapping[int, NDArray[np.int64]]
) -> str:
    legal = f"{LEAST_WRONG} or more of both are legal, since a group of fewer is no pattern"
    if class_name is None:
        return f"data set {name}: no class has enough right and wrong validation images; {legal}"
    (rows,) = seen.values()
    counts = f"{int(right[rows].sum()):,} right and {int((~right[rows]).sum()):,} wrong validation images"
    return f"class {class_name!r} has {counts}; {legal}: look at them (clarify diagnose {name})"


def tried_slices(
    project: DataSet, failures: Failures, slices: Sequence[ImageSlice], others: Mapping[str, SplitData]
) -> tuple[ArrayData, dict[str, SplitData], list[TriedPhrase | None]]:
    """Put slices in the place of phrases and try each on its class; cut where it explains errors best.

    Parameters
    ----------
    slices : sequence of ImageSlice
        At least one.
    others : mapping of split to SplitData
        Beside validation, with the features that the model takes.

    Returns
    -------
    The data set whose phrases they are, its splits, and what each comes to: None of a slice that parts no
    images of its class.
    """
    classes, splits = project.manifest.classes, {**others, "validation": failures.data}
    seen = {name: sliced(failures.model, data, classes) for name, data in splits.items()}
    labels = [each.class_in(seen["validation"]) for each in slices]
    columns = {name: np.empty((len(data.labels), len(slices))) for name, data in splits.items()}
    for number, (each, label) in enumerate(zip(slices, labels, strict=True)):
        scores = {name: each.score(images) for name, images in seen.items()}
        known = np.unique(scores["validation"][failures.explored(label)])
        for name, values in scores.items():
            columns[name][:, number] = np.interp(values, known, np.linspace(0, 1, len(known)))
    data, changed = with_columns(project, splits, columns)
    looked_at = dataclasses.replace(failures, data=changed["validation"])
    tried: list[TriedPhrase | None] = []
    for number, label in enumerate(labels):
        try:
            one = try_phrase(data, looked_at, classes[label], column_phrase(number), n_tried=len(slices))
        except NoScoreError:
            tried.append(None)
            continue
        cut = dataclasses.replace(one.description, fixed_cut=True)
        tried.append(dataclasses.replace(one, description=cut))
    return data, changed, tried


def found_slices(
    project: DataSet,
    failures: Failures,
    train: SplitData | None,
    slices: Sequence[ImageSlice],
    bank: PhraseBank,
    *,
    progress: Callable[[Progress], None] | None = None,
) -> list[FoundSlice]:
    """Describe slices, and say what retraining with each brings; with the phrase, where it is one.

    Parameters
    ----------
    train : SplitData or None
        None where the model has no head that could be retrained.
    """
    if not slices:
        return []
    data, splits, tried = tried_slices(project, failures, slices, {} if train is None else {"train": train})
    looked_at = dataclasses.replace(failures, data=splits["validation"])
    found = []
    for number, (each, one) in enumerate(zip(slices, tried, strict=True)):
        if one is not None:
            gain = None
            if train is not None and each.phrase:
                name = one.description.class_name
                gain = phrase_gain(project, failures, train, name, each.phrase, n_tried=len(slices))
            elif train is not None:
                gain = _gain(data, looked_at, one, splits["train"])
            found.append(_described(project, failures, each, one, splits["validation"], bank, gain))
        if progress is not None:
            progress(Progress(done=number + 1, total=len(slices), bad=0))
    return found


def _gain(data: ArrayData, failures: Failures, one: TriedPhrase, train: SplitData) -> Gain | None:
    try:
        return gain_of(retrained(data, failures, one.description, train))
    except ClarifyError:
        return None


def _described(
    project: DataSet,
    failures: Failures,
    each: ImageSlice,
    one: TriedPhrase,
    columns: SplitData,
    bank: PhraseBank,
    gain: Gain | None,
) -> FoundSlice:
    what = one.description
    rows = failures.data.of_class(project.manifest.class_index(what.class_name))
    values = columns.embeddings[rows, int(what.phrase.removeprefix("column "))].astype(np.float64)
    inside = what.with_half(values)
    order = np.argsort(-values, kind="stable")
    members = rows[order[inside[order]]]
    return FoundSlice(
        class_name=what.class_name,
        name=each.name,
        tried=one,
        ids=tuple(failures.data.ids[members].tolist()),
        wrong=int((~failures.right[members]).sum()),
        phrases=phrases_of(failures.data.embeddings[rows], inside, what.class_name, bank),
        gain=gain,
    )


def phrases_of(
    embeddings: NDArray[np.float32],
    inside: NDArray[np.bool_],
    class_name: str,
    bank: PhraseBank,
    *,
    most: int = DESCRIBED_BY,
) -> tuple[tuple[str, float], ...]:
    """Return the phrases that part the images of a slice from the rest of its class best.

    Parameters
    ----------
    embeddings : (N, E) float32
        Of the images of the class.
    inside : (N,) bool

    Returns
    -------
    tuple of (str, float)
        Each so that it says what the slice has, with the score of its best cut.
    """
    kept = set(without_names(bank.phrases, class_name, bank.classes))
    numbers = [number for number, phrase in enumerate(bank.phrases) if phrase in kept]
    if not numbers or inside.all() or not inside.any():
        return ()
    phrases = [bank.phrases[number] for number in numbers]
    images = ImagesOfClass(embeddings=embeddings, right=~inside)
    best = suggest(phrases, bank.embeddings[numbers], images, most=most).items
    return tuple((each.said, each.score.value) for each in best)


def discover(
    project: Workspace,
    failures: Failures,
    train: SplitData | None,
    method: DiscoveryMethod,
    *,
    class_name: str | None = None,
    vocabulary_file: Path | None = None,
    most: int | None = None,
    embedding: Callable[[Progress], None] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> list[FoundSlice]:
    """Find slices in one class, or in all, and say of each what it is and what it brings.

    The phrases count as tried on the classes: what describes a slice of wrong images was chosen by errors.

    Parameters
    ----------
    project, failures
        The data set, and what the model gets wrong on its validation split.
    train : SplitData or None
        With the features that the model takes; None where it has no head.
    most : int, optional
        Slices wanted (of each class, where the method looks at one by one), 1 to 100.
    embedding, progress : callable, optional
        Told how many phrases are embedded, and with how many slices was retrained.

    Raises
    ------
    NotFoundError, InputError, PhraseError
        As `find_slices`, and for a number or a vocabulary that is not legal.
    """
    if most is not None and not 1 <= most <= 100:
        raise InputError(f"slices: {most} were asked for; 1 to 100 are legal")
    if class_name is not None:
        project.manifest.class_index(class_name)
    phrases = phrases_to_search(project, vocabulary_file).phrases
    bank = bank_of(project, phrases, embedded_phrases(project, phrases, vocabulary_file, embedding))
    wanted = method if most is None or method.by_gain else dataclasses.replace(method, most=most)
    slices = find_slices(project, failures, wanted, bank, class_name=class_name)
    found = found_slices(project, failures, train, slices, bank, progress=progress)
    for name in {each.class_name for each in found}:
        told = [each for each in found if each.class_name == name]
        divided = all(each.tried.evidence.confirmation for each in told)
        # As of a search: what was chosen on other images is a try when it is told.
        tries = sum(1 + len(each.phrases) for each in told) if divided else len(phrases)
        note_searched(project, failures.model, name, phrases, tries=tries)
    return by_gain(found, most) if method.by_gain else found


def by_gain(found: Sequence[FoundSlice], most: int | None) -> list[FoundSlice]:
    """Return slices in the order of what they bring, so many of each class at most."""
    ordered = sorted(found, key=lambda each: -(each.gain.classes if each.gain else -1.0))
    names = {each.class_name for each in ordered}
    of_class = {name: [each for each in ordered if each.class_name == name][:most] for name in names}
    return [each for each in ordered if each in of_class[each.class_name]]
