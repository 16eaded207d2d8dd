"""Features and predictions that other tools made, through the whole loop by the real commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from clarify.data.manifest import open_manifest, write_manifest
from tests.conftest import DATA_SET, Done, run_clarify
from tests.data.pictures import save_tree

Clarify = Callable[..., Done]
CIFAR = Path(__file__).resolve().parents[4] / "shared" / "data" / "cifar500_vitb32.npz"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def features_of(home: Path) -> tuple[np.ndarray, list[str]]:
    """Return the small CLIP's features of the test home, and the images' ids."""
    path = next(home.glob("features/*/*/features.npy"))
    return np.load(path).astype(np.float32), open_manifest(home, DATA_SET).table["id"].to_list()


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    """A bank of four phrases by the small CLIP."""
    from clarify.embed.encoders import load_encoder

    phrases = ["water", "forest", "land", "night"]
    np.savez(
        tmp_path / "bank.npz",
        phrases=np.array(phrases),
        text_features=load_encoder("small-clip").encode_phrases(phrases),
    )
    return tmp_path / "bank.npz"


def test_imported_features_and_bank_go_through_the_loop_and_equal_the_live_encoder(
    clarify: Clarify, home: Path, tmp_path: Path, bank: Path
) -> None:
    array, ids = features_of(home)
    order = np.random.default_rng(0).permutation(len(ids))
    np.savez(tmp_path / "clip.npz", image_features=3 * array[order], ids=np.array(ids)[order])
    done = clarify(
        "features",
        "import",
        DATA_SET,
        str(tmp_path / "clip.npz"),
        "--bank",
        str(bank),
        "--template",
        "an image of a {}",
        "--label",
        "mine",
        "--json",
    )
    assert done.result["phrases"] == 4
    assert done.result["norms"] == pytest.approx([3, 3], abs=0.01)
    mine = ("--encoder", "imported:mine")
    before = clarify("score", DATA_SET, "landbird", "water", "--json").result
    trained = clarify("train", DATA_SET, "--json", *mine).result
    scored = clarify("describe", DATA_SET, "landbird", "WATER", "--json", *mine).result
    assert trained["test"]["average_accuracy"] > 0.6
    assert scored["error_score"] == pytest.approx(before["error_score"], abs=0.05)
    assert clarify("retrain", DATA_SET, *mine).status == 0
    kinds = [row["kind"] for row in clarify("compare", DATA_SET, "--json", *mine).result["models"]]
    assert kinds == ["base", "retraining", "control"]
    promoted = clarify("promote", DATA_SET, "--json", *mine)
    assert promoted.result["model"] == DATA_SET


def test_a_phrase_outside_the_bank_is_refused_with_the_nearest_words(
    clarify: Clarify, home: Path, tmp_path: Path, bank: Path
) -> None:
    array, ids = features_of(home)
    np.savez(tmp_path / "clip.npz", image_features=array, ids=np.array(ids))
    assert (
        clarify(
            "features", "import", DATA_SET, str(tmp_path / "clip.npz"), "--bank", str(bank), "--label", "mine"
        ).status
        == 0
    )
    mine = ("--encoder", "imported:mine")
    assert clarify("train", DATA_SET, *mine).status == 0
    assert "nearest: water" in clarify("score", DATA_SET, "landbird", "waters", *mine).refusal


def test_importing_again_with_other_features_is_another_encoder(
    clarify: Clarify, home: Path, tmp_path: Path
) -> None:
    array, ids = features_of(home)
    for turn in range(2):
        np.savez(tmp_path / "clip.npz", features=array + turn, ids=np.array(ids))
        done = clarify("features", "import", DATA_SET, str(tmp_path / "clip.npz"), "--json")
        assert done.status == 0
    mine = ("--backbone", "imported:features")
    assert clarify("train", DATA_SET, *mine).status == 0
    assert len(list(home.glob("features/*/*/index.json"))) == 3


def test_features_without_ids_are_taken_in_order_only_when_asked(
    clarify: Clarify, home: Path, tmp_path: Path
) -> None:
    array, _ = features_of(home)
    np.save(tmp_path / "clip.npy", array)
    command = ("features", "import", DATA_SET, str(tmp_path / "clip.npy"))
    assert "--in-order" in clarify(*command).refusal
    assert clarify(*command, "--in-order").status == 0


@pytest.mark.slow
def test_a_timm_backbone_carries_the_model_while_clip_carries_the_phrases(
    clarify: Clarify, tmp_path: Path
) -> None:
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    weights = tmp_path / "model.safetensors"
    save_file(timm.create_model("test_resnet", num_classes=3).state_dict(), weights)
    mine = ("--backbone", f"timm:test_resnet:{weights}")
    assert f"clarify embed {DATA_SET}" in clarify("train", DATA_SET, *mine).refusal
    found = clarify("embed", DATA_SET, "--json", *mine).result["features"]
    assert [each["encoder"]["architecture"] for each in found] == ["small-clip", "timm:test_resnet"]
    trained = clarify("train", DATA_SET, "--json", *mine).result
    clip = clarify("diagnose", DATA_SET, "--json").result
    own = clarify("diagnose", DATA_SET, "--json", *mine).result
    assert own["model"] == trained["run"] != clip["model"]
    scored = clarify("describe", DATA_SET, "waterbird", "land", "--json", *mine).result
    assert scored["kept"]
    retrained = clarify("retrain", DATA_SET, "--json", *mine).result
    assert retrained["another_model"] is False
    models = clarify("compare", DATA_SET, "--json", *mine).result["models"]
    assert [each["run"] for each in models[:2]] == [trained["run"], retrained["run"]]


def predictions_of(clarify: Clarify, home: Path) -> pl.DataFrame:
    """Return the base model's own predictions, as another tool might write them."""
    run = clarify("diagnose", DATA_SET, "--json").result["model"]
    folder = home / "mlruns" / "artifacts" / DATA_SET / run / "artifacts"
    table = pl.read_parquet(folder / "predictions.parquet")
    land = pl.when(pl.col("predicted") == "landbird").then(pl.col("probability_of_predicted"))
    land = land.otherwise(1 - pl.col("probability_of_predicted"))
    return table.select("id", "predicted", landbird=land, waterbird=1 - land)


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl", "numbers", "paths"])
def test_a_model_known_by_its_predictions_is_described_and_another_is_retrained(
    clarify: Clarify, home: Path, tmp_path: Path, kind: str
) -> None:
    table = predictions_of(clarify, home)
    own = clarify("diagnose", DATA_SET, "--json").result
    path = tmp_path / f"predictions.{'csv' if kind in ('numbers', 'paths') else kind}"
    if kind == "numbers":
        numbers = pl.col("predicted").replace_strict({"landbird": 0, "waterbird": 1})
        table = table.select(image_id="id", pred=numbers)
    if kind == "paths":
        table = table.join(open_manifest(home, DATA_SET).table.select("id", "path"), on="id")
        table = table.drop("id")
    if path.suffix == ".parquet":
        table.write_parquet(path)
    elif path.suffix == ".jsonl":
        table.write_ndjson(path)
    else:
        table.write_csv(path)
    command = ("predictions", "import", DATA_SET, str(path), "--model-name", "ResNet of May")
    imported = clarify(*command, "--json").result
    assert imported["name"] == "ResNet of May"
    assert imported["probabilities"] is (kind != "numbers")
    found = clarify("diagnose", DATA_SET, "--json").result
    assert found["model"] == imported["run"]
    assert found["classes"] == own["classes"]
    if kind != "csv":
        return
    assert clarify("describe", DATA_SET, "landbird", "water").status == 0
    done = clarify("retrain", DATA_SET)
    assert "this is another model" in done.out
    rows = clarify("compare", DATA_SET, "--json").result["models"]
    assert [row["kind"] for row in rows] == ["base", "retraining", "control"]
    assert rows[0]["name"] == "ResNet of May"
    assert set(rows[0]) == set(rows[1])
    assert clarify("promote", DATA_SET, "--json").result["verdict"]["reasons"]


def test_a_right_model_of_numbered_folders_is_right_once_the_reading_is_said(tmp_path: Path) -> None:
    names = sorted(str(number) for number in range(12))  # as ImageFolder numbers them
    tree = {f"{split}/{name}": 1 for split in ("train", "val") for name in names}
    root, home = save_tree(tmp_path / "digits", tree), tmp_path / "home"
    assert run_clarify("data", "import", "folder", str(root), "--name", "digits", home=home).status == 0
    assert run_clarify("embed", "digits", "--encoder", "small-clip", home=home).status == 0
    paths = open_manifest(home, "digits").table["path"]
    predicted = [names.index(path.split("/")[1]) for path in paths]
    pl.DataFrame({"path": paths, "predicted": predicted}).write_csv(tmp_path / "p.csv")
    command = ("predictions", "import", "digits", str(tmp_path / "p.csv"))
    assert "--numbers names, or --numbers positions" in run_clarify(*command, home=home).refusal
    done = run_clarify(*command, "--numbers", "positions", "--json", home=home)
    assert "classes are given by their positions: 0 is '0', 1 is '1', 2 is '10'" in done.err
    assert done.result["reading"] == "positions"
    assert done.result["validation"]["average_accuracy"] == 1


def test_predictions_of_test_that_are_not_all_there_leave_test_out(
    clarify: Clarify, home: Path, tmp_path: Path
) -> None:
    table = predictions_of(clarify, home)
    table.filter(pl.col("id") != "test-000003").write_csv(tmp_path / "predictions.csv")
    command = ("predictions", "import", DATA_SET, str(tmp_path / "predictions.csv"), "--json")
    found = clarify(*command).result
    assert "validation" in found
    assert "test" not in found


@pytest.mark.slow
@pytest.mark.skipif(not CIFAR.is_file(), reason="the feature set of CIFAR-10 is not here")
def test_real_clip_features_of_cifar_go_through_the_whole_loop(tmp_path: Path) -> None:
    home = cifar_home(tmp_path / "home")
    clip = ("--encoder", "imported:vit-b32", "--home", str(home))
    done = run_clarify(
        "features",
        "import",
        "cifar",
        str(tmp_path / "home" / "clip.npz"),
        "--bank",
        str(CIFAR),
        "--template",
        "a {}",
        "--label",
        "vit-b32",
        "--json",
        *clip,
    )
    assert (done.result["images"], done.result["width"]) == (500, 512)
    assert done.result["phrases"] == 1609
    trained = run_clarify("train", "cifar", "--json", *clip).result
    assert trained["validation"]["average_accuracy"] > 0.8
    worst = run_clarify("diagnose", "cifar", "--json", *clip).result["classes"][0]
    assert worst["right"] < worst["images"]
    scores = {
        word: run_clarify("describe", "cifar", worst["class"], word, "--json", *clip).result
        for word in ("man", "tree", "boat")
    }
    assert all(-1 <= each["error_score"] <= 1 for each in scores.values())
    retrained = run_clarify("retrain", "cifar", "--json", *clip).result
    assert retrained["validation"]["average_accuracy"] > 0.6
    rows = run_clarify("compare", "cifar", "--json", *clip).result["models"]
    assert [row["kind"] for row in rows] == ["base", "retraining", "control"]
    promoted = run_clarify("promote", "cifar", "--json", *clip)
    assert promoted.result["champion"] is promoted.result["verdict"]["passed"]
    refused = run_clarify("score", "cifar", worst["class"], "xylophonist", *clip).refusal
    assert "nearest:" in refused


def cifar_home(home: Path) -> Path:
    """Make a data set of the pictures, and a file of their features with ids."""
    images = home / "images"
    images.mkdir(parents=True)
    with np.load(CIFAR, allow_pickle=False) as arrays:
        pixels, labels, features = arrays["images"], arrays["labels"], arrays["image_features"]
    ids = [f"{row:03d}" for row in range(len(labels))]
    for name, picture in zip(ids, pixels, strict=True):
        Image.fromarray(picture).save(images / f"{name}.png")
    np.savez(home / "clip.npz", image_features=features, ids=np.array(ids))
    write_manifest(
        home / "data_manifests" / "cifar",
        name="cifar",
        title="CIFAR-10, 500 test images",
        source="shared",
        licence="for tests only",
        root="../../images",
        classes=CLASSES,
        splits=("train", "validation"),
        attributes={},
        table=pl.DataFrame(
            {
                "id": ids,
                "path": [f"{name}.png" for name in ids],
                "label": [CLASSES[label] for label in labels],
                "split": [("train", "validation")[row % 2] for row in range(len(ids))],
            }
        ),
    )
    return home
