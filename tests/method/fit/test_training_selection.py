"""Choosing among fits: the rules by name, ties, and rows held out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarify.errors import InputError
from clarify.method.fit.head import Head
from clarify.method.fit.selection import (
    ByAnnotatedWorstGroup,
    ByAverage,
    ByDescribedWorstGroup,
    ByWorstClass,
    hold_out,
    select,
)
from clarify.method.fit.training import Fit
from clarify.method.groups.groups import AnnotatedGroups, DescribedGroups

INDEX = np.array([0, 0, 0, 1, 1, 2])
LABELS = np.array([0, 0, 0, 0, 0, 1])
PREDICTIONS = np.array([0, 0, 0, 0, 1, 1])
DESCRIBED = DescribedGroups(index=INDEX, names=("a", "b", "c", "empty"))
ANNOTATED = AnnotatedGroups(index=INDEX, names=("a", "b", "c", "empty"))


def threshold_fit(cut: float, decay: float) -> Fit:
    """Make a fit that says class 1 where the first of two unit features is above `cut`."""
    head = Head(
        weight=np.array([[0.0, 0.0], [1.0, 0.0]]),
        bias=np.array([0.0, -cut]),
        mean=np.zeros(2),
        scale=np.ones(2),
        class_names=("left", "right"),
    )
    return Fit(
        head=head,
        objective="erm",
        weight_decay=decay,
        objective_value=1.0,
        lower_bound=1.0,
        relative_gap=0.0,
        iterations=1,
        converged=True,
    )


def on_the_circle(firsts: list[float]) -> np.ndarray:
    first = np.array(firsts)
    return np.column_stack((first, np.sqrt(1 - first**2)))


def test_scores_by_hand() -> None:
    assert ByAverage().score(PREDICTIONS, LABELS) == pytest.approx(5 / 6)
    assert ByWorstClass().score(PREDICTIONS, LABELS) == pytest.approx(4 / 5)
    assert ByDescribedWorstGroup().score(PREDICTIONS, LABELS, DESCRIBED) == 0.5
    assert ByAnnotatedWorstGroup().score(PREDICTIONS, LABELS, ANNOTATED) == 0.5


def test_only_the_rule_that_sees_annotations_is_an_oracle() -> None:
    rules = (ByDescribedWorstGroup(), ByAverage(), ByWorstClass(), ByAnnotatedWorstGroup())
    assert [rule.oracle for rule in rules] == [False, False, False, True]
    assert len({rule.name for rule in rules}) == 4


def test_annotated_groups_cannot_slip_into_the_rule_for_described_ones() -> None:
    with pytest.raises(InputError, match="AnnotatedGroups was given; DescribedGroups is legal"):
        ByDescribedWorstGroup().score(PREDICTIONS, LABELS, ANNOTATED)
    with pytest.raises(InputError, match="no groups were given; DescribedGroups is legal"):
        ByDescribedWorstGroup().score(PREDICTIONS, LABELS, None)
    with pytest.raises(InputError, match="DescribedGroups was given; AnnotatedGroups is legal"):
        ByAnnotatedWorstGroup().score(PREDICTIONS, LABELS, DESCRIBED)


def test_the_best_score_wins_and_the_table_keeps_the_order() -> None:
    features, labels = on_the_circle([-0.8, -0.1, 0.1, 0.8]), np.array([0, 0, 1, 1])
    fits = [threshold_fit(0.5, 1.0), threshold_fit(0.0, 0.1), threshold_fit(-0.5, 0.01)]
    selected = select(fits, features, labels, ByAverage())
    assert selected.fit is fits[1]
    assert selected.table == ((1.0, 0.75), (0.1, 1.0), (0.01, 0.75))


def test_equal_scores_go_to_the_larger_weight_decay_in_whatever_order() -> None:
    features, labels = on_the_circle([-0.8, 0.8]), np.array([0, 1])
    fits = [threshold_fit(0.0, 0.01), threshold_fit(0.1, 1.0), threshold_fit(0.2, 0.1)]
    assert select(fits, features, labels, ByAverage()).fit.weight_decay == 1.0


def test_equal_worst_groups_go_to_the_better_average_first() -> None:
    features = on_the_circle([-0.8, -0.3, 0.3, 0.8, 0.05, -0.05])
    labels = np.array([0, 0, 1, 1, 0, 1])
    groups = DescribedGroups(index=np.array([0, 0, 1, 1, 2, 2]), names=("a", "b", "hard"))
    worse, better = threshold_fit(0.5, 1.0), threshold_fit(0.2, 0.1)
    rule = ByDescribedWorstGroup()
    selected = select([worse, better], features, labels, rule, groups=groups)
    assert selected.table[0][1] == selected.table[1][1] == 0.5
    assert selected.fit is better


class Saying:
    """A candidate that gets so many of 25 images of a half right, and so many of 75 others."""

    def __init__(self, weight_decay: float, half: int, others: int) -> None:
        self.weight_decay = weight_decay
        self._right = np.concatenate((np.arange(25) < half, np.arange(75) < others))

    @property
    def head(self) -> Saying:
        return self

    def predict(self, features: object) -> np.ndarray:
        return np.where(self._right, 0, 1)


OF_HALF = np.repeat([0, 1], (25, 75))
IMAGES = np.zeros(100, dtype=np.int64)


@pytest.mark.parametrize(
    ("candidates", "chosen"),
    [
        # 20 of 25 is the highest; one standard error is sqrt(21/27 * 6/27 / 27) = .080: two images.
        ([(0.01, 20, 75), (1.0, 19, 75), (10.0, 17, 75)], 1.0),
        # With 10 the average falls from .95 to .93, which is allowed; with 100 to .92, which is not.
        ([(0.01, 20, 75), (10.0, 19, 74), (100.0, 19, 73)], 10.0),
        ([(0.1, 2, 24), (10.0, 1, 23)], 10.0),  # .26 to .24 are two points, in floats a little more
        ([(0.01, 25, 75), (1.0, 23, 75)], 0.01),  # all right is as sure as 26 of 27: .036
        ([(1.0, 20, 75), (0.01, 20, 75)], 1.0),
    ],
)
def test_of_worst_groups_as_good_the_larger_weight_decay_is_chosen(
    candidates: list[tuple[float, int, int]], chosen: float
) -> None:
    groups = DescribedGroups(index=OF_HALF, names=("half", "others"))
    fits = [Saying(*each) for each in candidates]
    found = select(fits, IMAGES, IMAGES, ByDescribedWorstGroup(), groups=groups)  # type: ignore[type-var]
    assert found.fit.weight_decay == chosen
    assert [score for _, score in found.table] == [half / 25 for _, half, _ in candidates]


def test_no_fits_are_nothing_to_choose_from() -> None:
    with pytest.raises(InputError, match="no fits"):
        select([], on_the_circle([0.1]), np.array([0]), ByAverage())


def test_predictions_of_other_images_are_refused() -> None:
    with pytest.raises(InputError, match="one prediction a label"):
        ByAverage().score(PREDICTIONS, LABELS[:3])


@given(st.lists(st.integers(0, 4), min_size=1, max_size=200), st.floats(0.05, 0.95), st.integers(0, 99))
def test_held_out_rows_part_every_class(labels: list[int], share: float, seed: int) -> None:
    fitted, held = hold_out(np.array(labels), share=share, seed=seed)
    assert sorted([*fitted, *held]) == list(range(len(labels)))
    for label in set(labels):
        total = labels.count(label)
        here = int((np.array(labels)[held] == label).sum())
        assert here <= total - 1
        assert abs(here - share * total) <= 1


def test_holding_out_depends_on_the_seed_alone() -> None:
    labels = np.arange(100) % 3
    same = [hold_out(labels, seed=4)[1].tolist() for _ in range(2)]
    assert same[0] == same[1]
    assert hold_out(labels, seed=5)[1].tolist() != same[0]


@pytest.mark.parametrize("share", [0.0, 1.0, float("nan")])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(InputError, match="share is"):
        hold_out(np.arange(10), share=share, seed=0)
