"""Which images each step takes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarify.errors import InputError
from clarify.finetune.batches import Balanced, Shuffled


@given(st.integers(1, 60), st.integers(1, 70), st.integers(0, 5))
def test_shuffling_takes_every_image_at_most_once_an_epoch(count: int, size: int, seed: int) -> None:
    batches = Shuffled(count, size, seed=seed)
    steps = batches.steps_an_epoch
    rows = np.concatenate([batches.rows(step) for step in range(steps)])
    assert len(rows) == len(set(rows.tolist())) == steps * batches.size
    assert count - len(rows) < batches.size
    assert set(rows.tolist()) <= set(range(count))


def test_every_epoch_has_an_order_of_its_own_and_the_same_for_the_same_seed() -> None:
    one, same, other = (Shuffled(40, 40, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.rows(5), same.rows(5))
    assert (one.rows(0) != one.rows(1)).any()
    assert (one.rows(0) != other.rows(0)).any()


@given(st.lists(st.integers(1, 20), min_size=1, max_size=6), st.integers(0, 30), st.integers(0, 3))
def test_every_step_holds_as_many_images_of_each_group(counts: list[int], more: int, seed: int) -> None:
    groups = np.repeat(np.arange(len(counts)), counts)
    names = [str(number) for number in range(len(counts))]
    batches = Balanced(groups, names, len(counts) + more, seed=seed)
    for step in (0, 1, 7):
        rows = batches.rows(step)
        assert len(rows) == batches.size
        assert len(set(np.bincount(groups[rows], minlength=len(counts)).tolist())) == 1


def test_within_a_group_every_image_comes_once_before_any_comes_again() -> None:
    groups = np.array([0] * 7 + [1] * 3)
    batches = Balanced(groups, ["a", "b"], 4, seed=0)
    seen = np.concatenate([batches.rows(step) for step in range(7)])
    first = seen[groups[seen] == 0]
    assert sorted(first[:7].tolist()) == list(range(7))
    assert sorted(first[7:14].tolist()) == list(range(7))
    assert np.bincount(seen[groups[seen] == 1] - 7).tolist() in ([5, 5, 4], [5, 4, 5], [4, 5, 5])


def test_steps_do_not_depend_on_those_that_were_asked_for_before() -> None:
    groups = np.array([0, 0, 0, 1, 1])
    batches, again = (Balanced(groups, ["a", "b"], 2, seed=0) for _ in "ab")
    forward = [batches.rows(step).tolist() for step in range(9)]
    backward = [again.rows(step).tolist() for step in reversed(range(9))]
    assert forward == backward[::-1]


def test_a_batch_that_cannot_hold_every_group_is_refused_with_the_size_that_can() -> None:
    with pytest.raises(InputError, match=r"cannot hold the 3 groups .*3 or more is legal"):
        Balanced(np.array([0, 1, 2]), ["a", "b", "c"], 2, seed=0)


def test_a_group_without_images_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="group 'b' has no training image"):
        Balanced(np.array([0, 0]), ["a", "b"], 2, seed=0)
