"""How much each example of a batch counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarify.method.fit.minibatch import BatchCvar, BatchErm, BatchGroupDro, BatchReweight, BatchWorstGroup
from clarify.workflow.model.recipe import OBJECTIVES

LOSSES = np.array([1.0, 3.0, 2.0, 6.0])
GROUPS = np.array([0, 0, 1, 2])


@given(
    st.sampled_from(list(OBJECTIVES)), st.lists(st.floats(0, 50), min_size=3, max_size=12), st.integers(1, 4)
)
def test_weights_are_a_distribution_over_the_batch(name: str, losses: list[float], many: int) -> None:
    groups = np.arange(len(losses)) % many
    objective = OBJECTIVES[name].batch(np.array([10] * many))
    for _ in range(3):
        weights = objective.weights(np.array(losses), groups)
        assert weights.shape == (len(losses),)
        assert (weights >= 0).all()
        assert weights.sum() == pytest.approx(1.0)


def test_erm_and_reweighting_by_hand() -> None:
    assert BatchErm().weights(LOSSES, GROUPS).tolist() == [0.25] * 4
    weights = BatchReweight().weights(LOSSES, GROUPS)
    np.testing.assert_allclose(weights, [1 / 6, 1 / 6, 1 / 3, 1 / 3])
    # The mean over groups of the groups' mean losses.
    assert weights @ LOSSES == pytest.approx(np.mean([2.0, 2.0, 6.0]))


def test_the_worst_group_is_the_one_whose_running_mean_is_highest() -> None:
    objective = BatchWorstGroup.of(np.array([2, 1, 1]))
    np.testing.assert_allclose(objective.weights(LOSSES, GROUPS), [0, 0, 0, 1])
    assert objective.state.tolist() == [2.0, 2.0, 6.0]
    # One good batch does not make it a good group.
    weights = objective.weights(np.array([3.0, 3.0, 3.0, 1.0]), GROUPS)
    np.testing.assert_allclose(weights, [0, 0, 0, 1])
    np.testing.assert_allclose(objective.state, [2.1, 2.1, 5.5])
    # Of groups that a batch lacks none counts.
    np.testing.assert_allclose(objective.weights(np.array([9.0, 1.0]), np.array([0, 1])), [1, 0])


def test_group_dro_follows_the_published_algorithm() -> None:
    objective = BatchGroupDro.of(np.array([4, 100, 25]), adjustment=1.0)
    weights = np.full(3, 1 / 3)
    means, added = np.array([2.0, 2.0, 6.0]), np.array([0.5, 0.1, 0.2])
    for _ in range(5):
        weights = weights * np.exp(0.01 * (means + added))
        weights /= weights.sum()
        found = objective.weights(LOSSES, GROUPS)
    np.testing.assert_allclose(objective.state, weights)
    np.testing.assert_allclose(found, [weights[0] / 2, weights[0] / 2, weights[1], weights[2]])
    assert weights.argmax() == 2


def test_cvar_counts_the_worst_share_alone() -> None:
    weights = BatchCvar(alpha=0.5).weights(LOSSES, GROUPS)
    np.testing.assert_allclose(weights, [0, 0.5, 0, 0.5])
    assert BatchCvar(alpha=0.1).weights(LOSSES, GROUPS).argmax() == 3
