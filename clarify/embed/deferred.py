"""Encoders of which all is known but the network, which is loaded when something is to be embedded.

Most commands ask an encoder only who it is, to find its features in the store; libraries of networks take
seconds to import.
"""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from clarify.embed.identity import Encoder, EncoderIdentity, ImageEncoder
from clarify.errors import FeatureError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = ["Deferred", "DeferredClip", "check_same", "loaded"]

Loaded = TypeVar("Loaded", bound=ImageEncoder, covariant=True)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Deferred(Generic[Loaded]):
    """An `ImageEncoder` whose network is loaded when it is needed.

    Parameters
    ----------
    width : int
        Length D of an embedding.
    load : callable
        Loads it.
    domain : str
        Its limits; empty where nothing is known of them.
    """

    name: str
    identity: EncoderIdentity
    width: int
    unit: bool
    load: Callable[[], Loaded]
    domain: str = ""

    _lock: threading.Lock = dataclasses.field(default_factory=threading.Lock, init=False, repr=False)

    @property
    def encoder(self) -> Loaded:
        """The encoder itself, loaded once: the threads that prepare pictures all ask for it at the same time.

        Raises
        ------
        FeatureError
            If it is another than the one that is known.
        """
        with self._lock:
            return self._found

    @functools.cached_property
    def _found(self) -> Loaded:
        found = self.load()
        check_same(found, self.identity)
        return found

    def preprocess(self, image: Image) -> torch.Tensor:
        """Return the input for an RGB picture, shape (3, H, W) float32."""
        return self.encoder.preprocess(image)

    def encode_images(self, batch: torch.Tensor) -> NDArray[np.float32]:
        """Embed inputs of shape (B, 3, H, W); returns (B, D) float32."""
        return self.encoder.encode_images(batch)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class DeferredClip(Deferred[Encoder]):
    """An `Encoder` whose network is loaded when it is needed.

    Parameters
    ----------
    vocabulary : callable
        From a phrase to the words in it that were never taught; asks no network.
    """

    vocabulary: Callable[[str], tuple[str, ...]]

    def encode_phrases(self, phrases: Sequence[str]) -> NDArray[np.float32]:
        """Embed P phrases in the template; returns (P, D) float32 of unit length."""
        return self.encoder.encode_phrases(phrases)

    def unknown_words(self, phrases: Sequence[str]) -> list[tuple[str, ...]]:
        """Return for each phrase the words that the encoder was never taught."""
        return [self.vocabulary(each) for each in phrases]


def check_same(found: ImageEncoder, meant: EncoderIdentity) -> None:
    """Raise FeatureError for a network that is not the one that is known."""
    if found.identity.image_digest != meant.image_digest:
        raise FeatureError(
            f"{found.name} is another network ({found.identity.image_digest}) than the one that was used "
            f"({meant.image_digest}): its weights or its preprocessing changed; put those back, or learn "
            "the bridge anew: clarify bridge"
        )


def loaded(encoder: ImageEncoder) -> ImageEncoder:
    """Return an encoder itself, where only its loading was put off."""
    return encoder.encoder if isinstance(encoder, Deferred) else encoder
