"""One cell of the comparison: a method on a data set, chosen by a rule, as one seed sees it.

Each is an MLflow run of its own, written exactly once: a comparison that is killed goes on with the
cells that are missing.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import resource
import time
from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clarify.errors import ClarifyError
from clarify.evidence.grids import ChosenHead
from clarify.evidence.methods import Method, methods
from clarify.evidence.situation import Situation, truth_of
from clarify.method.groups.metrics import evaluate
from clarify.track.artifacts import parquet_artifact
from clarify.track.mlflow import TrackingStore
from clarify.track.record import RunContext, RunRecord, metric_keys
from clarify.track.run import now
from clarify.track.runs import CellRun
from clarify.workflow.model.recipe import SELECTIONS

__all__ = ["CHOSEN_BY_ITSELF", "Cell", "Figures", "Ledger", "Refused", "figures_of", "run_method"]

CHOSEN_BY_ITSELF = "own"
"""The selection of a method that has no rule to choose by."""

SCHEMA = 4
RIGHT = "right.parquet"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What a figure is of.

    Parameters
    ----------
    validation : str
        What it chose by; see `Situation.validated`.
    drawn : bool
        Whether the seed is a data set drawn anew.
    given : str
        Digest of what the method was given beside: images, phrases.
    """

    data_set: str
    encoder: str
    validation: str
    method: str
    selection: str
    seed: int
    drawn: bool
    given: str

    @property
    def delivery(self) -> str:
        """Equal for the same cell, and for nothing else."""
        text = json.dumps([SCHEMA, dataclasses.asdict(self)], sort_keys=True)
        return f"cell-{hashlib.sha256(text.encode()).hexdigest()[:24]}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Figures:
    """What a cell came to on the test split; accuracies are fractions.

    Parameters
    ----------
    minority_half : float or None
        Accuracy in the described half in which the base model does worst; None where nothing is
        described.
    seconds : float
        Of fitting all candidates, and choosing.
    peak_memory_mib : float
        The most that the process ever held.
    right : ndarray of bool, (N,)
        Which test images it gets right.
    edges : tuple of str
        Settings that were chosen at their grid's edge; see `grids`.
    """

    average: float
    adjusted_average: float
    worst_group: float
    minority_half: float | None
    seconds: float
    peak_memory_mib: float
    right: NDArray[np.bool_]
    edges: tuple[str, ...] = ()

    @property
    def gap(self) -> float:
        """Adjusted average less worst group."""
        return self.adjusted_average - self.worst_group


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A cell that came to nothing, and why."""

    cell: Cell
    reason: str


def run_method(at: Situation, method: Method) -> dict[str, Figures]:
    """Fit a method and return its figures by the selections that it is shown with.

    Raises
    ------
    ClarifyError
        If it lacks what it needs, or its losses are not finite; says which.
    """
    began = time.perf_counter()
    found = method.fit(at, [SELECTIONS[name].rule for name in method.rules])
    seconds = time.perf_counter() - began
    names = method.rules or (CHOSEN_BY_ITSELF,)
    return {name: figures_of(at, each, seconds=seconds) for name, each in zip(names, found, strict=True)}


def figures_of(at: Situation, chosen: ChosenHead, *, seconds: float = 0.0) -> Figures:
    """Return what a head comes to on the test images."""
    predicted = chosen.head.predict(at.test.features)
    found = evaluate(
        predicted,
        at.test.labels,
        at.classes,
        groups=truth_of(at.test),
        train_counts=truth_of(at.train).counts,
    )
    assert found.adjusted_average is not None
    assert found.worst_group is not None
    right = predicted == at.test.labels
    return Figures(
        average=found.average,
        adjusted_average=found.adjusted_average,
        worst_group=found.worst_group,
        minority_half=_minority_half(at, right),
        seconds=seconds,
        peak_memory_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        right=right,
        edges=chosen.edges,
    )


def _minority_half(at: Situation, right: NDArray[np.bool_]) -> float | None:
    try:
        if not at.phrases or not at.tried:
            return None
        groups = at.groups
    except ClarifyError:  # the phrases make no halves; methods that need none go on
        return None
    base, on_validation = at.failures.right, groups["validation"].index
    described = [group for group, name in enumerate(groups["train"].names) if name not in at.classes]
    worst = min(described, key=lambda group: float(base[on_validation == group].mean()))
    rows = groups["test"].index == worst
    return float(right[rows].mean()) if rows.any() else None


class Ledger:
    """The cells of one data set that are done, in MLflow."""

    def __init__(self, tracking: TrackingStore, context: RunContext, data_set: str) -> None:
        self._tracking, self._context = tracking, context
        self._runs = {run.cell: run for run in tracking.runs(data_set, CellRun)}

    def known(self, cell: Cell) -> Figures | None:
        """Return what a cell came to, if it is done."""
        run = self._runs.get(cell.delivery)
        if run is None:
            return None
        found, cost = run.figures("test"), run.figures("cost")
        right = pl.read_parquet(self._tracking.artifact(run.id, RIGHT))["right"].to_numpy()
        return Figures(
            average=found["average_accuracy"],
            adjusted_average=found["adjusted_average_accuracy"],
            worst_group=found["worst_group_accuracy"],
            minority_half=found.get("minority_half_accuracy"),
            seconds=cost["seconds"],
            peak_memory_mib=cost["peak_memory_mib"],
            right=right,
            edges=run.edges,
        )

    def write(self, cell: Cell, found: Figures, phrases: Mapping[str, str]) -> None:
        """Record a cell, once."""
        method = methods()[cell.method]
        supervision = method.supervision_with(cell.selection)
        accuracies = {
            "average_accuracy": found.average,
            "adjusted_average_accuracy": found.adjusted_average,
            "worst_group_accuracy": found.worst_group,
            "gap": found.gap,
        }
        if found.minority_half is not None:
            accuracies["minority_half_accuracy"] = found.minority_half
        cost = {"seconds": found.seconds, "peak_memory_mib": found.peak_memory_mib}
        record = RunRecord(
            kind="cell",
            name=f"{cell.method}, {cell.selection}, {cell.validation} validation, seed {cell.seed}",
            params={
                "cell": cell.delivery,
                "method": cell.method,
                "source": method.source,
                "supervision": supervision,
                "selection": cell.selection,
                "seed": cell.seed,
                "encoder": cell.encoder,
                "validation": cell.validation,
                "edges": ", ".join(found.edges),
            },
            metrics={**metric_keys("test", accuracies), **metric_keys("cost", cost)},
            tags=self._context.tags(
                "cell",
                oracle=str(supervision == "groups").lower(),
                **{"class": ", ".join(phrases)},
                phrase=", ".join(phrases.values()),
            ),
            artifacts=(parquet_artifact(RIGHT, pl.DataFrame({"right": found.right})),),
            dataset=self._context.dataset,
        )
        self._tracking.adopt(record, delivery=cell.delivery, at=now())


def cells_of(
    at: Situation, methods: Mapping[str, Method], ledger: Ledger, given: str
) -> Iterator[tuple[Cell, Figures | Refused]]:
    """Yield every cell of a situation, those that are done from the ledger, the others run."""
    for method in methods.values():
        cells = {
            name: Cell(
                data_set=at.data_set,
                encoder=at.encoder,
                validation=at.validated,
                method=method.name,
                selection=name,
                seed=at.seed,
                drawn=at.drawn,
                given=given,
            )
            for name in method.rules or (CHOSEN_BY_ITSELF,)
        }
        known = {name: ledger.known(cell) for name, cell in cells.items()}
        found: Mapping[str, Figures | None] = known
        if None in known.values():
            try:
                found = run_method(at, method)
            except ClarifyError as error:
                for cell in cells.values():
                    yield cell, Refused(cell=cell, reason=str(error))
                continue
        for name, cell in cells.items():
            figures = found[name]
            assert figures is not None
            if known[name] is None:
                ledger.write(cell, figures, at.phrases)
            yield cell, figures
