"""Weights from the model hub: what is cached already, and whether the hub answers at all."""

from __future__ import annotations

import contextlib
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

__all__ = ["cached_weights", "hub_cache", "probe_hub"]

PROBE_SECONDS = 8


def cached_weights(hub_name: str, default_files: Sequence[str]) -> Path | None:
    """Find weights in the hub's cache without asking the hub whether there are newer ones."""
    from huggingface_hub import try_to_load_from_cache

    repository, file = os.path.split(hub_name)
    if not repository:
        return None
    stem = os.path.splitext(file)[0]
    for name in [f"{stem}.safetensors", file] if file else default_files:
        found = try_to_load_from_cache(repository, name)
        if isinstance(found, str):
            return Path(found)
    return None


def probe_hub() -> None:
    """Fail within seconds where the hub's own client would try again for the better of a minute.

    Raises
    ------
    OSError
        If nothing answers there.
    """
    from huggingface_hub.constants import ENDPOINT, HF_HUB_OFFLINE

    if HF_HUB_OFFLINE:
        raise OSError("offline by HF_HUB_OFFLINE")
    with contextlib.suppress(urllib.error.HTTPError):  # an answer, whatever it says
        urllib.request.urlopen(urllib.request.Request(ENDPOINT, method="HEAD"), timeout=PROBE_SECONDS).close()


def hub_cache() -> Path:
    """Return the folder where the hub's client keeps what it fetched."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)
