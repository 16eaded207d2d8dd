"""Names that other tools write: which image each is of."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import polars as pl
import pytest

from clarify.data.manifest import Manifest
from clarify.data.matching import check_distinct, rows_named
from clarify.data.opening import BadImage, open_image_file
from clarify.errors import InputError

COMPOSED, APART = (unicodedata.normalize(form, "Käfer") for form in ("NFC", "NFD"))


def data_set(root: Path, paths: list[str], ids: list[str] | None = None) -> Manifest:
    count = len(paths)
    return Manifest(
        name="set",
        title="set",
        source="a test",
        licence="none",
        root=root,
        classes=("cat", "dog"),
        splits=("train", "validation"),
        attributes={},
        table=pl.DataFrame(
            {
                "id": ids or paths,
                "path": paths,
                "label": (["cat", "dog"] * count)[:count],
                "split": (["train", "train", "validation", "validation"] * count)[:count],
            }
        ),
    )


def test_ids_paths_and_absolute_paths_are_known(tmp_path: Path) -> None:
    paths = [f"x/{number}.png" for number in range(4)]
    manifest = data_set(tmp_path, paths, ids=list("abcd"))
    assert rows_named(manifest, ["c", "a", "e"]) == [2, 0, None]
    assert rows_named(manifest, ["x/3.png", "x/9.png"]) == [3, None]
    assert rows_named(manifest, [f"{tmp_path}/x/1.png"]) == [1]


def test_other_unicode_letters_dots_and_doubled_slashes_are_the_same_name(tmp_path: Path) -> None:
    paths = [f"{APART}/{number}.png" for number in range(4)]
    manifest = data_set(tmp_path, paths)
    names = [f"./{COMPOSED}//0.png", f"{APART}/./1.png", f"{tmp_path}/{COMPOSED}/2.png"]
    assert rows_named(manifest, names[:2]) == [0, 1]
    assert rows_named(manifest, names[2:]) == [2]


def test_an_absolute_path_through_a_link_is_known_by_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "real/x").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    manifest = data_set(tmp_path / "real", [f"x/{number}.png" for number in range(4)])
    assert rows_named(manifest, [f"{tmp_path}/link/x/3.png"]) == [3]


def test_images_that_differ_in_their_letters_only_are_told_apart(tmp_path: Path) -> None:
    manifest = data_set(tmp_path, [COMPOSED, APART, "x", "y"])
    assert rows_named(manifest, [APART, COMPOSED, f"./{APART}", "./x"]) == [1, 0, None, 2]


def test_two_names_of_one_image_are_refused(tmp_path: Path) -> None:
    manifest = data_set(tmp_path, ["a", "b", "c", "d"])
    names = ["./a", "b", "a"]
    with pytest.raises(InputError, match=r"f: './a' and 'a' are one image, spelt in two ways"):
        check_distinct("f", names, rows_named(manifest, names))


def test_a_missing_image_says_that_one_is_there_in_other_letters(tmp_path: Path) -> None:
    (tmp_path / f"{APART}.png").write_bytes(b"x")
    with (
        pytest.raises(BadImage, match="only one in other Unicode letters"),
        open_image_file(tmp_path / f"{COMPOSED}.png"),
    ):
        pass
