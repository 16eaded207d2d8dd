"""The paper's case study, whole: of many classes those worth a look, their hard halves told and corrected.

Every step is the product's: base model, promise, suggestions, descriptions, retraining, gate. Only the
reviewer is made up: of each class that is worth a look the suggestions are read in order, and the first one
that tells the class's planted half is said; a class without one is passed over.
"""

from __future__ import annotations

import dataclasses
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clarify.errors import NoScoreError
from clarify.method.phrases.descriptions import Description
from clarify.workflow.decide.gate import judge
from clarify.workflow.describe.phrases import try_phrase
from clarify.workflow.describe.recording import keep_phrase, kept_descriptions
from clarify.workflow.describe.suggest import promises, suggest
from clarify.workflow.describe.tries import n_tried
from clarify.workflow.model.failures import Failures, failures_of
from clarify.workflow.model.models import Model, open_model
from clarify.workflow.model.project import Workspace
from clarify.workflow.retrain.retrain import alone, retrain, train

__all__ = ["PAPER", "CaseStudy", "case_study"]

PAPER = {"described": 31, "half_before": 0.211, "half_after": 0.287, "average_lost": 0.002}
"""What its authors report of ImageNet, where the hundred classes were chosen by hand."""

LOOKED_AT = 10
"""Of so many classes one is worth a look."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CaseStudy:
    """What a case study came to.

    Parameters
    ----------
    classes, train, planted, looked_at : int
        How large it is: classes, training images, classes with a hard half, and those worth a look.
    found : int
        Classes with a hard half among those worth a look.
    described : int
        Of those, how many the reviewer had a word for, and retrained with.
    half_before, half_after : float or None
        Test accuracy of the hard images of the described classes, mean over classes; None where none is.
    rest_before, rest_after : float or None
        Of their other images.
    average_before, average_after : float
        Of all test images.
    gate : tuple of (bool, str)
        Each check of the gate.
    minutes : mapping of step to float
    peak_memory_gib : float
        The most that the process held, what drew the data and imported it included.
    """

    classes: int
    train: int
    planted: int
    looked_at: int
    found: int
    described: int
    half_before: float | None
    half_after: float | None
    rest_before: float | None
    rest_after: float | None
    average_before: float
    average_after: float
    gate: tuple[tuple[bool, str], ...]
    minutes: Mapping[str, float]
    peak_memory_gib: float

    @property
    def precision(self) -> float:
        """Share of the classes worth a look that have a hard half."""
        return self.found / self.looked_at

    @property
    def recall(self) -> float:
        """Share of the hard halves whose classes are worth a look."""
        return self.found / self.planted

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            **dataclasses.asdict(self),
            "precision": self.precision,
            "recall": self.recall,
            "average_lost": self.average_before - self.average_after,
            "gate_passes": all(passed for passed, _ in self.gate),
            "paper": PAPER,
        }


class _Clock:
    """Minutes a step."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.minutes: dict[str, float] = {}
        self._say, self._last = say, time.monotonic()

    def lap(self, step: str, told: str) -> None:
        """Close a step."""
        now = time.monotonic()
        self.minutes[step], self._last = (now - self._last) / 60, now
        self._say(f"{step}: {told} ({self.minutes[step]:.1f} min)")


def case_study(
    project: Workspace,
    planted: Mapping[str, Sequence[str]],
    *,
    say: Callable[[str], None] = lambda line: None,
) -> CaseStudy:
    """Go through the product with a data set of which the hard halves are known.

    Parameters
    ----------
    project : Workspace
        Its test images have an attribute whose second value marks the hard half of a class.
    planted : mapping of class to phrases
        What tells its hard half.
    say : callable, optional
        Told each step, when it is done.

    Raises
    ------
    ClarifyError
        As the steps do.
    """
    clock = _Clock(say)
    base = open_model(project, alone(train(project)).model.run_id)
    failures = failures_of(base, base.data(project, "validation"))
    clock.lap("base", f"{failures.right.mean():.1%} of validation images right")
    most = max(1, len(project.manifest.classes) // LOOKED_AT)
    worth = [each.class_name for each in promises(project, base, failures.data)][:most]
    found = [name for name in worth if name in planted]
    clock.lap("promise", f"{len(found)} of {len(planted)} hard halves in {len(worth)} classes worth a look")
    runs = [run for name in worth if (run := _reviewed(project, failures, name, planted.get(name, ())))]
    clock.lap("review", f"{len(runs)} classes described")
    after, gate = base, tuple[tuple[bool, str], ...]()
    described: Sequence[Description] = ()
    if runs:
        described = kept_descriptions(project, base, runs)
        after = alone(retrain(project, base, described)).model
        gate = tuple((each.passed, each.text) for each in judge(project, after.run_id).reasons)
        clock.lap("retrain", f"the gate {'passes' if all(passed for passed, _ in gate) else 'refuses'} it")
    return CaseStudy(
        classes=len(project.manifest.classes),
        train=len(project.manifest.row_numbers("train")),
        planted=len(planted),
        looked_at=len(worth),
        found=len(found),
        described=len(runs),
        **_outcome(project, base, after, [each.class_name for each in described]),
        gate=gate,
        minutes=clock.minutes,
        peak_memory_gib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    )


def _reviewed(project: Workspace, failures: Failures, class_name: str, telling: Sequence[str]) -> str:
    """Return the run of what the reviewer keeps of a class; empty where no suggestion tells its hard half."""
    try:
        found = suggest(project, failures.model, failures.data, class_name)
    except NoScoreError:
        return ""
    seen = [phrase for each in found.items for phrase in (each.phrase, *each.also)]
    phrase = next((each for each in seen if each in telling), None)
    if phrase is None:
        return ""
    tries = n_tried(project, failures.model, class_name, phrase)
    tried = try_phrase(project, failures, class_name, phrase, n_tried=tries)
    return keep_phrase(project, failures, tried)[0].run_id


def _outcome(project: Workspace, base: Model, after: Model, described: Sequence[str]) -> dict[str, Any]:
    """Return what became of test images: of all, and of both halves of the described classes."""
    data = base.data(project, "test")
    (values,) = data.attributes.values()
    ((_, (_, hard)),) = project.manifest.attributes.items()
    right = {"before": base.predict(data) == data.labels, "after": after.predict(data) == data.labels}
    rows = [data.of_class(project.manifest.class_index(name)) for name in described]

    def mean(of: NDArray[np.bool_], *, is_hard: bool) -> float | None:
        halves = [of[each][(values[each] == hard) == is_hard] for each in rows]
        return float(np.mean([half.mean() for half in halves if len(half)])) if rows else None

    return {
        f"{name}_{when}": value
        for when, of in right.items()
        for name, value in (
            ("average", float(of.mean())),
            ("half", mean(of, is_hard=True)),
            ("rest", mean(of, is_hard=False)),
        )
    }
