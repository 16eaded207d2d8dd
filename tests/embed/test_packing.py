"""A packed encoder is the encoder: same embeddings, same identity, nothing of phrases."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clarify.embed.encoders import ImageEncoder, load_backbone, load_encoder
from clarify.embed.imported import write_imported
from clarify.embed.packing import can_pack, pack, unpack
from clarify.errors import InputError


@pytest.fixture(scope="module")
def timm_weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Small models of timm with random weights, as files; named as a user names them."""
    import timm
    import torch
    from safetensors.torch import save_file

    found = {}
    for name in ("test_vit", "test_resnet", "test_convnext"):
        torch.manual_seed(0)
        path = tmp_path_factory.mktemp("timm") / "model.safetensors"
        save_file(timm.create_model(name, pretrained=False).state_dict(), path)
        found[name] = f"timm:{name}:{path}"
    return found


def pictures() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [
        Image.fromarray(rng.integers(0, 256, (height, 90, 3), dtype=np.uint8)) for height in (40, 90, 200)
    ]


def embedded(encoder: ImageEncoder) -> np.ndarray:
    import torch

    return encoder.encode_images(torch.stack([encoder.preprocess(each) for each in pictures()]))


def check_unpacked_is_equal(encoder: ImageEncoder, folder: Path) -> ImageEncoder:
    assert can_pack(encoder)
    pack(encoder, folder)
    assert sorted(path.name for path in folder.iterdir()) == ["encoder.json", "encoder.safetensors"]
    again = unpack(folder)
    np.testing.assert_array_equal(embedded(again), embedded(encoder))
    assert (again.identity, again.name, again.width) == (encoder.identity, encoder.name, encoder.width)
    assert again.domain == encoder.domain
    return again


def test_the_small_clip_is_unpacked_as_it_was(tmp_path: Path) -> None:
    check_unpacked_is_equal(load_encoder("small-clip"), tmp_path)


def test_an_open_clip_model_is_unpacked_as_it_was_where_its_files_are_gone(
    tiny_folder: Path, tmp_path: Path
) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(tiny_folder, copy)
    encoder = load_encoder(f"open_clip:tiny:{copy}")
    shutil.rmtree(copy)
    place = tmp_path / "packed"
    place.mkdir()
    again = check_unpacked_is_equal(encoder, place)
    weights = sum(each.numel() for each in again.tower.parameters())  # type: ignore[attr-defined]
    model = again.forward.__self__  # type: ignore[attr-defined]
    assert sum(each.numel() for each in model.parameters()) - weights <= 2  # no text half
    assert (place / "encoder.safetensors").stat().st_size < 4 * weights + 20_000


@pytest.mark.parametrize("name", ["test_vit", "test_resnet", "test_convnext"])
def test_a_timm_model_is_unpacked_as_it_was(timm_weights: dict[str, str], tmp_path: Path, name: str) -> None:
    check_unpacked_is_equal(load_backbone(timm_weights[name]), tmp_path)


def test_an_unpacked_encoder_can_be_packed_again(tmp_path: Path, tiny_folder: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    encoder = load_encoder(f"open_clip:tiny:{tiny_folder}")
    again = check_unpacked_is_equal(encoder, first)
    check_unpacked_is_equal(again, second)
    for name in ("encoder.json", "encoder.safetensors"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_an_imported_encoder_cannot_be_packed(tmp_path: Path) -> None:
    from clarify.embed.encoders import EncoderIdentity
    from clarify.embed.imported import Bank

    identity = EncoderIdentity(architecture="imported", weights="0" * 64, preprocessing="theirs")
    bank = Bank(phrases=("water",), embeddings=np.ones((1, 4), dtype=np.float32) / 2)
    write_imported(tmp_path, "x", identity=identity, bank=bank, width=4, text_encoder="")
    encoder = load_encoder("imported:x", imported=tmp_path)
    assert not can_pack(encoder)
    with pytest.raises(InputError, match="cannot be taken along: its features were imported"):
        pack(encoder, tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("encoder.safetensors", b""),
        ("encoder.safetensors", None),
        ("encoder.json", b"{"),
        ("encoder.json", b"[]"),
        ("encoder.json", None),
    ],
)
def test_a_damaged_folder_is_refused_in_one_line(
    tiny_folder: Path, tmp_path: Path, name: str, content: bytes | None
) -> None:
    pack(load_encoder(f"open_clip:tiny:{tiny_folder}"), tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=r"^the packed encoder in .* is damaged \(.*\); register"):
        unpack(tmp_path)


def test_a_folder_of_another_version_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    pack(load_encoder(f"open_clip:tiny:{tiny_folder}"), tmp_path)
    path = tmp_path / "encoder.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 2}))
    with pytest.raises(InputError, match="schema_version is 2; this Clarify reads 1"):
        unpack(tmp_path)
