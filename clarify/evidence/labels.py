"""How many group labels is a sentence worth? The same correction, its groups told in either way."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from clarify.errors import ClarifyError
from clarify.evidence.cells import figures_of
from clarify.evidence.comparison import spread
from clarify.evidence.grids import ChosenHead
from clarify.evidence.oracles import dfr_upsampled
from clarify.evidence.situation import Situation, ordinary, truth_of
from clarify.method.arrays import generator
from clarify.method.fit.head import Head
from clarify.method.groups.groups import fit_partition
from clarify.workflow.model.project import SplitData
from clarify.workflow.model.recipe import Recipe
from clarify.workflow.retrain.heads import correct_head, fit_base

__all__ = ["COUNTS", "labels"]

COUNTS = (10, 30, 100, 300, 1000)
"""Validation images, drawn by chance, of which the attribute is annotated."""


def labels(draws: Sequence[Situation], _: Sequence[str]) -> list[dict[str, Any]]:
    """Correct by k group labels, and by a sentence a class; a draw of too few of a group is counted."""
    ways: dict[str, Callable[[Situation], Head]] = {
        "a sentence a class": lambda at: at.corrected(Recipe()).fit.head
    }
    for count in COUNTS:
        ways[f"{count:,} labels, spread"] = lambda at, count=count: _spread(at, count)  # type: ignore[misc]
        ways[f"{count:,} labels, DFR"] = lambda at, count=count: _dfr(at, count)  # type: ignore[misc]
    rows = []
    for kind in ("balanced", "ordinary"):
        seen = [at if kind == "balanced" else ordinary(at, at.seed) for at in draws]
        rows += [{"validation": kind, "told": name, **_over(seen, way)} for name, way in ways.items()]
    return rows


def _over(draws: Sequence[Situation], way: Callable[[Situation], Head]) -> dict[str, Any]:
    found = []
    for at in draws:
        try:
            found.append(figures_of(at, ChosenHead(head=way(at))))
        except ClarifyError:
            continue
    return {
        "worst group": spread([each.worst_group for each in found]),
        "adjusted average": spread([each.adjusted_average for each in found]),
        "refused": len(draws) - len(found),
    }


def _labelled(at: Situation, count: int) -> SplitData:
    rows = generator(at.seed, "labelled").permutation(len(at.validation.labels))[:count]
    return at.validation.take(np.sort(rows))


def _spread(at: Situation, count: int) -> Head:
    """Tell the attribute of all other images by a head on those labelled; then correct as by a phrase."""
    told = _labelled(at, count)
    value = truth_of(told).index % len(at.values)
    tells = fit_base(dataclasses.replace(told, labels=value), at.values, seed=at.seed).fit.head

    def halves(data: SplitData) -> Mapping[str, Sequence[tuple[str, np.ndarray]]]:
        said = tells.predict(data.features)
        each = [(name, said == number) for number, name in enumerate(at.values) if number]
        return dict.fromkeys(at.classes, each)

    partition = fit_partition(at.train.labels, at.classes, halves(at.train))
    groups = {
        name: partition.groups(at.splits[name].labels, halves(at.splits[name]))
        for name in ("train", "validation")
    }
    return correct_head(at.project, at.splits, groups, Recipe()).fit.head


def _dfr(at: Situation, count: int) -> Head:
    """Fit a head to the labelled images alone, their groups alike."""
    told = _labelled(at, count)
    (found,) = dfr_upsampled(told.features, told.labels, at.classes, truth_of(told), seed=at.seed)
    return found.head
