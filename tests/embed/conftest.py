"""A tiny open_clip model with random weights, saved as a checkpoint, and data sets of noise."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from PIL import Image

from clarify.data.manifest import Manifest
from clarify.embed.encoders import Encoder, EncoderIdentity, load_encoder
from clarify.embed.preprocessing import Preprocessing

if TYPE_CHECKING:
    import torch

CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "patch_size": 8, "head_width": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
PREPROCESS = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25]}


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as open_clip saves models: open_clip_config.json and the weights."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    model = open_clip.CLIP(**CONFIG)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    config = {"model_cfg": CONFIG, "preprocess_cfg": PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Encoder:
    return load_encoder(f"open_clip:tiny:{tiny_folder}")


@pytest.fixture
def make_manifest(tmp_path: Path) -> Callable[..., Manifest]:
    """Make a data set of `n` noisy PNGs in `tmp_path`/images; `broken` maps a row to bytes."""

    def make(n: int, broken: dict[int, bytes] | None = None, name: str = "noise") -> Manifest:
        root = tmp_path / "images"
        root.mkdir(exist_ok=True)
        rng = np.random.default_rng(0)
        for row in range(n):
            pixels = rng.integers(0, 256, (40, 36 + row % 3, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / f"{row}.png")
        for row, content in (broken or {}).items():
            (root / f"{row}.png").write_bytes(content)
        return noise_manifest(root, n, name)

    return make


def noise_manifest(root: Path, n: int, name: str = "noise") -> Manifest:
    """Describe `n` images of `root`, their classes alternating, splits every two."""
    numbers = range(n)
    return Manifest(
        name=name,
        title="noise",
        source="made by a test",
        licence="CC0",
        root=root,
        classes=("a", "b"),
        splits=("train", "validation"),
        attributes={},
        table=pl.DataFrame(
            {
                "id": [f"n{row}" for row in numbers],
                "path": [f"{row}.png" for row in numbers],
                "label": [("a", "b")[row % 2] for row in numbers],
                "split": [("train", "validation")[row // 2 % 2] for row in numbers],
            }
        ),
    )


class Projection:
    """A light encoder for processes that are killed: a fixed random projection of the pixels."""

    name = "projection"
    domain = ""
    unit = True
    width = 16
    identity = EncoderIdentity(architecture="projection", weights="0" * 64, preprocessing="16")
    preprocess_array = Preprocessing(
        size=16, resize=16, mode="squash", interpolation="bilinear", mean=(0.5, 0.5, 0.5), std=(1, 1, 1)
    )

    def __init__(self) -> None:
        import torch

        torch.manual_seed(0)
        self.weight = torch.randn(3 * 16 * 16, self.width)

    def preprocess(self, image: Image.Image) -> torch.Tensor:
        import torch

        return torch.from_numpy(self.preprocess_array(image))

    def encode_images(self, batch: torch.Tensor) -> np.ndarray:
        found = batch.flatten(1) @ self.weight
        return (found / found.norm(dim=1, keepdim=True)).numpy()

    def encode_phrases(self, phrases: Sequence[str]) -> np.ndarray:
        raise AssertionError("a test of extraction has no phrases")

    def unknown_words(self, phrases: Sequence[str]) -> list[tuple[str, ...]]:
        return [() for _ in phrases]


@pytest.fixture
def light() -> Encoder:
    return Projection()
