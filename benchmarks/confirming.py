"""Is what is called confirmed true? Luck on shuffled errors, and a true phrase at the demo's size.

The drawn birds' validation images, of which right and wrong are dealt out anew by chance: every word of the
vocabulary is scored on them, and the best is looked at after so many tries; and the search is asked what it
says of itself. A true phrase is tried on as many images of the test split, drawn by true groups:
after ten tries, and after a search of the vocabulary, which counts as many.

`$DECISIONS_HOME` names a home to go on in, `$CONFIRMING_DRAWS` how many draws (200).
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.decisions import drawn_birds
from benchmarks.measurement import Measurement
from clarify.discover.halves import ImagesOfClass
from clarify.discover.suggest import Suggestions, suggest
from clarify.evidence.situation import Situation, truth_of
from clarify.method.arrays import generator
from clarify.method.phrases.evidence import Evidence
from clarify.workflow.describe.phrases import try_phrase
from clarify.workflow.model.failures import Failures, failures_of
from clarify.workflow.retrain.gains import POOL

WRONG = (5, 10, 30, 120)
IMAGES = 400
TRIES, FEW_TRIES = 50, 10
NEAR, MOST_FALSE, LEAST_TRUE = 0.02, 0.05, 0.9


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Words:
    """The vocabulary that is searched."""

    phrases: tuple[str, ...]
    embedded: NDArray[np.float32]


def measure() -> list[Measurement]:
    """Return how often luck is called confirmed, and truth."""
    draws = int(os.environ.get("CONFIRMING_DRAWS", "200"))
    with tempfile.TemporaryDirectory(prefix="clarify-") as new:
        whole, phrases = drawn_birds(Path(os.environ.get("DECISIONS_HOME") or new))
        words = _Words(phrases=tuple(phrases), embedded=whole.project.encoder.encode_phrases(phrases))
        found = [each for wrong in WRONG for each in _luck(whole, words, wrong, draws)]
        for name in whole.phrases:
            searched = _search(whole.failures, whole.classes.index(name), words).tries
            found += [_truth(whole, name, n_tried, draws) for n_tried in (FEW_TRIES, FEW_TRIES + searched)]
        return found


def _luck(whole: Situation, words: _Words, wrong: int, draws: int) -> list[Measurement]:
    best: list[Evidence] = []
    worth: list[float] = []
    errors = by_search = 0
    for draw in range(draws):
        rng = generator(draw, f"shuffled {wrong}")
        at = _shuffled(whole, rng, wrong)
        found = _search(at, 0, words, seed=draw)
        first = max(found.items, key=lambda each: each.score.value)
        best.append(_tried(whole, at, first.phrase, found.tries))
        worth.append(found.held_out or 0.0)
        by_search += any(each.evidence.confirmed for each in found.items)
        said = [words.phrases[k] for k in rng.permutation(len(words.phrases))[:TRIES]]
        errors += any(_tried(whole, at, phrase, TRIES).confirmed for phrase in said)
    name = f"shuffled errors, {wrong} wrong of {IMAGES}"
    held_out = float(np.mean([each.held_out for each in best]))
    return [
        Measurement(
            name=f"{name}: best of {len(words.phrases)} scores (not held out)",
            figure=float(np.mean([each.score.value for each in best])),
            unit="score",
        ),
        *(
            Measurement(
                name=f"{name}: {what}", figure=figure, unit="score", target=NEAR, holds=abs(figure) <= NEAR
            )
            for what, figure in (
                ("it is held out at", held_out),
                ("the search is worth", float(np.mean(worth))),
            )
        ),
        *(
            Measurement(
                name=f"{name}: any of {what} confirmed",
                figure=count / draws,
                unit="share",
                target=MOST_FALSE,
                holds=count / draws <= MOST_FALSE,
            )
            for what, count in ((f"{TRIES} tries", errors), ("what the search tells", by_search))
        ),
    ]


def _search(at: Failures, label: int, words: _Words, *, seed: int = 0) -> Suggestions:
    """Search the vocabulary as the product does."""
    rows = at.data.of_class(label)
    images = ImagesOfClass(embeddings=at.data.embeddings[rows], right=at.right[rows])
    return suggest(words.phrases, words.embedded, images, aside=at.aside(rows), seed=seed, most=POOL)


def _truth(whole: Situation, name: str, n_tried: int, draws: int) -> Measurement:
    """Try what is true of a class on images of the test split, as many of each group as validation has."""
    counts, truth = truth_of(whole.validation).counts, truth_of(whole.test)
    held = 0
    for draw in range(draws):
        rng = generator(draw, "of test")
        rows = [
            rng.permutation(np.flatnonzero(truth.index == group))[:count]
            for group, count in enumerate(counts)
        ]
        data = dataclasses.replace(whole.test.take(np.sort(np.concatenate(rows))), name="validation")
        at = failures_of(whole.failures.model, data)
        held += try_phrase(whole.project, at, name, whole.phrases[name], n_tried=n_tried).evidence.confirmed
    return Measurement(
        name=f"{whole.phrases[name]!r} for {name} after {n_tried} tries: confirmed",
        figure=held / draws,
        unit="share",
        target=LEAST_TRUE,
        holds=held / draws >= LEAST_TRUE,
    )


def _shuffled(whole: Situation, rng: np.random.Generator, wrong: int) -> Failures:
    """Return so many images of the first class, of which some drawn by chance are wrong."""
    rows = np.sort(rng.permutation(whole.validation.of_class(0))[:IMAGES])
    data = dataclasses.replace(
        whole.validation.take(rows), ids=rng.permutation(10**6)[: len(rows)].astype(str)
    )
    predicted: NDArray[np.int64] = np.zeros(len(rows), dtype=np.int64)
    predicted[rng.permutation(len(rows))[:wrong]] = 1
    return Failures(model=whole.failures.model, data=data, predicted=predicted)


def _tried(whole: Situation, at: Failures, phrase: str, n_tried: int) -> Evidence:
    return try_phrase(whole.project, at, whole.classes[0], phrase, n_tried=n_tried).evidence
