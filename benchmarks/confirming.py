"""Is what is called confirmed true? Luck on shuffled errors, and a true phrase at the demo's size.

The drawn birds' validation images, of which right and wrong are dealt out anew by chance: every word of the
vocabulary is scored on them, and the best is looked at after so many tries; and the search is asked what it
says of itself. A true phrase is tried on as many images of the test split, drawn by true groups:
after ten tries, and after a search of the vocabulary.

`$DECISIONS_HOME` names a home to go on in, `$CONFIRMING_DRAWS` how many draws (200).
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.decisions import drawn_birds
from benchmarks.measurement import Measurement
from clarify.discover.halves import ImagesOfClass
from clarify.discover.suggest import suggest
from clarify.evidence.situation import Situation, truth_of
from clarify.method.arrays import generator
from clarify.method.phrases.evidence import Evidence
from clarify.method.phrases.many_scores import error_scores
from clarify.workflow.describe.phrases import try_phrase
from clarify.workflow.model.failures import Failures, failures_of

WRONG = (5, 10, 30, 120)
IMAGES = 400
TRIES, FEW_TRIES = 50, 10
NEAR, MOST_FALSE, LEAST_TRUE = 0.02, 0.05, 0.9


def measure() -> list[Measurement]:
    """Return how often luck is called confirmed, and truth."""
    draws = int(os.environ.get("CONFIRMING_DRAWS", "200"))
    with tempfile.TemporaryDirectory(prefix="clarify-") as new:
        whole, words = drawn_birds(Path(os.environ.get("DECISIONS_HOME") or new))
        found = [each for wrong in WRONG for each in _luck(whole, words, wrong, draws)]
        tries = (FEW_TRIES, FEW_TRIES + len(words))
        return [*found, *(_truth(whole, name, n_tried, draws) for name in whole.phrases for n_tried in tries)]


def _luck(whole: Situation, words: Sequence[str], wrong: int, draws: int) -> list[Measurement]:
    embedded = whole.project.encoder.encode_phrases(words)
    best: list[Evidence] = []
    worth: list[float] = []
    errors = 0
    for draw in range(draws):
        rng = generator(draw, f"shuffled {wrong}")
        at = _shuffled(whole, rng, wrong)
        rows = at.data.of_class(0)
        images = ImagesOfClass(embeddings=at.data.embeddings[rows], right=at.right[rows])
        aside = at.aside(rows)
        (scores,) = error_scores(images.similarities(embedded), images.right, ~aside[None])
        first = words[int(scores.argmax())]
        best.append(_tried(whole, at, first, len(words)))
        worth.append(suggest(words, embedded, images, aside=aside, seed=draw, most=1).held_out or 0.0)
        said = [words[k] for k in rng.permutation(len(words))[:TRIES]]
        errors += any(_tried(whole, at, phrase, TRIES).confirmed for phrase in said)
    name = f"shuffled errors, {wrong} wrong of {IMAGES}"
    held_out = float(np.mean([each.held_out for each in best]))
    return [
        Measurement(
            name=f"{name}: best of {len(words)} scores (not held out)",
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
        Measurement(
            name=f"{name}: any of {TRIES} tries confirmed",
            figure=errors / draws,
            unit="share",
            target=MOST_FALSE,
            holds=errors / draws <= MOST_FALSE,
        ),
    ]


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
