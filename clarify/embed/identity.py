"""What an encoder is and does, so that nothing it made can be mistaken for another's."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from clarify.errors import InputError, is_name, shown

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = ["DEFAULT_TEMPLATE", "Encoder", "EncoderIdentity", "ImageEncoder", "check_template"]

DEFAULT_TEMPLATE = "an image of a {}"
SCHEMA_VERSION = 1
FIELDS = ("architecture", "weights", "preprocessing", "template")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EncoderIdentity:
    """Everything that changes an embedding.

    Parameters
    ----------
    architecture : str
        Name of the model's architecture.
    weights : str
        SHA-256 of the file of weights, 64 hexadecimal digits.
    preprocessing : str
        How pictures are brought to size and normalised, as one line.
    template : str
        Prompt with exactly one ``{}``, where the phrase goes (METHOD.md section 2); empty for an
        encoder of images only.

    Raises
    ------
    InputError
        If a value is not legal.
    """

    architecture: str
    weights: str
    preprocessing: str
    template: str = DEFAULT_TEMPLATE

    def __post_init__(self) -> None:
        for name in ("architecture", "preprocessing"):
            if not getattr(self, name):
                raise InputError(f"encoder identity: {name} is empty")
        if len(self.weights) != 64 or set(self.weights) - set("0123456789abcdef"):
            raise InputError(
                f"encoder identity: weights is {shown(self.weights)}; legal is a SHA-256, 64 "
                "hexadecimal digits"
            )
        if self.template:
            check_template(self.template)

    @property
    def image_digest(self) -> str:
        """Return 12 hexadecimal digits of what changes the embedding of an image."""
        return _digest([self.architecture, self.weights, self.preprocessing])

    @property
    def digest(self) -> str:
        """Return 12 hexadecimal digits of the whole, the template included."""
        return _digest([self.architecture, self.weights, self.preprocessing, self.template])

    def describe(self) -> str:
        """Say it in one line for people."""
        template = f", template {self.template!r}" if self.template else ""
        return f"{self.architecture}, weights {self.weights[:12]}{template}"

    def to_dict(self) -> dict[str, str | int]:
        """Return it as plain values with a ``schema_version``."""
        return {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> EncoderIdentity:
        """Read what `to_dict` wrote; InputError if a key is missing or unknown, or the version another."""
        if values.get("schema_version") != SCHEMA_VERSION:
            raise InputError(
                f"encoder identity: schema_version is {shown(values.get('schema_version'))}; this "
                f"Clarify reads {SCHEMA_VERSION}"
            )
        if set(values) != {"schema_version", *FIELDS}:
            raise InputError(
                f"encoder identity has {', '.join(sorted(values))}; legal are {', '.join(FIELDS)}"
            )
        architecture, weights, preprocessing, template = (str(values[name]) for name in FIELDS)
        return cls(architecture=architecture, weights=weights, preprocessing=preprocessing, template=template)


class ImageEncoder(Protocol):
    """Embeds images: what a base model's last layer stands on."""

    @property
    def name(self) -> str:
        """The text that named it."""

    @property
    def identity(self) -> EncoderIdentity:
        """What the embeddings depend on."""

    @property
    def width(self) -> int:
        """Length D of an embedding."""

    @property
    def unit(self) -> bool:
        """Whether embeddings have unit length; a trained network's have the length it gave them."""

    @property
    def domain(self) -> str:
        """What the encoder is limited to, such as ``"drawn scenes only"``; empty for anything."""

    def preprocess(self, image: Image) -> torch.Tensor:
        """Return the input for an RGB picture, shape (3, H, W) float32; safe in threads."""

    def encode_images(self, batch: torch.Tensor) -> NDArray[np.float32]:
        """Embed inputs of shape (B, 3, H, W); returns (B, D) float32."""


class Encoder(ImageEncoder, Protocol):
    """Embeds phrases as well, in the same space; similarity is the inner product of the two."""

    def encode_phrases(self, phrases: Sequence[str]) -> NDArray[np.float32]:
        """Put P phrases into the template and embed them; returns (P, D) float32, unit length."""

    def unknown_words(self, phrases: Sequence[str]) -> list[tuple[str, ...]]:
        """Return for each phrase the words that the encoder does not know; none if nobody can say."""


def check_template(template: str) -> None:
    """Raise InputError for a prompt without exactly one ``{}``, or of more than one line."""
    if template.count("{}") != 1 or not is_name(template, most=200):
        raise InputError(
            f"template is {shown(template)}; it must hold exactly one {{}}, where the phrase "
            f"goes, as in: {DEFAULT_TEMPLATE}"
        )


def _digest(parts: list[str]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
