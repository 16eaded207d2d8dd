"""Checking a data set: everything that is wrong, all at once."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from clarify.data.checking import Checked, check_images
from clarify.data.manifest import Manifest
from clarify.data.neighbours import MOST_BITS, image_hash, near_pairs
from clarify.data.opening import contents
from tests.data.pictures import picture

SPLITS = ("train", "validation", "test")


def manifest_of(root: Path, n: int = 12, **columns: list[str]) -> Manifest:
    """Save different pictures: two classes in turn, four in each of three splits."""
    root.mkdir(exist_ok=True)
    for number in range(n):
        if not os.path.lexists(root / f"{number}.png"):
            picture(number, (64, 48)).save(root / f"{number}.png")
    table = pl.DataFrame(
        {
            "id": [f"image {number}" for number in range(n)],
            "path": [f"{number}.png" for number in range(n)],
            "label": [("cat", "dog")[number % 2] for number in range(n)],
            "split": [SPLITS[number * 3 // n] for number in range(n)],
            "place": [("land", "water")[number // 2 % 2] for number in range(n)],
            **columns,
        }
    )
    return Manifest(
        name="pets",
        title="pets",
        source="made",
        licence="CC0",
        root=root,
        classes=("cat", "dog"),
        splits=SPLITS,
        attributes={"place": ("land", "water")},
        table=table,
    )


def checked(manifest: Manifest, *, deep: bool = False, workers: int = 2) -> Checked:
    return check_images(manifest, deep=deep, workers=workers)


def wrong(found: Checked) -> list[tuple[int, str]]:
    return [(each.row, each.what) for each in found.wrong]


@pytest.mark.parametrize("deep", [False, True])
def test_a_good_data_set_passes_and_its_groups_are_counted(tmp_path: Path, deep: bool) -> None:
    found = checked(manifest_of(tmp_path / "root"), deep=deep)
    assert found.passed
    assert (found.images, found.wrong, found.leaks, found.near, found.notes) == (12, (), (), (), ())
    assert found.counts["validation"] == {
        "cat": 2,
        "dog": 2,
        "cat, land": 1,
        "cat, water": 1,
        "dog, land": 1,
        "dog, water": 1,
    }


def test_everything_wrong_is_told_at_once_with_row_id_and_file(tmp_path: Path) -> None:
    root = tmp_path / "root"
    manifest = manifest_of(root)
    picture(0).save(tmp_path / "secret.png")
    (root / "0.png").write_bytes(b"")
    (root / "2.png").unlink()
    (root / "3.png").write_text("no image")
    (root / "4.png").unlink()
    (root / "4.png").mkdir()
    (root / "5.png").unlink()
    os.mkfifo(root / "5.png")
    (root / "6.png").unlink()
    (root / "6.png").symlink_to(tmp_path / "secret.png")
    Image.new("1", (10_000, 10_000)).save(root / "7.png")
    found = checked(manifest)
    assert not found.passed
    assert wrong(found) == [
        (1, "the file is empty"),
        (3, "there is no such file"),
        (4, "not an image of a known kind (JPEG, PNG, WEBP, GIF, BMP, TIFF, PPM, AVIF, HEIF)"),
        (5, "is a folder"),
        (6, "is a pipe or a device, not a file"),
        (7, f"leads out of the root {root}, to {tmp_path / 'secret.png'}; legal are files inside it"),
        (8, "100000000 pixels, more than 89478485 allowed"),
    ]
    assert (found.wrong[0].id, found.wrong[0].path) == ("image 0", "0.png")


def test_a_file_that_is_cut_off_is_found_by_a_deep_check_alone(tmp_path: Path) -> None:
    root = tmp_path / "root"
    manifest = manifest_of(root)
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(root / "1.png")
    (root / "1.png").write_bytes((root / "1.png").read_bytes()[:5000])
    assert checked(manifest).passed
    ((row, what),) = wrong(checked(manifest, deep=True))
    assert row == 2
    assert "truncated" in what


def test_an_ending_that_belies_the_format_is_a_note_and_not_wrong(tmp_path: Path) -> None:
    root = tmp_path / "root"
    manifest = manifest_of(root)
    picture(99).save(root / "3.png", format="JPEG")
    found = checked(manifest)
    assert found.passed
    ((note),) = found.notes
    assert (note.row, note.what) == (4, "is a JPEG; its usual endings are .jpg, .jpeg, .jpe, .jfif")


@pytest.mark.parametrize("deep", [False, True])
def test_the_same_file_in_two_splits_is_a_leak_and_in_one_split_it_is_not(tmp_path: Path, deep: bool) -> None:
    root = tmp_path / "root"
    manifest = manifest_of(root)
    for copy in (1, 5, 9):  # train, validation, test
        shutil.copy(root / "0.png", root / f"{copy}.png")
    found = checked(manifest, deep=deep)
    assert not found.passed
    assert [(p.first.row, p.first.what, p.second.row, p.second.what) for p in found.leaks] == [
        (1, "train", 6, "validation"),
        (1, "train", 10, "test"),
    ]
    assert found.near == ()


def test_files_of_equal_size_and_other_bytes_are_no_leak(tmp_path: Path) -> None:
    root = tmp_path / "root"
    manifest = manifest_of(root)
    for number in (0, 11):
        flat = Image.fromarray(np.full((48, 64, 3), 17 * number + 9, dtype=np.uint8))
        flat.save(root / f"{number}.png", compress_level=0)
    assert (root / "0.png").stat().st_size == (root / "11.png").stat().st_size
    assert checked(manifest).leaks == ()


def test_pictures_that_look_alike_in_two_splits_are_a_warning_of_the_deep_check(tmp_path: Path) -> None:
    root = tmp_path / "root"
    manifest = manifest_of(root)
    first = Image.open(root / "0.png").convert("RGB")
    ImageEnhance.Brightness(first.resize((96, 72))).enhance(1.05).save(root / "11.png")
    assert checked(manifest).near == ()
    found = checked(manifest, deep=True)
    assert found.passed
    ((pair),) = found.near
    assert (pair.first.row, pair.second.row) == (1, 12)
    assert pair.bits <= MOST_BITS


def test_pictures_of_one_colour_are_not_called_alike(tmp_path: Path) -> None:
    root = tmp_path / "root"
    manifest = manifest_of(root)
    for number in (0, 5, 11):
        Image.new("RGB", (32, 32), (20 * number, 9, 9)).save(root / f"{number}.png")
    assert checked(manifest, deep=True).near == ()
    assert image_hash(Image.new("RGB", (32, 32), (9, 9, 9))) is None


def test_a_file_that_changed_since_the_import_is_found_by_a_deep_check(tmp_path: Path) -> None:
    root = tmp_path / "root"
    plain = manifest_of(root)
    content = contents([root / f"{n}.png" for n in range(12)], inside=root, workers=1)
    manifest = manifest_of(root, content=[str(each) for each in content])
    assert manifest.digest != plain.digest
    assert checked(manifest, deep=True).passed
    picture(77, (64, 48)).save(root / "8.png")
    assert checked(manifest).passed
    ((row, what),) = wrong(checked(manifest, deep=True))
    assert row == 9
    assert f"not {content[8]} as the table says" in what


def test_the_number_of_threads_changes_nothing(tmp_path: Path) -> None:
    root = tmp_path / "root"
    manifest = manifest_of(root, 240)
    for number in range(0, 240, 7):
        (root / f"{number}.png").write_bytes(b"no")
    assert checked(manifest, workers=1) == checked(manifest, workers=5)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_pairs_by_bands_are_all_the_pairs_there_are(data: st.DataObject) -> None:
    base = data.draw(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=6))
    flips = st.lists(st.integers(0, 63), max_size=5)
    hashes = []
    for _ in range(data.draw(st.integers(2, 25))):
        value = data.draw(st.sampled_from(base))
        for bit in data.draw(flips):
            value ^= 1 << bit
        hashes.append(value)
    splits = [data.draw(st.sampled_from(SPLITS)) for _ in hashes]
    every = [
        (one, other, (hashes[one] ^ hashes[other]).bit_count())
        for one in range(len(hashes))
        for other in range(one + 1, len(hashes))
        if splits[one] != splits[other] and (hashes[one] ^ hashes[other]).bit_count() <= MOST_BITS
    ]
    assert near_pairs(hashes, splits) == every


def test_a_hash_is_that_of_the_library_and_stable_under_reducing() -> None:
    import imagehash

    whole = picture(5, (640, 480))
    found = image_hash(whole)
    assert found is not None
    reference = int(str(imagehash.phash(whole)), 16)
    assert (found ^ reference).bit_count() <= 2
    small = image_hash(whole.resize((200, 150)))
    assert small is not None
    assert (found ^ small).bit_count() <= MOST_BITS
