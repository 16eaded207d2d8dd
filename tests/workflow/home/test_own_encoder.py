"""The encoder that a data set was settled with is used by everything that comes after, untold."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from clarify.assembly import open_project
from clarify.config import Settings
from clarify.data.manifest import open_manifest
from clarify.errors import FeatureError, NotFoundError
from clarify.ui.server.desk import Desks
from clarify.workflow.home.settling import Settled, settle, settled
from tests.conftest import DATA_SET, Done, run_clarify


@pytest.fixture
def photographs(home: Path) -> Path:
    """The home with the tiny birds as somebody's photographs, which nothing embedded yet."""
    toml = home / "data_manifests" / DATA_SET / "manifest.toml"
    toml.write_text(toml.read_text().replace("drawn by clarify.demo", "taken by Ada"))
    for folder in ("features", "encoders"):
        shutil.rmtree(home / folder)
    return home


def write_features(home: Path, tmp_path: Path, *, phrases: bool) -> list[str]:
    """Write features that tell the classes apart; returns what imports them."""
    manifest = open_manifest(home, DATA_SET)
    rng = np.random.default_rng(0)
    features = rng.normal(size=(manifest.table.height, 8))
    features[:, 0] += 2 * (manifest.table["label"] == "landbird").to_numpy()
    np.savez(tmp_path / "clip.npz", image_features=features, ids=manifest.table["id"].to_list())
    command = ["features", "import", DATA_SET, str(tmp_path / "clip.npz"), "--label", "mine"]
    if phrases:
        np.savez(tmp_path / "bank.npz", text_features=rng.normal(size=(2, 8)), phrases=["water", "land"])
        command += ["--bank", str(tmp_path / "bank.npz")]
    return command


Imported = Callable[..., Done]


@pytest.fixture
def imported(photographs: Path, tmp_path: Path) -> Imported:
    def run(*, phrases: bool) -> Done:
        return run_clarify(
            *write_features(photographs, tmp_path, phrases=phrases), "--json", home=photographs
        )

    return run


def test_the_first_features_that_are_imported_settle_the_encoder(
    photographs: Path, imported: Imported
) -> None:
    done = imported(phrases=True)
    assert done.result["settled"] == "encoder"
    assert settled(photographs, DATA_SET) == Settled(encoder="imported:mine")
    for step in (
        ("train", DATA_SET),
        ("score", DATA_SET, "landbird", "water"),
        ("describe", DATA_SET, "landbird", "water"),
        ("retrain", DATA_SET),
        ("compare", DATA_SET),
    ):
        done = run_clarify(*step, home=photographs)
        assert done.status == 0, done.err
    shown = run_clarify("encoder", DATA_SET, "--json", home=photographs)
    assert shown.result == {"data_set": DATA_SET, "encoder": "imported:mine", "backbone": ""}


def test_features_without_phrases_settle_what_models_stand_on(photographs: Path, imported: Imported) -> None:
    assert imported(phrases=False).result["settled"] == "backbone"
    assert settled(photographs, DATA_SET) == Settled(encoder="", backbone="imported:mine")
    refused = run_clarify("train", DATA_SET, home=photographs)
    assert f"run: clarify embed {DATA_SET}" in refused.refusal
    assert run_clarify("embed", DATA_SET, "--encoder", "small-clip", home=photographs).status == 0
    assert settled(photographs, DATA_SET) == Settled(encoder="small-clip", backbone="imported:mine")
    project = open_project(Settings(home=photographs), DATA_SET)
    assert (project.encoder.name, project.backbone.name) == ("small-clip", "imported:mine")
    assert project.backbone_name == "imported:mine"
    assert run_clarify("train", DATA_SET, home=photographs).status == 0


def test_what_is_settled_stays_when_more_features_come(home: Path, tmp_path: Path) -> None:
    before = settled(home, DATA_SET)
    done = run_clarify(*write_features(home, tmp_path, phrases=True), "--json", home=home)
    assert done.result["settled"] == ""
    assert settled(home, DATA_SET) == before == Settled(encoder="small-clip")


def test_an_older_home_says_by_its_features_what_embeds_it(home: Path, tmp_path: Path) -> None:
    shutil.rmtree(home / "encoders")
    done = run_clarify(*write_features(home, tmp_path, phrases=True), "--json", home=home)
    assert done.result["settled"] == ""
    assert open_project(Settings(home=home), DATA_SET).encoder.name == "small-clip"


def test_an_import_that_is_refused_settles_nothing(photographs: Path, tmp_path: Path) -> None:
    command = write_features(photographs, tmp_path, phrases=True)
    np.savez(tmp_path / "bank.npz", text_features=np.ones((2, 7)), phrases=["water", "land"])
    assert "width 7" in run_clarify(*command, home=photographs).refusal
    assert settled(photographs, DATA_SET) is None
    assert not (photographs / "encoders").exists()


def test_what_says_it_is_damaged_is_told_in_one_line(home: Path) -> None:
    (home / "encoders" / DATA_SET / "settled.json").write_text('{"encoder": 3')
    refused = run_clarify("diagnose", DATA_SET, home=home)
    assert "is damaged" in refused.refusal
    assert f"clarify encoder {DATA_SET} SPEC" in refused.refusal
    with pytest.raises(FeatureError, match="is damaged"):
        settled(home, DATA_SET)
    assert run_clarify("encoder", DATA_SET, "small-clip", home=home).status == 0
    assert run_clarify("diagnose", DATA_SET, home=home).status == 0


def test_a_file_of_weights_is_found_from_every_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.safetensors").touch()
    monkeypatch.chdir(tmp_path)
    settle(tmp_path, "birds", Settled(encoder="open_clip:RN50:mine.safetensors", backbone="timm:resnet18"))
    own = settled(tmp_path, "birds")
    assert own == Settled(
        encoder=f"open_clip:RN50:{tmp_path.resolve()}/mine.safetensors", backbone="timm:resnet18"
    )
    settle(tmp_path, "birds", Settled(encoder="open_clip:RN50:openai"))
    assert settled(tmp_path, "birds") == Settled(encoder="open_clip:RN50:openai")


def test_a_dashboard_that_is_open_takes_up_what_is_settled_now(photographs: Path, imported: Imported) -> None:
    settings = Settings(home=photographs)
    desks = Desks(photographs, lambda name: open_project(settings, name))
    try:
        before = desks.desk(DATA_SET)
        assert desks.desk(DATA_SET) is before
        with pytest.raises(NotFoundError, match="was not embedded yet"):
            before.split("validation")
        imported(phrases=True)
        assert desks.desk(DATA_SET).project.encoder.name == "imported:mine"
        assert len(desks.desk(DATA_SET).split("validation").ids) == 200
    finally:
        desks.close()


def test_the_dashboard_is_handed_only_what_was_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from clarify.cli import dashboard

    started: list[dict[str, str]] = []
    environ: dict[str, str] = {}
    monkeypatch.setattr(dashboard.os, "environ", environ)
    monkeypatch.setattr(dashboard.os, "execv", lambda *_: started.append(dict(environ)))
    dashboard.serve(Settings(home=tmp_path, usual_encoder="open_clip:RN50:openai"))
    dashboard.serve(Settings(home=tmp_path, encoder="imported:mine"))
    assert [each.get("CLARIFY_ENCODER") for each in started] == [None, "imported:mine"]
