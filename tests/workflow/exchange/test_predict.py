"""`clarify predict`: any images, with the champion or another model."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from clarify.track.runs import BaseRun, ModelRun
from tests.conftest import DATA_SET, Done, run_clarify, with_champion

Clarify = Callable[..., Done]


@pytest.fixture(scope="module")
def promoted(made_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a champion, which these tests leave as it is."""
    return with_champion(made_home, tmp_path_factory.mktemp("promoted") / "home")


@pytest.fixture
def ask(promoted: Path) -> Clarify:
    def run(*arguments: str) -> Done:
        return run_clarify("predict", DATA_SET, *arguments, home=promoted)

    return run


def image(home: Path, number: int = 1, split: str = "test") -> str:
    return str(home / "images" / DATA_SET / split / f"{number:06}.png")


def test_the_champion_predicts_as_it_did_when_it_was_trained(ask: Clarify, promoted: Path) -> None:
    found = ask("--folder", str(promoted / "images" / DATA_SET / "test"), "--json").result
    from clarify.track.mlflow import TrackingStore

    store = TrackingStore(promoted)
    (run,) = store.runs(DATA_SET, ModelRun)
    assert found["model"] == run.id
    kept = pl.read_parquet(store.artifact(run.id, "predictions.parquet"))
    kept = kept.filter(pl.col("split") == "test").sort("id")
    assert len(found["images"]) == kept.height == 200
    # Features on disk are float16, so a probability may differ in its fourth digit.
    best = [max(row["landbird"], row["waterbird"]) for row in found["images"]]
    np.testing.assert_allclose(best, kept["probability_of_predicted"], rtol=0, atol=2e-3)
    same = [row["label"] for row in found["images"]] == kept["predicted"].to_numpy()
    assert np.mean(same) > 0.99


def test_images_are_named_one_by_one_by_folder_or_in_a_list(
    ask: Clarify, promoted: Path, tmp_path: Path
) -> None:
    names = [image(promoted, number) for number in (3, 1, 2)]
    one_by_one = ask(*names, "--json").result["images"]
    assert [row["path"] for row in one_by_one] == names
    for name in names:
        shutil.copy(name, tmp_path)
    (tmp_path / "list.txt").write_text("000003.png\n\n000001.png\n" + names[2] + "\n")
    listed = ask("--from", str(tmp_path / "list.txt"), "--json").result["images"]
    assert [row["landbird"] for row in listed] == [row["landbird"] for row in one_by_one]
    folder = ask("--folder", str(tmp_path), "--json").result["images"]
    assert [Path(row["path"]).name for row in folder] == [f"00000{n}.png" for n in (1, 2, 3)]


def test_a_base_model_and_an_alias_predict_when_asked_for(ask: Clarify, promoted: Path) -> None:
    from clarify.track.mlflow import TrackingStore

    base, *_ = TrackingStore(promoted).runs(DATA_SET, BaseRun)
    champion = ask(image(promoted), "--json").result
    assert ask(image(promoted), "--model", "champion", "--json").result == champion
    other = ask(image(promoted), "--model", base.id[:8], "--json").result
    assert other["model"] == base.id
    assert other["images"][0]["landbird"] != champion["images"][0]["landbird"]


def test_every_kind_of_file_holds_the_same(ask: Clarify, promoted: Path, tmp_path: Path) -> None:
    folder = str(promoted / "images" / DATA_SET / "validation")
    tables = {}
    for kind in ("csv", "jsonl", "parquet"):
        out = tmp_path / f"found.{kind}"
        done = ask("--folder", folder, "--out", str(out), "--json")
        assert done.result["images"] == 200
        tables[kind] = {"csv": pl.read_csv, "jsonl": pl.read_ndjson, "parquet": pl.read_parquet}[kind](out)  # type: ignore[operator]
    assert tables["parquet"].columns == ["path", "label", "landbird", "waterbird"]
    assert tables["csv"].equals(tables["parquet"])
    assert tables["jsonl"].equals(tables["parquet"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["found.csv", "found.jsonl", "found.parquet"]


def test_bad_images_are_listed_and_the_others_predicted(ask: Clarify, promoted: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    out = tmp_path / "found.csv"
    names = [
        image(promoted, 1),
        str(tmp_path / "broken.png"),
        str(tmp_path / "absent.png"),
        image(promoted, 2),
    ]
    done = ask(*names, "--json")
    assert done.status == 0
    assert [row["path"] for row in done.result["images"]] == [names[0], names[3]]
    assert [row["path"] for row in done.result["left_out"]] == names[1:3]
    assert "2 of 4 images cannot be read" in done.err
    assert ask(*names, "--out", str(out)).status == 0
    with open(out) as file:
        assert [row["path"] for row in csv.DictReader(file)] == [names[0], names[3]]
    assert "left out" in ask(*names).out


def test_a_name_that_is_no_utf_8_is_predicted_too(ask: Clarify, promoted: Path, tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/bird-\xff.png"
    shutil.copy(image(promoted), os.fsdecode(odd))
    done = ask("--folder", str(tmp_path), "--json")
    assert json.dumps(done.result["images"]).count("bird-") == 1


def test_without_one_good_image_it_is_refused_and_writes_nothing(ask: Clarify, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    out = tmp_path / "found.csv"
    line = r"none of the 1 images can be read; the first is .*broken.png: not an image"
    for more in ([], ["--out", str(out)]):
        assert re.search(line, ask(str(tmp_path / "broken.png"), *more).refusal)
    assert [path.name for path in tmp_path.iterdir()] == ["broken.png"]


def test_without_champion_it_says_what_to_do(clarify: Clarify, home: Path) -> None:
    done = clarify("predict", DATA_SET, image(home))
    assert "has no champion yet; promote a model: clarify promote" in done.refusal


def test_many_more_images_than_memory_would_hold_come_a_few_at_a_time(promoted: Path) -> None:
    from clarify.assembly import open_project
    from clarify.config import Settings
    from clarify.workflow.exchange.predict import chosen_model, predict

    class Endless(list[Path]):
        """A million names of one image, of which only a few may be asked for."""

        asked = 0

        def __len__(self) -> int:
            return 1_000_000

        def __getitem__(self, at: object) -> object:
            assert isinstance(at, slice)
            self.asked += 32
            return [Path(image(promoted))] * 32

        def __iter__(self):  # type: ignore[no-untyped-def]
            return iter(lambda: Path(image(promoted)), None)

    project = open_project(Settings(home=promoted, reviewer="Ada"), DATA_SET)
    names = Endless()
    batches = predict(project, chosen_model(project, None), names, workers=2)
    assert len(next(batches).paths) == 64
    assert names.asked < 1000
    batches.close()  # type: ignore[attr-defined]
