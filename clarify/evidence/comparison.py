"""Cells become rows: mean and deviation over seeds, and paired intervals against ERM and oracles."""

from __future__ import annotations

import dataclasses
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from clarify.evidence.cells import Cell, Figures
from clarify.evidence.methods import Method, methods
from clarify.method.arrays import generator
from clarify.method.groups.groups import AnnotatedGroups
from clarify.method.groups.metrics import Interval

__all__ = ["Row", "Spread", "rows_of", "spread", "two_level"]

BASE = "erm"
RESAMPLES = 500

Where = tuple[str, str]
"""A data set and a validation: what is compared with each other."""

Key = tuple[str, str]
"""A method and a selection: a row."""


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
    """A method with a selection on a data set with one kind of validation, over seeds.

    Parameters
    ----------
    validation : str
        See `Situation.validated`.
    seeds, images : int
        ``images`` are those of the test split.
    drawn : bool
        Whether the seeds are data sets drawn anew; else training images drawn anew, test the same.
    seconds : float
        Of one seed, the mean.
    oracle : str
        The method that does the same with the true groups, if there is one.
    best_oracle : str
        The oracle with the highest mean of the worst group on test.
    over_erm, over_own_oracle, over_oracle : Interval or None
        Worst-group accuracy less that of ERM, of `oracle` and of `best_oracle`: the mean over seeds,
        with 95 % of a bootstrap of two levels, seeds and their test images, the same for both.
    edges : tuple of str
        Settings that some seed chose at their grid's edge.
    """

    data_set: str
    encoder: str
    method: str
    source: str
    supervision: str
    selection: str
    validation: str
    seeds: int
    drawn: bool
    images: int
    average_accuracy: Spread
    adjusted_average_accuracy: Spread
    worst_group_accuracy: Spread
    gap: Spread
    minority_half_accuracy: Spread | None
    seconds: float
    peak_memory_mib: float
    oracle: str
    best_oracle: str
    over_erm: Interval | None
    over_own_oracle: Interval | None
    over_oracle: Interval | None
    edges: tuple[str, ...]


def rows_of(
    cells: Sequence[tuple[Cell, Figures]], truth: Mapping[tuple[str, int], AnnotatedGroups]
) -> list[Row]:
    """Return one row a data set, validation, method and selection, those of a table together.

    Parameters
    ----------
    cells : sequence of (Cell, Figures)
    truth : mapping of (data set, seed) to AnnotatedGroups
        Of its test images.
    """
    resampled = _Resampled(truth)
    tables: dict[Where, _Table] = defaultdict(_Table)
    for cell, figures in cells:
        tables[cell.data_set, cell.validation].add(cell, figures, resampled.worst(cell, figures.right))
    return [row for table in tables.values() for row in table.rows()]


@dataclasses.dataclass(slots=True, eq=False)
class _Table:
    """What is compared with each other: cells by method and selection."""

    members: dict[Key, list[tuple[Cell, Figures]]] = dataclasses.field(
        default_factory=lambda: defaultdict(list)
    )
    worst: dict[Key, dict[int, NDArray[np.float64]]] = dataclasses.field(
        default_factory=lambda: defaultdict(dict)
    )

    def add(self, cell: Cell, figures: Figures, worst: NDArray[np.float64]) -> None:
        key = cell.method, cell.selection
        self.members[key].append((cell, figures))
        self.worst[key][cell.seed] = worst

    def rows(self) -> list[Row]:
        known, best = methods(), self._best_oracle()
        return [self._row(key, known[key[0]], best) for key in self.members]

    def _best_oracle(self) -> Key | None:
        known = methods()
        oracles = [key for key in self.members if known[key[0]].supervision == "groups"]
        return max(oracles, key=lambda key: np.mean([w[0] for w in self.worst[key].values()]), default=None)

    def _row(self, key: Key, method: Method, best: Key | None) -> Row:
        cell, figures = self.members[key][0][0], [each for _, each in self.members[key]]
        halves = [each.minority_half for each in figures if each.minority_half is not None]
        return Row(
            data_set=cell.data_set,
            encoder=cell.encoder,
            validation=cell.validation,
            method=method.name,
            source=method.source,
            supervision=method.supervision_with(cell.selection),
            selection=cell.selection,
            seeds=len(figures),
            drawn=cell.drawn,
            images=len(figures[0].right),
            average_accuracy=Spread.of([each.average for each in figures]),
            adjusted_average_accuracy=Spread.of([each.adjusted_average for each in figures]),
            worst_group_accuracy=Spread.of([each.worst_group for each in figures]),
            gap=Spread.of([each.gap for each in figures]),
            minority_half_accuracy=Spread.of(halves) if halves else None,
            seconds=statistics.fmean(each.seconds for each in figures),
            peak_memory_mib=max(each.peak_memory_mib for each in figures),
            oracle=method.oracle,
            best_oracle=best[0] if best else "",
            over_erm=self._over(key, self._of(BASE)),
            over_own_oracle=self._over(key, self._of(method.oracle)),
            over_oracle=self._over(key, best),
            edges=tuple(sorted({each for of in figures for each in of.edges})),
        )

    def _of(self, method: str) -> Key | None:
        return next((key for key in self.members if key[0] == method), None)

    def _over(self, key: Key, other: Key | None) -> Interval | None:
        """Return by how much a row's worst group is above another's."""
        if other is None or key == other:
            return None
        seeds = sorted(self.worst[key].keys() & self.worst[other].keys())
        if not seeds:
            return None
        apart = np.array([self.worst[key][seed] - self.worst[other][seed] for seed in seeds])
        return two_level(apart, drawn=self.members[key][0][0].drawn)


def two_level(values: NDArray[np.float64], *, drawn: bool) -> Interval:
    """Return the mean over seeds with 95 % of a bootstrap: seeds are drawn, then images of each.

    Parameters
    ----------
    values : ndarray of float64, (S, 1 + R)
        By seed: the figure, and on each of R draws of its test images.
    drawn : bool
        Whether the seeds have test images of their own; if not, a draw of these is one for all seeds.
    """
    seeds, draws = values.shape[0], values.shape[1] - 1
    rng = generator(0, "seeds and images")
    rows = rng.integers(seeds, size=(draws, seeds))
    columns = rng.integers(1, draws + 1, size=rows.shape) if drawn else np.arange(1, draws + 1)[:, None]
    low, high = np.quantile(values[rows, columns].mean(axis=1), (0.025, 0.975))
    estimate = float(values[:, 0].mean())
    return Interval(estimate=estimate, low=min(float(low), estimate), high=max(float(high), estimate))


class _Resampled:
    """Test images as they are, and drawn anew within each group, the same for every method."""

    def __init__(self, truth: Mapping[tuple[str, int], AnnotatedGroups]) -> None:
        self._truth = truth
        self._weights: dict[tuple[str, int], list[tuple[NDArray[np.int64], NDArray[np.float32]]]] = {}

    def worst(self, cell: Cell, right: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the worst group's accuracies (1 + RESAMPLES,), those as they are first."""
        groups = self._truth[cell.data_set, cell.seed]
        key = cell.data_set, cell.seed if cell.drawn else 0
        if key not in self._weights:
            rng = generator(key[1], "evidence")
            members = [np.flatnonzero(groups.index == g) for g in range(len(groups.names))]
            self._weights[key] = [(rows, _weights(len(rows), rng)) for rows in members if len(rows)]
        lowest: NDArray[np.float64] = np.min(
            [weights @ right[rows] / len(rows) for rows, weights in self._weights[key]], axis=0
        )
        return lowest


def _weights(count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return how often each of some images is there (1 + RESAMPLES, N): once, and as often as drawn."""
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    return np.vstack((np.ones(count), drawn)).astype(np.float32)
