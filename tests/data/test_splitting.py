"""Splits by content: never the same picture on both sides, each class everywhere."""

from __future__ import annotations

import dataclasses
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarify.data.sources.folder import list_folder
from clarify.data.sources.splitting import SHARES, split_by_content, with_splits
from clarify.errors import ManifestError
from tests.data.pictures import save_tree


def test_shares_are_held_class_by_class() -> None:
    content = [f"{number:032x}" for number in range(1000)]
    labels = ["cat" if number < 800 else "dog" for number in range(1000)]
    split = split_by_content(content, labels, SHARES, seed=0)
    found = Counter((label, split[key]) for key, label in zip(content, labels, strict=True))
    assert found == {
        ("cat", "train"): 560,
        ("cat", "validation"): 120,
        ("cat", "test"): 120,
        ("dog", "train"): 140,
        ("dog", "validation"): 30,
        ("dog", "test"): 30,
    }


@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from("abc")), min_size=1, max_size=120),
    st.integers(0, 3),
)
def test_a_content_has_one_split_and_each_class_is_everywhere_or_it_is_refused(
    pictures: list[tuple[int, str]], seed: int
) -> None:
    content = [str(number) for number, _ in pictures]
    labels = [label for _, label in pictures]
    first_class = {
        key: min(name for k, name in zip(content, labels, strict=True) if k == key) for key in content
    }
    counts = Counter(first_class.values())
    if min(counts[label] for label in set(labels)) < len(SHARES):
        with pytest.raises(ManifestError, match="needs at least 3"):
            split_by_content(content, labels, SHARES, seed)
        return
    split = split_by_content(content, labels, SHARES, seed)
    assert set(split) == set(content)
    found = {(label, split[key]) for key, label in zip(content, labels, strict=True)}
    assert found >= {(label, name) for label in set(labels) for name in SHARES}


def test_the_order_of_the_files_changes_nothing_and_the_seed_does() -> None:
    content = [f"{number:032x}" for number in range(50)]
    labels = ["a"] * 50
    split = split_by_content(content, labels, SHARES, 0)
    assert split_by_content(content[::-1], labels, SHARES, 0) == split
    assert split_by_content(content, labels, SHARES, 1) != split


def test_a_copy_under_another_name_and_class_falls_on_the_same_side(tmp_path: Path) -> None:
    root = save_tree(tmp_path / "root", {"cat": 20, "dog": 20})
    for number in range(10):
        shutil.copy(root / f"cat/{number}.png", root / f"cat/copy-{number}.png")
        shutil.copy(root / f"cat/{number}.png", root / f"dog/other-{number}.png")
    table = with_splits(list_folder(root), seed=3, workers=2).table
    assert table.height == 60
    assert table["content"].n_unique() == 40
    assert table.group_by("content").n_unique()["split"].max() == 1


def test_validation_is_carved_from_train_and_test_is_left_alone(tmp_path: Path) -> None:
    root = save_tree(tmp_path / "root", {"train/cat": 20, "train/dog": 40, "test/cat": 5, "test/dog": 5})
    listing = with_splits(list_folder(root), seed=0, workers=2)
    assert listing.splits == ("train", "validation", "test")
    found = Counter(listing.table.select("label", "split").iter_rows())
    assert found == {
        ("cat", "train"): 17,
        ("cat", "validation"): 3,
        ("cat", "test"): 5,
        ("dog", "train"): 34,
        ("dog", "validation"): 6,
        ("dog", "test"): 5,
    }
    assert listing.notes == ("no validation given: 15 % of train were taken by content, seed 0",)
    moved = listing.table.filter(listing.table["split"] == "test")["path"]
    assert moved.str.starts_with("test/").all()


def test_splits_that_are_there_are_kept_and_nothing_is_hashed(tmp_path: Path) -> None:
    root = save_tree(tmp_path / "root", {"train/a": 2, "train/b": 2, "dev/a": 1, "dev/b": 1})
    listing = list_folder(root)
    assert with_splits(listing, seed=0, workers=1) is listing
    assert listing.splits == ("train", "validation")


def test_a_class_with_too_few_different_images_is_named(tmp_path: Path) -> None:
    root = save_tree(tmp_path / "root", {"cat": 5, "dog": 2, "eel": 1})
    shutil.copy(root / "dog/5.png", root / "dog/again.png")
    with pytest.raises(ManifestError, match="'dog' has 2, 'eel' has 1; each class needs at least"):
        with_splits(list_folder(root), seed=0, workers=1)


def test_a_test_without_a_train_is_refused(tmp_path: Path) -> None:
    root = save_tree(tmp_path / "root", {"test/a": 2, "test/b": 2})
    with pytest.raises(ManifestError, match="images of test but none of train"):
        with_splits(list_folder(root), seed=0, workers=1)


def test_files_that_cannot_be_hashed_are_counted(tmp_path: Path) -> None:
    root = save_tree(tmp_path / "root", {"a": 4, "b": 4})
    for number in (1, 5):
        next(root.glob(f"*/{number}.png")).write_bytes(b"")
    with pytest.raises(ManifestError, match=r"the file is empty \(and 1 more files\)"):
        with_splits(list_folder(root), seed=0, workers=2)


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    root = save_tree(tmp_path / "root", {"a": 50, "b": 50})
    seen = []
    with_splits(list_folder(root), seed=0, workers=2, progress=seen.append)
    assert dataclasses.astuple(seen[-1]) == (100, 100, 0)
    assert [each.done for each in seen] == sorted(each.done for each in seen)
