"""From a picture to an encoder's input, the same numbers as open_clip's and timm's own transforms.

Written in Pillow and numpy because it runs in threads beside the encoder: torch operations
there would each bring a team of threads of their own.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from clarify.errors import InputError, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = ["Preprocessing"]

MODES = ("shortest", "squash")
FILTERS = ("bicubic", "bilinear")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """How a picture is brought to size and normalised.

    Parameters
    ----------
    size : int
        Side of the square input in pixels.
    resize : int
        Side that the picture is brought to before the middle is cut out, at least `size`; equal
        to it for open_clip's models.
    mode : {"shortest", "squash"}
        The shorter side is brought to `resize`, or both sides are.
    interpolation : {"bicubic", "bilinear"}
        Filter of the resizing, antialiased.
    mean, std : tuple of 3 floats
        Subtracted from and divided into the channels in [0, 1].

    Raises
    ------
    InputError
        If a value is not legal.
    """

    size: int
    resize: int
    mode: Literal["shortest", "squash"]
    interpolation: Literal["bicubic", "bilinear"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __post_init__(self) -> None:
        if not 1 <= self.size <= self.resize:
            raise InputError(
                f"preprocessing to {self.resize} pixels, {self.size} of them cut out; legal is at "
                "least as many as are cut out"
            )
        if self.mode not in MODES or self.interpolation not in FILTERS:
            raise InputError(
                f"preprocessing {self.mode}/{self.interpolation} is not supported; legal are "
                f"{' or '.join(MODES)} with {' or '.join(FILTERS)}"
            )
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise InputError(f"preprocessing mean {self.mean}, std {self.std}: 3 values each, std > 0")

    @classmethod
    def from_open_clip(cls, config: Mapping[str, Any]) -> Preprocessing:
        """Read open_clip's preprocessing settings (``model.visual.preprocess_cfg``)."""
        size = _square(config.get("size", 224))
        return cls(
            size=size,
            resize=size,
            mode=config.get("resize_mode", "shortest"),
            interpolation=config.get("interpolation", "bicubic"),
            mean=_three(config["mean"]),
            std=_three(config["std"]),
        )

    @classmethod
    def from_timm(cls, config: Mapping[str, Any]) -> Preprocessing:
        """Read timm's settings for evaluation (``timm.data.resolve_model_data_config``)."""
        size = _square(config["input_size"][1:])
        crop: Any = config.get("crop_mode") or "center"
        return cls(
            size=size,
            resize=math.floor(size / config["crop_pct"]),
            mode="shortest" if crop == "center" else crop,
            interpolation=config["interpolation"],
            mean=_three(config["mean"]),
            std=_three(config["std"]),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """Read what `to_dict` wrote, from JSON or not."""
        mean, std = _three(values["mean"]), _three(values["std"])
        return cls(**{**values, "mean": mean, "std": std})

    def describe(self) -> str:
        """Return all of it as one line of text, for the identity of the encoder."""
        values = self.to_dict()
        if self.resize == self.size:
            del values["resize"]
        return json.dumps(values, sort_keys=True, separators=(",", ":"))

    def __call__(self, image: Image) -> NDArray[np.float32]:
        """Return the encoder's input, shape (3, size, size), from an RGB picture."""
        return self.normalised(self.cut(image))

    def cut(self, image: Image) -> NDArray[np.uint8]:
        """Return an RGB picture brought to size, shape (size, size, 3)."""
        return np.asarray(self._resized(image))

    def normalised(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the encoder's input (3, size, size) from pixels (size, size, 3)."""
        found = np.empty((3, *pixels.shape[:2]), dtype=np.float32)
        # Of 256 shades each is worked out once; looking it up is a third of the work.
        for channel, shades in enumerate(_shades(self.mean, self.std)):
            np.take(shades, pixels[:, :, channel], out=found[channel], mode="clip")
        return found

    def _resized(self, image: Image) -> Image:
        from PIL.Image import Resampling

        method = Resampling[self.interpolation.upper()]
        side, cut = self.resize, self.size
        width, height = image.size
        if self.mode == "squash":
            new = (side, side)
        elif width <= height:
            new = (side, int(side * height / width))
        else:
            new = (int(side * width / height), side)
        if new != image.size:
            image = image.resize(new, method)
        left, top = round((new[0] - cut) / 2.0), round((new[1] - cut) / 2.0)
        return image.crop((left, top, left + cut, top + cut))


@functools.cache
def _shades(mean: tuple[float, float, float], std: tuple[float, float, float]) -> NDArray[np.float32]:
    """Return what each shade of each channel becomes, shape (3, 256)."""
    scaled = np.arange(256, dtype=np.float32) / np.float32(255)
    return (scaled - np.array(mean, np.float32)[:, None]) / np.array(std, np.float32)[:, None]


def _square(size: Any) -> int:
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) != 1:
        raise InputError(f"preprocessing size is {shown(size)}; only square inputs are supported")
    return int(sides.pop())


def _three(values: Any) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return first, second, third
