"""Embedding images: the whole of `extract` against the network's bare forward, as its library gives it.

A ViT-B/32 with random weights, saved and loaded as a user's checkpoint is; EfficientNet-lite0, if the
extra photos is installed; the small CLIP. Images are made by code: 500 x 375 JPEGs, and 128 x 128 PNGs
for the small CLIP. Bare forward, the forward as it is run and extraction take turns in one process.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.measurement import Measurement
from clarify.embed.encoders import load_backbone
from clarify.embed.packages import NETWORKS

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from clarify.data.manifest import Manifest
    from clarify.embed.encoders import Encoder, ImageEncoder

BATCH = 64
PHOTOS = "tf_efficientnet_lite0"
TARGET = 0.90


def measure(images: int = 128, rounds: int = 3) -> list[Measurement]:
    """Return rates and their ratio for each encoder that is there."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        jpeg = pictures(folder / "jpeg", images, (500, 375), "jpg")
        found = compared("ViT-B/32", random_vit(folder), jpeg, folder, rounds, target=TARGET)
        if NETWORKS[PHOTOS].installed():
            network = load_backbone(f"timm:{PHOTOS}")
            found += compared(PHOTOS, network, jpeg, folder, rounds, target=TARGET)
        small = small_clip()
        if small is not None:
            drawn = pictures(folder / "png", 16 * images, (128, 128), "png")
            found += compared("small CLIP", small, drawn, folder, rounds, target=None)
        return found


def random_vit(folder: Path) -> Encoder:
    import open_clip
    import torch
    from safetensors.torch import save_file

    from clarify.embed.encoders import load_encoder

    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-32", load_weights=False)
    save_file(model.state_dict(), folder / "random.safetensors")
    return load_encoder(f"open_clip:ViT-B-32:{folder / 'random.safetensors'}")


def small_clip() -> Encoder | None:
    from clarify.demo.small_clip import ASSETS
    from clarify.embed.encoders import load_encoder

    if not (ASSETS / "open_clip_model.safetensors").is_file():
        return None
    return load_encoder("small-clip")


def pictures(root: Path, n: int, size: tuple[int, int], kind: str) -> Manifest:
    """Save clouds of colour with some grain: they compress about as photographs do."""
    import polars as pl
    from PIL import Image

    from clarify.data.manifest import Manifest

    root.mkdir()
    rng = np.random.default_rng(0)
    for row in range(n):
        clouds = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        smooth = np.asarray(clouds.resize(size, Image.Resampling.BICUBIC), dtype=np.int16)
        grain = rng.integers(-12, 13, smooth.shape, dtype=np.int16)
        pixels = np.clip(smooth + grain, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(root / f"{row}.{kind}")
    return Manifest(
        name="pictures",
        title="pictures",
        source="made here",
        licence="CC0",
        root=root,
        classes=("a", "b"),
        splits=("train", "validation"),
        attributes={},
        table=pl.DataFrame(
            {
                "id": [str(row) for row in range(n)],
                "path": [f"{row}.{kind}" for row in range(n)],
                "label": [("a", "b")[row % 2] for row in range(n)],
                "split": [("train", "validation")[row // 2 % 2] for row in range(n)],
            }
        ),
    )


def compared(
    name: str, encoder: ImageEncoder, manifest: Manifest, folder: Path, rounds: int, target: float | None
) -> list[Measurement]:
    """Time the forwards and the extraction in turns; rates are medians of the rounds."""
    import torch

    from clarify.data.images import load_image
    from clarify.embed.image_model import ImageModel

    assert isinstance(encoder, ImageModel)
    n = manifest.table.height
    first = [manifest.root / path for path in manifest.table["path"][:BATCH]]
    batch = torch.stack([encoder.preprocess(load_image(path)) for path in first])
    forwards = (torch.inference_mode()(encoder.forward), encoder.encode_images)
    for forward in forwards:
        forward(batch)  # the first call sets up what all later ones use
    took, work = [], []
    for _ in range(rounds):
        # The forwards run before and after, so that a change of the machine's load cancels.
        before = [timed_forward(forward, batch, n) for forward in forwards]
        whole, cpu = timed_extraction(encoder, manifest, folder)
        after = [timed_forward(forward, batch, n) for forward in reversed(forwards)][::-1]
        bare, run = ((one[0] + other[0]) / 2 for one, other in zip(before, after, strict=True))
        took.append((bare, run, whole))
        work.append((before[1][1] + after[1][1]) / 2 / cpu)
    bare_rate, run_rate, rate = (n / statistics.median(each) for each in zip(*took, strict=True))
    ratio = statistics.median(bare / whole for bare, _, whole in took)
    own = statistics.median(run / whole for _, run, whole in took)
    return [
        Measurement(name=f"{name} bare forward", figure=bare_rate, unit="images/s"),
        Measurement(name=f"{name} forward as it is run", figure=run_rate, unit="images/s"),
        Measurement(name=f"{name} extract", figure=rate, unit="images/s", ratio_to_limit=own),
        Measurement(
            name=f"{name} extract over bare forward",
            figure=ratio,
            unit="ratio",
            target=target,
            holds=None if target is None else ratio >= target,
        ),
        Measurement(name=f"{name} extract over its forward", figure=own, unit="ratio"),
        Measurement(
            name=f"{name} forward's share of extract's CPU time", figure=statistics.median(work), unit="ratio"
        ),
    ]


def timed_forward(
    forward: Callable[[torch.Tensor], object], batch: torch.Tensor, n: int
) -> tuple[float, float]:
    began, worked = time.perf_counter(), time.process_time()
    for start in range(0, n, BATCH):
        forward(batch[: min(BATCH, n - start)])
    return time.perf_counter() - began, time.process_time() - worked


def timed_extraction(encoder: ImageEncoder, manifest: Manifest, folder: Path) -> tuple[float, float]:
    from clarify.embed.extract import extract
    from clarify.embed.store import FeatureStore

    with tempfile.TemporaryDirectory(dir=folder) as home:
        began, worked = time.perf_counter(), time.process_time()
        extract(manifest, encoder, FeatureStore(Path(home)), batch_size=BATCH)
        return time.perf_counter() - began, time.process_time() - worked


if __name__ == "__main__":
    for measured in measure():
        print(measured)
