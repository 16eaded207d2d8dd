"""`clarify data where`: origin, licence, and published counts beside those of what a person has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from clarify.data.manifest import write_manifest
from clarify.data.sources.origins import ORIGINS
from clarify.demo.datasets import DATASETS
from clarify.workflow.home.where import whereabouts
from tests.conftest import run_clarify
from tests.data.pictures import save_tree

KNOWN = ("waterbirds", "celeba", "imagenet", "pacs", "metashift")


def told(home: Path, name: str) -> dict[str, Any]:
    done = run_clarify("data", "where", name, "--json", home=home)
    assert done.status == 0, done.err
    return done.result


def write(
    home: Path, name: str, rows: list[tuple[str, ...]], attribute: str | None, title: str = "Of my own"
) -> None:
    """Write a manifest of rows of path, label, split and a value; the images need not exist."""
    schema = ["path", "label", "split", *([] if attribute is None else [attribute])]
    table = pl.DataFrame(rows, schema=schema, orient="row")

    def values(column: str) -> tuple[str, ...]:
        return tuple(table[column].unique(maintain_order=True))

    write_manifest(
        home / "data_manifests" / name,
        name=name,
        title=title,
        source="my camera",
        licence="CC0",
        root=f"../../images/{name}",
        classes=values("label"),
        splits=values("split"),
        table=table.with_columns(pl.col("path").alias("id")),
        attributes={} if attribute is None else {attribute: values(attribute)},
    )


def as_published(name: str, attribute: str, missing: int = 0) -> list[tuple[str, ...]]:
    """Return rows of a data set that is as published, but for the first few."""
    rows = [
        (f"{each.split}/{number}-{n}.jpg", each.values[0][1], str(each.split), each.values[1][1])
        for number, each in enumerate(ORIGINS[name].published)
        for n in range(each.count)
    ]
    assert ORIGINS[name].published[0].values[1][0] == attribute
    return rows[missing:]


@pytest.mark.parametrize("name", KNOWN)
def test_a_known_data_set_is_told_without_having_it(tmp_path: Path, name: str) -> None:
    result = told(tmp_path, name)
    assert (result["known"], result["imported"], result["fits"]) == (name, None, None)
    assert result["command"] == f"clarify data import {name} DIR --name {name}"
    assert "https://" in result["get"]
    assert all(result[key] for key in ("title", "source", "licence"))
    text = run_clarify("data", "where", name, home=tmp_path).out
    assert f"no data set {name} is in this home; Clarify downloads nothing" in text
    assert list(tmp_path.iterdir()) == []


def test_the_published_counts_add_up_to_the_published_totals() -> None:
    def total(name: str, split: str) -> int:
        return sum(each.count for each in ORIGINS[name].published if each.split == split)

    splits = ("train", "validation", "test")
    assert [total("waterbirds", split) for split in splits] == [4795, 1199, 5794]
    assert [total("celeba", split) for split in splits] == [162770, 19867, 19962]
    *domains, whole = (each.count for each in ORIGINS["pacs"].published)
    assert sum(domains) == whole == 9991


def test_all_of_waterbirds_is_as_published_and_a_missing_image_differs(tmp_path: Path) -> None:
    write(tmp_path, "waterbirds", as_published("waterbirds", "place"), "place")
    result = told(tmp_path, "waterbirds")
    assert result["fits"] is True
    assert {"split": "train", "group": "landbird, water", "seen": 184, "published": 184} in (
        result["published"]
    )
    assert result["imported"]["images"] == 11788
    assert result["imported"]["licence"] == "CC0"
    assert "all counts are as published" in run_clarify("data", "where", "waterbirds", home=tmp_path).out
    write(tmp_path, "waterbirds", as_published("waterbirds", "place", missing=1), "place")
    done = run_clarify("data", "where", "waterbirds", home=tmp_path)
    assert "train         landbird, land  3,497      3,498  differs" in done.out
    assert done.out.endswith("of 13 published counts 1 differ\n")
    assert whereabouts(tmp_path, "waterbirds").fits is False


def test_a_data_set_of_a_known_importer_is_known_again_under_any_name(tmp_path: Path) -> None:
    tree = {f"{domain}/{name}": 4 for domain in ("photo", "sketch") for name in ("dog", "horse")}
    root = save_tree(tmp_path / "PACS", tree)
    home = tmp_path / "home"
    run_clarify("data", "import", "pacs", str(root), "--name", "my-pacs", home=home)
    result = told(home, "my-pacs")
    assert (result["known"], result["title"], result["fits"]) == ("pacs", "PACS", False)
    seen = {each["group"]: each["seen"] for each in result["published"]}
    assert seen == {
        "all of art_painting": None,
        "all of cartoon": None,
        "all of photo": 8,
        "all of sketch": 8,
        "all": 16,
        "classes": 2,
    }
    done = run_clarify("data", "where", "my-pacs", home=home)
    assert "of 6 published counts 4 differ, 2 cannot be compared" in done.out


def test_celeba_with_another_target_cannot_be_compared(tmp_path: Path) -> None:
    rows = [
        (f"{n}.jpg", ("not Smiling", "Smiling")[n % 2], split, "Male")
        for n, split in enumerate(["train"] * 2 + ["validation"] * 2)
    ]
    rows = [(f"{split}-{path}", label, split, value) for path, label, split, value in rows]
    write(tmp_path, "faces", rows, "Male", title="CelebA")
    result = told(tmp_path, "faces")
    assert {each["seen"] for each in result["published"]} == {None, 2}


def test_imagenet_is_counted_by_its_folders_since_validation_comes_from_train(tmp_path: Path) -> None:
    rows = [
        (f"{folder}/{label}/{n}.JPEG", label, split)
        for folder, split, count in (("train", "train", 4), ("train", "validation", 1), ("val", "test", 2))
        for label in ("tench", "goldfish")
        for n in [f"{split}-{k}" for k in range(count)]
    ]
    write(tmp_path, "imagenet", rows, None)
    found = {each.group: (each.seen, each.published) for each in whereabouts(tmp_path, "imagenet").published}
    assert found == {
        "all of the folder train": (10, 1_281_167),
        "all of the folder val": (4, 50_000),
        "classes": (2, 1000),
    }


def test_metashift_has_no_published_counts_and_its_own_are_told(tmp_path: Path) -> None:
    rows = [
        (f"{split}/{label}.jpg", label, split, "bed")
        for split in ("train", "validation")
        for label in ("cat", "dog")
    ]
    write(tmp_path, "metashift", rows, "context")
    done = run_clarify("data", "where", "metashift", home=tmp_path)
    assert "validation        dog, bed       1" in done.out
    assert "no counts of it are published that could be compared" in done.out
    assert told(tmp_path, "metashift")["fits"] is None


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_what_clarify_draws_is_as_it_should_be(name: str) -> None:
    root = Path(__file__).resolve().parents[3]
    found = whereabouts(root, name)
    assert found.fits is True
    assert found.command == f"clarify data draw {name}"
    assert found.licence == "Apache-2.0"


def test_a_drawn_data_set_of_another_seed_is_told_with_its_command(tmp_path: Path) -> None:
    result = told(tmp_path, "sprites-seed-7")
    assert result["command"] == "clarify data draw sprites --seed 7"
    assert result["source"] == "drawn by clarify.demo, seed 7"


def test_a_data_set_of_ones_own_is_told_from_its_manifest(tmp_path: Path) -> None:
    rows = [
        (f"{split}/{label}-{place}.jpg", label, split, place)
        for split in ("train", "validation")
        for label in ("cat", "dog")
        for place in ("in", "out")
    ]
    write(tmp_path, "pets", rows, "place")
    result = told(tmp_path, "pets")
    assert (result["known"], result["get"], result["fits"]) == (None, None, None)
    assert (result["source"], result["licence"]) == ("my camera", "CC0")
    assert result["imported"]["counts"]["train"] == {
        "cat": 2,
        "dog": 2,
        "cat, in": 1,
        "cat, out": 1,
        "dog, in": 1,
        "dog, out": 1,
    }
    text = run_clarify("data", "where", "pets", home=tmp_path).out
    assert text.startswith("Of my own\nfrom: my camera\nlicence: CC0\nhere: 8 images as pets in ")


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path: Path) -> None:
    write(
        tmp_path,
        "pets",
        [(f"{s}/{c}.jpg", c, s, "in") for s in ("train", "validation") for c in ("cat", "dog")],
        "place",
    )
    for asked, nearest in (("waterbrids", "waterbirds"), ("pts", "pets"), ("Sprites", "sprites")):
        done = run_clarify("data", "where", asked, home=tmp_path)
        assert f"no data set '{asked}' is known, nor in" in done.refusal
        assert f"nearest: {nearest}" in done.refusal
