"""Does the gate keep harm out and let the truth in? Many draws of the drawn birds.

Two fifths of the training images are held out as an ordinary validation split, drawn like the training
split, of which 100, 300 or all are looked at; the balanced test split is that of the data set. On each
draw people say what is true, or a word that has nothing to do with the place: one at random, or the best
by error score of 20 or of all of these. All goes through the product's own core. A promotion is harmful
if the worst true group of the test split is more than two points lower than the base model's.

`$DECISIONS_HOME` names a home to go on in, `$DECISIONS_DRAWS` how many draws (100).
"""

from __future__ import annotations

import dataclasses
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.measurement import Measurement
from clarify.evidence.reviewers import Tried, tried, unrelated
from clarify.evidence.situation import Situation, ordinary
from clarify.method.arrays import generator
from clarify.method.phrases.error_score import error_score

LOOKED_AT: Mapping[str, int | None] = {"100 images": 100, "300 images": 300, "all": None}
TRIES = (1, 20, 1_000)
HARM, GAIN = 0.02, 0.10
MOST_HARMFUL, LEAST_TRUE = 0.05, 0.80


def measure() -> list[Measurement]:
    """Return shares of promotions, by set-up."""
    draws = int(os.environ.get("DECISIONS_DRAWS", "100"))
    with tempfile.TemporaryDirectory(prefix="clarify-") as new:
        whole, words = drawn_birds(Path(os.environ.get("DECISIONS_HOME") or new))
        found = []
        for name, most in LOOKED_AT.items():
            found += _set_up(f"drawn birds, {name}", whole, words, most, draws)
    return found


def drawn_birds(home: Path) -> tuple[Situation, Sequence[str]]:
    from clarify.assembly import open_project
    from clarify.config import read_settings
    from clarify.discover.vocabulary import vocabulary
    from clarify.evidence.suites import HARDEST, RENDERED, prepare_rendered, situation_of
    from clarify.workflow.describe.phrase_cache import known_phrases

    settings = read_settings({"home": str(home)}, {}, home)
    project = prepare_rendered(home, HARDEST, lambda name: open_project(settings, name), workers=2)
    return situation_of(project, RENDERED[HARDEST]), known_phrases(project, vocabulary())


def _set_up(
    name: str, whole: Situation, words: Sequence[str], most: int | None, draws: int
) -> list[Measurement]:
    true: list[Tried] = []
    wrong: dict[int, list[Tried]] = {tries: [] for tries in TRIES}
    nothing = unrelated(dataclasses.replace(whole, validation=whole.test), words)
    for draw in range(draws):
        at = ordinary(whole, draw, most)
        if (said := tried(at, whole.phrases)) is not None:
            true.append(said)
        for tries in TRIES:
            phrases = _best_of(at, nothing, tries, draw)
            if phrases and (said := tried(at, phrases)) is not None:
                wrong[tries].append(said)
        print(f"{name}: draw {draw + 1} of {draws}", file=sys.stderr)
    return [
        *_told_true(name, true),
        *(each for tries in TRIES for each in _told_wrong(name, tries, wrong[tries])),
    ]


def _best_of(at: Situation, words: Sequence[str], tries: int, draw: int) -> dict[str, str]:
    """Return for each class the word with the highest error score of so many drawn ones."""
    rng, right = generator(draw, f"words {tries}"), at.failures.right
    drawn = [words[k] for k in rng.permutation(len(words))[:tries]]
    similarity = {word: at.similarity(word, at.validation) for word in drawn}
    found = {}
    for label, name in enumerate(at.classes):
        of_class = at.validation.labels == label
        if 0 < right[of_class].sum() < of_class.sum():
            found[name] = max(
                drawn,
                key=lambda word, of=of_class: (
                    error_score(  # type: ignore[misc]
                        similarity[word][of & right], similarity[word][of & ~right]
                    ).value
                ),
            )
    return found


def _told_true(name: str, said: Sequence[Tried]) -> list[Measurement]:
    gained = [each for each in said if each.worst_group > each.base_worst_group + GAIN]
    beyond = [each for each in gained if each.worst_group > each.control_worst_group + HARM]
    share = _share([each.passed for each in gained])
    return [
        Measurement(
            name=f"{name}: the true phrases gain 10 points or more ({len(gained)}) and pass",
            figure=share,
            unit="share",
            target=LEAST_TRUE,
            holds=share >= LEAST_TRUE,
        ),
        Measurement(
            name=f"{name}: of these beyond balancing classes ({len(beyond)}) pass",
            figure=_share([each.passed for each in beyond]),
            unit="share",
        ),
        Measurement(
            name=f"{name}: true phrases, worst group of test",
            figure=100 * float(np.mean([each.worst_group for each in said])),
            unit="percent",
        ),
    ]


def _told_wrong(name: str, tries: int, said: Sequence[Tried]) -> list[Measurement]:
    what = f"best of {tries}" if tries < 1_000 else "best of all"
    harmful = [each for each in said if each.worst_group < each.base_worst_group - HARM]
    share = _share([each in harmful and each.passed for each in said])
    return [
        Measurement(
            name=f"{name}: {what} unrelated words, {len(harmful)} of {len(said)} harmful, promoted",
            figure=share,
            unit="share",
            target=MOST_HARMFUL,
            holds=share <= MOST_HARMFUL,
        ),
        Measurement(
            name=f"{name}: {what} unrelated words, any promoted",
            figure=_share([each.passed for each in said]),
            unit="share",
        ),
    ]


def _share(which: Sequence[bool]) -> float:
    return float(np.mean(which)) if which else 0.0
