"""Large heads: blocks of rows against the exact solver, and the bound against a case worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize as scipy_minimize

from clarify.errors import SolverError
from clarify.method.fit import large
from clarify.method.fit.correction import Images, correct
from clarify.method.fit.head import Standardisation
from clarify.method.fit.large import Rows, Sample, Streamed
from clarify.method.fit.objectives import CvarDro, Erm, GroupDro, Objective, Reweight, Weighted, WorstGroup
from clarify.method.fit.selection import ByAverage
from clarify.method.fit.training import LARGE_TOLERANCE, TOLERANCE, WEIGHT_DECAYS, fit_head, sweep
from clarify.method.groups.groups import DescribedGroups

NAMES = ("ant", "bee", "cat", "dog")


def data(count: int = 400, width: int = 12, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    labels = np.arange(count) % classes
    centres = rng.normal(size=(classes, width))
    features = centres[labels] + 1.5 * rng.normal(size=(count, width)) + 0.5
    return features.astype(np.float16), labels


def groups_of(labels: np.ndarray) -> DescribedGroups:
    index = 2 * labels + (np.random.default_rng(1).random(len(labels)) < 0.2)
    return DescribedGroups(index=index, names=tuple(f"{name} {half}" for name in NAMES for half in "ab"))


def objectives(labels: np.ndarray) -> dict[str, Objective]:
    groups = groups_of(labels)
    weights = np.random.default_rng(2).random(len(labels))
    of: tuple[Objective, ...] = (
        Erm(),
        Reweight(groups=groups),
        WorstGroup(groups=groups),
        GroupDro(groups=groups, adjustment=0.5, steps=2000),
        CvarDro(alpha=0.4),
        Weighted(weights=weights),
    )
    return {each.name: each for each in of}


@pytest.fixture
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of few rows, none kept, the curvature from half of them."""
    for name, value in {
        "LARGE_PRODUCTS": 0,
        "KEPT_NUMBERS": 0,
        "BLOCK_NUMBERS": 900,
        "SAMPLED": 200,
        "SAMPLED_OF_CLASS": 1,
    }.items():
        monkeypatch.setattr(large, name, value)


@pytest.mark.parametrize("name", ["erm", "reweight", "worst_group", "group_dro", "cvar", "weighted"])
def test_every_objective_comes_to_the_exact_solvers_optimum(
    name: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    features, labels = data()
    objective = objectives(labels)[name]
    exact = fit_head(features, labels, NAMES, objective, 0.02, tolerance=1e-5)
    request.getfixturevalue("everything_is_large")
    blocks = fit_head(features, labels, NAMES, objective, 0.02, tolerance=1e-3)
    assert blocks.converged
    assert blocks.relative_gap <= 1e-3
    # Either's bound lies under the other's value: both are certificates of one optimum.
    assert blocks.lower_bound <= exact.objective_value * (1 + 1e-6)
    assert exact.lower_bound <= blocks.objective_value * (1 + 1e-6)
    assert blocks.objective_value == pytest.approx(exact.objective_value, rel=1e-3)


def test_two_classes_are_fitted_too(everything_is_large: None, monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = data(classes=2)
    blocks = fit_head(features, labels, NAMES[:2], Erm(), 0.02)
    monkeypatch.setattr(large, "LARGE_PRODUCTS", 10**9)
    exact = fit_head(features, labels, NAMES[:2], Erm(), 0.02)
    assert blocks.objective_value == pytest.approx(exact.objective_value, rel=LARGE_TOLERANCE)
    np.testing.assert_allclose(blocks.head.weight, exact.head.weight, atol=0.01)


def test_scipys_minimum_is_reached(everything_is_large: None) -> None:
    """An optimum found by other code, of a loss written anew in float64."""
    features, labels = data()
    fit = fit_head(features, labels, NAMES, Erm(), 0.02)
    x = Standardisation.fit(features).apply(features)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weight = flat.reshape(13, 4)
        logits = x @ weight[:-1] + weight[-1]
        chances = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        value = -np.log(chances[np.arange(len(x)), labels]).mean() + 0.01 * (weight[:-1] ** 2).sum()
        chances[np.arange(len(x)), labels] -= 1
        slope = np.vstack((x.T @ chances / len(x) + 0.02 * weight[:-1], chances.mean(axis=0)))
        return value, slope.ravel()

    best = scipy_minimize(
        loss, np.zeros(52), jac=True, method="L-BFGS-B", options={"ftol": 1e-14, "gtol": 1e-9}
    )
    assert fit.lower_bound <= best.fun <= fit.objective_value * (1 + 1e-6)
    assert fit.objective_value - best.fun <= 1e-3 * best.fun


def test_the_bound_of_a_head_of_zeros_is_that_worked_out_by_hand() -> None:
    """Two images (1, 0) and (0, 1), a class each: the slope is (-+1/4) four times, so log 2 - 1/4 is left."""
    features = np.eye(2)
    plain = Standardisation(mean=np.zeros(2, np.float32), scale=np.ones(2, np.float32))
    labels = np.array([0, 1])
    rows = Rows(features, plain, labels, 2)
    problem = Streamed.of(rows, Erm().weight_set(2), 0.5)
    spot = problem.at(problem.start(), np.ones(1), np.inf)
    spot.find_slope()
    np.testing.assert_allclose(spot.slope, [[-0.25, 0.25], [0.25, -0.25], [0.0, 0.0]])
    assert spot.value == pytest.approx(np.log(2))
    assert spot.lower_bound() == pytest.approx(np.log(2) - 4 * 0.25**2 / (2 * 0.5), rel=3e-6)


@pytest.mark.parametrize("name", ["erm", "reweight", "worst_group", "cvar"])
@pytest.mark.parametrize("size", [0.0, 0.01, 0.1, 1.0])
def test_the_bound_is_true_wherever_the_solver_stands(name: str, size: float) -> None:
    features, labels = data()
    objective = objectives(labels)[name]
    lowest = fit_head(features, labels, NAMES, objective, 0.1).objective_value
    rows = Rows(features, Standardisation.fit(features), labels, 4)
    problem = Streamed.of(rows, objective.weight_set(len(labels)), 0.1)
    for seed in range(5):
        theta = size * np.random.default_rng(seed).normal(size=problem.start().shape)
        spot = problem.at(theta, problem.weights.centre(), 0.3)
        spot.find_slope()
        assert spot.lower_bound() <= lowest * (1 + 1e-6)


def test_a_memory_map_of_float16_gives_what_float32_in_memory_gives(
    everything_is_large: None, tmp_path: Path
) -> None:
    features, labels = data()
    np.save(tmp_path / "features.npy", features)
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    here = fit_head(features.astype(np.float32), labels, NAMES, Erm(), 0.02)
    there = fit_head(mapped, labels, NAMES, Erm(), 0.02)
    np.testing.assert_array_equal(here.head.weight, there.head.weight)


def test_a_start_at_the_optimum_takes_no_step(everything_is_large: None) -> None:
    features, labels = data()
    fit = fit_head(features, labels, NAMES, Erm(), 0.02, tolerance=1e-4)
    again = fit_head(features, labels, NAMES, Erm(), 0.02, start=fit.head)
    assert again.iterations == 0


def test_a_large_correction_starts_at_the_base_and_keeps_its_weight_decay(
    everything_is_large: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, labels = data()
    base = fit_head(features, labels, NAMES, Erm(), 0.02)
    images = Images(features=features, labels=labels, groups=groups_of(labels))
    steps: list[int] = []

    def corrected() -> tuple[tuple[float, float], ...]:
        steps.clear()
        found = correct(
            images,
            images,
            NAMES,
            lambda of: Reweight(groups=of.groups),
            ByAverage(),
            base=(base.head, 0.02),
            progress=lambda told: steps.append(told.iteration),
        )
        assert found.fit.relative_gap <= LARGE_TOLERANCE
        return found.table

    assert [decay for decay, _ in corrected()] == [0.02]
    assert steps[-1] <= base.iterations
    monkeypatch.setattr(large, "LARGE_PRODUCTS", 10**9)
    assert [decay for decay, _ in corrected()] == list(WEIGHT_DECAYS)


def test_a_step_about_the_classes_own_centres_is_newtons_where_all_share_a_covariance() -> None:
    """Each class's curvature as it is: the model's inverse undoes it, the bias included."""
    rng = np.random.default_rng(0)
    width, classes = 3, 2
    spread = np.cov(rng.normal(size=(width, 20)))
    scale, centres = np.array([0.2, 0.5]), rng.normal(size=(width, classes))
    moments = sum(s * (spread + np.outer(c, c)) for s, c in zip(scale, centres.T, strict=True))
    solve = large._about_own_centres(scale, centres * scale, np.asarray(moments), 0.1)
    slope = rng.normal(size=(width + 1, classes))
    step = solve(slope)
    for k in range(classes):
        curvature = np.zeros((width + 1, width + 1))
        curvature[:-1, :-1] = scale[k] * (spread + np.outer(centres[:, k], centres[:, k])) + 0.1 * np.eye(
            width
        )
        curvature[:-1, -1] = curvature[-1, :-1] = scale[k] * centres[:, k]
        curvature[-1, -1] = scale[k]
        np.testing.assert_allclose(curvature @ step[:, k], slope[:, k], atol=1e-10)


def test_size_alone_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = data()
    assert not large.is_large(features, 4)
    assert large.is_large(np.empty((60_000, 512), dtype=np.float16), 200)
    assert large.is_large(np.empty((400_000, 768), dtype=np.float16), 2)
    assert not large.is_large(np.empty((4_795, 1_280), dtype=np.float32), 2)
    small = sweep(features, labels, NAMES, Erm(), (0.1, 0.02))
    monkeypatch.setattr(large, "LARGE_PRODUCTS", 0)
    big = sweep(features, labels, NAMES, Erm(), (0.1, 0.02))
    assert all(fit.relative_gap <= TOLERANCE for fit in small)
    assert all(fit.relative_gap <= LARGE_TOLERANCE for fit in big)


def test_a_gap_that_float32_cannot_reach_is_an_error(everything_is_large: None) -> None:
    features, labels = data()
    with pytest.raises(SolverError, match="use a larger weight decay or tolerance"):
        fit_head(features, labels, NAMES, Erm(), 0.02, tolerance=1e-8)


def test_the_sample_is_the_same_each_time(everything_is_large: None) -> None:
    features, labels = data()
    rows = Rows(features, Standardisation.fit(features), labels, 4)
    weights = Reweight(groups=groups_of(labels)).weight_set(len(labels))
    problem = Streamed.of(rows, weights, 0.1)
    spot = problem.at(problem.start(), np.ones(1), np.inf)
    spot.find_slope()
    steps = [Sample(rows, weights).at(spot)(spot.slope) for _ in range(2)]
    np.testing.assert_array_equal(steps[0], steps[1])
