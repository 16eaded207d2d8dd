"""Are the machine's first three suggestions worth following? What each comes to on test, and if it is true.

On the drawn birds each of the first three for landbird is retrained with, together with "land" for
waterbird: the worst true group of the test split. Whether a suggestion is about the place is measured, not
read: by the AUC of its similarity for the annotated place, within the class, on test.

On the real Waterbirds by a bridge from captions, where they are at hand, the latter alone is asked.

`$DECISIONS_HOME` and `$WATERBIRDS_HOME` name homes to go on in.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
import time
from pathlib import Path

from benchmarks import real_waterbirds
from benchmarks.decisions import drawn_birds
from benchmarks.measurement import Measurement
from clarify.evidence.reviewers import tried
from clarify.evidence.situation import Situation, truth_of
from clarify.ui.server.desk import MOST_SUGGESTED
from clarify.workflow.describe.suggest import suggest
from clarify.workflow.model.models import Model
from clarify.workflow.model.project import Workspace
from clarify.workflow.retrain.gains import POOL, ranked

FIRST, WORST_GROUP, OF_THREE, ABOUT, SECONDS = 3, 0.85, 2, 0.7, 15.0
OTHER = {"landbird": "waterbird", "waterbird": "landbird"}


def measure() -> list[Measurement]:
    """Return what the first suggestions come to, and how long they take."""
    with tempfile.TemporaryDirectory(prefix="clarify-") as new:
        drawn, _ = drawn_birds(Path(os.environ.get("DECISIONS_HOME") or new))
        found = [each for name in drawn.phrases for each in _of_class("drawn birds", drawn, name)]
        if real_waterbirds.at_hand():
            home = Path(os.environ.get(real_waterbirds.HOME) or new)
            real_waterbirds.prepare(home)
            real = real_waterbirds.situation(home)
            found += [each for name in real.phrases for each in _of_class("real Waterbirds", real, name)]
        return found


def _of_class(title: str, at: Situation, name: str) -> list[Measurement]:
    """Suggest as `clarify suggest` does, with what was embedded before and nothing else kept."""
    assert isinstance(at.project, Workspace)
    model = Model(run_id=f"benchmark-{os.getpid()}-{time.time_ns()}", name="base", head=at.base)
    _ = at.failures
    suggest(at.project, model, at.validation, name, most=1)  # every phrase is embedded once
    began = time.perf_counter()
    failures = dataclasses.replace(at.failures, model=model)
    # Of captions there are none on test, to tell there what they are about.
    searched = dataclasses.replace(suggest(at.project, model, at.validation, name, most=POOL), mentioned=None)
    items = ranked(at.project, failures, at.train, searched, most=MOST_SUGGESTED).items[:FIRST]
    took = time.perf_counter() - began
    about = [_about_place(at, name, each.phrase) for each in items]
    told = ", ".join(f"{each.said} ({of:.2f})" for each, of in zip(items, about, strict=True))
    result = [
        Measurement(
            name=f"{title}: the first {FIRST} for {name} about the place (AUC): {told}",
            figure=sum(of >= ABOUT for of in about),
            unit="phrases",
            target=OF_THREE,
            holds=sum(of >= ABOUT for of in about) >= OF_THREE,
        ),
        Measurement(
            name=f"{title}: suggestions for {name}, with their outcomes",
            figure=took,
            unit="s",
            target=SECONDS,
            holds=took < SECONDS,
        ),
    ]
    if name == "landbird":
        other = {OTHER[name]: at.phrases[OTHER[name]]}
        said = [tried(at, {name: each.phrase, **other}) for each in items]
        worst = [0.0 if each is None else each.worst_group for each in said]
        result.append(
            Measurement(
                name=f"{title}: each with {other} retrained, the lowest worst group of test",
                figure=min(worst),
                unit="share",
                target=WORST_GROUP if title == "drawn birds" else None,
                holds=min(worst) >= WORST_GROUP if title == "drawn birds" else None,
            )
        )
    return result


def _about_place(at: Situation, name: str, phrase: str) -> float:
    """Return the AUC of a phrase for either place among the class's test images, at least .5."""
    from scipy.stats import rankdata

    truth = truth_of(at.test)
    rows = at.test.labels == at.classes.index(name)
    place = truth.index[rows] % len(at.values)
    ranks = rankdata(at.similarity(phrase, at.test)[rows])
    first = place == 0
    above = ranks[first].sum() - first.sum() * (first.sum() + 1) / 2
    auc = above / (first.sum() * (~first).sum())
    return float(max(auc, 1 - auc))
