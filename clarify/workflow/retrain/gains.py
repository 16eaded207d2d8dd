"""The machine's suggestions in the order of what retraining with them brings.

A high error score is no promise: a phrase that copies the model's own decision parts right from wrong
by construction, and retraining with it harms. So each of the best phrases by score is retrained with, and
what became of the images set aside (of a small class: of all) decides the order.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

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

__all__ = ["POOL", "brought", "gain_of", "gain_when_kept", "ranked"]

POOL = 40
"""The best by error score of so many groups of phrases are retrained with."""

COPIES = 0.9
"""Rank correlation of a phrase with the model's own decision from which it is said to copy it."""

WORKERS = 2
SCHEMA_VERSION = 1


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
    items = found.items
    missing = [each for each in items if each.phrase not in kept.gains]
    done = len(items) - len(missing)
    # One thread of linear algebra each: two that wait for one another are slower than one.
    with threadpool_limits(1), ThreadPoolExecutor(WORKERS) as pool:
        known = pool.map(lambda each: brought(project, failures, train, found.class_name, each), missing)
        for number, each in enumerate(known, start=done + 1):
            kept.gains[each.phrase] = {"gain": each.gain, "copies": each.copies}
            if progress is not None:
                progress(Progress(done=number, total=len(items), bad=0))
    if missing:
        kept.write()

    def first(of: tuple[Suggestion, ...]) -> tuple[Suggestion, ...]:
        known = [dataclasses.replace(each, **kept.gains[each.phrase]) for each in of]
        return tuple(sorted(known, key=lambda each: each.order))[:most]

    mentioned = found.mentioned
    result = dataclasses.replace(
        found,
        found=dataclasses.replace(found.found, items=first(found.found.items)),
        mentioned=mentioned and dataclasses.replace(mentioned, items=first(mentioned.items)),
    )
    said = [phrase for each in result.items for phrase in (each.phrase, each.said)]
    note_suggested(project, failures.model, found.class_name, said)
    return result


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
    copies = _copies(project, failures, class_name, each.phrase)
    try:
        tried = try_phrase(project, failures, class_name, each.phrase, n_tried=each.evidence.n_tried)
        gain = gain_of(retrained(project, failures, tried.description, train))
    except ClarifyError:
        return dataclasses.replace(each, copies=copies)
    return dataclasses.replace(each, gain=gain, copies=copies)


def _copies(project: DataSet, failures: Failures, class_name: str, phrase: str) -> bool:
    """Whether a phrase ranks the class's images as the model's decision for the class does."""
    from scipy.stats import spearmanr

    label = project.manifest.class_index(class_name)
    head = failures.model.head
    if (
        head is None or parse_phrase(phrase).mentions
    ):  # what captions mention has two values: it ranks nothing
        return False
    data = failures.data.take(failures.explored(label))
    similarity = phrase_similarity(project, phrase, data, calibrated_on=data)
    if np.ptp(similarity) == 0:
        return False
    decision = head.probabilities(data.features)[:, label]
    return bool(abs(spearmanr(similarity, decision).statistic) >= COPIES)


class _Kept:
    """What was found before of a model's class, by phrase; a cache: one that cannot be read is made again."""

    def __init__(self, project: Workspace, failures: Failures, class_name: str) -> None:
        digest = project.encoder.identity.digest
        self._path = project.home / "mlruns" / "gains" / f"{failures.model.run_id}.json"
        self._key = f"{digest} {class_name}"
        self.gains: dict[str, dict[str, Any]] = {
            phrase: {"gain": each["gain"] and Gain(**each["gain"]), "copies": each["copies"]}
            for phrase, each in _read(self._path).get(self._key, {}).items()
        }

    def write(self) -> None:
        """Keep it beside what was found of other classes."""
        of_class = {
            phrase: {**each, "gain": each["gain"] and dataclasses.asdict(each["gain"])}
            for phrase, each in self.gains.items()
        }
        content = {"schema_version": SCHEMA_VERSION, "gains": {**_read(self._path), self._key: of_class}}
        with writing(self._path.parent, hint="then give the same command again"):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path, [json.dumps(content, ensure_ascii=False).encode()])


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_bytes())
        return dict(content["gains"]) if content["schema_version"] == SCHEMA_VERSION else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
