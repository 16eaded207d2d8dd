"""The loop by the real commands, on a small home: what each step answers and what it records."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.conftest import DATA_SET, Done

Clarify = Callable[..., Done]


def test_diagnose_lists_the_worst_class_first(clarify: Clarify) -> None:
    classes = clarify("diagnose", DATA_SET, "--json").result["classes"]
    shares = [each["accuracy"] for each in classes]
    assert shares == sorted(shares)
    assert {each["class"] for each in classes} == {"landbird", "waterbird"}


def test_a_score_says_what_it_means_and_how_far_to_trust_it(clarify: Clarify) -> None:
    done = clarify("score", DATA_SET, "waterbird", "forest")
    assert re.search(r"waterbird: 'forest' 0\.\d\d, ", done.out)
    assert "95% interval" in done.out
    assert "corrected for" in done.out


def test_a_phrase_is_corrected_for_the_phrases_tried_before_it_on_the_class(clarify: Clarify) -> None:
    first = clarify("score", DATA_SET, "waterbird", "night", "--json").result
    again = clarify("score", DATA_SET, "waterbird", "night", "--json").result
    other = clarify("score", DATA_SET, "waterbird", "snow", "--json").result
    assert first["evidence"]["n_tried"] == 2  # "forest" was kept before
    assert again["evidence"]["n_tried"] == 2
    assert other["evidence"]["n_tried"] == 3


def test_words_that_the_encoder_was_never_taught_are_flagged(clarify: Clarify) -> None:
    found = clarify("score", DATA_SET, "waterbird", "a zeppelin and water", "--json").result
    assert found["unknown_words"] == ["zeppelin"]
    told = clarify("score", DATA_SET, "waterbird", "zeppelin").out
    assert told.startswith("the encoder does not know: zeppelin: this score says nothing\n")


def test_a_compound_phrase_is_scored_kept_and_retrained_with(clarify: Clarify) -> None:
    kept = clarify("describe", DATA_SET, "waterbird", "forest OR meadow", "--json").result
    assert kept["phrase"] == "forest OR meadow"
    done = clarify("retrain", DATA_SET, "--description", kept["run"], "--json")
    assert any("forest OR meadow" in name for name in done.result["groups"])


def test_a_description_leaves_its_record_similarities_distribution_and_pictures(
    clarify: Clarify, home: Path
) -> None:
    run = clarify("describe", DATA_SET, "waterbird", "lake", "--json").result
    folder = home / "mlruns" / "artifacts" / DATA_SET / run["run"] / "artifacts"
    description = json.loads((folder / "description.json").read_text())
    assert description["phrase"] == "lake"
    table = pl.read_parquet(folder / "similarities.parquet")
    above = table["similarity"].to_numpy() > description["threshold"]
    assert np.array_equal(table["with_phrase"].to_numpy(), above)
    assert (folder / "with.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (folder / "distribution.html").read_text()


def test_a_phrase_that_was_only_tried_leaves_what_its_chart_can_be_drawn_from(
    clarify: Clarify, home: Path
) -> None:
    run = clarify("score", DATA_SET, "waterbird", "lake", "--json").result
    folder = home / "mlruns" / "artifacts" / DATA_SET / run["run"] / "artifacts"
    assert {path.name for path in folder.iterdir()} == {
        "description.json",
        "evidence.json",
        "encoder.json",
        "similarities.parquet",
    }


@pytest.mark.parametrize("objective", ["worst_group", "reweight", "group_dro", "cvar"])
def test_every_objective_retrains_and_is_recorded(clarify: Clarify, objective: str) -> None:
    found = clarify("retrain", DATA_SET, "--objective", objective, "--json").result
    assert objective in found["name"]
    assert found["oracle"] is False
    assert 0 < found["test"]["worst_group_accuracy"] <= 1


def test_the_loop_compares_promotes_and_names_the_champion(clarify: Clarify, home: Path) -> None:
    retrained = clarify("retrain", DATA_SET, "--json").result
    rows = clarify("compare", DATA_SET, "--json").result["models"]
    assert [row["kind"] for row in rows] == ["base", "retraining", "control"]
    assert set(rows[0]) == set(rows[1]) == set(rows[2])  # so that the UI can compare them
    gain = rows[1]["gains"]["average"]
    moved = rows[1]["average_accuracy"] - rows[0]["average_accuracy"]
    assert gain["estimate"] == pytest.approx(moved)
    assert gain["low"] <= gain["estimate"] <= gain["high"]
    assert rows[0]["gains"] == {}
    done = clarify("promote", DATA_SET, "--json", "--note", "agreed")
    assert done.result["run"] == retrained["run"]
    assert done.result["champion"] is done.result["verdict"]["passed"]
    assert done.status == (0 if done.result["champion"] else 1)


def test_no_model_is_pickled_anywhere(clarify: Clarify, home: Path) -> None:
    clarify("retrain", DATA_SET)
    clarify("promote", DATA_SET)
    endings = {path.suffix for path in (home / "mlruns").rglob("*") if path.is_file()}
    assert ".safetensors" in endings
    assert endings & {".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib"} == set()


def test_an_oracle_is_labelled_and_cannot_be_promoted(clarify: Clarify, home: Path) -> None:
    from clarify.assembly import open_project
    from clarify.config import Settings
    from clarify.errors import InputError
    from clarify.workflow.decide.promote import promote
    from clarify.workflow.model.models import open_model
    from clarify.workflow.retrain.retrain import retrain_oracle

    project = open_project(Settings(home=home, reviewer="Ada"), DATA_SET)
    oracle = retrain_oracle(project, open_model(project))
    assert oracle.oracle
    rows = clarify("compare", DATA_SET, "--json").result["models"]
    assert [row["kind"] for row in rows] == ["base", "retraining"]  # an oracle has no control
    assert rows[-1]["oracle"] is True
    assert "[oracle]" in clarify("compare", DATA_SET).out
    with pytest.raises(InputError, match="is an oracle"):
        promote(project, oracle.model.run_id)


def test_the_same_command_gives_the_same_model(clarify: Clarify) -> None:
    first = clarify("retrain", DATA_SET, "--json").result
    second = clarify("retrain", DATA_SET, "--json").result
    assert first["run"] != second["run"]
    assert first["test"] == second["test"]
