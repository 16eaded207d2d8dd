"""The methods that know true groups: group DRO, DFR, against scikit-learn or by hand."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression

from clarify.evidence.baselines import afr, dfr_subsampled, dfr_upsampled, group_dro
from clarify.evidence.oracles import balanced_subsample
from clarify.method.fit.head import Standardisation
from clarify.method.fit.objectives import GroupDro, Reweight
from clarify.method.fit.selection import ByAnnotatedWorstGroup, hold_out, select
from clarify.method.fit.training import fit_head, sweep
from clarify.method.groups.groups import AnnotatedGroups
from tests.evidence.test_baselines import GROUPS, NAMES, by_scikit_learn, planted, same_heads


def test_group_dro_is_its_objective_on_annotated_groups() -> None:
    features, labels, groups = planted((100, 30, 20, 80), 0)
    (robust,) = group_dro(
        features, labels, NAMES, groups, adjustments=(0.5,), weight_decays=(0.1,), steps=1000
    )
    objective = GroupDro(groups=groups, adjustment=0.5, steps=1000)
    exact = fit_head(features, labels, NAMES, objective, 0.1, tolerance=1e-3)
    same_heads(robust.head, exact.head, features)
    assert robust.settings == {
        "adjustment": 0.5,
        "steps": exact.iterations,
        "relative_gap": exact.relative_gap,
    }


def test_dfr_upsampled_is_scikit_learn_with_the_groups_weights() -> None:
    features, labels, groups = planted((100, 30, 20, 80), 0)
    (found,) = dfr_upsampled(features, labels, NAMES, groups, weight_decays=(0.1,))
    expected = by_scikit_learn(features, labels, 1 / groups.counts[groups.index], 0.1)
    np.testing.assert_allclose(found.head.probabilities(features), expected(features), atol=3e-3)


def test_dfr_chooses_its_weight_decay_on_the_half_it_was_not_fitted_to() -> None:
    features, labels, groups = planted((100, 30, 20, 80), 0, width=60)
    decays = (30.0, 0.3, 0.0005)
    (found,) = dfr_upsampled(features, labels, NAMES, groups, weight_decays=decays, seed=3)
    fitting, judging = hold_out(groups.index, share=0.5, seed=3)
    parts = [AnnotatedGroups(index=groups.index[rows], names=GROUPS) for rows in (fitting, judging)]
    fits = sweep(features[fitting], labels[fitting], NAMES, Reweight(groups=parts[0]), decays)
    chosen = select(fits, features[judging], labels[judging], ByAnnotatedWorstGroup(), groups=parts[1])
    scores = dict(chosen.table)
    assert len(set(scores.values())) > 1
    assert found.weight_decay == chosen.fit.weight_decay
    assert found.settings == {"half_worst_group": scores[found.weight_decay], "seed": 3}


def test_a_subsample_holds_as_many_of_each_group_and_others_hold_others() -> None:
    _, _, groups = planted((100, 30, 20, 80), 0)
    drawn = [balanced_subsample(groups, number, 0) for number in range(3)]
    for weights in drawn:
        assert set(weights) == {0.0, 1.0}
        assert np.bincount(groups.index[weights > 0]).tolist() == [20, 20, 20, 20]
    assert (drawn[0] != drawn[1]).any()
    np.testing.assert_array_equal(drawn[2], balanced_subsample(groups, 2, 0))
    assert (drawn[2] != balanced_subsample(groups, 2, 1)).any()


def test_dfr_subsampled_is_the_mean_of_its_subsamples_heads() -> None:
    features, labels, groups = planted((100, 30, 20, 80), 0)
    (found,) = dfr_subsampled(features, labels, NAMES, groups, weight_decays=(0.1,), subsamples=3, seed=4)
    x = Standardisation.fit(features).apply(features)
    weights, biases = [], []
    for number in range(3):
        rows = np.flatnonzero(balanced_subsample(groups, number, 4))
        model = LogisticRegression(C=1 / (len(rows) * 0.05), tol=1e-10, max_iter=10_000)
        model.fit(x[rows], labels[rows])
        weights.append(model.coef_[0])
        biases.append(model.intercept_[0])
    expected = x @ np.mean(weights, axis=0) + np.mean(biases)
    logits = found.head.logits(features)
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], expected, atol=2e-2)
    assert found.settings["subsamples"] == 3


def test_the_same_seed_gives_the_same_head() -> None:
    features, labels, groups = planted((60, 20, 20, 60), 0)
    for method in (dfr_subsampled, dfr_upsampled):
        one, two = (method(features, labels, NAMES, groups, seed=7)[0] for _ in range(2))
        np.testing.assert_array_equal(one.head.weight, two.head.weight)
    first, second = (afr(features, labels, NAMES, seed=7)[3].head for _ in range(2))
    np.testing.assert_array_equal(first.weight, second.weight)
