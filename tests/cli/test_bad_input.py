"""What people get wrong: one clear line, exit status 1, nothing lost."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import DATA_SET, Done, run_clarify

Clarify = Callable[..., Done]


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("water " * 1700, "characters"),
        ("water\x07fall", "control"),
        ("вода", "Latin letter"),
        ("森", "Latin letter"),
        ("water AND", "AND"),
        ("1234 !!", "letter"),
    ],
)
def test_a_phrase_that_cannot_be_embedded_is_refused_with_the_reason(
    clarify: Clarify, phrase: str, expected: str
) -> None:
    assert expected in clarify("score", DATA_SET, "landbird", phrase).refusal


def test_an_unknown_class_is_refused_with_the_nearest_names(clarify: Clarify) -> None:
    line = clarify("score", DATA_SET, "landbrid", "water").refusal
    assert "landbrid" in line
    assert "nearest: landbird" in line


def test_an_unknown_data_set_is_refused_with_the_nearest_names(clarify: Clarify) -> None:
    assert DATA_SET in clarify("train", "tiny-bird").refusal


def test_a_threshold_outside_the_scores_is_refused_with_their_range(clarify: Clarify) -> None:
    line = clarify("score", DATA_SET, "landbird", "water", "--threshold", "3").refusal
    assert "leaves one side empty" in line


def test_an_unknown_run_is_refused(clarify: Clarify) -> None:
    assert "zzzz" in clarify("promote", DATA_SET, "zzzz").refusal
    assert "zzzz" in clarify("diagnose", DATA_SET, "--model", "zzzz").refusal


def test_a_wrong_command_line_exits_with_2(home: Path) -> None:
    assert run_clarify("score", DATA_SET, home=home).status == 2
    assert run_clarify("no-such-command").status == 2


def test_a_command_before_its_step_says_which_step_is_missing(home: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    shutil.copytree(home / "data_manifests", fresh / "data_manifests")
    shutil.copytree(home / "images", fresh / "images")
    assert f"clarify embed {DATA_SET}" in run_clarify("train", DATA_SET, home=fresh).refusal


def test_features_of_another_encoder_are_not_used(clarify: Clarify, home: Path) -> None:
    index = next(home.glob("features/*/*/index.json"))
    found = json.loads(index.read_text())
    found["encoder"]["weights"] = "0" * 64
    index.write_text(json.dumps(found))
    assert "encoder" in clarify("train", DATA_SET).refusal


def test_a_model_of_another_manifest_is_not_used(clarify: Clarify, home: Path) -> None:
    import polars as pl

    folder = home / "data_manifests" / DATA_SET
    table = next(folder.glob("*.parquet"))
    pl.read_parquet(table).head(-1).write_parquet(table)
    changed = f"data set {DATA_SET}: labels, splits or images in its table were changed by hand"
    for command in ("train", "diagnose"):
        refusal = clarify(command, DATA_SET).refusal
        assert refusal.startswith(changed)
        assert refusal.endswith(f"clarify embed {DATA_SET}")
    found = {each["what"]: each for each in clarify("doctor", "--json").result["findings"]}
    assert found[f"features of {DATA_SET}"]["state"] == "wrong"
    assert found[f"features of {DATA_SET}"]["seen"].startswith(changed)
    assert clarify("embed", DATA_SET).status == 0
    assert f"clarify train {DATA_SET}" in clarify("score", DATA_SET, "landbird", "water").refusal


def test_features_that_lost_bytes_are_seen_by_what_uses_them_and_by_the_doctor(
    clarify: Clarify, home: Path
) -> None:
    path = next(home.glob("features/*/*/features.npy"))
    with open(path, "r+b") as file:
        file.seek(5_000)
        file.write(bytes(100))
    assert "are not as they were written" in clarify("train", DATA_SET).refusal
    done = clarify("doctor", "--deep", "--json")
    assert done.status == 1
    found = {each["what"]: each for each in done.result["findings"]}
    assert "are not as they were written" in found[f"features of {DATA_SET}"]["seen"]
    assert found[f"features of {DATA_SET}"]["remedy"].endswith(f"clarify embed {DATA_SET}")


def test_features_without_hashes_are_a_note_of_the_doctor(clarify: Clarify, home: Path) -> None:
    index = next(home.glob("features/*/*/index.json"))
    whole = json.loads(index.read_bytes())
    index.write_text(json.dumps({key: each for key, each in whole.items() if key != "hashes"}))
    found = {each["what"]: each for each in clarify("doctor", "--json").result["findings"]}
    assert found[f"features of {DATA_SET}"]["state"] == "note"
    assert "848 images, without hashes" in found[f"features of {DATA_SET}"]["seen"]
    assert clarify("embed", DATA_SET).status == 0
    assert json.loads(index.read_bytes())["hashes"]


def test_features_that_are_not_finite_are_refused_with_the_image(clarify: Clarify, home: Path) -> None:
    path = next(home.glob("features/*/*/features.npy"))
    values = np.load(path)
    values[3, 5] = np.nan
    np.save(path, values)
    assert "train-" in clarify("train", DATA_SET).refusal


def test_one_class_only_is_refused(clarify: Clarify, home: Path) -> None:
    toml = home / "data_manifests" / DATA_SET / "manifest.toml"
    toml.write_text(toml.read_text().replace('["landbird", "waterbird"]', '["landbird"]'))
    assert "class" in clarify("embed", DATA_SET).refusal


def test_a_class_without_images_in_a_split_is_refused(clarify: Clarify, home: Path) -> None:
    import polars as pl

    table = next((home / "data_manifests" / DATA_SET).glob("*.parquet"))
    kept = (pl.col("split") != "validation") | (pl.col("label") == "landbird")
    pl.read_parquet(table).filter(kept).write_parquet(table)
    line = clarify("embed", DATA_SET)
    line = line if line.status else clarify("train", DATA_SET)
    assert "waterbird" in line.refusal
    assert "validation" in line.refusal


def test_a_home_that_is_read_only_is_refused_and_loses_nothing(home: Path) -> None:
    # Root may write anywhere, so the home is put where nobody can: below a file.
    blocked = home / "data_manifests" / DATA_SET / "manifest.toml" / "below"
    assert "below" in run_clarify("demo", "--headless", home=blocked).refusal


def test_a_moved_home_is_told_apart_from_an_empty_one(home: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.move(home, moved)
    line = run_clarify("diagnose", DATA_SET, home=moved)
    assert "moved" in line.refusal


def test_a_broken_tracking_store_is_refused(clarify: Clarify, home: Path) -> None:
    (home / "mlruns" / "mlflow.db").write_bytes(b"not a database" * 100)
    assert "mlflow.db" in clarify("diagnose", DATA_SET).refusal


def test_an_old_tracking_store_is_refused_with_the_command_that_upgrades_it(
    clarify: Clarify, home: Path
) -> None:
    with sqlite3.connect(home / "mlruns" / "mlflow.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    database.close()
    assert "mlflow db upgrade" in clarify("diagnose", DATA_SET).refusal


def test_a_setting_that_does_not_exist_is_refused(clarify: Clarify, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLARIFY_HOEM", "x")
    assert "CLARIFY_HOME" in clarify("diagnose", DATA_SET).refusal


def test_an_interrupted_command_says_that_it_can_be_run_again(
    clarify: Clarify, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("clarify.workflow.retrain.retrain.train", interrupted)
    assert "interrupted" in clarify("train", DATA_SET).refusal


@pytest.mark.slow
def test_a_closed_pipe_is_not_a_traceback(home: Path) -> None:
    command = f"{sys.executable} -m clarify.cli diagnose {DATA_SET} --home {home} | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


def test_a_class_without_wrong_or_without_right_images_has_no_score_and_says_why(
    clarify: Clarify, home: Path
) -> None:
    from safetensors.numpy import load_file, save_file

    run = clarify("diagnose", DATA_SET, "--json").result["model"]
    path = home / "mlruns" / "artifacts" / DATA_SET / run / "artifacts" / "head.safetensors"
    arrays = load_file(path)
    always_landbird = np.array([1.0, 0.0], dtype=np.float32)
    save_file(arrays | {"weight": 0 * arrays["weight"], "bias": always_landbird}, path)
    assert "none wrong" in clarify("score", DATA_SET, "landbird", "water").refusal
    assert "none right" in clarify("score", DATA_SET, "waterbird", "water").refusal


def test_a_description_that_leaves_a_half_of_training_empty_is_refused(clarify: Clarify, home: Path) -> None:
    run = clarify("describe", DATA_SET, "landbird", "lake", "--json").result["run"]
    path = home / "mlruns" / "artifacts" / DATA_SET / run / "artifacts" / "description.json"
    description = json.loads(path.read_text())
    path.write_text(json.dumps({**description, "threshold": 0.999, "fixed_cut": True}))
    line = clarify("retrain", DATA_SET, "--description", run).refusal
    assert "landbird" in line
    assert "lake" in line
    assert "move the threshold" in line


def test_retraining_without_a_kept_description_says_how_to_keep_one(clarify: Clarify, home: Path) -> None:
    assert clarify("train", DATA_SET).status == 0  # a newer model, that nothing describes yet
    assert f"clarify describe {DATA_SET}" in clarify("retrain", DATA_SET).refusal
    assert "0 kept descriptions" in clarify("retrain", DATA_SET, "--description", "ab").refusal
