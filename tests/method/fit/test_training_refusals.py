"""Training: what it refuses, and in which words."""

from __future__ import annotations

import numpy as np
import pytest

from clarify.errors import FeatureError, GroupError, InputError, SolverError
from clarify.method.fit import training
from clarify.method.fit.head import Head
from clarify.method.fit.objectives import Erm, Objective, WorstGroup
from clarify.method.fit.training import Fit, fit_head, sweep
from clarify.method.groups.groups import DescribedGroups
from tests.method.fit.test_training import data


def fitted(
    *,
    features: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    names: tuple[str, ...] | None = None,
    objective: Objective | None = None,
    decay: float = 0.1,
    tolerance: float = 1e-4,
    start: Head | None = None,
) -> Fit:
    x, y, z = data(count=20)
    return fit_head(
        x if features is None else features,
        y if labels is None else labels,
        z if names is None else names,
        Erm() if objective is None else objective,
        decay,
        tolerance=tolerance,
        start=start,
    )


def test_one_class_alone_is_refused() -> None:
    with pytest.raises(InputError, match="only 'bird' was given; 2 or more"):
        fitted(labels=np.zeros(20, dtype=int), names=("bird",))


def test_a_class_without_images_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="class 'owl' has no training images"):
        fitted(names=("class 0", "class 1", "owl"))


def test_a_row_that_is_not_a_number_is_named() -> None:
    features, _, _ = data(count=20)
    features[7, 2] = np.nan
    with pytest.raises(FeatureError, match="row 7 is NaN"):
        fitted(features=features)


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(FeatureError, match="features of 19 images for 20 labels"):
        fitted(features=data(count=20)[0][:19])
    groups = DescribedGroups(index=np.zeros(5, dtype=np.int64), names=("all",))
    with pytest.raises(GroupError, match="groups of 5 images for 20"):
        fitted(objective=WorstGroup(groups=groups))


@pytest.mark.parametrize("decay", [0.0, -1.0, float("nan"), float("inf")])
def test_a_weight_decay_that_leaves_no_optimum_is_refused(decay: float) -> None:
    with pytest.raises(InputError, match="weight decay is"):
        fitted(decay=decay)


@pytest.mark.parametrize("tolerance", [0.0, 1.0, float("nan")])
def test_a_tolerance_out_of_range_is_refused(tolerance: float) -> None:
    with pytest.raises(InputError, match="tolerance is"):
        fitted(tolerance=tolerance)


def test_a_start_with_other_classes_is_refused() -> None:
    features, labels, names = data(classes=3)
    head = fit_head(features, labels, names, Erm(), 0.1).head
    with pytest.raises(InputError, match="start: a head of 3 classes"):
        fitted(start=head)


def test_a_grid_with_a_decay_twice_or_none_is_refused() -> None:
    features, labels, names = data(count=20)
    for grid in ((), (0.1, 0.1)):
        with pytest.raises(InputError, match="one or more distinct"):
            sweep(features, labels, names, Erm(), grid)


def test_a_gap_that_is_not_reached_is_an_error_that_says_how_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "MOST_ITERATIONS", 1)
    with pytest.raises(SolverError, match=r"relative gap .* after 1 steps, 1e-07 was asked"):
        fitted(decay=1e-4, tolerance=1e-7)
