"""Groups: cells, undescribed classes, reuse on another split, and the two types."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarify.errors import GroupError
from clarify.method.groups.groups import (
    AnnotatedGroups,
    DescribedGroups,
    Halves,
    annotated_groups,
    described_groups,
    fit_partition,
)


def flags(text: str) -> np.ndarray:
    return np.array([character == "1" for character in text])


def test_one_description_parts_its_class_and_leaves_the_other_whole() -> None:
    halves = {"landbird": [("water", flags("01011"))]}
    groups = described_groups([0, 0, 0, 1, 1], ("landbird", "waterbird"), halves)
    assert groups.names == ("landbird · with water", "landbird · without water", "waterbird")
    assert groups.index.tolist() == [1, 0, 1, 2, 2]
    assert groups.counts.tolist() == [1, 2, 2]


def test_of_ten_classes_nine_undescribed_ones_remain_groups() -> None:
    labels = np.repeat(np.arange(10), 20)
    having = np.tile([True] * 10 + [False] * 10, 10)
    names = [f"class {k}" for k in range(10)]
    groups = described_groups(labels, names, {"class 3": [("water", having)]})
    assert len(groups.names) == 11
    assert groups.counts.tolist() == [20, 20, 20, 10, 10, 20, 20, 20, 20, 20, 20]
    assert groups.names[3:5] == ("class 3 · with water", "class 3 · without water")
    for k in (0, 1, 2, 4, 5, 6, 7, 8, 9):
        of_class = set(groups.index[labels == k].tolist())
        assert [groups.names[g] for g in of_class] == [f"class {k}"]


def test_two_descriptions_make_the_cells_of_their_intersection() -> None:
    halves = {"a": [("x", flags("1100")), ("y", flags("1010"))]}
    groups = described_groups([0, 0, 0, 0], ("a",), halves)
    assert groups.names == (
        "a · with x, with y",
        "a · with x, without y",
        "a · without x, with y",
        "a · without x, without y",
    )
    assert groups.index.tolist() == [0, 1, 2, 3]


def test_one_image_is_enough_for_a_group() -> None:
    groups = described_groups([0] * 40, ("a",), {"a": [("x", np.arange(40) < 1)]})
    assert groups.counts.tolist() == [1, 39]


@pytest.mark.parametrize(("having", "side"), [("000", "with"), ("111", "without")])
def test_an_empty_half_is_refused_by_class_phrase_and_side(having: str, side: str) -> None:
    with pytest.raises(GroupError, match=f"class 'a', phrase 'x'.*side '{side}'"):
        described_groups([0, 0, 0, 1], ("a", "b"), {"a": [("x", flags(having + "0"))]})


@pytest.mark.parametrize(
    ("only_x", "only_y", "neither", "joined"),
    [(2, 4, 4, "a · with y"), (4, 2, 9, "a · with x"), (2, 2, 9, "a · with y")],
)
def test_what_training_never_saw_goes_to_the_cell_that_differs_least_then_to_the_larger(
    only_x: int, only_y: int, neither: int, joined: str
) -> None:
    """No image of training has both phrases; "neither" differs in both, however large it is."""
    x = flags("1" * only_x + "0" * only_y + "0" * neither)
    y = flags("0" * only_x + "1" * only_y + "0" * neither)
    partition = fit_partition([0] * len(x), ("a",), {"a": [("x", x), ("y", y)]})
    both = partition.groups([0], {"a": [("x", flags("1")), ("y", flags("1"))]})
    assert partition.names[both.index[0]] == joined
    assert sorted(partition.groups([0] * len(x), {"a": [("x", x), ("y", y)]}).counts) == sorted(
        (only_x, only_y, neither)
    )


def test_a_group_that_is_empty_on_validation_keeps_its_number() -> None:
    partition = fit_partition([0, 0, 1], ("a", "b"), {"a": [("x", flags("100"))]})
    groups = partition.groups([0, 1], {"a": [("x", flags("00"))]})
    assert groups.names == partition.names
    assert groups.counts.tolist() == [0, 1, 1]


def test_other_phrases_than_in_training_are_refused() -> None:
    partition = fit_partition([0, 0], ("a",), {"a": [("x", flags("10"))]})
    with pytest.raises(GroupError, match=r"phrases \['y'\] given, \['x'\] in training"):
        partition.groups([0], {"a": [("y", flags("1"))]})
    with pytest.raises(GroupError, match=r"phrases \[\] given"):
        partition.groups([0], {})


def test_a_phrase_kept_with_two_thresholds_gives_distinct_names() -> None:
    halves = {"a": [("x", flags("1000")), ("x", flags("1100"))]}
    groups = described_groups([0] * 4, ("a",), halves)
    assert groups.names == ("a · with x, with x (2)", "a · without x, with x (2)", "a · without x (2)")
    assert groups.counts.tolist() == [1, 1, 2]


@st.composite
def partitions(draw: st.DrawFn) -> tuple[np.ndarray, tuple[str, ...], Halves]:
    n_classes = draw(st.integers(1, 4))
    n = draw(st.integers(n_classes, 40))
    labels = np.array(draw(st.lists(st.integers(0, n_classes - 1), min_size=n, max_size=n)))
    names = tuple("abcd"[:n_classes])
    halves: dict[str, list[tuple[str, np.ndarray]]] = {}
    for k, name in enumerate(names):
        for j in range(draw(st.integers(0, 3))):
            having = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
            if 0 < having[labels == k].sum() < (labels == k).sum():
                halves.setdefault(name, []).append((f"p{j}", having))
    return labels, names, halves


@settings(max_examples=150)
@given(partitions())
def test_groups_partition_the_images_and_never_cross_classes(
    case: tuple[np.ndarray, tuple[str, ...], Halves],
) -> None:
    labels, names, halves = case
    groups = described_groups(labels, names, halves)
    assert groups.counts.sum() == len(labels)
    assert len(set(groups.names)) == len(groups.names)
    for k, name in enumerate(names):
        of_class = np.unique(groups.index[labels == k])
        assert set(of_class).isdisjoint(groups.index[labels != k])
        assert all(groups.names[g].startswith(name) for g in of_class)
        if name in halves:
            assert len(of_class) > 1


@settings(max_examples=100)
@given(partitions(), st.randoms())
def test_renumbering_classes_only_renumbers_groups(
    case: tuple[np.ndarray, tuple[str, ...], Halves], random: object
) -> None:
    labels, names, halves = case
    order = list(range(len(names)))
    random.shuffle(order)  # type: ignore[attr-defined]
    moved = np.array([order.index(label) for label in labels])
    groups = described_groups(labels, names, halves)
    other = described_groups(moved, [names[k] for k in order], halves)
    assert [groups.names[g] for g in groups.index] == [other.names[g] for g in other.index]


@settings(max_examples=100)
@given(partitions(), st.integers(0, 99))
def test_the_order_of_images_changes_nothing(
    case: tuple[np.ndarray, tuple[str, ...], Halves], seed: int
) -> None:
    labels, names, halves = case
    order = np.random.default_rng(seed).permutation(len(labels))
    moved = {name: [(p, h[order]) for p, h in of] for name, of in halves.items()}
    groups = described_groups(labels, names, halves)
    other = described_groups(labels[order], names, moved)
    assert other.names == groups.names
    assert np.array_equal(other.index, groups.index[order])


@pytest.mark.parametrize(
    ("labels", "halves", "message"),
    [
        ([0, 2], {}, "row 1 is 2; 0 to 1 is legal"),
        ([0, -1], {}, "row 1 is -1"),
        ([0.0, 1.0], {}, "integers are legal"),
        ([[0], [1]], {}, "one axis"),
        ([0, 1], {"c": []}, "no such class"),
        ([0, 0], {"a": [("x", flags("10"))] * 9}, "9 phrases"),
    ],
)
def test_what_does_not_fit_is_refused(labels: object, halves: Halves, message: str) -> None:
    with pytest.raises(GroupError, match=message):
        described_groups(labels, ("a", "b"), halves)  # type: ignore[arg-type]


def test_a_half_of_another_length_or_type_is_refused() -> None:
    with pytest.raises(Exception, match=r"a, half 'x': has shape \(3,\); \(2,\) is legal"):
        described_groups([0, 0], ("a",), {"a": [("x", flags("101"))]})
    with pytest.raises(Exception, match="booleans are legal"):
        described_groups([0, 0], ("a",), {"a": [("x", np.array([0, 1]))]})  # type: ignore[list-item]


# Annotated groups


def test_annotated_groups_are_every_class_with_every_value() -> None:
    groups = annotated_groups([0, 0, 1], ("landbird", "waterbird"), ["land", "water", "water"], "place")
    assert groups.names == ("landbird · land", "landbird · water", "waterbird · land", "waterbird · water")
    assert groups.index.tolist() == [0, 1, 3]
    assert groups.counts.tolist() == [1, 1, 0, 1]


def test_given_values_fix_the_numbering_on_every_split() -> None:
    groups = annotated_groups([0, 1], ("a", "b"), ["z", "z"], "place", values=["z", "y"])
    assert groups.names == ("a · z", "a · y", "b · z", "b · y")
    assert groups.index.tolist() == [0, 2]


def test_an_unknown_value_or_length_is_refused() -> None:
    with pytest.raises(GroupError, match="attribute 'place': row 1 is 'waer'; nearest: water"):
        annotated_groups([0, 0], ("a",), ["water", "waer"], "place", values=["land", "water"])
    with pytest.raises(GroupError, match="one value an image"):
        annotated_groups([0, 0], ("a",), ["water"], "place")


def test_the_two_kinds_of_groups_share_no_type() -> None:
    assert not issubclass(AnnotatedGroups, DescribedGroups)
    assert not issubclass(DescribedGroups, AnnotatedGroups)
    assert DescribedGroups.__mro__[1:] == AnnotatedGroups.__mro__[1:] == (object,)
    with pytest.raises(TypeError):
        AnnotatedGroups(index=np.array([0]), names=("a",), merged=())  # type: ignore[call-arg]


def test_groups_own_a_copy_that_nobody_can_write_to() -> None:
    index = np.array([0, 1])
    groups = DescribedGroups(index=index, names=("a", "b"))
    index[0] = 1
    assert groups.index.tolist() == [0, 1]
    with pytest.raises(ValueError, match="read-only"):
        groups.index[0] = 1
    with pytest.raises(GroupError, match="group index: row 0 is 3"):
        DescribedGroups(index=np.array([3]), names=("a", "b"))
