"""Discovery compared: are the images that fail together found, and what does retraining bring then.

Protocol of dcbench (Eyuboglu et al. 2022), class by class: a method sees the validation images, its slices
score the test images; of all slices and their complements the best by average precision counts. That choice
knows the truth, and flatters every method alike. The retraining takes each class's first slice, as somebody
would who knows nothing.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clarify.discover.slices.interface import ImageSlice, PhraseBank, SlicedImages
from clarify.discover.slices.methods import DISCOVERY_METHODS, DiscoveryMethod, discovery_method
from clarify.errors import ClarifyError, NoScoreError
from clarify.evidence.cells import figures_of
from clarify.evidence.comparison import spread
from clarify.evidence.grids import ChosenHead
from clarify.evidence.situation import Situation, told_the_truth, truth_of
from clarify.method.phrases.descriptions import Description
from clarify.workflow.describe.grouping import groups_by_descriptions, in_force
from clarify.workflow.describe.phrase_cache import embedded, known_phrases
from clarify.workflow.describe.phrases import try_phrase
from clarify.workflow.model.arrays import DataSet
from clarify.workflow.model.project import SplitData
from clarify.workflow.model.recipe import Recipe
from clarify.workflow.retrain.gains import phrase_gain, principal_components
from clarify.workflow.retrain.heads import correct_head
from clarify.workflow.retrain.slices import bank_of, find_slices, phrases_of, sliced, tried_slices

__all__ = ["NOTHING", "PEOPLE", "compare_discovery", "precision_at", "true_slices"]

Rows = list[dict[str, Any]]

PEOPLE, NOTHING, CONTROL, ORACLE = "people's words", "no correction", "classes alone", "true groups (oracle)"

WORSE = 0.05
"""A class has a true slice where the model does so much worse on one value of the attribute."""

AT = (10, 25)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Figures:
    """What a method comes to on one draw; None where it comes to nothing."""

    precision: float | None = None
    at: tuple[float | None, ...] = (None,) * len(AT)
    chance: float | None = None
    by_slices: float | None = None
    by_words: float | None = None
    words: tuple[str, ...] = ()
    seconds: float | None = None
    refused: str = ""


def compare_discovery(
    situations: Iterable[tuple[Situation, Sequence[str]]],
    *,
    methods: Sequence[str] = (),
    told: Callable[[str], None] | None = None,
) -> Rows:
    """Compare methods, what people say and the trivial ones; returns plain rows, means over seeds.

    Parameters
    ----------
    situations : iterable of (Situation, sequence of str)
        Each with the vocabulary that is searched, and what describes slices.
    methods : sequence of str
        Their names; all by default.
    told : callable, optional
        Of each method as it is done on a draw.

    Raises
    ------
    NotFoundError
        For a method that is not known.
    """
    chosen = [discovery_method(name) for name in methods] or list(DISCOVERY_METHODS.values())
    found: dict[tuple[str, str, str], list[_Figures]] = {}
    for at, words in situations:
        phrases = known_phrases(at.project, words)
        bank = bank_of(at.project, phrases, embedded(at.project, phrases))
        ways: dict[str, Callable[[], _Figures]] = {
            NOTHING: functools.partial(_nothing, at),
            CONTROL: functools.partial(_control, at),
            **{each.name: functools.partial(_method, at, each, bank) for each in chosen},
            PEOPLE: functools.partial(_people, at, bank),
            ORACLE: functools.partial(_oracle, at),
        }
        for name, way in ways.items():
            try:
                figures = way()
            except ClarifyError as error:
                figures = _Figures(refused=str(error))
            found.setdefault((at.data_set, at.validated, name), []).append(figures)
            if told is not None:
                told(name)
    return [_row(*key, members) for key, members in found.items()]


def _row(data_set: str, validation: str, method: str, members: Sequence[_Figures]) -> dict[str, Any]:
    def over(values: Iterable[float | None]) -> dict[str, float] | None:
        return spread([each for each in values if each is not None])

    seconds = [each.seconds for each in members if each.seconds is not None]
    return {
        "data set": data_set,
        "validation": validation,
        "method": method,
        "AP": over(each.precision for each in members),
        **{f"P@{k}": over(each.at[number] for each in members) for number, k in enumerate(AT)},
        "chance": over(each.chance for each in members),
        "worst group, by slices": over(each.by_slices for each in members),
        "worst group, by words": over(each.by_words for each in members),
        "CPU s": round(float(np.mean(seconds)), 2) if seconds else None,
        "draws": len(members),
        "refused": sum(bool(each.refused) for each in members),
        "words": "; ".join(dict.fromkeys(", ".join(each.words) for each in members if each.words)),
        "reasons": list(dict.fromkeys(each.refused for each in members if each.refused)),
    }


def true_slices(at: Situation) -> dict[int, NDArray[np.bool_]]:
    """Return for each class which test images (N,) are of the value on which the model does worst.

    A class without a value on which it does `WORSE` than on another has none.
    """
    right = np.equal(at.base.predict(at.test.features), at.test.labels)
    value, found = truth_of(at.test).index % len(at.values), {}
    for label in range(len(at.classes)):
        masks = [(at.test.labels == label) & (value == number) for number in range(len(at.values))]
        rates = [(float(right[mask].mean()), mask) for mask in masks if mask.any()]
        worst, best = (of(rates, key=lambda each: each[0]) for of in (min, max))
        if best[0] - worst[0] >= WORSE:
            found[label] = worst[1]
    return found


def precision_at(scores: NDArray[np.float64], true: NDArray[np.bool_], k: int) -> float:
    """Return the share of true ones among the k highest; equal scores at the edge count by their mean."""
    k = min(k, len(scores))
    edge = np.sort(scores)[-k]
    above, equal = scores > edge, scores == edge
    return float((true[above].sum() + (k - above.sum()) * true[equal].mean()) / k)


def _found(at: Situation, slices: Sequence[ImageSlice]) -> _Figures:
    """Return how well the best slice, or complement, of each class's true slice orders test images."""
    from sklearn.metrics import average_precision_score

    images, classes, truth = sliced(at.failures.model, at.test, at.classes), [], true_slices(at)
    for label, mask in truth.items():
        rows = np.flatnonzero(at.test.labels == label)
        part, true = images.take(rows), mask[rows]
        orders = [sign * each.score(part) for each in _of_class(slices, label) for sign in (1, -1)]
        best = max(orders or [np.zeros(len(rows))], key=lambda order: average_precision_score(true, order))
        ranked = [precision_at(best, true, k) for k in AT]
        classes.append((float(average_precision_score(true, best)), *ranked, float(true.mean())))
    if not classes:
        return _Figures()
    precision, *at_k, chance = np.mean(classes, axis=0).tolist()
    return _Figures(precision=precision, at=tuple(at_k), chance=chance)


def _of_class(slices: Sequence[ImageSlice], label: int) -> list[ImageSlice]:
    return [each for each in slices if each.label in (label, None)]


def _method(at: Situation, method: DiscoveryMethod, bank: PhraseBank) -> _Figures:
    began = time.process_time()
    slices = find_slices(at.project, at.failures, method, bank, seed=at.seed)
    if method.by_gain:
        slices = _by_gain(at, slices)
    seconds = time.process_time() - began
    return dataclasses.replace(_judged(at, slices, bank), seconds=seconds)


def _by_gain(at: Situation, slices: Sequence[ImageSlice]) -> list[ImageSlice]:
    """Order phrases by their gain on principal components, as the product's first round does."""
    reduce = principal_components(at.train)
    rough, train = dataclasses.replace(at.failures, data=reduce(at.validation)), reduce(at.train)

    def gain(each: ImageSlice) -> float:
        name = at.classes[each.class_in(_seen(at))]
        found = phrase_gain(at.project, rough, train, name, each.phrase, n_tried=len(slices))
        return -1.0 if found is None else found.classes

    return sorted(slices, key=gain, reverse=True)


def _seen(at: Situation) -> SlicedImages:
    return sliced(at.failures.model, at.validation, at.classes)


def _judged(at: Situation, slices: Sequence[ImageSlice], bank: PhraseBank) -> _Figures:
    """Return what slices come to: found, and after retraining with the first of each class."""
    if not slices:
        return _Figures(refused="no slice was found")
    images, first = _seen(at), dict[int, ImageSlice]()
    for each in slices:
        first.setdefault(each.class_in(images), each)
    kept = list(first.values())
    data, splits, tried = tried_slices(at.project, at.failures, kept, {"train": at.train})
    described = [one.description for one in tried if one is not None]
    words = {}
    for number, one in enumerate(tried):
        if one is not None:
            name = one.description.class_name
            words[name] = kept[number].phrase or _best_phrase(at, one.description, splits["validation"], bank)
    return dataclasses.replace(
        _found(at, slices),
        by_slices=_worst_group(at, data, described, splits),
        by_words=_by_words(at, tuple((name, word) for name, word in sorted(words.items()) if word)),
        words=tuple(words.values()),
    )


def _best_phrase(at: Situation, what: Description, columns: SplitData, bank: PhraseBank) -> str:
    rows = columns.of_class(at.classes.index(what.class_name))
    values = columns.embeddings[rows, int(what.phrase.removeprefix("column "))].astype(np.float64)
    embeddings = at.validation.embeddings[rows]
    found = phrases_of(embeddings, what.with_half(values), what.class_name, bank, most=1)
    return found[0][0] if found else ""


@functools.lru_cache(maxsize=16)  # several methods come to the same words
def _by_words(at: Situation, words: tuple[tuple[str, str], ...]) -> float | None:
    """Return the worst group on test after `clarify retrain` with a phrase of each of some classes."""
    described = []
    for name, phrase in words:
        try:
            described.append(try_phrase(at.project, at.failures, name, phrase, n_tried=1).description)
        except NoScoreError:
            continue
    splits = {"train": at.train, "validation": at.validation}
    return (
        _worst_group(at, at.project, in_force(at.project, described, splits), splits) if described else None
    )


def _worst_group(
    at: Situation, project: DataSet, described: Sequence[Description], splits: Mapping[str, SplitData]
) -> float | None:
    """Return the worst group on test after a correction; None where the descriptions make no groups."""
    try:
        groups = groups_by_descriptions(project, described, splits)
        head = correct_head(project, splits, groups, Recipe(), descriptions=described).fit.head
    except ClarifyError:
        return None
    return figures_of(at, ChosenHead(head=head)).worst_group


def _nothing(at: Situation) -> _Figures:
    return _Figures(by_slices=figures_of(at, ChosenHead(head=at.base)).worst_group)


def _control(at: Situation) -> _Figures:
    project, splits, said = told_the_truth(at)
    groups = groups_by_descriptions(project, said, splits)
    head = correct_head(project, splits, groups, Recipe(), control=True).fit.head
    return _Figures(by_slices=figures_of(at, ChosenHead(head=head)).worst_group)


def _oracle(at: Situation) -> _Figures:
    project, splits, said = told_the_truth(at)
    return _Figures(by_slices=_worst_group(at, project, said, splits))


def _people(at: Situation, bank: PhraseBank) -> _Figures:
    """Return what people's words come to, each as a slice of its class."""

    def score(embedding: NDArray[np.float32], images: SlicedImages) -> NDArray[np.float64]:
        return np.asarray(images.embeddings @ embedding, dtype=np.float64)

    phrases, embeddings = bank.embed(list(at.phrases.values()))
    rows = dict(zip(phrases, embeddings, strict=True))
    slices = [
        ImageSlice(
            name=said, score=functools.partial(score, rows[said]), label=at.classes.index(name), phrase=said
        )
        for name, said in at.phrases.items()
        if said in rows
    ]
    return _judged(at, slices, bank)
