"""Grids of hyper-parameters that grow until what a rule chooses lies inside, or they come to their end.

A method whose best setting lies beyond its grid looks worse than it is. So each grid is widened where its
outermost value alone scores best, and where it cannot be, the row says so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

from clarify.errors import SolverError
from clarify.evidence.prepared import Candidate
from clarify.evidence.situation import Situation
from clarify.method.fit.head import Head
from clarify.method.fit.selection import Selected, Selection, select

__all__ = ["ChosenHead", "GrowingGrid", "edge", "searched"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChosenHead:
    """A head that a rule chose.

    Parameters
    ----------
    edges : tuple of str
        Settings whose grid would have to be wider, such as ``"gamma 0"``.
    """

    head: Head
    edges: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GrowingGrid:
    """A hyper-parameter.

    Parameters
    ----------
    argument, setting : str
        What a method's function calls its grid, and its candidates their value.
    values : tuple of float
        Where the search begins: rising, two or more.
    ends : (float, float)
        What it is never widened beyond, both included.
    """

    argument: str
    setting: str
    values: tuple[float, ...]
    ends: tuple[float, float]

    def beyond(self, tried: Sequence[float], *, up: bool) -> float | None:
        """Return the next value on a side, a step like the one before it; None at the end."""
        ordered = sorted(tried, reverse=not up)
        last, end = ordered[-1], self.ends[up]
        if last == end:
            return None
        further = last * last / ordered[-2]
        return min(further, end) if up else max(further, end)


def edge(values: Sequence[float], scores: Sequence[float], grid: Sequence[float]) -> float | None:
    """Return the outermost value of a grid if nothing inside scores as high as it; else None.

    Parameters
    ----------
    values, scores : sequence of float, (C,)
        Of each candidate: its value on the grid, and its score by the rule.
    """
    best = max(scores)
    tops = {value for value, score in zip(values, scores, strict=True) if score == best}
    return next((end for end in (min(grid), max(grid)) if tops == {end} and len(grid) > 1), None)


def searched(
    fit: Callable[..., Sequence[Candidate]],
    axes: Sequence[GrowingGrid],
    at: Situation,
    rules: Sequence[Selection],
) -> list[ChosenHead]:
    """Return what each rule chooses on validation, of grids that are widened until it lies inside.

    Parameters
    ----------
    fit : callable
        Of a grid an argument, the candidates.

    Raises
    ------
    ClarifyError
        As the method does on its first grids; a solver that fails beyond them ends the widening.
    """
    grids = {axis.argument: axis.values for axis in axes}
    tried = _Tried(at=at, rules=rules)
    tried.add(fit(**grids))
    ended: set[tuple[str, bool]] = set()
    while (found := next(_wider(tried, axes, grids, ended), None)) is not None:
        axis, value, up = found
        try:
            tried.add(fit(**{**grids, axis.argument: (value,)}))
        except SolverError:
            ended.add((axis.argument, up))
        else:
            grids[axis.argument] = (*grids[axis.argument], value)
    return [
        ChosenHead(
            head=chosen.head,
            edges=tuple(
                f"{axis.setting} {end:g}"
                for axis in axes
                if (end := tried.edge(rule, axis, grids[axis.argument])) is not None
            ),
        )
        for rule, chosen in enumerate(tried.best())
    ]


def _wider(
    tried: _Tried,
    axes: Sequence[GrowingGrid],
    grids: Mapping[str, Sequence[float]],
    ended: set[tuple[str, bool]],
) -> Iterator[tuple[GrowingGrid, float, bool]]:
    """Yield what could be tried next: an axis, a value beyond its grid, and on which side."""
    for rule in range(len(tried.rules)):
        for axis in axes:
            grid = grids[axis.argument]
            end = tried.edge(rule, axis, grid)
            up = end == max(grid)
            value = None if end is None or (axis.argument, up) in ended else axis.beyond(grid, up=up)
            if value is not None:
                yield axis, value, up


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Tried:
    """All candidates so far, with their scores by each rule; each is scored once."""

    at: Situation
    rules: Sequence[Selection]
    candidates: list[Candidate] = dataclasses.field(default_factory=list)
    scores: dict[int, list[float]] = dataclasses.field(default_factory=dict)
    leading: dict[int, list[Candidate]] = dataclasses.field(default_factory=dict)

    def add(self, found: Sequence[Candidate]) -> None:
        self.candidates.extend(found)
        for number, rule in enumerate(self.rules):
            chosen = self._select(found, rule)
            self.scores.setdefault(number, []).extend(score for _, score in chosen.table)
            self.leading.setdefault(number, []).append(chosen.fit)

    def best(self) -> list[Candidate]:
        return [self._select(self.leading[number], rule).fit for number, rule in enumerate(self.rules)]

    def edge(self, rule: int, axis: GrowingGrid, grid: Sequence[float]) -> float | None:
        values = [
            float({**each.settings, "weight_decay": each.weight_decay}[axis.setting])
            for each in self.candidates
        ]
        return edge(values, self.scores[rule], grid)

    def _select(self, found: Sequence[Candidate], rule: Selection) -> Selected[Candidate]:
        seen = self.at.validation
        groups = seen.truth if rule.oracle else None
        return select(found, seen.features, seen.labels, rule, groups=groups)
