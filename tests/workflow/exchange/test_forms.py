"""What `clarify export` hands to other tools, read back by their own libraries."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest
from PIL import Image

from clarify.data.manifest import open_manifest
from tests.conftest import DATA_SET, Done

Clarify = Callable[..., Done]


@pytest.fixture
def table(clarify: Clarify, tmp_path: Path) -> pl.DataFrame:
    """The described images of the test split."""
    out = tmp_path / "table.parquet"
    assert clarify("export", DATA_SET, "--split", "test", "--out", str(out)).status == 0
    return pl.read_parquet(out)


def export(clarify: Clarify, form: str, path: Path) -> dict[str, Any]:
    done = clarify("export", DATA_SET, "--split", "test", f"--{form}", str(path), "--json")
    assert done.status == 0, done.err
    return done.result[form.replace("-", "_")]


def webdataset_samples(path: Path) -> list[dict[str, Any]]:
    """Read a shard as a `WebDataset` does; that itself leaves the file open."""
    from webdataset.autodecode import Decoder, imagehandler
    from webdataset.tariterators import group_by_keys, tar_file_expander

    decode = Decoder([imagehandler("pil")])
    with path.open("rb") as file:
        members = tar_file_expander([{"url": str(path), "stream": file}])
        return [decode(sample) for sample in group_by_keys(members)]


def test_a_webdataset_gives_every_row_with_its_picture_and_class(
    clarify: Clarify, home: Path, table: pl.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / "birds.tar"
    assert export(clarify, "webdataset", path)["rows"] == table.height
    samples = webdataset_samples(path)
    assert [each["json"]["id"] for each in samples] == table["id"].to_list()
    assert [each["json"]["half"] for each in samples] == table["half"].to_list()
    classes = open_manifest(home, DATA_SET).classes
    for sample, row in zip(samples, table.iter_rows(named=True), strict=True):
        assert classes[sample["cls"]] == row["class"]
        with Image.open(row["path"]) as picture:
            assert np.array_equal(np.asarray(sample["png"]), np.asarray(picture.convert("RGB")))


def test_coco_has_a_category_a_half_and_finds_its_images(
    clarify: Clarify, home: Path, table: pl.DataFrame, tmp_path: Path
) -> None:
    from pycocotools.coco import COCO

    path = tmp_path / "birds.json"
    export(clarify, "coco", path)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(path))
    root = open_manifest(home, DATA_SET).root
    names = {each["name"]: each["id"] for each in coco.loadCats(coco.getCatIds())}
    expected = table.group_by("class", "phrase", "half").len()
    assert len(names) == expected.height == 4
    for class_name, phrase, half, count in expected.iter_rows():
        found = coco.loadImgs(coco.getImgIds(catIds=[names[f"{class_name} · {half} {phrase}"]]))
        assert len(found) == count
        with Image.open(root / found[0]["file_name"]) as picture:
            assert picture.size == (found[0]["width"], found[0]["height"])
    (one,) = coco.loadAnns(coco.getAnnIds(imgIds=[1]))
    assert one["bbox"] == [0, 0, coco.imgs[1]["width"], coco.imgs[1]["height"]]


def test_parquet_with_pictures_is_a_data_set_of_hugging_face(
    clarify: Clarify, table: pl.DataFrame, tmp_path: Path
) -> None:
    import datasets

    path = tmp_path / "birds.parquet"
    export(clarify, "pictures", path)
    read = datasets.Dataset.from_parquet(str(path), cache_dir=str(tmp_path / "cache"))
    assert isinstance(read.features["image"], datasets.Image)
    assert read["id"][:] == table["id"].to_list()
    assert read["right"][:] == table["right"].to_list()
    assert np.allclose(read["similarity"][:], table["similarity"])
    for number in (0, table.height - 1):
        with Image.open(table["path"][number]) as picture:
            assert np.array_equal(np.asarray(read[number]["image"]), np.asarray(picture))


def test_tasks_of_label_studio_carry_their_half_as_a_choice_of_its_interface(
    clarify: Clarify, home: Path, table: pl.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / "birds.json"
    export(clarify, "label-studio", path)
    tasks = json.loads(path.read_text())
    view = ElementTree.parse(path.with_suffix(".xml")).getroot()
    (choices,) = view.iter("Choices")
    legal = {each.attrib["value"] for each in choices}
    assert [task["data"]["id"] for task in tasks] == table["id"].to_list()
    root = open_manifest(home, DATA_SET).root
    for task, row in zip(tasks, table.iter_rows(named=True), strict=True):
        (said,) = task["predictions"][0]["result"]
        assert (said["from_name"], said["to_name"]) == (choices.attrib["name"], choices.attrib["toName"])
        assert said["value"]["choices"] == [f"{row['class']} · {row['half']} {row['phrase']}"]
        assert set(said["value"]["choices"]) <= legal
        prefix, _, place = task["data"]["image"].partition("?d=")
        assert prefix == "/data/local-files/"
        assert (root / unquote(place)).samefile(row["path"])


def test_drawn_by_the_weights_every_group_comes_up_alike(
    clarify: Clarify, home: Path, tmp_path: Path
) -> None:
    import torch
    from torch.utils.data import WeightedRandomSampler

    path = tmp_path / "weights.csv"
    done = clarify("export", DATA_SET, "--weights", str(path), "--json")
    assert done.result["weights"]["left_out"] == []
    read = pl.read_csv(path)
    assert read["id"].to_list() == open_manifest(home, DATA_SET).ids("train").tolist()
    assert read["weight"].mean() == pytest.approx(1)
    totals = read.group_by("group").agg(pl.col("weight").sum())["weight"]
    assert len(totals) == 4
    assert totals.to_numpy() == pytest.approx(read.height / 4)
    sampler = WeightedRandomSampler(
        read["weight"].to_list(), 40_000, generator=torch.Generator().manual_seed(0)
    )
    drawn = read[list(sampler)].group_by("group").len()["len"].to_numpy() / 40_000
    assert np.abs(drawn - 0.25).max() < 0.01  # 4.6 standard deviations


def test_what_cannot_be_read_is_left_out_aloud(clarify: Clarify, table: pl.DataFrame, tmp_path: Path) -> None:
    gone, broken = (Path(path) for path in table["path"][:2])
    gone.unlink()
    broken.unlink()  # it is shared with other tests' homes
    broken.write_bytes(b"no picture")
    path = tmp_path / "birds.tar"
    done = clarify("export", DATA_SET, "--split", "test", "--webdataset", str(path))
    assert f"{table.height - 2:,} rows in {path}: a webdataset's shard; 2 left out" in done.out
    assert f"left out {table['id'][0]}: " in done.out
    assert f"left out {table['id'][1]}: " in done.out
    left = [each["json"] for each in webdataset_samples(path)]
    assert [each["id"] for each in left] == table["id"].to_list()[2:]


def test_a_class_that_nobody_described_is_left_out_aloud(clarify: Clarify, tmp_path: Path) -> None:
    kept = clarify("describe", DATA_SET, "waterbird", "forest", "--json").result["run"]
    path = tmp_path / "birds.json"
    asked = ("export", DATA_SET, "--split", "test", "--description", kept, "--coco", str(path))
    told = clarify(*asked).out
    assert "left out 100 images of landbird: no kept phrase describes it" in told
    assert clarify(*asked, "--json").result["left_out"] == [
        "100 images of landbird: no kept phrase describes it"
    ]


def test_a_wrong_ending_is_refused_before_anything_is_read(clarify: Clarify, tmp_path: Path) -> None:
    refused = clarify("export", DATA_SET, "--coco", str(tmp_path / "birds.tar")).refusal
    assert "ends in '.tar'; legal are .json" in refused
    assert not list(tmp_path.glob("birds*"))
