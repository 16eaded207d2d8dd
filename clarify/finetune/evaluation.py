"""What a network takes images for."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from clarify.finetune.pictures import Pictures

__all__ = ["predictions"]

AT_ONCE = 256


def predictions(
    module: torch.nn.Module,
    pictures: Pictures,
    count: int,
    *,
    device: str = "cpu",
    precision: contextlib.AbstractContextManager[Any] | None = None,
) -> NDArray[np.int64]:
    """Return the class (count,) that a network in evaluation takes each image for.

    Parameters
    ----------
    pictures : Pictures
        Its first `count` images are looked at.
    count : int
        At least 1.
    device : str
        Where the network is.
    precision : context, optional
        In which it computes.
    """
    import torch

    parts = [list(range(start, min(start + AT_ONCE, count))) for start in range(0, count, AT_ONCE)]
    found = []
    ahead = pictures.plain(parts[0])
    with torch.inference_mode(), precision or contextlib.nullcontext():
        for number in range(len(parts)):
            inputs = ahead.result()
            if number + 1 < len(parts):
                ahead = pictures.plain(parts[number + 1])
            moved = inputs.to(device, memory_format=torch.channels_last)
            found.append(module(moved).argmax(dim=1).cpu().numpy())
    return np.concatenate(found).astype(np.int64)
