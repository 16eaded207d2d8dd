"""The demonstration data sets: counts, seeds, pictures on disk."""

import dataclasses
import functools
import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clarify.demo.dataset import DemoDataset, DemoRow, group_table
from clarify.demo.datasets import DATASETS, write_images
from clarify.demo.scenes import render
from clarify.demo.waterbirds import LAND, WATER
from clarify.errors import InputError, StoreError

BIRDS, SPRITES = DATASETS["rendered-waterbirds"], DATASETS["sprites"]


@functools.cache
def _rows(name: str) -> tuple[DemoRow, ...]:
    return tuple(DATASETS[name].rows(0))


def _small(dataset: DemoDataset, count: int = 3) -> DemoDataset:
    groups = tuple(dataclasses.replace(group, count=count) for group in dataset.groups)
    return dataclasses.replace(dataset, groups=groups)


def test_training_counts_are_those_of_the_waterbirds_benchmark() -> None:
    rows = [row for row in _rows(BIRDS.name) if row.split == "train"]
    counts = Counter((row.label, row.attributes["place"]) for row in rows)
    assert counts == {
        ("landbird", "land"): 3498,
        ("landbird", "water"): 184,
        ("waterbird", "land"): 56,
        ("waterbird", "water"): 1057,
    }


@pytest.mark.parametrize(("split", "each"), [("validation", 300), ("test", 600)])
def test_validation_and_test_are_balanced(split: str, each: int) -> None:
    rows = [row for row in _rows(BIRDS.name) if row.split == split]
    counts = Counter((row.label, row.attributes["place"]) for row in rows)
    assert set(counts.values()) == {each}
    assert len(counts) == 4


@pytest.mark.parametrize("name", DATASETS)
def test_rows_depend_on_the_seed_alone(name: str) -> None:
    dataset = _small(DATASETS[name])
    assert dataset.rows(5) == dataset.rows(5)
    first, other = dataset.rows(5), dataset.rows(6)
    assert [r.scene for r in first] != [r.scene for r in other]


@pytest.mark.parametrize("name", DATASETS)
def test_ids_paths_and_scenes_are_unique_over_all_splits(name: str) -> None:
    rows = _rows(name)
    assert len({row.id for row in rows}) == len(rows)
    assert len({row.path for row in rows}) == len(rows)
    assert len({row.scene for row in rows}) == len(rows)


@pytest.mark.parametrize("name", DATASETS)
def test_groups_are_mixed_within_a_split(name: str) -> None:
    labels = [row.label for row in _rows(name) if row.split == "validation"]
    changes = sum(a != b for a, b in itertools.pairwise(labels))
    assert changes > len(labels) / 4


def test_a_birds_place_is_what_its_attribute_says() -> None:
    for row in _rows(BIRDS.name):
        assert row.scene.background in (LAND if row.attributes["place"] == "land" else WATER)
        assert row.scene.subject == "bird"
        assert row.scene.style != "sketch"
        assert row.scene.count == 1


def test_landbirds_lie_low_on_the_dial_and_waterbirds_high() -> None:
    dials = {
        label: np.mean([row.scene.dial for row in _rows(BIRDS.name) if row.label == label])
        for label in BIRDS.classes
    }
    assert dials["landbird"] < 0.4
    assert dials["waterbird"] > 0.6


def test_nuisances_do_not_tell_the_place_of_a_bird() -> None:
    rows = [row for row in _rows(BIRDS.name) if row.split == "test"]
    wet = np.array([row.attributes["place"] == "water" for row in rows])
    for name, value in (("time", "night"), ("colour", "red"), ("style", "photo")):
        has = np.array([getattr(row.scene, name) == value for row in rows])
        assert abs(np.corrcoef(wet, has)[0, 1]) < 0.1


def test_a_sprite_is_what_its_label_and_colour_say() -> None:
    for row in _rows(SPRITES.name):
        assert row.scene.subject == row.label
        assert row.scene.colour == row.attributes["colour"]


def test_most_training_squares_are_blue() -> None:
    squares = [r for r in _rows(SPRITES.name) if r.split == "train" and r.label == "square"]
    assert np.mean([r.attributes["colour"] == "blue" for r in squares]) > 0.9


def test_pictures_on_disk_are_the_rendered_rows(tmp_path: Path) -> None:
    dataset = _small(SPRITES, 1)
    rows = dataset.rows(0)
    write_images(dataset, rows, tmp_path, workers=1)
    for row in rows:
        with Image.open(tmp_path / row.path) as image:
            assert np.array_equal(np.asarray(image), render(row.scene, dataset.size_px))


def test_only_missing_pictures_are_drawn_and_no_part_is_left(tmp_path: Path) -> None:
    dataset = _small(SPRITES, 2)
    rows = dataset.rows(0)
    write_images(dataset, rows, tmp_path, workers=1)
    kept, gone = tmp_path / rows[0].path, tmp_path / rows[1].path
    before = kept.stat().st_mtime_ns
    gone.unlink()
    calls: list[tuple[int, int]] = []
    write_images(dataset, rows, tmp_path, workers=1, progress=lambda *p: calls.append(p))
    assert kept.stat().st_mtime_ns == before
    assert calls == [(len(rows) - 1, len(rows)), (len(rows), len(rows))]
    assert {p.suffix for p in tmp_path.rglob("*") if p.is_file()} == {".png"}


def test_two_processes_write_the_same_files_as_one(tmp_path: Path) -> None:
    dataset = _small(SPRITES, 25)
    rows = dataset.rows(0)
    write_images(dataset, rows, tmp_path / "one", workers=1)
    write_images(dataset, rows, tmp_path / "two", workers=2)
    for row in rows:
        one, two = (tmp_path / folder / row.path for folder in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(StoreError, match="images of 'sprites': cannot write under"):
        write_images(SPRITES, _rows(SPRITES.name)[:1], blocked)


def test_no_workers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="workers is 0"):
        write_images(SPRITES, [], tmp_path, workers=0)


def test_a_group_outside_the_definition_is_refused() -> None:
    groups = group_table("colour", {"train": {("square", "mauve"): 3}})
    with pytest.raises(InputError, match="does not fit its classes"):
        dataclasses.replace(SPRITES, groups=groups)
