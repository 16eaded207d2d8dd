"""Grids that grow: until the choice lies inside, to their end, or as far as the solver goes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from clarify.errors import SolverError
from clarify.evidence import studies
from clarify.evidence.grids import GrowingGrid, edge, searched
from clarify.evidence.methods import methods
from clarify.evidence.prepared import Candidate
from clarify.evidence.situation import Situation
from clarify.method.fit.selection import ByAverage, ByWorstClass

DECAYS = GrowingGrid(argument="weight_decays", setting="weight_decay", values=(0.1, 1.0), ends=(0.01, 1e4))


@pytest.fixture(scope="module")
def at() -> Situation:
    return studies.many_classes(2)


def test_the_edge_is_an_outermost_value_that_alone_scores_best() -> None:
    assert edge([1.0, 2.0, 3.0], [0.5, 0.6, 0.7], [1.0, 2.0, 3.0]) == 3.0
    assert edge([1.0, 2.0, 3.0], [0.8, 0.6, 0.7], [1.0, 2.0, 3.0]) == 1.0
    assert edge([1.0, 2.0, 3.0], [0.5, 0.7, 0.7], [1.0, 2.0, 3.0]) is None
    assert edge([1.0, 2.0, 1.0], [0.7, 0.6, 0.7], [1.0, 2.0]) == 1.0
    assert edge([1.0], [0.7], [1.0]) is None


def test_a_grid_goes_on_by_its_last_step_to_its_end() -> None:
    axis = GrowingGrid(argument="x", setting="x", values=(0.0, 1.0, 4.0), ends=(0.0, 30.0))
    assert axis.beyond((0.0, 1.0, 4.0), up=True) == 16.0
    assert axis.beyond((4.0, 0.0, 16.0, 1.0), up=True) == 30.0
    assert axis.beyond((4.0, 30.0), up=True) is None
    assert axis.beyond(axis.values, up=False) is None


def _offering(
    at: Situation, asked: list[Sequence[float]], right: float, broken: float = np.inf
) -> Callable[..., list[Candidate]]:
    """Return a method whose head tells the classes at one weight decay, and swaps them at others."""

    def fit(*, weight_decays: Sequence[float]) -> list[Candidate]:
        asked.append(tuple(weight_decays))
        if max(weight_decays) >= broken:
            raise SolverError("it does not end")
        return [
            Candidate(head=head if decay == right else swapped, weight_decay=decay, settings={})
            for decay in weight_decays
        ]

    head = at.base
    swapped = dataclasses.replace(head, weight=-head.weight, bias=-head.bias)
    return fit


def test_a_grid_is_widened_until_the_choice_lies_inside(at: Situation) -> None:
    asked: list[Sequence[float]] = []
    axis = dataclasses.replace(DECAYS, values=(1.0, 10.0))
    found = searched(_offering(at, asked, right=10.0), [axis], at, [ByWorstClass(), ByAverage()])
    assert asked == [(1.0, 10.0), (100.0,)]
    for chosen in found:
        assert chosen.edges == ()
        assert chosen.head is at.base


def test_a_choice_at_the_end_or_where_the_solver_fails_is_told(at: Situation) -> None:
    asked: list[Sequence[float]] = []
    fit = _offering(at, asked, right=1.0, broken=10.0)
    (chosen,) = searched(fit, [DECAYS], at, [ByAverage()])
    assert asked == [(0.1, 1.0), (10.0,)]
    assert chosen.edges == ("weight_decay 1",)
    ending = dataclasses.replace(DECAYS, ends=(0.1, 1.0))
    (chosen,) = searched(fit, [ending], at, [ByAverage()])
    assert chosen.edges == ("weight_decay 1",)


@pytest.mark.parametrize("name", ["rwy", "jtt", "afr"])
def test_a_method_without_groups_chooses_inside_its_grid_or_tells(at: Situation, name: str) -> None:
    method = methods()[name]
    for chosen in method.fit(at, [ByWorstClass(), ByAverage()]):
        # Only what no step could mend: gamma 0 is where AFR's ends, and so far goes each weight decay.
        # JTT's first head too: which of two within the tolerance it is decides its choice.
        ends = {"gamma 0", "weight_decay 10000", "identification_weight_decay 100"}
        assert set(chosen.edges) <= ends
