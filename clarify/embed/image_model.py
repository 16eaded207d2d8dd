"""A network that embeds images, as an `ImageEncoder`: what open_clip's and timm's share."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify.embed.folding import folded

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from PIL.Image import Image

    from clarify.embed.identity import EncoderIdentity
    from clarify.embed.preprocessing import Preprocessing

__all__ = ["ImageModel", "NetworkConfig", "file_digest", "quiet"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """How the library `kind`, open_clip or timm, builds a network again, without weights; fit for JSON."""

    kind: str
    config: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ImageModel:
    """An `ImageEncoder` made of a torch network.

    Parameters
    ----------
    name : str
        The text that named it.
    width : int
        Length D of an embedding; found by asking the network for one.
    domain : str
        Its limits, or empty.
    tower : torch.nn.Module
        What holds the weights of the image half, in evaluation mode.
    forward : callable
        From inputs (B, 3, size, size) to embeddings (B, D) of any length.
    device : str
        Where the network is.
    unit : bool
        Whether embeddings are brought to unit length.
    """

    name: str
    identity: EncoderIdentity
    width: int = dataclasses.field(init=False)
    domain: str = ""
    preprocessing: Preprocessing
    tower: torch.nn.Module
    forward: Callable[[torch.Tensor], torch.Tensor]
    recipe: NetworkConfig
    device: str
    unit: bool = True

    def __post_init__(self) -> None:
        import torch

        side = self.preprocessing.size
        with torch.inference_mode():
            found = self.forward(torch.zeros(1, 3, side, side, device=self.device))
        object.__setattr__(self, "width", int(found.shape[1]))

    @functools.cached_property
    def _quick(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """The forward as it is run: made when a picture comes, which many commands never need."""
        return folded(self.forward, self.preprocessing.size) if self.device == "cpu" else self.forward

    def preprocess(self, image: Image) -> torch.Tensor:
        """Return the input for an RGB picture, shape (3, size, size) float32."""
        import torch

        return torch.from_numpy(self.preprocessing(image))

    def encode_images(self, batch: torch.Tensor) -> NDArray[np.float32]:
        """Embed inputs of shape (B, 3, size, size); returns (B, D) float32."""
        import torch

        with torch.inference_mode():
            embeddings = self._quick(batch.to(self.device))
            if self.unit:
                embeddings = torch.nn.functional.normalize(embeddings, dim=-1)
            return np.asarray(embeddings.float().cpu().numpy(), dtype=np.float32)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep a library's calls of the root logger from setting up logging for the whole process.

    Its warnings are not shown either: that a network has no weights yet is what was asked for.
    """
    root = logging.getLogger()
    handler = logging.NullHandler()
    root.addHandler(handler)
    root.addFilter(_is_error)
    try:
        yield
    finally:
        root.removeFilter(_is_error)
        root.removeHandler(handler)


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR
