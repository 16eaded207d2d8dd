"""Folded networks: the same features but for rounding, and the network itself as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import pytest
import timm
import torch
from safetensors.torch import save_file

from clarify.embed.encoders import ImageEncoder, load_backbone, load_encoder
from clarify.embed.folding import AT_ONCE, folded
from clarify.embed.image_model import ImageModel

FLOAT16 = 2.0**-11
"""How far rounding to float16 moves a number, as a part of it."""

RN_CLIP = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


def lived(module: torch.nn.Module) -> torch.nn.Module:
    """Give batch norms statistics as training leaves them; those of a new one do nothing."""
    torch.manual_seed(1)
    for each in module.modules():
        if isinstance(each, torch.nn.BatchNorm2d):
            each.running_mean.normal_(0, 0.1)
            each.running_var.uniform_(0.5, 1.5)
            torch.nn.init.uniform_(each.weight, 0.5, 1.5)
            torch.nn.init.normal_(each.bias, 0, 0.1)
    return module.eval()


def pictures(count: int, side: int) -> torch.Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(2))


def norms(module: torch.nn.Module) -> int:
    return sum(isinstance(each, torch.nn.BatchNorm2d) for each in module.modules())


@pytest.mark.parametrize(
    "name",
    [
        "test_resnet",
        "test_efficientnet",  # its batch norms hold the activation
        "tf_efficientnet_lite0",  # its convolutions pad by the size of the input
        "densenet121",  # some of its batch norms follow no convolution
        "repvgg_a0",  # sums of three branches
    ],
)
def test_a_folded_network_gives_the_same_features(name: str) -> None:
    module = lived(timm.create_model(name, num_classes=0))
    inputs, before = pictures(AT_ONCE + 3, 64), {k: v.clone() for k, v in module.state_dict().items()}
    quick = folded(module, 64)
    with torch.inference_mode():
        meant, found = module(inputs), quick(inputs)
    assert quick is not module
    assert (found - meant).abs().max() < FLOAT16 / 10 * meant.abs().max()
    after = module.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert not any(each._forward_hooks for each in module.modules())


def test_a_network_without_batch_norms_is_the_one_that_runs() -> None:
    for name in ("test_vit", "test_convnext"):
        module = timm.create_model(name, num_classes=0).eval()
        assert folded(module, 160) is module


class Twice(torch.nn.Module):
    """A convolution whose output goes two ways: what cannot be folded."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        found = self.conv(inputs)
        return (found * self.norm(found)).mean((2, 3))


class Listed(torch.nn.Module):
    """Modules listed in another order than they are called."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.second = (
            torch.nn.Conv2d(3, 3, 3),
            torch.nn.BatchNorm2d(3),
            torch.nn.Conv2d(3, 3, 3),
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.first(self.norm(self.second(inputs))).mean((2, 3))


def test_what_cannot_be_folded_runs_as_it_is() -> None:
    module = lived(Twice())
    assert folded(module, 16) is module


def test_what_feeds_a_batch_norm_is_seen_and_not_guessed_from_the_list() -> None:
    module = lived(Listed())
    quick, inputs = folded(module, 16), pictures(3, 16)
    assert quick is not module
    with torch.inference_mode():
        torch.testing.assert_close(quick(inputs), module(inputs), rtol=1e-5, atol=1e-6)


@pytest.fixture
def timm_backbone(tmp_path: Path) -> ImageEncoder:
    save_file(lived(timm.create_model("test_resnet")).state_dict(), tmp_path / "w.safetensors")
    return load_backbone(f"timm:test_resnet:{tmp_path / 'w.safetensors'}")


@pytest.fixture
def clip(tmp_path: Path) -> ImageEncoder:
    """A CLIP whose image half is a residual network."""
    import json

    model = lived(open_clip.CLIP(**RN_CLIP))
    save_file(model.state_dict(), tmp_path / "open_clip_model.safetensors")
    described = {"model_cfg": RN_CLIP, "preprocess_cfg": {}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(described))
    return load_encoder(f"open_clip:rn:{tmp_path}")


@pytest.mark.parametrize("kind", ["timm_backbone", "clip", "tiny"])
def test_what_an_encoder_gives_is_what_its_network_gives_to_float16(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = request.getfixturevalue(kind)
    assert isinstance(encoder, ImageModel)
    inputs, identity = pictures(5, encoder.preprocessing.size), encoder.identity
    with torch.inference_mode():
        meant = torch.nn.functional.normalize(encoder.forward(inputs), dim=-1).numpy()
    found = encoder.encode_images(inputs)
    assert np.abs(found - meant).max() < FLOAT16 / 10 * np.abs(meant).max()
    assert encoder.identity == identity


def test_the_batch_norms_of_an_encoder_are_folded(clip: ImageEncoder, timm_backbone: ImageEncoder) -> None:
    seen: list[str] = []
    for encoder in (clip, timm_backbone):
        assert isinstance(encoder, ImageModel)
        assert norms(encoder.tower) > 5
        for each in encoder.tower.modules():
            if isinstance(each, torch.nn.BatchNorm2d):
                each.register_forward_hook(noted(seen))
        batch = pictures(2, encoder.preprocessing.size)
        encoder.encode_images(batch)  # looks on while the network runs once
        once = len(seen)
        encoder.encode_images(batch)
        assert len(seen) == once
        seen.clear()


def noted(seen: list[str]) -> Callable[..., None]:
    return lambda module, *_: seen.append(type(module).__name__)
