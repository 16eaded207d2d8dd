"""Training: optima against independent solvers, the bound, and ERM's planted failure."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from clarify.method.fit import preconditioner
from clarify.method.fit.convex import Point, Problem, mixture
from clarify.method.fit.head import Head, Standardisation
from clarify.method.fit.objectives import CvarDro, Erm, GroupDro, Objective, Reweight, WorstGroup
from clarify.method.fit.preconditioner import Gram
from clarify.method.fit.solver import SolverProgress, minimise
from clarify.method.fit.training import fit_head, sweep
from clarify.method.groups.groups import AnnotatedGroups, DescribedGroups, described_groups
from clarify.method.groups.metrics import evaluate

TIGHT = 1e-7


def data(
    count: int = 120, width: int = 6, classes: int = 2, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centres = 1.5 * rng.normal(size=(classes, width))
    features = centres[labels] + 1.5 * rng.normal(size=(count, width))
    return features.astype(np.float32), labels, tuple(f"class {k}" for k in range(classes))


def uneven_groups(labels: np.ndarray, seed: int = 0) -> DescribedGroups:
    """Part the first class in a small and a large half; the others stay whole."""
    small = np.random.default_rng(seed).random(len(labels)) < 0.2
    index = np.where((labels == 0) & small, labels.max() + 1, labels)
    return DescribedGroups(index=index, names=tuple(f"group {g}" for g in range(index.max() + 1)))


def losses_of(head: Head, features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return -np.log(head.probabilities(features)[np.arange(len(labels)), labels])


def by_cvxpy(features: np.ndarray, labels: np.ndarray, objective: Objective, decay: float) -> float:
    """Solve the same problem from its definition alone, in all K columns."""
    import cvxpy as cp

    x = Standardisation.fit(features).apply(features)
    classes = int(labels.max()) + 1
    weight, bias = cp.Variable((x.shape[1], classes)), cp.Variable((1, classes))
    logits = x @ weight + np.ones((len(x), 1)) @ bias
    truth = cp.sum(cp.multiply(logits, np.eye(classes)[labels]), axis=1)
    losses = cp.log_sum_exp(logits, axis=1) - truth
    if isinstance(objective, CvarDro):
        level = cp.Variable()
        worst = level + cp.sum(cp.pos(losses - level)) / (objective.alpha * len(x))
    else:
        groups = getattr(objective, "groups", None)
        index = np.zeros(len(x), dtype=int) if groups is None else groups.index
        means = [
            cp.sum(losses[np.flatnonzero(index == g)]) / (index == g).sum() for g in range(index.max() + 1)
        ]
        if isinstance(objective, GroupDro):
            sizes = np.bincount(index)
            means = [m + objective.adjustment / n**0.5 for m, n in zip(means, sizes, strict=True)]
        mean = sum(means) / len(means)
        worst = mean if isinstance(objective, Erm | Reweight) else cp.max(cp.hstack(means))
    penalised = worst + decay / 2 * cp.sum_squares(weight)
    # The biases' common shift changes nothing: fixed, or the conic solver wanders along it.
    problem = cp.Problem(cp.Minimize(penalised), [cp.sum(bias) == 0])
    return float(problem.solve(solver=cp.CLARABEL))


def some_objectives(labels: np.ndarray) -> dict[str, Objective]:
    groups = uneven_groups(labels)
    return {
        "erm": Erm(),
        "reweight": Reweight(groups=groups),
        "worst_group": WorstGroup(groups=groups),
        "cvar": CvarDro(alpha=0.7),
    }


# --- independent references ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["erm", "reweight", "worst_group", "cvar"])
@pytest.mark.parametrize(("classes", "decay"), [(2, 0.1), (2, 0.001), (3, 0.01)])
def test_the_optimum_is_that_of_a_conic_solver_and_the_bound_below_it(
    name: str, classes: int, decay: float
) -> None:
    features, labels, names = data(count=90, width=4, classes=classes)
    objective = some_objectives(labels)[name]
    expected = by_cvxpy(features, labels, objective, decay)
    fit = fit_head(features, labels, names, objective, decay)
    assert expected < 0.97 * np.log(classes)  # not the head of zeros
    assert fit.converged
    assert fit.relative_gap <= 1e-4
    assert fit.lower_bound <= expected * (1 + 1e-6)
    assert expected * (1 - 1e-6) <= fit.objective_value <= expected * (1 + 1.01e-4)


@pytest.mark.parametrize("classes", [2, 4, 15])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_head_is_that_of_scikit_learn(classes: int, weighted: bool) -> None:
    features, labels, names = data(count=300, classes=classes)
    decay = 0.05
    groups = uneven_groups(labels)
    objective = Reweight(groups=groups) if weighted else Erm()
    fit = fit_head(features, labels, names, objective, decay, tolerance=TIGHT)
    # scikit-learn penalises one vector for two classes: half the decay, as explained in `links`.
    penalty = decay / 2 if classes == 2 else decay
    weights = 1.0 / (groups.counts[groups.index] * len(groups.names)) if weighted else None
    share = 1.0 if weighted else len(labels)
    reference = LogisticRegression(C=1 / (share * penalty), tol=1e-9, max_iter=5000)
    reference.fit(Standardisation.fit(features).apply(features), labels, sample_weight=weights)
    expected = reference.predict_proba(Standardisation.fit(features).apply(features))
    np.testing.assert_allclose(fit.head.probabilities(features), expected, atol=2e-3)
    np.testing.assert_array_equal(fit.head.predict(features), expected.argmax(axis=1))


def test_group_dro_without_adjustment_goes_to_the_worst_group() -> None:
    features, labels, names = data()
    groups = uneven_groups(labels)
    exact = fit_head(features, labels, names, WorstGroup(groups=groups), 0.05)
    steps = GroupDro(groups=groups, adjustment=0.0, step_size=1.0, steps=5000)
    fit = fit_head(features, labels, names, steps, 0.05, tolerance=1e-3)
    assert fit.converged
    assert fit.objective_value == pytest.approx(exact.objective_value, rel=1.2e-3)
    assert fit.lower_bound <= exact.objective_value


def test_group_dro_with_an_adjustment_goes_to_its_own_optimum() -> None:
    features, labels, names = data()
    objective = GroupDro(groups=uneven_groups(labels), adjustment=2.0, step_size=1.0, steps=5000)
    fit = fit_head(features, labels, names, objective, 0.05, tolerance=1e-3)
    best = by_cvxpy(features, labels, objective, 0.05)
    assert fit.converged
    assert best * (1 - 1.01e-3) <= fit.lower_bound <= best * (1 + 1e-6)
    assert fit.objective_value == pytest.approx(best, rel=1.1e-3)


def test_group_dro_stopped_early_says_how_far_it_is_and_the_bound_still_holds() -> None:
    features, labels, names = data()
    objective = GroupDro(groups=uneven_groups(labels), adjustment=2.0, step_size=0.05, steps=20)
    fit = fit_head(features, labels, names, objective, 0.05)
    assert not fit.converged
    assert fit.iterations == 20
    best = by_cvxpy(features, labels, objective, 0.05)
    assert fit.lower_bound <= best <= fit.objective_value
    assert fit.relative_gap == pytest.approx((fit.objective_value - fit.lower_bound) / fit.objective_value)


# --- the certificate ----------------------------------------------------------------------------


def problem_of(objective: Objective, features: np.ndarray, labels: np.ndarray, decay: float) -> Problem:
    return Problem(
        x=features.astype(np.float64),
        labels=labels,
        classes=int(labels.max()) + 1,
        weights=objective.weight_set(len(labels)),
        decay=decay,
    )


@settings(max_examples=40)
@given(
    st.integers(0, 10_000),
    st.sampled_from(["erm", "reweight", "worst_group", "cvar"]),
    st.sampled_from([2, 3]),
    st.floats(-4, 1),
)
def test_the_bound_is_true_wherever_the_solver_stands(
    seed: int, name: str, classes: int, scale: float
) -> None:
    features, labels, _ = data(count=30, width=3, classes=classes, seed=seed)
    problem = problem_of(some_objectives(labels)[name], features, labels, 0.1)
    rng = np.random.default_rng(seed)
    centre = problem.weights.centre()

    def at(theta: np.ndarray) -> Point:
        logits = problem.logits(theta)
        return Point(problem=problem, theta=theta, logits=logits, centre=centre, rho=0.3)

    lowest = min(
        at(size * rng.normal(size=problem.start().shape)).value for size in (0.0, 0.05, 0.1, 0.2, 0.4)
    )
    bound = at(10**scale * rng.normal(size=problem.start().shape)).lower_bound()
    assert bound <= lowest + 1e-12


def test_shares_that_differ_by_rounding_alone_need_no_mixing() -> None:
    truth = [0.47311639166846964, 0.06357189988373928, 0.43350303891660463, 0.02980866953118644]
    seen = [0.47311639166846975, 0.06357189988373929, 0.43350303891660474, 0.02980866953118645]
    part, shares = mixture(np.array(seen), np.array(truth))
    assert part == 0.0
    np.testing.assert_array_equal(shares, truth)


@pytest.mark.parametrize("name", ["erm", "worst_group", "cvar"])
@pytest.mark.parametrize("classes", [2, 3])
def test_the_slope_is_that_of_finite_differences(name: str, classes: int) -> None:
    features, labels, _ = data(count=40, width=3, classes=classes)
    problem = problem_of(some_objectives(labels)[name], features, labels, 0.1)
    rng = np.random.default_rng(0)
    theta = 0.3 * rng.normal(size=problem.start().shape)

    def at(place: np.ndarray) -> Point:
        centre = problem.weights.centre()
        return Point(problem=problem, theta=place, logits=problem.logits(place), centre=centre, rho=0.5)

    point = at(theta)
    point.find_slope()
    for index in np.ndindex(theta.shape):
        nudge = np.zeros_like(theta)
        nudge[index] = 1e-5
        numeric = (at(theta + nudge).smooth - at(theta - nudge).smooth) / 2e-5
        assert point.slope[index] == pytest.approx(numeric, abs=1e-7)


def test_the_value_reported_is_that_of_the_head_handed_out() -> None:
    features, labels, names = data(classes=3)
    for objective in some_objectives(labels).values():
        fit = fit_head(features, labels, names, objective, 0.02)
        value = objective.value(losses_of(fit.head, features, labels))
        value += 0.02 / 2 * float((fit.head.weight.astype(np.float64) ** 2).sum())
        assert value == pytest.approx(fit.objective_value, rel=1e-5)


# --- what must change nothing -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["erm", "reweight", "worst_group", "cvar"])
def test_the_order_of_rows_and_classes_changes_nothing(name: str) -> None:
    features, labels, names = data(classes=3)
    rng = np.random.default_rng(5)
    rows, order = rng.permutation(len(labels)), np.array([2, 0, 1])
    groups = uneven_groups(labels)
    shuffled = DescribedGroups(index=groups.index[rows], names=groups.names)
    pairs: dict[str, tuple[Objective, Objective]] = {
        "erm": (Erm(), Erm()),
        "reweight": (Reweight(groups=groups), Reweight(groups=shuffled)),
        "worst_group": (WorstGroup(groups=groups), WorstGroup(groups=shuffled)),
        "cvar": (CvarDro(alpha=0.7), CvarDro(alpha=0.7)),
    }
    here, there = pairs[name]
    fit = fit_head(features, labels, names, here, 0.05, tolerance=TIGHT)
    other_names = tuple(names[k] for k in order)
    other = fit_head(
        features[rows], np.argsort(order)[labels[rows]], other_names, there, 0.05, tolerance=TIGHT
    )
    assert other.objective_value == pytest.approx(fit.objective_value, rel=1e-6)
    np.testing.assert_allclose(other.head.weight, fit.head.weight[order], atol=3e-3)


def test_copies_of_a_groups_examples_change_no_worst_group() -> None:
    features, labels, _ = data()
    groups = uneven_groups(labels)
    copied = np.flatnonzero(groups.index == 1)
    rows = np.concatenate((np.arange(len(labels)), copied, copied))
    values = []
    for kept in (np.arange(len(labels)), rows):
        part = DescribedGroups(index=groups.index[kept], names=groups.names)
        problem = problem_of(WorstGroup(groups=part), features[kept], labels[kept], 0.05)
        found = minimise(
            problem,
            theta=problem.start(),
            weights=problem.weights.centre(),
            curvature=Gram.of(problem.x, problem.weights.example_weights(problem.weights.centre())),
            tolerance=TIGHT,
            most_iterations=1000,
        )
        values.append(found.value)
    assert values[0] == pytest.approx(values[1], rel=1e-6)


def test_cvar_of_everything_is_erm() -> None:
    features, labels, names = data()
    all_of_it = fit_head(features, labels, names, CvarDro(alpha=1.0), 0.05)
    assert all_of_it.objective_value == pytest.approx(
        fit_head(features, labels, names, Erm(), 0.05).objective_value, rel=1e-4
    )


def test_the_same_call_gives_the_same_head_to_the_last_bit() -> None:
    features, labels, names = data(classes=3)
    objective = WorstGroup(groups=uneven_groups(labels))
    first, second = (fit_head(features, labels, names, objective, 0.05) for _ in range(2))
    np.testing.assert_array_equal(first.head.weight, second.head.weight)


# --- sweeps and starts --------------------------------------------------------------------------


def test_a_sweep_gives_the_same_optima_as_single_fits_largest_decay_first() -> None:
    features, labels, names = data()
    objective = WorstGroup(groups=uneven_groups(labels))
    fits = sweep(features, labels, names, objective, (0.01, 1.0, 0.1))
    assert [fit.weight_decay for fit in fits] == [1.0, 0.1, 0.01]
    for fit in fits:
        alone = fit_head(features, labels, names, objective, fit.weight_decay)
        assert fit.objective_value == pytest.approx(alone.objective_value, rel=1e-4)
    values = [fit.objective_value for fit in fits]
    assert values == sorted(values, reverse=True)


def test_starting_from_the_answer_saves_the_work() -> None:
    features, labels, names = data(classes=3)
    cold = fit_head(features, labels, names, Erm(), 0.01)
    warm = fit_head(features, labels, names, Erm(), 0.01, start=cold.head, tolerance=2e-4)
    assert warm.iterations == 0
    assert cold.iterations > 0
    assert warm.objective_value == pytest.approx(cold.objective_value, rel=1e-4)


def test_a_start_on_other_standardisation_is_the_same_classifier() -> None:
    features, labels, names = data()
    other = features + np.float32(0.3)
    start = fit_head(other, labels, names, Erm(), 0.01).head
    first: list[SolverProgress] = []
    fit_head(features, labels, names, Erm(), 0.01, start=start, progress=first.append)
    expected = losses_of(start, features, labels).mean()
    moved = start.weight / start.scale * Standardisation.fit(features).scale
    expected += 0.01 / 4 * float(((moved[1] - moved[0]) ** 2).sum())
    assert first[0].iteration == 0
    assert first[0].objective_value == pytest.approx(expected, rel=1e-4)


def test_progress_is_told_step_by_step_and_ends_within_the_tolerance() -> None:
    features, labels, names = data()
    seen: list[SolverProgress] = []
    objective = WorstGroup(groups=uneven_groups(labels))
    fit = fit_head(features, labels, names, objective, 0.01, progress=seen.append)
    assert seen[-1].iteration == fit.iterations
    assert seen[-1].relative_gap == fit.relative_gap <= 1e-4
    values = [progress.objective_value for progress in seen]
    assert values == sorted(values, reverse=True)


# --- the planted failure ------------------------------------------------------------------------


def planted(seed: int, counts: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make images of two classes on two backgrounds, the background easier to see."""
    rng = np.random.default_rng(seed)
    labels, places = np.repeat([0, 0, 1, 1], counts), np.repeat([0, 1, 0, 1], counts)
    features = rng.normal(size=(len(labels), 24))
    features[:, 0] += 1.2 * (2 * labels - 1)
    features[:, 1] += 2.5 * (2 * places - 1)
    return features.astype(np.float32), labels, places


def worst_group_accuracy(objective: Objective | None, groups: DescribedGroups) -> float:
    features, labels, _ = planted(0, (1500, 75, 75, 1500))
    if objective is None:
        objective = WorstGroup(groups=groups)
    fit = fit_head(features, labels, ("landbird", "waterbird"), objective, 0.01)
    unseen, truth, places = planted(1, (400, 400, 400, 400))
    true_groups = AnnotatedGroups(index=2 * truth + places, names=("a", "b", "c", "d"))
    report = evaluate(fit.head.predict(unseen), truth, fit.head.class_names, groups=true_groups)
    assert report.worst_group is not None
    return report.worst_group


def test_erm_fails_the_minority_the_true_phrase_rescues_it_and_a_wrong_one_does_not() -> None:
    _, labels, places = planted(0, (1500, 75, 75, 1500))
    luck = np.random.default_rng(3).random(len(labels)) < 0.5
    names = ("landbird", "waterbird")
    phrases = {name: [("water", places == 1)] for name in names}
    wrong = {name: [("a frame", luck)] for name in names}
    true_groups = described_groups(labels, names, phrases)
    wrong_groups = described_groups(labels, names, wrong)
    erm = worst_group_accuracy(Erm(), true_groups)
    rescued = worst_group_accuracy(None, true_groups)
    reweighted = worst_group_accuracy(Reweight(groups=true_groups), true_groups)
    not_rescued = worst_group_accuracy(None, wrong_groups)
    assert erm < 0.65
    assert rescued > erm + 0.12
    assert reweighted > erm + 0.12
    assert not_rescued < erm + 0.04


def test_ten_classes_with_one_described_all_stay_in_the_loss() -> None:
    features, labels, names = data(count=400, classes=10)
    half = np.random.default_rng(0).random(len(labels)) < 0.5
    groups = described_groups(labels, names, {"class 4": [("at night", half)]})
    assert len(groups.names) == 11
    fit = fit_head(features, labels, names, WorstGroup(groups=groups), 0.003)
    losses = losses_of(fit.head, features, labels)
    means = [losses[groups.index == g].mean() for g in range(11)]
    # A class that fell out of the loss would be far above chance.
    assert max(means) < 0.75 * np.log(10)
    report = evaluate(fit.head.predict(features), labels, names)
    assert min(of.value or 0.0 for of in report.per_class.values()) > 0.1


# --- errors -------------------------------------------------------------------------------------


# --- steps --------------------------------------------------------------------------------------


def overlapping(
    count: int, width: int, classes: int, apart: float
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Make classes that lie over each other, with a spectrum that falls and a common offset."""
    rng = np.random.default_rng(0)
    spread = (1.0 + np.arange(width)) ** -0.5
    labels = np.arange(count) % classes
    features = (apart * spread * rng.normal(size=(classes, width)))[labels]
    features += spread * rng.normal(size=(count, width)) + 0.5 * rng.normal(size=width)
    return features.astype(np.float32), labels, [f"class {k}" for k in range(classes)]


def test_each_class_about_its_own_centre_takes_few_steps() -> None:
    """About the mean of all images they were 63 for these 33."""
    fits = sweep(*overlapping(1500, 24, 10, apart=0.5), Erm(), (0.03, 0.01, 0.003, 0.001))
    assert sum(fit.iterations for fit in fits) <= 45


def test_few_images_with_nearly_all_of_the_curvature_make_newtons_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps: list[int] = []
    for few in (0.0, 0.4):
        monkeypatch.setattr(preconditioner, "FEW_ROWS", few)
        fits = sweep(*overlapping(600, 60, 2, apart=0.3), Erm(), (0.01, 0.001, 0.0001))
        steps.append(fits[-1].iterations)
    assert 2 * steps[1] < steps[0]
