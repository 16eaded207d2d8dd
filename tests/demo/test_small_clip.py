"""The shipped small CLIP: small, honest about itself, and good at what it was taught."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest

from clarify.demo.evaluate_clip import (
    NEVER_TAUGHT,
    PHRASES,
    Measurement,
    area,
    figures,
    held_out,
    words_table,
    write_figures,
)
from clarify.demo.small_clip import ASSETS, load, unknown_words
from clarify.demo.vocabulary import VALUES, WORDS, taught_words


@pytest.fixture(scope="module")
def loaded():
    return load()


@pytest.fixture(scope="module")
def measured(loaded):
    return Measurement(*loaded, held_out(400, seed=9))


@pytest.fixture(scope="module")
def record():
    return json.loads((ASSETS / "record.json").read_text(encoding="utf-8"))


def test_the_weights_are_small_and_no_pickle() -> None:
    names = {path.name for path in ASSETS.iterdir()}
    assert names == {"open_clip_config.json", "open_clip_model.safetensors", "record.json", "words.csv"}
    assert (ASSETS / "open_clip_model.safetensors").stat().st_size <= 16 * 2**20


def test_the_model_is_loaded_in_float32_for_evaluation(loaded) -> None:
    model, _, _ = loaded
    assert not model.training
    assert {str(p.dtype) for p in model.parameters()} == {"torch.float32"}


def test_the_cut_tokenizer_fits_the_models_table_for_any_text(loaded) -> None:
    model, _, tokenize = loaded
    tokens = tokenize(["forest", "zyxwv 漢字 🦆 " * 30, ""])
    assert tokens.shape == (3, 32)
    assert int(tokens.max()) < model.token_embedding.weight.shape[0]
    assert int(tokens.max()) == tokenize.eot_token_id


def test_importing_the_module_loads_no_torch() -> None:
    code = "import sys, clarify.demo.small_clip; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("attribute", "least"),
    [("background", 0.96), ("subject", 0.88), ("colour", 0.90), ("bird", 0.85), ("time", 0.95)],
)
def test_held_out_scenes_are_recognised(measured, attribute: str, least: float) -> None:
    assert measured.accuracy(attribute) >= least


@pytest.mark.parametrize("word", ["forest", "water", "lake", "red", "night", "duck", "square"])
def test_words_of_the_demonstration_are_known_well(measured, word: str) -> None:
    figure = measured.words({word: WORDS[word]})[0]
    assert figure.auc is not None
    assert figure.auc > 0.93


def test_the_record_says_what_the_model_is(record) -> None:
    assert record["licence"] == "Apache-2.0"
    assert "drawn scenes only" in record["domain"]
    assert record["taught_words"] == len(WORDS)
    assert record["figures"]["accuracy"].keys() == PHRASES.keys()


def test_the_published_figures_hold(record) -> None:
    accuracy = record["figures"]["accuracy"]
    assert accuracy["background"] >= 0.98
    assert accuracy["subject"] >= 0.93
    assert accuracy["bird"] >= 0.90
    assert record["figures"]["mean_auc"] >= 0.99


def test_every_taught_word_is_in_the_published_table() -> None:
    with (ASSETS / "words.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["word"] for row in rows] == list(WORDS)
    for row in rows:
        assert row["attribute"] == WORDS[row["word"]].attribute
        assert set(row["values"].split()) == WORDS[row["word"]].values
        assert 0.5 < float(row["auc"]) <= 1.0


def test_words_called_never_taught_never_were() -> None:
    assert not set(NEVER_TAUGHT) & taught_words()
    assert unknown_words("kayak on the lake") == ("kayak",)
    for attribute, value in NEVER_TAUGHT.values():
        assert value in VALUES[attribute]


def test_area_under_the_curve_agrees_with_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    scores, positive = rng.integers(0, 20, 300).astype(float), rng.random(300) < 0.3
    assert area(scores, positive) == pytest.approx(roc_auc_score(positive, scores))


def test_area_by_hand() -> None:
    scores = np.array([0.1, 0.5, 0.5, 0.9])
    assert area(scores, np.array([False, False, True, True])) == pytest.approx(3.5 / 4)
    assert area(scores, np.array([True, True, True, True])) is None


def test_figures_are_written_beside_the_weights(tmp_path, measured) -> None:
    (tmp_path / "record.json").write_text('{"title": "kept"}', encoding="utf-8")
    words = measured.words({word: WORDS[word] for word in ("water", "crimson")})
    result = figures(measured, words)
    write_figures(tmp_path, result, words)
    written = json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))
    assert written["title"] == "kept"
    assert written["figures"] == result
    assert (tmp_path / "words.csv").read_text(encoding="utf-8") == words_table(words)
