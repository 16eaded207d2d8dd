"""Encoders of which only the results are known: a bank of phrases, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clarify.embed.encoders import Encoder, EncoderIdentity, load_encoder
from clarify.embed.imported import Bank, write_imported
from clarify.errors import FeatureError, InputError, NotFoundError, PhraseError

IDENTITY = EncoderIdentity(
    architecture="imported:clip", weights="a" * 64, preprocessing="unknown", template="a {}"
)


def written(folder: Path, *, text_encoder: str = "", width: int = 3) -> Encoder:
    embeddings = np.eye(3, width, dtype=np.float32)
    bank = Bank(phrases=("Tree", "boat at sea", "red"), embeddings=embeddings)
    write_imported(folder, "clip", identity=IDENTITY, bank=bank, width=width, text_encoder=text_encoder)
    return load_encoder("imported:clip", imported=folder)


def test_phrases_of_the_bank_are_found_whatever_their_case_and_spaces(tmp_path: Path) -> None:
    found = written(tmp_path).encode_phrases(["RED", " boat  at sea", "tree"])
    assert np.array_equal(found, np.eye(3)[[2, 1, 0]])


def test_a_phrase_outside_the_bank_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(PhraseError, match=r"'trees' is not among the 3 phrases .*nearest: Tree"):
        written(tmp_path).encode_phrases(["trees"])


def test_a_live_encoder_embeds_what_the_bank_has_not(tmp_path: Path) -> None:
    encoder = written(tmp_path, text_encoder="small-clip", width=192)
    live = load_encoder("small-clip", template="a {}").encode_phrases(["water"])
    found = encoder.encode_phrases(["water", "tree"])
    assert np.array_equal(found[0], live[0])
    assert found[1, 0] == 1


def test_a_live_encoder_of_another_width_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match="length 192, the imported features have 3"):
        written(tmp_path, text_encoder="small-clip")


def test_images_cannot_be_embedded(tmp_path: Path) -> None:
    import torch

    with pytest.raises(InputError, match="clarify features import"):
        written(tmp_path).encode_images(torch.zeros(1, 3, 8, 8))


def test_an_unknown_label_is_refused_with_the_nearest(tmp_path: Path) -> None:
    written(tmp_path)
    with pytest.raises(NotFoundError, match="nearest: clip"):
        load_encoder("imported:clap", imported=tmp_path)


@pytest.mark.parametrize("name", ["phrases.json", "phrases.npy", "encoder.json"])
def test_a_damaged_import_says_to_import_again(tmp_path: Path, name: str) -> None:
    written(tmp_path)
    path = tmp_path / "clip" / name
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(FeatureError, match="import it again"):
        load_encoder("imported:clip", imported=tmp_path)
