"""The two-fold search for subgroups that became worse."""

from __future__ import annotations

import numpy as np

from clarify.method.decisions.subgroups import find_subgroups

RNG = np.random.default_rng(0)


def images(count: int = 400, harmed: float = 0.8) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Two classes; those of class 1 that lie above 1 on axis 0 became worse."""
    labels = np.repeat([0, 1], count)
    axes = RNG.normal(size=(2 * count, 2)).astype(np.float32)
    before = RNG.random(2 * count) < 0.9
    pays = (labels == 1) & (axes[:, 0] > 1)
    after = before & ~(pays & (RNG.random(2 * count) < harmed))
    return labels, before, after, axes


def test_the_images_that_pay_are_found_where_they_lie() -> None:
    labels, before, after, axes = images()
    found = find_subgroups(labels, before, after, axes)
    assert len(found) == 2 * 2 * 2  # classes, axes, ends
    worst = min(found, key=lambda each: each.changed.change)
    assert (worst.label, worst.axis, worst.high) == (1, 0, True)
    assert worst.changed.change < -0.5
    assert worst.changed.p_worse < 1e-6
    assert all(each.changed.worse == 0 for each in found if each.label == 0)


def test_where_nothing_changed_nothing_is_worse() -> None:
    labels, before, _, axes = images()
    assert all(each.changed.change == 0 for each in find_subgroups(labels, before, before, axes))


def test_luck_is_not_found_sure_more_often_than_its_chance() -> None:
    """Changes that have nothing to do with any axis: at 5 % together, 24 tests each time."""
    sure = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        labels = np.repeat([0, 1], 150)
        before, after = rng.random(300) < 0.8, rng.random(300) < 0.8
        found = find_subgroups(labels, before, after, rng.normal(size=(300, 6)), seed=seed)
        sure += any(each.changed.p_worse * len(found) <= 0.05 for each in found)
    assert sure <= 20


def test_a_class_of_few_images_and_no_axis_come_to_nothing() -> None:
    labels, before, after, axes = images(count=30)
    assert find_subgroups(labels, before, after, axes) == ()
    labels, before, after, axes = images()
    assert find_subgroups(labels, before, after, axes[:, :0]) == ()


def test_images_in_one_place_stay_together() -> None:
    labels, before, after, axes = images()
    axes[:, 0] = np.where(axes[:, 0] > 1, 1.0, 0.0)
    found = find_subgroups(labels, before, after, axes[:, :1])
    worst = min(found, key=lambda each: each.changed.change)
    assert worst.changed.count == int(((labels == 1) & (axes[:, 0] > 0)).sum())
