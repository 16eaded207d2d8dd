"""Correction: chosen by the named rule, refitted without a figure that flatters."""

from __future__ import annotations

import numpy as np

from clarify.method.fit.correction import Images, correct
from clarify.method.fit.objectives import Erm, Reweight
from clarify.method.fit.selection import ByAverage, ByDescribedWorstGroup, select
from clarify.method.fit.training import fit_head, sweep
from clarify.method.groups.groups import described_groups

NAMES = ("a", "b")


def images(count: int, width: int, seed: int) -> Images:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    return Images(
        features=rng.normal(size=(count, width)).astype(np.float32),
        labels=labels,
        groups=described_groups(labels, NAMES, {}),
    )


def test_after_a_refit_validation_is_told_by_heads_that_did_not_see_it() -> None:
    train, validation = images(100, 300, 0), images(100, 300, 1)  # noise: nothing can be learned
    found = correct(train, validation, NAMES, lambda _: Erm(), ByAverage(), refit=True)
    seen = found.fit.head.predict(validation.features) == validation.labels
    held_out = found.held_out.argmax(axis=1) == validation.labels
    assert seen.mean() > 0.85  # there are more features than images
    assert 0.3 < held_out.mean() < 0.7


def test_a_refit_is_the_chosen_weight_decay_on_both_splits() -> None:
    train, validation = images(200, 5, 0), images(100, 5, 1)
    found = correct(
        train,
        validation,
        NAMES,
        lambda given: Reweight(groups=given.groups),
        ByDescribedWorstGroup(),
        refit=True,
    )
    both = train.joined(validation)
    expected = fit_head(
        both.features, both.labels, NAMES, Reweight(groups=both.groups), found.fit.weight_decay
    )
    np.testing.assert_allclose(found.fit.head.weight, expected.head.weight, atol=5e-3)
    fits = sweep(train.features, train.labels, NAMES, Reweight(groups=train.groups))
    given = (validation.features, validation.labels)
    chosen = select(fits, *given, ByDescribedWorstGroup(), groups=validation.groups)
    assert found.fit.weight_decay == chosen.fit.weight_decay


def test_without_refit_validation_is_told_by_the_head_itself() -> None:
    train, validation = images(200, 5, 0), images(100, 5, 1)
    found = correct(train, validation, NAMES, lambda _: Erm(), ByAverage())
    np.testing.assert_allclose(found.held_out, found.fit.head.probabilities(validation.features), rtol=1e-12)
