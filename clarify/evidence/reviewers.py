"""A simulated reviewer: what phrases that are not quite true do. No person takes part in it.

A phrase's distance from the truth is that of their text embeddings. Phrases come from Clarify's own
vocabulary, as far as the encoder was taught their words.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from clarify.errors import ClarifyError
from clarify.evidence.comparison import spread
from clarify.evidence.situation import Situation, truth_of
from clarify.method.arrays import generator
from clarify.method.decisions.consensus import agreement
from clarify.method.fit.head import Head
from clarify.method.groups.metrics import evaluate
from clarify.method.phrases.evidence import evidence
from clarify.track.promotion import Gate
from clarify.workflow.describe.suggest import suggest
from clarify.workflow.model.models import Model
from clarify.workflow.model.project import Workspace
from clarify.workflow.model.recipe import Recipe
from clarify.workflow.retrain.gains import POOL, brought, shortlisted

__all__ = ["Tried", "crowds", "distances", "oversight", "tried", "unrelated", "wrong_phrases"]

Rows = list[dict[str, Any]]

DRAWS = 100
MOST = 12
PER_BAND = 20
CROWD = 5
UNRELATED = 0.10
"""An AUC this near to one half tells nothing of the place."""

BANDS: Mapping[str, tuple[float, float]] = {"near": (0.0, 0.03), "beside": (0.03, 0.25), "far": (0.5, 1.0)}
"""Shares of the vocabulary, ordered by distance from the truth."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What a correction with some phrases came to.

    Parameters
    ----------
    score : float
        The lowest error score of them.
    worst_group, base_worst_group, control_worst_group : float
        On test, by the true groups: after it, before it, and after balancing the classes alone.
    passed : bool
        Whether the gate lets it through.
    """

    phrases: Mapping[str, str]
    score: float
    worst_group: float
    base_worst_group: float
    control_worst_group: float
    passed: bool


def tried(at: Situation, phrases: Mapping[str, str]) -> Tried | None:
    """Correct with phrases as `clarify retrain` does, and ask the gate; None where they make no groups."""
    at = dataclasses.replace(at, phrases=phrases)
    try:
        if not at.tried:
            return None
        now, control = (at.corrected(Recipe(), control=without) for without in (False, True))
        passed = Gate().judge(at.judged(Recipe(), now, control)).passed
    except ClarifyError:
        return None
    return Tried(
        phrases=phrases,
        score=min(at.scores),
        worst_group=_worst(at, now.fit.head),
        base_worst_group=_worst(at, at.base),
        control_worst_group=_worst(at, control.fit.head),
        passed=passed,
    )


def _worst(at: Situation, head: Head) -> float:
    predicted = head.predict(at.test.features)
    found = evaluate(predicted, at.test.labels, at.classes, groups=truth_of(at.test)).worst_group
    assert found is not None
    return found


def wrong_phrases(draws: Sequence[Situation], vocabulary: Sequence[str]) -> Rows:
    """Draw phrases that tell nothing of the place, and count those that the gate refuses."""
    found: list[Tried] = []
    words = unrelated(draws[0], vocabulary)
    draw = 0
    while len(found) < DRAWS and draw < 5 * DRAWS:
        rng = generator(draw, "wrong phrases")
        phrases = {name: str(rng.choice(words)) for name in draws[0].phrases}
        result = tried(draws[draw % len(draws)], phrases)
        found += [result] if result is not None else []
        draw += 1
    harmed = [each for each in found if each.worst_group < each.base_worst_group - 0.02]
    return [
        {
            "draws": len(found),
            "made no groups": draw - len(found),
            "refused by the gate": sum(not each.passed for each in found),
            "worst group fell by over 2 points": len(harmed),
            "of these let through": sum(each.passed for each in harmed),
            "worst group": spread([each.worst_group for each in found]),
            "error score": spread([each.score for each in found]),
        }
    ]


def unrelated(at: Situation, vocabulary: Sequence[str]) -> list[str]:
    """Return the phrases whose similarity does not tell the place of validation images."""
    from scipy.stats import rankdata

    # truth: groups are class by class, so the place is the group modulo the number of values
    place = truth_of(at.validation).index % len(at.values) == 0
    texts = _unit(at.encode(list(vocabulary)))
    ranks = rankdata(at.validation.embeddings @ texts.T, axis=0)
    inside, outside = int(place.sum()), int((~place).sum())
    auc = (ranks[place].sum(axis=0) - inside * (inside + 1) / 2) / (inside * outside)
    return [each for each, value in zip(vocabulary, auc, strict=True) if abs(value - 0.5) < UNRELATED]


def distances(draws: Sequence[Situation], vocabulary: Sequence[str]) -> Rows:
    """Draw phrases near, beside and far from the truth: error score against worst group."""
    ordered = _by_distance(draws[0], vocabulary)
    found: dict[str, list[Tried]] = {"the truth": []}
    for seen in draws:
        result = tried(seen, seen.phrases)
        found["the truth"] += [result] if result is not None else []
    for band in BANDS:
        found[band] = []
        for draw in range(PER_BAND):
            phrases = _drawn(ordered, band, draw)
            result = tried(draws[draw % len(draws)], phrases)
            found[band] += [result] if result is not None else []
    rows = [_told({"distance": band}, members) for band, members in found.items()]
    everyone = [each for members in found.values() for each in members]
    edges = (0.0, 0.2, 0.3, 0.4, 0.5, 1.01)
    for low, high in itertools.pairwise(edges):
        members = [each for each in everyone if low <= each.score < high]
        rows.append(_told({"distance": f"score {low:.1f} to {min(high, 1.0):.1f}"}, members))
    return rows


def _told(of: dict[str, Any], members: Sequence[Tried]) -> dict[str, Any]:
    return {
        **of,
        "draws": len(members),
        "error score": spread([each.score for each in members]),
        "worst group": spread([each.worst_group for each in members]),
        "over ERM": spread([each.worst_group - each.base_worst_group for each in members]),
        "over balancing": spread([each.worst_group - each.control_worst_group for each in members]),
        "harmed": sum(each.worst_group < each.base_worst_group for each in members),
        "let through": sum(each.passed for each in members),
    }


def crowds(draws: Sequence[Situation], vocabulary: Sequence[str]) -> Rows:
    """Let several reviewers of different quality speak, and put what they say together."""
    ordered = _by_distance(draws[0], vocabulary)
    ways: dict[str, list[Tried]] = {
        "best held-out score": [],
        "consensus by split": [],
        "consensus by meaning": [],
        "best single one, in hindsight": [],
        "any one": [],
    }
    for draw in range(PER_BAND):
        seen = draws[draw % len(draws)]
        said = _said(ordered, draw)
        each_one = [tried(seen, phrases) for phrases in said]
        able = [each for each in each_one if each is not None]
        if not able:
            continue
        chosen = {
            "best held-out score": _best_held_out(seen, said),
            "consensus by split": _medoid(seen, said, _same_split),
            "consensus by meaning": _medoid(seen, said, _same_meaning),
        }
        for name, phrases in chosen.items():
            result = tried(seen, phrases)
            ways[name] += [result] if result is not None else []
        ways["best single one, in hindsight"].append(max(able, key=lambda each: each.worst_group))
        ways["any one"] += able
    return [_told({"put together by": name}, members) for name, members in ways.items()]


def oversight(draws: Sequence[Situation], vocabulary: Sequence[str]) -> Rows:
    """Let a reviewer of any quality speak, the machine, and the reviewer choose among what it suggests."""
    ordered = _by_distance(draws[0], vocabulary)
    suggested = [_suggested(at) for at in draws]
    ways: dict[str, list[Tried]] = {
        "a person": [],
        "the machine's first": [],
        "a person, of the machine's": [],
    }
    for draw in range(PER_BAND):
        seen, listed = draws[draw % len(draws)], suggested[draw % len(draws)]
        said = _said(ordered, draw)[0]
        nearest = {
            name: phrases[int(_same_meaning(seen, name, [said[name], *phrases])[0, 1:].argmax())]
            for name, phrases in listed.items()
        }
        first = {name: phrases[0] for name, phrases in listed.items()}
        for way, phrases in zip(ways, (said, first, nearest), strict=True):
            result = tried(seen, phrases)
            ways[way] += [result] if result is not None else []
    return [_told({"who speaks": name}, members) for name, members in ways.items()]


def _suggested(at: Situation) -> dict[str, list[str]]:
    """Return for each class what the product suggests, first things first."""
    model = Model(run_id="evidence", name="base", head=at.base)
    found = {
        name: suggest(cast(Workspace, at.project), model, at.validation, name, most=POOL).items
        for name in at.phrases
    }
    known = {
        name: sorted(
            (
                brought(at.project, at.failures, at.train, name, each)
                for each in shortlisted(at.project, at.failures, at.train, name, items, most=MOST)
            ),
            key=lambda each: each.order,
        )
        for name, items in found.items()
    }
    return {name: [each.phrase for each in items] for name, items in known.items() if items}


def _said(ordered: Mapping[str, Sequence[str]], draw: int) -> list[dict[str, str]]:
    """Return what several reviewers say, each near, beside or far from the truth."""
    rng = generator(draw, "crowd")
    kinds = [str(rng.choice(list(BANDS))) for _ in range(CROWD)]
    return [_drawn(ordered, kind, 1000 + CROWD * draw + k) for k, kind in enumerate(kinds)]


def _best_held_out(at: Situation, said: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return for each class the phrase whose cut does best on images that it was not found on."""
    right = at.failures.right
    best = {}
    for name in at.phrases:
        rows = at.validation.labels == at.classes.index(name)

        def held_out(phrase: str, rows: NDArray[np.bool_] = rows) -> float:
            similarity = at.similarity(phrase, at.validation)
            found = evidence(
                similarity[rows & right], similarity[rows & ~right], n_tried=CROWD, seed=0, resamples=100
            )
            return found.held_out if found.held_out is not None else 0.0

        best[name] = max((each[name] for each in said), key=held_out)
    return best


Likeness = Callable[[Situation, str, Sequence[str]], NDArray[np.floating]]
"""Of a class and P phrases of it, how like each other they are (P, P)."""


def _medoid(at: Situation, said: Sequence[Mapping[str, str]], like: Likeness) -> dict[str, str]:
    """Return for each class the phrase that is most like all others."""
    phrases = {name: [each[name] for each in said] for name in at.phrases}
    return {name: each[int(like(at, name, each).sum(axis=1).argmax())] for name, each in phrases.items()}


def _same_meaning(at: Situation, _: str, phrases: Sequence[str]) -> NDArray[np.floating]:
    texts = _unit(at.encode(list(phrases)))
    return texts @ texts.T


def _same_split(at: Situation, name: str, phrases: Sequence[str]) -> NDArray[np.floating]:
    """Return how alike they part the class's images, as the product does for several reviewers."""
    rows = at.validation.labels == at.classes.index(name)
    return agreement(np.array([at.similarity(phrase, at.validation)[rows] for phrase in phrases]))


def _by_distance(at: Situation, vocabulary: Sequence[str]) -> dict[str, list[str]]:
    """Return for each class the phrases, nearest to what is true of it first."""
    texts = _unit(at.encode(list(vocabulary)))
    found = {}
    for name, phrase in at.phrases.items():
        near = texts @ _unit(at.encode([phrase]))[0]
        order = np.argsort(-near, kind="stable")
        found[name] = [vocabulary[int(k)] for k in order if vocabulary[int(k)] != phrase]
    return found


def _drawn(ordered: Mapping[str, Sequence[str]], band: str, draw: int) -> dict[str, str]:
    rng = generator(draw, f"reviewer {band}")
    low, high = BANDS[band]
    return {
        name: phrases[int(rng.integers(int(low * len(phrases)), max(1, int(high * len(phrases)))))]
        for name, phrases in ordered.items()
    }


def _unit(rows: NDArray[np.floating]) -> NDArray[np.floating]:
    found: NDArray[np.floating] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found
