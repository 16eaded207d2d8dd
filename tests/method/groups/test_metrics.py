"""Metrics: hand-counted cases, invariants, and the paired bootstrap against the plain one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarify.errors import ClarifyError, GroupError, InputError
from clarify.method.groups.groups import AnnotatedGroups, DescribedGroups
from clarify.method.groups.metrics import (
    Accuracy,
    evaluate,
    halves_accuracy,
    paired_difference,
    worst_described_half,
)
from clarify.method.intervals import wilson

NAMES = ("landbird", "waterbird")


def grouped(index: list[int] | np.ndarray, n_groups: int) -> AnnotatedGroups:
    return AnnotatedGroups(index=np.asarray(index), names=tuple(f"group {g}" for g in range(n_groups)))


def test_an_evaluation_is_as_counted_by_hand() -> None:
    # Right: g0 3 of 4, g1 1 of 2, g2 none of 0, g3 1 of 1. Training counts 60, 20, 5, 20.
    found = evaluate(
        [0, 0, 0, 1, 0, 1, 1],
        [0, 0, 0, 0, 0, 0, 1],
        NAMES,
        groups=grouped([0, 0, 0, 0, 1, 1, 3], 4),
        train_counts=[60, 20, 5, 20],
    )
    assert found.count == 7
    assert found.average == pytest.approx(5 / 7)
    assert found.per_class == {
        "landbird": Accuracy(count=6, correct=4),
        "waterbird": Accuracy(count=1, correct=1),
    }
    assert found.groups["group 2"].value is None
    assert found.worst_group == 0.5
    assert found.adjusted_average == pytest.approx((60 * 0.75 + 20 * 0.5 + 20 * 1.0) / 100)
    assert found.gap == pytest.approx(0.75 - 0.5)


def test_flat_metrics_leave_out_what_has_no_value() -> None:
    flat = evaluate([0, 1], [0, 0], NAMES, groups=grouped([0, 0], 2), train_counts=[1, 1]).to_dict()
    assert flat == {
        "average_accuracy": 0.5,
        "adjusted_average_accuracy": 0.5,
        "worst_group_accuracy": 0.5,
        "gap": 0.0,
        "class_accuracy/landbird": 0.5,
        "group_accuracy/group 0": 0.5,
    }
    assert set(evaluate([0], [0], NAMES).to_dict()) == {"average_accuracy", "class_accuracy/landbird"}


def test_without_training_counts_nothing_is_called_adjusted() -> None:
    found = evaluate([0, 1], [0, 0], NAMES, groups=grouped([0, 1], 2))
    assert found.worst_group == 0.0
    assert found.adjusted_average is None
    assert found.gap is None
    only_elsewhere = evaluate([0, 1], [0, 0], NAMES, groups=grouped([0, 0], 2), train_counts=[0, 9])
    assert only_elsewhere.adjusted_average is None


def test_rounding_never_carries_the_adjusted_average_past_the_groups() -> None:
    # (1/3 + 1/3 + 7/3) / 9 is a rounding error under 1/3 in floating point.
    found = evaluate(
        [0, 1, 1] * 3, [0] * 9, NAMES, groups=grouped([0] * 3 + [1] * 3 + [2] * 3, 3), train_counts=[1, 1, 7]
    )
    assert found.adjusted_average == found.worst_group == 1 / 3
    assert found.gap == 0.0


cases = st.integers(1, 40).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 2), min_size=n, max_size=n),
        st.lists(st.integers(0, 2), min_size=n, max_size=n),
        st.lists(st.integers(0, 4), min_size=n, max_size=n),
        st.lists(st.integers(0, 1000), min_size=5, max_size=5),
    )
)
Case = tuple[list[int], list[int], list[int], list[int]]


@given(cases)
def test_worst_is_at_most_adjusted_which_is_at_most_the_best_group(case: Case) -> None:
    predictions, labels, index, counts = case
    found = evaluate(predictions, labels, ("a", "b", "c"), groups=grouped(index, 5), train_counts=counts)
    values = [of.value for of in found.groups.values() if of.value is not None]
    assert found.worst_group == min(values)
    assert found.worst_group <= found.average <= max(values)
    if found.adjusted_average is not None:
        assert found.worst_group <= found.adjusted_average <= max(values)
        assert found.gap >= 0
    assert sum(of.count for of in found.per_class.values()) == len(labels)


@given(cases, st.permutations(range(3)), st.permutations(range(5)))
def test_renumbering_classes_and_groups_changes_nothing(
    case: Case, classes: list[int], order: list[int]
) -> None:
    predictions, labels, index, counts = case
    before = evaluate(predictions, labels, ("a", "b", "c"), groups=grouped(index, 5), train_counts=counts)
    names = ["", "", ""]
    for old, new in enumerate(classes):
        names[new] = "abc"[old]
    moved_counts = [0] * 5
    for old, new in enumerate(order):
        moved_counts[new] = counts[old]
    after = evaluate(
        [classes[p] for p in predictions],
        [classes[label] for label in labels],
        names,
        groups=grouped([order[g] for g in index], 5),
        train_counts=moved_counts,
    )
    assert (after.average, after.worst_group) == (before.average, before.worst_group)
    assert after.adjusted_average == pytest.approx(before.adjusted_average)
    assert after.per_class == before.per_class


@pytest.mark.parametrize(
    ("predictions", "labels", "options", "message"),
    [
        ([], [], {}, "at least 1"),
        ([0], [0, 1], {}, "1 predictions of 2 labels"),
        ([2], [0], {}, "predictions: row 0 is 2"),
        ([0], [0], {"groups": grouped([0, 0], 1)}, "groups of 2 images for 1"),
        ([0], [0], {"groups": grouped([0], 2), "train_counts": [1]}, "one count"),
        ([0], [0], {"groups": grouped([0], 1), "train_counts": [-1]}, "one count"),
    ],
)
def test_what_does_not_fit_is_refused(
    predictions: list[int], labels: list[int], options: dict[str, object], message: str
) -> None:
    with pytest.raises((InputError, GroupError), match=message):
        evaluate(predictions, labels, NAMES, **options)  # type: ignore[arg-type]


def test_an_impossible_accuracy_cannot_be_made() -> None:
    with pytest.raises(InputError, match="3 right of 2"):
        Accuracy(count=2, correct=3)


def test_the_minority_half_is_the_one_that_is_worse() -> None:
    there, elsewhere, minority = halves_accuracy(
        [True, False, False, True, True], [True, True, True, False, False]
    )
    assert (there.count, there.correct) == (3, 1)
    assert (elsewhere.count, elsewhere.correct) == (2, 2)
    assert minority == "with"
    turned = halves_accuracy([True, False, False, True, True], [False, False, False, True, True])
    assert turned.minority == "without"
    assert turned.without_phrase == there


def test_there_is_no_minority_where_halves_are_alike_or_empty() -> None:
    assert halves_accuracy([True, True], [True, False]).minority is None
    empty = halves_accuracy([True, False], [True, True])
    assert empty.minority is None
    assert empty.without_phrase.value is None


# Paired differences


def pairs(seed: int = 0, n: int = 600) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    index = rng.choice(4, size=n, p=[0.4, 0.3, 0.2, 0.1])
    base = rng.random(n) < np.array([0.95, 0.9, 0.8, 0.4])[index]
    new = np.where(rng.random(n) < 0.3, rng.random(n) < 0.8, base)
    return base, new, index


@pytest.mark.parametrize("what", ["average", "worst_group"])
def test_the_interval_is_that_of_resampling_images_one_by_one(what: str) -> None:
    base, new, index = pairs()
    groups = grouped(index, 4)
    found = paired_difference(base, new, groups, what=what, seed=0, resamples=4000)
    rng = np.random.default_rng(1)
    members = [np.flatnonzero(index == g) for g in range(4)] if what == "worst_group" else None
    plain = []
    for _ in range(2000):
        if members is None:
            rows = rng.integers(len(base), size=len(base))
            plain.append(new[rows].mean() - base[rows].mean())
        else:
            drawn = [rng.choice(rows, len(rows)) for rows in members]
            plain.append(min(new[r].mean() for r in drawn) - min(base[r].mean() for r in drawn))
    low, high = np.quantile(plain, (0.025, 0.975))
    assert found.low == pytest.approx(low, abs=0.012)
    assert found.high == pytest.approx(high, abs=0.012)


def test_the_estimate_is_the_difference_of_the_two_accuracies() -> None:
    base, new, index = pairs(3)
    average = paired_difference(base, new, what="average", seed=0)
    assert average.estimate == pytest.approx(new.mean() - base.mean())
    worst = paired_difference(base, new, grouped(index, 4), what="worst_group", seed=0)
    lowest = [min(m[index == g].mean() for g in range(4)) for m in (new, base)]
    assert worst.estimate == pytest.approx(lowest[0] - lowest[1])
    assert worst.low <= worst.estimate <= worst.high


def test_a_model_compared_with_itself_differs_by_nothing() -> None:
    base, _, index = pairs()
    for what in ("average", "worst_group"):
        found = paired_difference(base, base, grouped(index, 4), what=what, seed=0)
        assert (found.estimate, found.low, found.high) == (0.0, 0.0, 0.0)


def test_an_empty_group_is_never_the_worst() -> None:
    groups = DescribedGroups(index=np.array([0, 0, 2]), names=("a", "b", "c"))
    found = paired_difference([True, True, False], [True, True, True], groups, what="worst_group", seed=0)
    assert found.estimate == 1.0


@settings(max_examples=40)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_exchanging_the_models_turns_the_sign(outcomes: list[tuple[bool, bool]]) -> None:
    base, new = (list(column) for column in zip(*outcomes, strict=True))
    there = paired_difference(base, new, what="average", seed=0, resamples=100)
    back = paired_difference(new, base, what="average", seed=0, resamples=100)
    assert there.estimate == pytest.approx(-back.estimate)
    assert -1 <= there.low <= there.estimate <= there.high <= 1


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([], []), {"what": "average"}, "there are no images"),
        (([True], [True, False]), {"what": "average"}, r"new: has shape \(2,\)"),
        (([True], [True]), {"what": "worst_group"}, "needs groups"),
        (([True], [True]), {"what": "best"}, "what is 'best'"),
        (([True], [True]), {"what": "average", "resamples": 3}, "resamples is 3"),
        (([1], [True]), {"what": "average"}, "booleans are legal"),
    ],
)
def test_a_comparison_that_cannot_be_made_is_refused(
    arguments: tuple[list[bool], list[bool]], options: dict[str, object], message: str
) -> None:
    with pytest.raises(ClarifyError, match=message):
        paired_difference(*arguments, seed=0, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("correct", "count", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (10, 10, 0.7225, 1.0), (0, 10, 0.0, 0.2775), (1, 1, 0.2065, 1.0)],
)
def test_intervals_are_those_of_wilson_in_small_cases(
    correct: int, count: int, low: float, high: float
) -> None:
    found = Accuracy(count=count, correct=correct).interval
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
    assert found.estimate == correct / count


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_intervals_are_those_of_scipy_and_hold_the_accuracy(case: tuple[int, int]) -> None:
    from scipy.stats import binomtest

    found = wilson(case[0] / case[1], case[1])
    other = binomtest(*case).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((other.low, other.high), abs=1e-12)
    assert 0 <= found.low <= found.estimate <= found.high <= 1


@pytest.mark.parametrize(("share", "count"), [(1.1, 5), (-0.1, 5), (0.5, 0), (float("nan"), 5)])
def test_an_interval_of_no_share_or_of_no_images_is_refused(share: float, count: float) -> None:
    with pytest.raises(InputError, match="interval"):
        wilson(share, count)


def test_every_accuracy_of_an_evaluation_has_its_interval() -> None:
    # Right: g0 3 of 4, g1 1 of 2, g2 none of 0. Training counts 75, 25, 0.
    found = evaluate(
        [0, 0, 0, 1, 0, 1],
        [0, 0, 0, 0, 0, 0],
        NAMES,
        groups=grouped([0, 0, 0, 0, 1, 1], 3),
        train_counts=[75, 25, 0],
    )
    told = found.intervals()
    accuracies = {name: value for name, value in found.to_dict().items() if name != "gap"}
    assert {name: each.estimate for name, each in told.items()} == pytest.approx(accuracies)
    assert told["average_accuracy"] == wilson(4 / 6, 6)
    assert told["worst_group_accuracy"] == wilson(1 / 2, 2)
    # 75 % on 4 images and 25 % on 2 tell as much as 1 / (.75 ** 2 / 4 + .25 ** 2 / 2) = 5.82 alike.
    adjusted, by_hand = told["adjusted_average_accuracy"], wilson(0.6875, 64 / 11)
    assert (adjusted.low, adjusted.high) == pytest.approx((by_hand.low, by_hand.high))
    assert "group_accuracy/group 2" not in told


def test_the_worst_described_half_is_no_class_that_nobody_described() -> None:
    halves = {
        "landbird · with water": Accuracy(count=10, correct=4),
        "landbird · without water": Accuracy(count=50, correct=49),
        "waterbird": Accuracy(count=100, correct=1),
    }
    assert worst_described_half(halves, NAMES) == ("landbird · with water", Accuracy(count=10, correct=4))


def test_empty_halves_are_never_the_worst_and_of_equal_ones_the_smaller_is() -> None:
    halves = {
        "landbird · with water": Accuracy(count=0, correct=0),
        "landbird · without water": Accuracy(count=50, correct=25),
        "waterbird · with forest": Accuracy(count=4, correct=2),
    }
    assert worst_described_half(halves, NAMES) == ("waterbird · with forest", Accuracy(count=4, correct=2))
    assert worst_described_half({"landbird": Accuracy(count=5, correct=1)}, NAMES) is None
    assert worst_described_half({}, NAMES) is None
