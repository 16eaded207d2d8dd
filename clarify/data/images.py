"""Images from files: decoded safely, upright, in RGB; and sheets of them to look at."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clarify.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["MAX_PIXELS", "BadImage", "grid", "load_image"]

MAX_PIXELS = 100_000_000
# Formats that Pillow decodes itself; others (EPS, ...) start programs or are no photographs.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
WRONG = (0xD5, 0x5E, 0x00)
PAPER = (255, 255, 255)
MISSING = (0xB0, 0xB0, 0xB0)
GAP = 5


class BadImage(InputError):
    """An image that cannot be used.

    Parameters
    ----------
    path : Path
        The file.
    reason : str
        One line: what is wrong with it.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"image {path}: {reason}")
        self.path = path
        self.reason = reason


def load_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> Image:
    """Read an image as a person would see it.

    Turned upright as its EXIF says; transparent parts shown on white; the first picture of an
    animation; 16-bit grey scaled to 8 bits.

    Parameters
    ----------
    path : Path
        A JPEG, PNG, WebP, GIF, BMP, TIFF or PPM file.
    max_pixels : int
        Larger images are refused by their header, before anything is decoded.

    Returns
    -------
    PIL.Image.Image
        Mode RGB.

    Raises
    ------
    BadImage
        If it cannot be read, whatever the cause.
    """
    from PIL import Image as images

    path = Path(path)
    if not path.is_file():
        raise BadImage(path, "is a folder" if path.is_dir() else "there is no such file")
    try:
        with images.open(path, formats=FORMATS) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise BadImage(path, f"{width} x {height} pixels, more than {max_pixels} allowed")
            image.load()
            return _upright_rgb(image)
    except BadImage:
        raise
    except Exception as error:  # decoders raise anything on a broken file; it is reported
        raise BadImage(path, _reason(path, error)) from None


def _reason(path: Path, error: Exception) -> str:
    from PIL import Image as images
    from PIL import UnidentifiedImageError

    with contextlib.suppress(OSError):
        if path.stat().st_size == 0:
            return "the file is empty"
    if isinstance(error, UnidentifiedImageError):
        return f"not an image of a known kind ({', '.join(FORMATS)})"
    if isinstance(error, images.DecompressionBombError | images.DecompressionBombWarning):
        return f"more than {MAX_PIXELS} pixels"
    text = " ".join(str(error).split())[:160]
    return text or type(error).__name__


def _upright_rgb(image: Image) -> Image:
    from PIL import Image as images
    from PIL import ImageOps

    # A broken EXIF block says nothing about the picture itself, which is used as it is.
    with contextlib.suppress(Exception):
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        image = image.point(lambda value: value / 256).convert("L")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = images.new("RGBA", image.size, (*PAPER, 255))
        image = images.alpha_composite(paper, image)
    return image.convert("RGB")


def grid(
    paths: Sequence[Path], flags_wrong: Sequence[bool], columns: int = 10, size: int = 96
) -> Image:
    """Draw images side by side, wrong ones framed in vermilion and with a folded corner.

    Parameters
    ----------
    paths : sequence of N paths
        Row by row. One that cannot be read becomes a grey cell.
    flags_wrong : sequence of N bool
        Whether the model is wrong with the image. Shown by colour and by shape.
    columns : int
        Images in a row, at least 1.
    size : int
        Side of a cell in pixels, at least 16; images are fitted in, not cropped.

    Returns
    -------
    PIL.Image.Image
        Mode RGB, gaps of 5 pixels around every cell.

    Raises
    ------
    InputError
        If the lengths differ or a number is too small.
    """
    from PIL import Image as images

    if len(paths) != len(flags_wrong):
        raise InputError(f"grid got {len(paths)} images and {len(flags_wrong)} flags; give as many")
    if columns < 1 or size < 16:
        raise InputError(f"grid of {columns} columns of {size} pixels; legal are >= 1 and >= 16")
    rows = max(1, -(-len(paths) // columns))
    step = size + GAP
    sheet = images.new(
        "RGB", (min(columns, max(1, len(paths))) * step + GAP, rows * step + GAP), PAPER
    )
    for index, (path, wrong) in enumerate(zip(paths, flags_wrong, strict=True)):
        corner = (GAP + index % columns * step, GAP + index // columns * step)
        sheet.paste(_cell(path, bool(wrong), size), corner)
    return sheet


def _cell(path: Path, wrong: bool, size: int) -> Image:
    from PIL import Image as images
    from PIL import ImageDraw, ImageOps

    try:
        cell = ImageOps.pad(load_image(path), (size, size), color=PAPER)
    except BadImage:
        cell = images.new("RGB", (size, size), MISSING)
    if wrong:
        line = max(2, size // 24)
        fold = size // 4
        draw = ImageDraw.Draw(cell)
        draw.rectangle((0, 0, size - 1, size - 1), outline=WRONG, width=line)
        draw.polygon([(size - fold, 0), (size - 1, 0), (size - 1, fold)], fill=WRONG)
    return cell
