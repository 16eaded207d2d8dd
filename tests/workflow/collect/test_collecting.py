"""The way of a pool: half of the training images held out, ranked, labelled, taken in, trained on."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from clarify.assembly import open_project
from clarify.config import read_settings
from clarify.data.manifest import Manifest, open_manifest, write_again
from clarify.track.runs import CollectionRun
from tests.conftest import DATA_SET, Done, copied, run_clarify

FEW = "few-birds"


def part_of(manifest: Manifest, table: pl.DataFrame) -> Manifest:
    """Return a data set of some of another one's images."""
    return dataclasses.replace(manifest, name=FEW, table=table)


@pytest.fixture(scope="module")
def few_home(made_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny birds, every second training image held out, in `pool.txt`; described for forest."""
    home = copied(made_home, tmp_path_factory.mktemp("few") / "home")
    whole = open_manifest(home, DATA_SET)
    held = (pl.col("split") == "train") & (pl.int_range(pl.len()).over("label", "place") % 2 == 0)
    marked = whole.table.with_columns(held=held)
    few = part_of(whole, marked.filter(~pl.col("held")).drop("held"))
    write_again(few, home / "data_manifests" / FEW, root=str(whole.root))
    pool = marked.filter("held")["path"]
    (whole.root / "pool.txt").write_text("\n".join(pool), encoding="utf-8")
    for step in (
        ("embed", FEW),
        ("train", FEW),
        ("describe", FEW, "waterbird", "forest", "--reviewer", "Ada"),
    ):
        done = run_clarify(*step, home=home)
        assert done.status == 0, done.err
    return home


@pytest.fixture
def pool(few_home: Path) -> Path:
    return open_manifest(few_home, FEW).root / "pool.txt"


@pytest.fixture
def truth(few_home: Path) -> dict[str, tuple[str, str]]:
    """By path the class and place of every image."""
    table = open_manifest(few_home, DATA_SET).table
    return {path: (label, place) for path, label, place in table.select("path", "label", "place").rows()}


def test_a_pool_is_ranked_labelled_taken_in_and_trained_on(
    few_home: Path, pool: Path, truth: dict[str, tuple[str, str]], tmp_path: Path
) -> None:
    def clarify(*arguments: str) -> Done:
        done = run_clarify(*arguments, home=few_home)
        assert done.status == 0, done.err
        return done

    tasks, studio = tmp_path / "tasks.csv", tmp_path / "tasks.json"
    asked = ("collect", FEW, str(pool), "--images", "12", "--out", str(tasks), "--label-studio", str(studio))
    found = clarify(*asked, "--reviewer", "Bo", "--json").result
    places = [truth[each["id"]][1] for each in found["collected"]]
    assert places.count("land") >= 10
    similar = [each["similarity"] for each in found["collected"]]
    assert similar == sorted(similar, reverse=True)
    assert found["there"] == 0
    assert found["left_out"] == []
    handed = json.loads(studio.read_text())
    assert [each["data"]["id"] for each in handed] == [each["id"] for each in found["collected"]]
    assert '<Choice value="waterbird"' in studio.with_suffix(".xml").read_text()

    # People fill in the table: one of another class by mistake, one not at all, and what is not in the pool.
    table = pl.read_csv(tasks, schema_overrides={"label": pl.String})
    said = [truth[each][0] for each in table["id"]]
    rows = table.with_columns(label=pl.Series([None, *said[1:]])).rows(named=True)
    twice = [rows[1], {**rows[2], "label": "waterbird" if said[2] == "landbird" else "landbird"}]
    odd = [{**rows[3], "id": "elsewhere.png"}, {**rows[4], "label": "landbrid"}]
    pl.DataFrame([*rows[:4], *rows[5:], *twice, *odd]).write_csv(tasks)
    back = clarify(
        "collect", FEW, str(pool), "--labels", str(tasks), "--out-name", "more", "--reviewer", "Bo", "--json"
    ).result
    assert sum(back["images"].values()) == 12 - 3
    assert back["unlabelled"] == 1
    told = "\n".join(back["left_out"])
    assert f"{rows[1]['id']}: labelled 2 times, each time {said[1]}; taken in once" in told
    assert f"{rows[2]['id']}: labels in conflict: " in told
    assert "elsewhere.png: pool" in told
    assert f"{rows[4]['id']}: 'landbrid' is no class; nearest: landbird" in told
    assert len(back["left_out"]) == 4

    more, few = open_manifest(few_home, "more"), open_manifest(few_home, FEW)
    new = more.table.filter(~pl.col("id").is_in(few.table["id"].implode()))
    assert set(new["split"]) == {"train"}
    assert set(new["id"]) == {row["id"] for row in (*rows[1:2], rows[3], *rows[5:])}
    assert all((more.root / path).is_file() for path in more.table["path"])
    assert found["run"][:8] in more.source

    project = open_project(read_settings({"home": str(few_home)}, {}, few_home), FEW)
    accepted, ranked = project.tracking.runs(FEW, CollectionRun)
    assert (ranked.action, ranked.by, ranked.pool, ranked.id) == ("ranked", "Bo", str(pool), found["run"])
    assert (accepted.action, accepted.made) == ("accepted", f"more ({more.digest[:12]})")
    clarify("train", "more")
    clarify("describe", "more", "landbird", "water")
    assert clarify("retrain", "more", "--json").result["run"]


def test_label_studio_s_export_comes_back(few_home: Path, pool: Path, tmp_path: Path) -> None:
    export, ids = tmp_path / "export.json", pool.read_text().splitlines()[:3]

    def task(name: str, *labels: str, **more: bool) -> dict[str, object]:
        result = [{"from_name": "class", "type": "choices", "value": {"choices": [each]}} for each in labels]
        return {"data": {"id": name}, "annotations": [{"result": result, **more}]}

    export.write_text(
        json.dumps([task(ids[0], "landbird"), task(ids[1]), task(ids[2], "waterbird", was_cancelled=True)])
    )
    asked = ("collect", FEW, str(pool), "--labels", str(export), "--out-name", "studio")
    done = run_clarify(*asked, "--json", home=few_home)
    assert done.result["images"] == {"landbird": 1, "waterbird": 0}, done.err
    assert done.result["unlabelled"] == 2
    export.write_text("{}")
    assert "nothing was taken in" in run_clarify(*asked, home=few_home).refusal
    export.write_text('[{"id": 7}]')
    assert "are not Label Studio's export (KeyError: 'data')" in run_clarify(*asked, home=few_home).refusal
    export.write_text(json.dumps([task("x.png", "landbird")]))
    assert "none of 1 can be taken in" in run_clarify(*asked, home=few_home).refusal
    assert "give both --labels" in run_clarify(*asked[:-2], home=few_home).refusal


@pytest.mark.parametrize("by", ["class", "diversity"])
def test_class_and_diversity_rank_within_the_half(
    by: str, few_home: Path, pool: Path, truth: dict[str, tuple[str, str]]
) -> None:
    def ranked(by: str) -> list[dict[str, float]]:
        asked = ("collect", FEW, str(pool), "--images", "20", "--by", by, "--json")
        found: list[dict[str, float]] = run_clarify(*asked, home=few_home).result["collected"]
        return found

    found, plain = ranked(by), ranked("phrase")
    cut = min(each["similarity"] for each in ranked("phrase"))
    assert all(each["half"] == "with" for each in found)
    if by == "class":
        sure = [each["probability"] for each in found]
        assert sure == sorted(sure, reverse=True)
    else:
        assert found[0] == plain[0]  # it begins with the best, and goes away from it
        assert min(each["similarity"] for each in found) <= cut


def test_pools_that_cannot_be_are_refused_in_a_line(few_home: Path, pool: Path, tmp_path: Path) -> None:
    def refused(place: Path | str, *more: str) -> str:
        return run_clarify("collect", FEW, str(place), *more, home=few_home).refusal

    few = open_manifest(few_home, FEW)
    leak = few.root / "leak.txt"
    test = few.rows("test")["path"][0]
    leak.write_text("\n".join([*pool.read_text().splitlines(), test]))
    assert f"has 1 images of the test split of data set {FEW} ({test!r})" in refused(leak)
    copy = tmp_path / "copies"
    copy.mkdir()
    (copy / "1.png").write_bytes((few.root / test).read_bytes())
    assert "has 1 images of the test split" in refused(copy)
    known = few.rows("train")["path"][0]
    (copy / "1.png").write_bytes((few.root / known).read_bytes())
    assert "1 are copies" in refused(copy) or "1 are in the data set already" in refused(copy)
    (copy / "1.png").unlink()
    assert "has no picture that can be read, of 0" in refused(copy)
    (copy / "1.png").write_text("no picture")
    assert "none of its 1 images can be read" in refused(copy)
    assert "there is no pool nowhere" in refused("nowhere")
    assert "is the data set itself" in refused(FEW)
    assert "images to collect is 0" in refused(pool, "--images", "0")
    other = tmp_path / "other.npz"
    np.savez(other, features=np.ones((2, 7), dtype=np.float32), ids=np.array(["a", "b"]))
    assert "has features of width 7, encoder small-clip makes 192" in refused(other)
    np.savez(other, features=np.ones((2, 192), dtype=np.float32))
    assert "has no ids" in refused(other)
    np.savez(other, features=np.ones((1, 192), dtype=np.float32), ids=few.ids("test")[:1])
    assert "has 1 images of the test split" in refused(other)
    # The whole data set shares its test images with the part of it.
    assert "images of the test split" in refused(DATA_SET)


def test_features_of_a_pool_rank_as_its_pictures_do(few_home: Path, pool: Path, tmp_path: Path) -> None:
    asked = ("--images", "9", "--json")
    pictures = run_clarify("collect", FEW, str(pool), *asked, home=few_home).result["collected"]
    project = open_project(read_settings({"home": str(few_home)}, {}, few_home), DATA_SET)
    kept = project.store.open(project.manifest, project.encoder.identity)
    assert kept is not None
    number = {path: row for row, path in enumerate(project.manifest.table["path"])}
    ids = pool.read_text().splitlines()
    np.save(tmp_path / "pool.npy", kept.array[[number[each] for each in ids]])
    (tmp_path / "pool.ids.txt").write_text("\n".join(ids))
    features = run_clarify("collect", FEW, str(tmp_path / "pool.npy"), *asked, home=few_home).result
    assert [each["id"] for each in features["collected"]] == [each["id"] for each in pictures]
