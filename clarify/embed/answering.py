"""From prepared pictures to probabilities: an encoder with the head that stands on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from clarify.errors import FeatureError
from clarify.method.fit.head import Head

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from clarify.embed.identity import ImageEncoder

__all__ = ["AT_ONCE", "probabilities"]

AT_ONCE = 64
"""Pictures that go through the encoder together."""


def probabilities(encoder: ImageEncoder, head: Head, inputs: Sequence[torch.Tensor]) -> NDArray[np.float64]:
    """Return each class's probability for prepared pictures, shape (N, K), rows adding up to 1.

    Parameters
    ----------
    head : Head
        Fitted on that encoder's features.
    inputs : sequence of N tensors
        As `encoder.preprocess` gives them; at most `AT_ONCE`.

    Raises
    ------
    FeatureError
        If the encoder gives values that are not finite.
    """
    import torch

    features = encoder.encode_images(torch.stack(list(inputs)))
    if not np.isfinite(features).all():
        raise FeatureError(f"encoder {encoder.name} gives values that are not finite; check its weights")
    return head.probabilities(features)
