"""Objectives: worst weighted means by hand, their sets of weights, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarify.errors import FeatureError, GroupError, InputError
from clarify.method.fit.example_weights import WeightSet
from clarify.method.fit.objectives import CvarDro, Erm, GroupDro, Objective, Reweight, WorstGroup
from clarify.method.groups.groups import AnnotatedGroups, DescribedGroups

LOSSES = [1.0, 2.0, 3.0, 10.0]
GROUPS = DescribedGroups(index=np.array([0, 0, 0, 1]), names=("many", "one"))


def objectives(groups: DescribedGroups, alpha: float = 0.3) -> list[Objective]:
    return [
        Erm(),
        Reweight(groups=groups),
        WorstGroup(groups=groups),
        GroupDro(groups=groups, adjustment=0.7),
        CvarDro(alpha=alpha),
    ]


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        (Erm(), 4.0),
        (Reweight(groups=GROUPS), (2.0 + 10.0) / 2),
        (WorstGroup(groups=GROUPS), 10.0),
        (GroupDro(groups=GROUPS, adjustment=1.0), 10.0 + 1.0),
        (GroupDro(groups=GROUPS, adjustment=0.0), 10.0),
        (CvarDro(alpha=1.0), 4.0),
        (CvarDro(alpha=0.5), 6.5),
        (CvarDro(alpha=0.25), 10.0),
        (CvarDro(alpha=0.01), 10.0),
        (CvarDro(alpha=0.375), (10.0 + 0.5 * 3.0) / 1.5),
    ],
)
def test_values_are_those_found_by_hand(objective: Objective, expected: float) -> None:
    assert objective.value(LOSSES) == pytest.approx(expected, abs=1e-12)


def test_the_adjustment_can_make_a_small_group_the_worst() -> None:
    losses = [3.0, 3.0, 3.0, 2.9]
    assert GroupDro(groups=GROUPS, adjustment=0.0).value(losses) == pytest.approx(3.0)
    assert GroupDro(groups=GROUPS, adjustment=1.0).value(losses) == pytest.approx(2.9 + 1.0)


def test_names_are_those_that_are_logged() -> None:
    names = [objective.name for objective in objectives(GROUPS)]
    assert names == ["erm", "reweight", "worst_group", "group_dro", "cvar"]


@given(st.integers(2, 30), st.integers(0, 10_000), st.floats(0.02, 1.0))
def test_every_objective_is_the_largest_mean_that_its_weights_allow(
    count: int, seed: int, alpha: float
) -> None:
    rng = np.random.default_rng(seed)
    groups = DescribedGroups(index=np.arange(count) % 2, names=("a", "b"))
    losses = rng.exponential(size=count)
    for objective in objectives(groups, alpha):
        weights = objective.weight_set(count)
        atoms = weights.atom_losses(losses)
        drawn = some_weights(weights, rng)
        q = weights.example_weights(drawn)
        assert q.sum() == pytest.approx(1.0)
        assert drawn @ atoms == pytest.approx(q @ losses + drawn @ weights.offset)
        assert drawn @ atoms <= objective.value(losses) + 1e-9


@given(st.integers(1, 40), st.integers(0, 10_000), st.floats(1e-3, 30.0))
def test_charged_weights_are_legal_and_no_others_are_better(count: int, seed: int, rho: float) -> None:
    rng = np.random.default_rng(seed)
    cap = min(1.0, float(rng.uniform(1.0, 4.0)) / count)
    weights = WeightSet(atom=np.arange(count), within=np.ones(count), offset=np.zeros(count), cap=cap)
    losses = np.round(rng.normal(size=count), 1)
    centre = some_weights(weights, rng)

    def charged(w: np.ndarray) -> float:
        return float(w @ losses - rho / (2 * cap) * ((w - centre) @ (w - centre)))

    value, best, free = weights.nearby_worst(losses, centre, rho)
    assert best.sum() == pytest.approx(1.0)
    assert best.min() >= 0
    assert best.max() <= cap * (1 + 1e-9)
    assert not free[(best == 0)].any()
    assert value == pytest.approx(charged(best), abs=1e-9)
    assert value <= weights.worst(losses) + 1e-9
    for _ in range(20):
        other = best + rng.uniform() * (some_weights(weights, rng) - best)
        assert charged(other) <= value + 1e-9


def some_weights(weights: WeightSet, rng: np.random.Generator) -> np.ndarray:
    """Draw legal weights: pour the mass into the atoms in a random order."""
    result = np.zeros(weights.count)
    for part in rng.dirichlet(np.ones(3)):
        left = part
        for atom in rng.permutation(weights.count):
            put = min(part * weights.cap, left)
            result[atom] += put
            left -= put
    return result / result.sum()


@settings(max_examples=30)
@given(st.lists(st.floats(0, 20), min_size=2, max_size=30), st.integers(0, 1000))
def test_order_of_the_rows_changes_no_objective(losses: list[float], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(losses))
    index = np.arange(len(losses)) % 2
    there = objectives(DescribedGroups(index=index, names=("a", "b")))
    here = objectives(DescribedGroups(index=index[order], names=("a", "b")))
    for objective, shuffled in zip(there, here, strict=True):
        expected = objective.value(losses)
        assert shuffled.value(np.array(losses)[order]) == pytest.approx(expected, abs=1e-9)


def test_a_group_without_images_is_refused_by_name() -> None:
    groups = AnnotatedGroups(index=np.array([0, 2, 2]), names=("land", "sky", "water"))
    with pytest.raises(GroupError, match="'sky' has no training images"):
        WorstGroup(groups=groups)


def test_groups_of_other_images_are_refused_with_both_lengths() -> None:
    with pytest.raises(GroupError, match="groups of 4 images for 3 examples"):
        WorstGroup(groups=GROUPS).value([1.0, 2.0, 3.0])


def test_bare_indices_are_not_groups() -> None:
    with pytest.raises(InputError, match="ndarray was given; DescribedGroups"):
        Reweight(groups=np.array([0, 1]))  # type: ignore[arg-type]


@pytest.mark.parametrize("alpha", [0.0, -0.1, 1.5, float("nan")])
def test_a_share_out_of_range_is_refused(alpha: float) -> None:
    with pytest.raises(InputError, match="above 0 and at most 1"):
        CvarDro(alpha=alpha)


@pytest.mark.parametrize(("setting", "value"), [("adjustment", -1.0), ("step_size", 0.0), ("steps", 0)])
def test_settings_of_group_dro_out_of_range_are_refused(setting: str, value: float) -> None:
    with pytest.raises(InputError, match=setting):
        GroupDro(groups=GROUPS, **{setting: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("losses", [[], [1.0, float("nan"), 2.0, 3.0]])
def test_losses_must_be_finite_and_some(losses: list[float]) -> None:
    with pytest.raises(FeatureError, match="losses"):
        Erm().value(losses)
