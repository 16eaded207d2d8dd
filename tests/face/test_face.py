"""The face on the tiny birds: what the commands say, as values; and on arrays, without a home."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest

import clarify as face
from clarify.track.mlflow import TrackingStore
from clarify.track.runs import DescriptionRun, ModelRun
from tests.conftest import DATA_SET, Done

Clarify = Callable[..., Done]
ONE_LINE = r"^[^\n]+$"


@pytest.fixture
def opened(home: Path) -> face.Project:
    return face.open(DATA_SET, home=home, reviewer="Ada")


def test_the_names_are_exact_and_nothing_heavy_is_loaded_for_them() -> None:
    assert sorted(face.__all__) == dir(face)
    assert all(hasattr(face, name) for name in face.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        face.nothing  # noqa: B018
    code = "import sys, clarify; print({'numpy', 'torch', 'mlflow', 'polars'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_loop_in_python_is_the_loop_of_the_commands(
    opened: face.Project, clarify: Clarify, home: Path
) -> None:
    assert opened.classes == ("landbird", "waterbird")
    assert opened.splits == ("train", "validation", "test")
    found = opened.diagnose()
    assert found.to_dict() == clarify("diagnose", DATA_SET, "--json").result
    water = found.describe("landbird", "water")
    forest = found.describe("waterbird", "forest")
    told = clarify("score", DATA_SET, "landbird", "water", "--json").result
    assert water.value == told["error_score"]
    assert water.to_dict()["with_phrase"] == told["with_phrase"]
    model = opened.retrain([water, forest], recipe=face.Recipe(objective="worst_group"))
    (run,) = TrackingStore(home).runs(DATA_SET, ModelRun)
    assert run.id == model.run
    assert clarify("compare", DATA_SET, "--json").result == opened.compare().to_dict()
    again = clarify("retrain", DATA_SET, "--objective", "worst_group", "--json").result
    assert model.to_dict()["validation"] == again["validation"]
    promoted = clarify("promote", DATA_SET, model.run)
    assert model.verdict().passed is (promoted.status == 0)


def test_keeping_is_done_once_and_retraining_keeps_what_is_not_kept_yet(
    opened: face.Project, home: Path
) -> None:
    before = [run for run in TrackingStore(home).runs(DATA_SET, DescriptionRun) if run.kept]
    score = opened.diagnose().describe("landbird", "meadow")
    assert not score.recorded.kept
    assert score.keep(note="lakes") is score
    kept = score.run
    assert score.keep().run == kept
    opened.retrain([score])
    after = [run for run in TrackingStore(home).runs(DATA_SET, DescriptionRun) if run.kept]
    assert len(after) == len(before) + 1
    assert after[0].id == kept


def test_values_show_themselves_and_what_people_wrote_is_text(opened: face.Project) -> None:
    found = opened.diagnose()
    score = found.describe("landbird", "water")
    assert "landbird" in found._repr_html_()
    assert found.to_polars().columns[:3] == ["class", "images", "right"]
    assert found.to_polars().height == 2
    assert score.to_polars().columns == ["id", "similarity", "right", "with_phrase"]
    assert isinstance(score.plot(), go.Figure)
    assert score.images("with").width > 0
    halves = score.halves
    assert halves.with_phrase.count + halves.without_phrase.count == score.to_polars().height
    wrong = found["landbird"].wrong
    assert (
        wrong.height + found["landbird"].right.height
        == halves.with_phrase.count + halves.without_phrase.count
    )
    assert wrong["predicted"].unique().to_list() == ["waterbird"]
    assert Path(wrong["path"][0]).is_file()
    model = opened.retrain()
    table = model.to_polars()
    assert table["split"].to_list() == ["validation", "test"]
    rows = opened.compare("test")
    assert [row.kind for row in rows] == ["base", "retraining", "control"]
    assert rows.to_polars().height == 3
    assert len(rows.plot().data) == 3
    for each in (opened, found, score, model, rows):
        assert each._repr_html_().startswith("<div")
        assert repr(each).startswith("<")
    named = dataclasses.replace(score.tried.description, class_name="<script>alert(1)</script>")
    score.tried = dataclasses.replace(score.tried, description=named)
    assert "<script>" not in score._repr_html_()


def test_predicting_gives_what_the_command_gives(opened: face.Project, clarify: Clarify, home: Path) -> None:
    model = opened.retrain()
    images = sorted((home / "images" / DATA_SET / "test").glob("*.png"))[:5]
    told = clarify("predict", DATA_SET, *map(str, images), "--model", model.run, "--json").result["images"]
    found = model.predict(images)
    assert found["label"].to_list() == [each["label"] for each in told]
    assert found["landbird"].to_list() == pytest.approx([each["landbird"] for each in told])


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda home: face.open("birds", home=home), "nearest: "),
        (lambda home: face.open(DATA_SET, home=home, workers=0), "workers is 0"),
        (lambda home: face.open(DATA_SET, home=home).diagnose()["crow"], "class 'crow'"),
        (lambda home: face.open(DATA_SET, home=home).diagnose().describe("landbird", "a AND"), "AND"),
        (lambda home: face.open(DATA_SET, home=home).diagnose("zzz"), "no base run 'zzz'"),
        (lambda home: face.Recipe(objective="grup_dro"), "nearest: group_dro"),
        (lambda home: face.open(DATA_SET, home=home).compare("trian"), "split 'trian'"),
        (lambda home: face.open(3, home=home), "data set is 3"),
        (lambda home: face.open(DATA_SET, home=home / "none"), "there is no such home"),
        (lambda home: face.open(DATA_SET, home=home).diagnose()[0], "class 0"),
        (lambda home: face.open(DATA_SET, home=home).diagnose(3), "model is 3"),
        (lambda home: face.open(DATA_SET, home=home).train("x"), "plan is 'x'"),
        (lambda home: face.open(DATA_SET, home=home).retrain(["water"]), "what describe returns"),
        (lambda home: face.open(DATA_SET, home=home).retrain(recipe="reweight"), "recipe is 'reweight'"),
        (lambda home: face.Recipe(objective=None), "objective None is unknown"),
    ],
)
def test_the_face_refuses_as_the_commands_do(home: Path, ask: Callable[[Path], object], message: str) -> None:
    with pytest.raises(face.ClarifyError, match=ONE_LINE) as refused:
        ask(home)
    assert message in str(refused.value)


def test_a_store_that_is_broken_is_told_in_one_line(opened: face.Project, home: Path) -> None:
    found = opened.diagnose()
    shutil.rmtree(home / "mlruns")
    (home / "mlruns").write_text("in the way")
    with pytest.raises(face.ClarifyError, match=ONE_LINE):
        found.describe("landbird", "water")


def test_of_a_home_that_is_gone_nothing_is_made_again(opened: face.Project, home: Path) -> None:
    found, base = opened.diagnose(), opened.train()
    score = found.describe("landbird", "water")
    shutil.rmtree(home)
    for ask in (
        opened.embed,
        opened.train,
        opened.diagnose,
        opened.retrain,
        opened.compare,
        score.keep,
        score.images,
        base.verdict,
        base.promote,
        lambda: base.predict(["a.png"]),
        lambda: found.describe("landbird", "forest"),
    ):
        with pytest.raises(face.ClarifyError, match=r"the home .* is gone"):
            ask()
    assert not home.exists()


def test_a_base_model_has_no_verdict_and_a_wrong_path_no_prediction(opened: face.Project, home: Path) -> None:
    base = opened.train()
    for ask in (base.verdict, base.promote):
        with pytest.raises(face.ClarifyError, match="is a base model"):
            ask()
    for paths in ("a.png", []):
        with pytest.raises(face.ClarifyError, match="a list of one or more files is legal"):
            base.predict(paths)
    with pytest.raises(face.ClarifyError, match=r"there is no file nope\.png"):
        base.predict(["nope.png"])


def test_the_gate_shows_its_checks_and_a_phrase_given_twice_counts_once(opened: face.Project) -> None:
    score = opened.diagnose().describe("landbird", "water")
    model = opened.retrain([score, score])
    assert model.trained.model.name.count("water") == 1
    verdict = model.verdict()
    assert verdict.to_polars()["passed"].all() == verdict.passed
    assert all(each.text in verdict._repr_html_() for each in verdict.reasons if "<" not in each.text)
    assert "gate" in repr(verdict)
    assert isinstance(opened.diagnose().plot(), go.Figure)


WORDS = {"up": (1.0, 0.0), "right": (0.0, 1.0)}


def encode(phrases: list[str]) -> np.ndarray:
    return np.array([WORDS[each] for each in phrases])


def test_arrays_alone_are_scored_as_by_hand() -> None:
    # Class 0: the two images that point up are wrong, the two that point right are right.
    embeddings = np.array([[1, 0.1], [1, 0.2], [0.1, 1], [0.2, 1], [-1, 0.3], [-1, 0.4]])
    found = face.diagnose(embeddings, [0, 0, 0, 0, 1, 1], [1, 1, 0, 0, 1, 1], encode=encode)
    assert found.to_polars()["accuracy"].to_list() == [0.5, 1.0]
    score = found.describe("0", "up")
    assert score.value == 1.0
    assert (score.halves.with_phrase.count, score.halves.with_phrase.correct) == (2, 0)
    assert found["0"].wrong["id"].to_list() == ["0", "1"]
    assert score.to_dict()["error_score"] == 1.0
    with pytest.raises(face.ClarifyError, match="no home to keep it in"):
        score.keep()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [0, 1]}, "2 labels and 3 predictions"),
        ({"embeddings": [[1.0, np.nan], [0, 1], [1, 1]]}, "row 0 is not finite"),
        ({"embeddings": [1.0, 2.0, 3.0]}, "shape"),
        ({"predicted": [0.5, 1, 0]}, "whole numbers"),
        ({"predicted": [0, 1, 7], "class_names": ["a", "b"]}, "0 to 1 is legal"),
        ({"labels": [-1, 0, 1]}, "run from -1 to 1"),
        ({"labels": [0, 0, 10**12]}, "0 to 9999 is legal"),
        ({"labels": [], "predicted": [], "embeddings": np.empty((0, 2))}, "of one image at least"),
        ({"labels": [[0], [0, 1], [1]]}, "labels are no whole numbers"),
        ({"embeddings": [[0.0, 0], [0, 1], [1, 1]]}, "row 0 is not finite, or all zeros"),
        ({"embeddings": [["a", "b"]] * 3}, "embeddings are no numbers"),
        ({"embeddings": [[1j, 0], [0, 1], [1, 1]]}, "complex numbers"),
        ({"embeddings": np.empty((3, 0))}, "(N, E) is legal"),
        ({"class_names": ["a", "a"]}, "given twice"),
        ({"class_names": [1, 2]}, "non-empty texts are legal"),
        ({"encode": "clip"}, "a function of a list of phrases is legal"),
        ({"encode": lambda phrases: {}["up"]}, "encode failed for 1 phrases, such as 'up'"),
        ({"encode": lambda phrases: "abc"}, "encode failed"),
        ({"encode": lambda phrases: [[np.inf, 0.0]]}, "finite numbers a phrase"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_in_one_line(change: dict[str, object], message: str) -> None:
    given = {
        "embeddings": [[1.0, 0], [0, 1], [1, 1]],
        "labels": [0, 0, 1],
        "predicted": [0, 1, 1],
        "encode": encode,
    }
    with pytest.raises(face.ClarifyError, match=ONE_LINE) as refused:
        face.diagnose(**(given | change)).describe("0", "up")
    assert message in str(refused.value)
