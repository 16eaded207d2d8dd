"""Embedding on Ray: two workers on this machine give the same bytes, also when one of them is killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clarify.data.manifest import Manifest
from clarify.embed.cluster import OnRay
from clarify.embed.encoders import Encoder
from clarify.embed.extract import extract
from clarify.embed.store import Features, FeatureStore
from clarify.errors import StoreError

MakeManifest = Callable[..., Manifest]

with_ray = pytest.mark.skipif(
    __import__("importlib.util").util.find_spec("ray") is None, reason="Ray is not installed: pip install clarify[ray]"
)


def embedded(manifest: Manifest, encoder: Encoder, home: Path, **options: object) -> Features:
    options = {"batch_size": 4, "shard_rows": 8, "workers": 2, **options}
    return extract(manifest, encoder, FeatureStore(home), **options)  # type: ignore[arg-type]


def content(features: Features) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in features.folder.iterdir() if path.name != "lock"}
