"""timm's models as backbones: the same features as timm's own, whole weights or a clear refusal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from timm.data import create_transform, resolve_model_data_config

from clarify.embed.encoders import ImageEncoder, load_backbone, load_encoder
from clarify.embed.preprocessing import Preprocessing
from clarify.errors import InputError, NotFoundError

MODEL = "test_resnet"
"""timm's smallest residual network."""
FIRST = "conv1.0.weight"


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a whole classifier, its classifying layer included, as people save them."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("timm") / "model.safetensors"
    save_file(timm.create_model(MODEL, num_classes=7).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def backbone(weights: Path) -> ImageEncoder:
    return load_backbone(f"timm:{MODEL}:{weights}")


def test_features_are_those_that_timm_gives_to_its_last_layer(backbone: ImageEncoder, weights: Path) -> None:
    model = timm.create_model(MODEL, num_classes=7).eval()
    model.load_state_dict(load_file(weights))
    transform = create_transform(**resolve_model_data_config(model))
    pictures = [picture(300, 220), picture(200, 400, 1)]
    with torch.inference_mode():
        theirs = model.forward_head(
            model.forward_features(torch.stack([transform(each) for each in pictures])), pre_logits=True
        ).numpy()
    ours = backbone.encode_images(torch.stack([backbone.preprocess(each) for each in pictures]))
    expected = theirs / np.linalg.norm(theirs, axis=1, keepdims=True)
    np.testing.assert_allclose(ours, expected, atol=1e-5)
    assert backbone.width == ours.shape[1] == model.num_features


@pytest.mark.parametrize("size", [(300, 220), (200, 400), (224, 224), (17, 900)])
@pytest.mark.parametrize("name", ["resnet18", "resnet50.a1_in1k", "vit_base_patch16_224"])
def test_pictures_are_prepared_as_timm_prepares_them(name: str, size: tuple[int, int]) -> None:
    from timm.data.config import resolve_data_config
    from timm.models import get_pretrained_cfg

    config = resolve_data_config(pretrained_cfg=get_pretrained_cfg(name).to_dict())
    ours = Preprocessing.from_timm(config)(picture(*size))
    theirs = create_transform(**config)(picture(*size)).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_a_folder_of_weights_is_the_same_as_its_file(backbone: ImageEncoder, weights: Path) -> None:
    assert load_backbone(f"timm:{MODEL}:{weights.parent}").identity == backbone.identity


def test_other_weights_are_another_identity(backbone: ImageEncoder, weights: Path, tmp_path: Path) -> None:
    state = load_file(weights)
    state[FIRST] = state[FIRST] * 2
    save_file(state, tmp_path / "other.safetensors")
    other = load_backbone(f"timm:{MODEL}:{tmp_path / 'other.safetensors'}")
    assert other.identity.image_digest != backbone.identity.image_digest


def test_weights_of_another_model_or_half_of_them_are_refused(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be loaded as weights of resnet18"):
        load_backbone(f"timm:resnet18:{weights}")
    state = load_file(weights)
    del state[FIRST]
    save_file(state, tmp_path / "half.safetensors")
    with pytest.raises(InputError, match=f"{FIRST} is missing"):
        load_backbone(f"timm:{MODEL}:{tmp_path / 'half.safetensors'}")


def test_a_pickle_that_runs_code_is_not_run(tmp_path: Path) -> None:
    import pickle

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (print, ("it ran",))

    (tmp_path / "trap.pth").write_bytes(pickle.dumps({"state_dict": Trap()}))
    with pytest.raises(InputError, match="cannot be loaded"):
        load_backbone(f"timm:{MODEL}:{tmp_path / 'trap.pth'}")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("timm:resnt50", "nearest: resnet50"),
        ("timm:resnet50.a1_in2k", "a1_in1k"),
        ("timm:resnet18:/nowhere/model.safetensors", "there is no file"),
        ("timm:", "no model"),
    ],
)
def test_a_name_that_timm_does_not_know_is_refused(spec: str, expected: str) -> None:
    with pytest.raises(NotFoundError, match=expected):
        load_backbone(spec)


def test_weights_that_cannot_be_fetched_are_refused_with_how_to_place_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(NotFoundError, match=r"copy it here and give the backbone timm:resnet18"):
        load_backbone("timm:resnet18.a1_in1k")


def test_a_backbone_is_no_encoder_of_phrases() -> None:
    with pytest.raises(InputError, match="give it as --backbone"):
        load_encoder("timm:resnet18")
