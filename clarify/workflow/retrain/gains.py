"""The machine's suggestions in the order of what retraining with them brings.

A high error score is no promise: a phrase that copies the model's own decision parts right from wrong
by construction, and retraining with it harms. So the best phrases by score are retrained with, and what
became of the images set aside (of a small class: of all) decides the order. Where there are more of them
than are wanted, all are tried on a few principal components of the features first, and the best of these
on the features (successive halving; Jamieson & Talwalkar 2016).
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from clarify.data.files import write_atomically, writing
from clarify.data.parallel import Progress
from clarify.discover.suggest import Gain, Suggestion
from clarify.errors import ClarifyError
from clarify.method.phrases.confirm import aside_of
from clarify.method.phrases.descriptions import Description
from clarify.method.phrases.phrases import parse_phrase
from clarify.workflow.describe.phrases import phrase_similarity, try_phrase
from clarify.workflow.describe.suggest import ClassSuggestions
from clarify.workflow.describe.tries import note_suggested
from clarify.workflow.model.arrays import DataSet
from clarify.workflow.model.failures import Failures
from clarify.workflow.model.project import SplitData, Workspace
from clarify.workflow.retrain.preview import Retrained, retrained

__all__ = [
    "POOL",
    "brought",
    "gain_of",
    "gain_when_kept",
    "phrase_gain",
    "principal_components",
    "ranked",
    "shortlisted",
]

POOL = 40
"""The best by error score of so many groups of phrases are tried."""

COMPONENTS = 32
"""Of features that are several times as wide: a retraining takes a thirtieth of the time, and its gain ranks
phrases nearly as that on all features does."""

COMPONENTS_FROM = 5_000
"""Training images that the principal components are found from, at most."""

COPIES = 0.9
"""Rank correlation of a phrase with the model's own decision from which it is said to copy it."""

WORKERS = 2
T = TypeVar("T")
SCHEMA_VERSION = 3


def gain_of(found: Retrained) -> Gain:
    """Return what a retraining brings.

    Of the described class the images set aside count, on which its phrase was not chosen; all of them where
    it is too small to be divided.
    """
    own = np.flatnonzero(found.data.labels == found.label)
    aside = aside_of(found.data.ids[own], found.now[own])
    judged = np.ones(len(found.now), dtype=np.bool_)
    if aside.any():
        judged[own[~aside]] = False
    labels, now, then = found.data.labels[judged], found.now[judged], found.then[judged]
    having, of_class = found.having[judged], labels == found.label
    halves = [half for half in (of_class & having, of_class & ~having) if half.any()]
    worse = min(halves, key=lambda half: float(now[half].mean()))
    change = then.astype(np.float64) - now
    return Gain(
        classes=float(np.mean([change[labels == label].mean() for label in np.unique(labels)])),
        average=float(change.mean()),
        half_before=float(now[worse].mean()),
        half_after=float(then[worse].mean()),
    )


def ranked(
    project: Workspace,
    failures: Failures,
    train: SplitData,
    found: ClassSuggestions,
    *,
    most: int,
    progress: Callable[[Progress], None] | None = None,
) -> ClassSuggestions:
    """Return the suggestions that bring most, so many of either kind at most.

    Parameters
    ----------
    failures : Failures
        What the model gets wrong on validation.
    train : SplitData
        With the features that the model takes.
    found : ClassSuggestions
        What was searched, see `POOL`.
    progress : callable, optional
        Told how many phrases were retrained with; those that were before are not again.
    """
    kept = _Kept(project, failures, found.class_name)
    of_words, of_captions = found.found.items, found.mentioned.items if found.mentioned else ()
    lists = [
        shortlisted(project, failures, train, found.class_name, of, most=most, known=kept.roughly)
        for of in (of_words, of_captions)
    ]
    chosen = [each for of in lists for each in of]
    missing = [each for each in chosen if each.phrase not in kept.gains]
    done = len(chosen) - len(missing)
    retrain = functools.partial(brought, project, failures, train, found.class_name)
    for number, each in enumerate(_two_at_once(retrain, missing), start=done + 1):
        kept.gains[each.phrase] = each.gain
        if progress is not None:
            progress(Progress(done=number, total=len(chosen), bad=0))
    kept.write()

    def ordered(of: Sequence[Suggestion]) -> tuple[Suggestion, ...]:
        known = [dataclasses.replace(each, gain=kept.gains[each.phrase]) for each in of]
        return tuple(sorted(known, key=lambda each: each.order))

    mentioned = found.mentioned
    result = dataclasses.replace(
        found,
        found=dataclasses.replace(found.found, items=ordered(lists[0])),
        mentioned=mentioned and dataclasses.replace(mentioned, items=ordered(lists[1])),
    )
    said = [phrase for each in result.items for phrase in (each.phrase, each.said)]
    note_suggested(project, failures.model, found.class_name, said)
    return result


def shortlisted(
    project: DataSet,
    failures: Failures,
    train: SplitData,
    class_name: str,
    items: Sequence[Suggestion],
    *,
    most: int,
    known: dict[str, Gain | None] | None = None,
) -> tuple[Suggestion, ...]:
    """Return the suggestions that bring most by a retraining on principal components, so many at most.

    Those that copy the model's decision are marked, and come last.

    Parameters
    ----------
    known : dict of str to Gain or None, optional
        What such a retraining brought before, by phrase; gets what it brings now.
    """
    known = {} if known is None else known
    copies = _copies(project, failures, class_name)
    items = [dataclasses.replace(each, copies=copies(each.phrase)) for each in items]
    if len(items) <= most or train.features.shape[1] < 4 * COMPONENTS:
        return tuple(items[:most])
    missing = [each for each in items if each.phrase not in known]
    if missing:
        reduce = principal_components(train)
        rough, rough_train = dataclasses.replace(failures, data=reduce(failures.data)), reduce(train)
        gains = _two_at_once(functools.partial(_gain, project, rough, rough_train, class_name), missing)
        known |= zip((each.phrase for each in missing), gains, strict=True)
    return tuple(
        sorted(items, key=lambda each: dataclasses.replace(each, gain=known[each.phrase]).order)[:most]
    )


def principal_components(train: SplitData) -> Callable[[SplitData], SplitData]:
    """Return what reduces features to their first principal components, found from training images."""
    rows = np.random.default_rng(0).permutation(len(train.features))[:COMPONENTS_FROM]
    some = train.features[rows].astype(np.float64)
    mean = some.mean(axis=0)
    some -= mean
    components = np.linalg.eigh(some.T @ some)[1][:, -COMPONENTS:]

    def reduce(data: SplitData) -> SplitData:
        return dataclasses.replace(data, features=((data.features - mean) @ components).astype(np.float32))

    return reduce


def _two_at_once(of: Callable[[Suggestion], T], items: Sequence[Suggestion]) -> Iterator[T]:
    """Yield what a function returns for each, in order."""
    # One thread of linear algebra each: two that wait for one another are slower than one.
    with threadpool_limits(1), ThreadPoolExecutor(WORKERS) as pool:
        yield from pool.map(of, items)


def gain_when_kept(project: Workspace, failures: Failures, description: Description) -> float | None:
    """Return `Gain.classes` of a phrase that is kept; None where the model cannot be retrained as a head."""
    if failures.model.head is None:
        return None
    try:
        found = retrained(project, failures, description, failures.model.data(project, "train"))
    except ClarifyError:
        return None
    return gain_of(found).classes


def brought(
    project: DataSet, failures: Failures, train: SplitData, class_name: str, each: Suggestion
) -> Suggestion:
    """Return a suggestion with what it brings; no gain where nothing can be retrained with it."""
    return dataclasses.replace(each, gain=_gain(project, failures, train, class_name, each))


def _gain(
    project: DataSet, failures: Failures, train: SplitData, class_name: str, each: Suggestion
) -> Gain | None:
    n_tried = each.evidence.n_tried
    return phrase_gain(project, failures, train, class_name, each.phrase, n_tried=n_tried)


def phrase_gain(
    project: DataSet, failures: Failures, train: SplitData, class_name: str, phrase: str, *, n_tried: int
) -> Gain | None:
    """Return what retraining with a phrase brings; None where nothing can be retrained with it."""
    try:
        tried = try_phrase(project, failures, class_name, phrase, n_tried=n_tried)
        return gain_of(retrained(project, failures, tried.description, train))
    except ClarifyError:
        return None


def _copies(project: DataSet, failures: Failures, class_name: str) -> Callable[[str], bool]:
    """Return what tells whether a phrase ranks the class's images as the model's decision for it does."""
    from scipy.stats import spearmanr

    head = failures.model.head
    if head is None:
        return lambda phrase: False
    label = project.manifest.class_index(class_name)
    data = failures.data.take(failures.explored(label))
    decision = head.probabilities(data.features)[:, label]

    def copies(phrase: str) -> bool:
        if parse_phrase(phrase).mentions:  # what captions mention has two values: it ranks nothing
            return False
        similarity = phrase_similarity(project, phrase, data, calibrated_on=data)
        return bool(np.ptp(similarity) > 0 and abs(spearmanr(similarity, decision).statistic) >= COPIES)

    return copies


class _Kept:
    """What was found before of a model's class, by phrase; a cache: one that cannot be read is made again."""

    def __init__(self, project: Workspace, failures: Failures, class_name: str) -> None:
        digest = project.encoder.identity.digest
        self._path = project.home / "mlruns" / "gains" / f"{failures.model.run_id}.json"
        self._key = f"{digest} {class_name}"
        self.gains: dict[str, Gain | None] = {}
        self.roughly: dict[str, Gain | None] = {}
        self._before: Mapping[str, Any] = {}
        with contextlib.suppress(KeyError, TypeError, AttributeError):
            before = _read(self._path)[self._key]
            gains, self.roughly = _as_gains(before["gains"]), _as_gains(before["roughly"])
            self.gains, self._before = gains, before

    def write(self) -> None:
        """Keep what is new of it beside what was found of other classes."""
        of_class = {
            kind: {phrase: each and dataclasses.asdict(each) for phrase, each in gains.items()}
            for kind, gains in (("gains", self.gains), ("roughly", self.roughly))
        }
        if of_class == self._before:
            return
        content = {"schema_version": SCHEMA_VERSION, "gains": {**_read(self._path), self._key: of_class}}
        with writing(self._path.parent, hint="then give the same command again"):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path, [json.dumps(content, ensure_ascii=False).encode()])


def _as_gains(kept: Mapping[str, Mapping[str, float] | None]) -> dict[str, Gain | None]:
    return {phrase: None if each is None else Gain(**each) for phrase, each in kept.items()}


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_bytes())
        return dict(content["gains"]) if content["schema_version"] == SCHEMA_VERSION else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
