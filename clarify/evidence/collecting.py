"""Is it worth collecting by words? Half of the training images are a pool; some get their labels back."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clarify.discover.collecting import best_rows, pick
from clarify.errors import ClarifyError
from clarify.evidence.cells import figures_of
from clarify.evidence.comparison import spread
from clarify.evidence.grids import ChosenHead
from clarify.evidence.situation import Situation, ordinary, truth_of
from clarify.method.arrays import generator
from clarify.workflow.model.project import SplitData
from clarify.workflow.model.recipe import Recipe

__all__ = ["COUNTS", "collecting"]

COUNTS = (20, 100)
AT = 50
"""How many of each class's first are looked at for how often they are of the half that was meant."""

HELD_OUT = 0.5

Rows = NDArray[np.int64]
Way = Callable[[Situation, SplitData, int], Mapping[str, Rows]]


def collecting(draws: Sequence[Situation], _: Sequence[str]) -> list[dict[str, Any]]:
    """Label so many images of the pool, chosen in several ways; train and correct on them as well."""
    found = defaultdict[tuple[str, int], list[dict[str, float]]](list)
    for drawn in draws:
        seen = ordinary(drawn, drawn.seed)
        order = generator(seen.seed, "pool").permutation(len(seen.train.labels))
        apart = round(HELD_OUT * len(order))
        at, pool = _with(seen, order[apart:]), seen.train.take(order[:apart])
        found["nothing", 0].append(_trained(at))
        for name, way in WAYS.items():
            precise = _precision(at, pool, way(at, pool, AT))
            for count in COUNTS:
                chosen = np.unique(np.concatenate(list(way(at, pool, count // len(at.classes)).values())))
                trained = _trained(_with(seen, np.concatenate([order[apart:], order[:apart][chosen]])))
                found[name, count].append(trained | precise)
    names = sorted({name for cells in found.values() for each in cells for name in each})
    return [
        {"taken": name, "labels": count, **_spreads(names, cells)} for (name, count), cells in found.items()
    ]


def _with(seen: Situation, rows: Rows) -> Situation:
    return dataclasses.replace(seen, train=seen.train.take(np.sort(rows)))


def _trained(at: Situation) -> dict[str, float]:
    """Return the worst group on test of ordinary training, and of the correction where one is made."""
    base = figures_of(at, ChosenHead(head=at.base))
    told = {"worst group, trained": base.worst_group, "average, trained": base.adjusted_average}
    try:
        corrected = figures_of(at, ChosenHead(head=at.corrected(Recipe()).fit.head))
    except ClarifyError:
        return told
    return told | {
        "worst group, corrected": corrected.worst_group,
        "average, corrected": corrected.adjusted_average,
    }


def _precision(at: Situation, pool: SplitData, chosen: Mapping[str, Rows]) -> dict[str, float]:
    """Return how many of the first have what is rarest in the class, and are of the class as well."""
    counts = truth_of(at.train).counts.reshape(len(at.classes), -1)
    value = truth_of(pool).index % counts.shape[1]
    halves, groups = [], []
    for number, name in enumerate(at.classes):
        if name in chosen and len(chosen[name]):
            of_half = value[chosen[name]] == counts[number].argmin()
            halves.append(float(of_half.mean()))
            groups.append(float((of_half & (pool.labels[chosen[name]] == number)).mean()))
    return {f"half, first {AT}": float(np.mean(halves)), f"group, first {AT}": float(np.mean(groups))}


def _spreads(names: Sequence[str], cells: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    return {name: spread([each[name] for each in cells if name in each]) for name in names}


def _by_words(by: str) -> Way:
    """Return what `clarify collect --by` does, on these arrays."""

    def way(at: Situation, pool: SplitData, most: int) -> dict[str, Rows]:
        found, free = dict[str, Rows](), np.ones(len(pool.labels), dtype=np.bool_)
        for name, tried in at.tried.items():
            what = tried.description
            scores = at.similarity(what.phrase, pool)
            side = free & (what.with_half(scores) == what.wrong_is_above)
            order = np.abs(scores - what.threshold)
            if by == "class":
                order = at.base.probabilities(pool.features)[:, at.classes.index(name)]
            take = pool.embeddings.__getitem__
            rows, _ = pick(order, side, take, at.train.embeddings, most=most, spread=by == "diversity")
            free[rows] = False
            found[name] = rows
        return found

    return way


def _shared(order: Callable[[Situation, SplitData], NDArray[np.float64]]) -> Way:
    """Return a way that knows no halves: its images are dealt to the classes in turn."""

    def way(at: Situation, pool: SplitData, most: int) -> dict[str, Rows]:
        rows = best_rows(order(at, pool), np.ones(len(pool.labels)), most * len(at.classes))
        return {name: rows[number :: len(at.classes)] for number, name in enumerate(at.classes)}

    return way


def _chance(at: Situation, pool: SplitData) -> NDArray[np.float64]:
    return generator(at.seed, "collected by chance").random(len(pool.labels))


def _doubt(at: Situation, pool: SplitData) -> NDArray[np.float64]:
    """Return how unsure the model is (Lewis and Gale 1994): one less the greatest probability."""
    doubt: NDArray[np.float64] = 1 - at.base.probabilities(pool.features).max(axis=1)
    return doubt


WAYS: dict[str, Way] = {
    **{f"words, by {by}": _by_words(by) for by in ("phrase", "class", "diversity")},
    "uncertainty": _shared(_doubt),
    "chance": _shared(_chance),
}
"""Each way to choose by its name in the table."""
