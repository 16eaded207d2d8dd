"""Cells become rows: mean and deviation over seeds, and paired intervals against ERM and oracle."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from clarify.evidence.cells import Cell, Figures
from clarify.evidence.methods import methods
from clarify.method.arrays import generator
from clarify.method.groups.groups import AnnotatedGroups
from clarify.method.groups.metrics import Interval

__all__ = ["ORACLE", "Row", "Spread", "rows_of", "spread"]

BASE = "erm"
ORACLE = "group_dro"
RESAMPLES = 500


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Mean and standard deviation over seeds; the latter is 0 of one seed."""

    mean: float
    sd: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return that of some values, at least one."""
        deviation = statistics.stdev(values) if len(values) > 1 else 0.0
        return cls(mean=statistics.fmean(values), sd=deviation)


def spread(values: Sequence[float]) -> dict[str, float] | None:
    """Return mean and deviation of some values as plain ones; None of none."""
    return dataclasses.asdict(Spread.of(values)) if values else None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A method with a selection on a data set, over seeds.

    Parameters
    ----------
    seeds, images : int
        ``images`` are those of the test split.
    seconds : float
        Of one seed, the mean.
    over_erm, over_oracle : Interval or None
        Worst-group accuracy less that of ERM, and of group DRO on the true groups: the mean over
        seeds, with 95 % of the bootstrap over test images, which are the same for both.
    """

    data_set: str
    encoder: str
    method: str
    source: str
    supervision: str
    selection: str
    seeds: int
    images: int
    average_accuracy: Spread
    adjusted_average_accuracy: Spread
    worst_group_accuracy: Spread
    gap: Spread
    minority_half_accuracy: Spread | None
    seconds: float
    peak_memory_mib: float
    over_erm: Interval | None
    over_oracle: Interval | None


def rows_of(cells: Sequence[tuple[Cell, Figures]], truth: Mapping[str, AnnotatedGroups]) -> list[Row]:
    """Return one row a data set, method and selection, in the order in which they came.

    Parameters
    ----------
    cells : sequence of (Cell, Figures)
    truth : mapping of data set to AnnotatedGroups
        Of its test images.
    """
    found: dict[tuple[str, str, str], list[tuple[Cell, Figures]]] = {}
    for cell, figures in cells:
        found.setdefault((cell.data_set, cell.method, cell.selection), []).append((cell, figures))
    resampled = {name: _Resampled(groups) for name, groups in truth.items()}
    worst = {
        key: {cell.seed: resampled[key[0]].worst(figures.right) for cell, figures in members}
        for key, members in found.items()
    }
    return [_row(key, members, worst) for key, members in found.items()]


def _row(
    key: tuple[str, str, str],
    members: Sequence[tuple[Cell, Figures]],
    worst: Mapping[tuple[str, str, str], Mapping[int, NDArray[np.float64]]],
) -> Row:
    cell, figures = members[0][0], [each for _, each in members]
    method = methods()[cell.method]
    halves = [each.minority_half for each in figures if each.minority_half is not None]
    return Row(
        data_set=cell.data_set,
        encoder=cell.encoder,
        method=cell.method,
        source=method.source,
        supervision=method.supervision_with(cell.selection),
        selection=cell.selection,
        seeds=len(members),
        images=len(figures[0].right),
        average_accuracy=Spread.of([each.average for each in figures]),
        adjusted_average_accuracy=Spread.of([each.adjusted_average for each in figures]),
        worst_group_accuracy=Spread.of([each.worst_group for each in figures]),
        gap=Spread.of([each.gap for each in figures]),
        minority_half_accuracy=Spread.of(halves) if halves else None,
        seconds=statistics.fmean(each.seconds for each in figures),
        peak_memory_mib=max(each.peak_memory_mib for each in figures),
        over_erm=_over(key, BASE, worst),
        over_oracle=_over(key, ORACLE, worst),
    )


def _over(
    key: tuple[str, str, str],
    other: str,
    worst: Mapping[tuple[str, str, str], Mapping[int, NDArray[np.float64]]],
) -> Interval | None:
    """Return by how much a row's worst group is above another method's."""
    against = next((k for k in worst if k[0] == key[0] and k[1] == other), None)
    if against is None or key[1] == other:
        return None
    seeds = worst[key].keys() & worst[against].keys()
    if not seeds:
        return None
    differences = np.mean([worst[key][seed] - worst[against][seed] for seed in seeds], axis=0)
    low, high = np.quantile(differences[1:], (0.025, 0.975))
    estimate = float(differences[0])
    return Interval(estimate=estimate, low=min(float(low), estimate), high=max(float(high), estimate))


class _Resampled:
    """The test images as they are, and drawn anew within each group, the same for every method."""

    def __init__(self, groups: AnnotatedGroups) -> None:
        rng = generator(0, "evidence")
        self._rows = [np.flatnonzero(groups.index == g) for g in range(len(groups.names))]
        self._rows = [rows for rows in self._rows if len(rows)]
        self._weights = [
            np.vstack(
                (
                    np.ones(len(rows)),
                    rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=RESAMPLES),
                )
            )
            for rows in self._rows
        ]

    def worst(self, right: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the worst group's accuracies (1 + RESAMPLES,), those as they are first."""
        accuracies = [
            weights @ right[rows] / len(rows) for rows, weights in zip(self._rows, self._weights, strict=True)
        ]
        lowest: NDArray[np.float64] = np.min(accuracies, axis=0)
        return lowest
