"""Images from files: decoded safely, upright, in RGB; and sheets of them to look at."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from clarify.data.opening import BadImage, open_image_file
from clarify.errors import InputError, one_line

if TYPE_CHECKING:
    from io import BufferedReader

    from PIL.Image import Image

__all__ = [
    "ENDINGS",
    "MAX_PIXELS",
    "NEEDED",
    "BadImage",
    "TooLarge",
    "decodable",
    "decode_image",
    "grid",
    "load_image",
    "read_kind",
    "read_size",
]

# Beyond this Pillow itself warns of a bomb.
MAX_PIXELS = 89_478_485
# Formats of photographs, with their usual endings; others (EPS, ...) start programs or are none.
# Pillow decodes all but HEIF itself, AVIF since 11.3: see `decodable`.
ENDINGS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "AVIF": (".avif",),
    "HEIF": (".heic", ".heif", ".hif"),
}
BRANDS = dict.fromkeys((b"avif", b"avis"), "AVIF") | dict.fromkeys((b"heic", b"heix", b"mif1"), "HEIF")
NEEDED = "give: pip install 'clarify[images]', or convert to JPEG"
"""What to do about a format that this installation does not decode."""
# How far below its side a thumbnail may be decoded, to be enlarged that little: half of a JPEG of
# 500 pixels is 250, which costs a third of decoding all of it to get 256.
ENOUGH = 0.9
WRONG = (0xD5, 0x5E, 0x00)
PAPER = (255, 255, 255)
MISSING = (0xB0, 0xB0, 0xB0)
GAP = 5

_Result = TypeVar("_Result")


@functools.cache
def decodable() -> tuple[str, ...]:
    """Return which of `ENDINGS` this installation decodes: HEIF with the extra ``images``."""
    from PIL import Image as images

    with contextlib.suppress(ImportError):
        from pillow_heif import register_heif_opener

        register_heif_opener()
    images.init()
    return tuple(kind for kind in ENDINGS if kind in images.OPEN)


def load_image(
    path: Path, *, max_pixels: int = MAX_PIXELS, inside: Path | None = None, side: int | None = None
) -> Image:
    """Read an image as a person would see it.

    Turned upright as its EXIF says; transparent parts shown on white; the first picture of an
    animation; 16-bit grey scaled to 8 bits; CMYK as its inks.

    Parameters
    ----------
    path : Path
        A file of one of the `decodable` formats.
    max_pixels : int
        Larger images are refused by their header, before anything is decoded.
    inside : Path, optional
        As in `open_image_file`.
    side : int, optional
        Fit the image into a square of so many pixels; smaller ones stay as they are. JPEGs are
        then decoded at about that size, which is much faster.

    Returns
    -------
    PIL.Image.Image
        Mode RGB.

    Raises
    ------
    BadImage
        If it cannot be read, whatever the cause.
    """
    path = Path(path)
    with open_image_file(path, inside=inside) as file:
        return decode_image(file, path, max_pixels=max_pixels, side=side)


def decode_image(
    file: BufferedReader, path: Path, *, max_pixels: int = MAX_PIXELS, side: int | None = None
) -> Image:
    """Read an image as `load_image` does, from an open file; `path` is for the message."""

    def seen(image: Image) -> Image:
        if side is None:
            image.load()
            return _upright_rgb(image)
        size = _fitted(image.size, side) if max(image.size) > side else image.size
        image.draft(image.mode, _drafted(image.size, side))
        image.load()
        upright = _upright_rgb(image)
        if upright.size != image.size:  # turned by a quarter
            size = size[::-1]
        return upright if upright.size == size else _scaled(upright, size)

    return _with_image(file, path, max_pixels, seen)


def _drafted(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return the least size that is enough to make a thumbnail of."""
    scale = min(1.0, ENOUGH * side / max(size))
    return max(1, int(size[0] * scale)), max(1, int(size[1] * scale))


def _fitted(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Scale so that the longer side is `side`, the shorter at least one pixel."""
    scale = side / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _scaled(image: Image, size: tuple[int, int]) -> Image:
    from PIL import Image as images

    return image.resize(size, images.Resampling.BICUBIC, reducing_gap=2.0)


def read_kind(path: Path, *, max_pixels: int = MAX_PIXELS, inside: Path | None = None) -> str:
    """Read which of `ENDINGS` an image is, by content and not by name, without decoding it.

    Raises
    ------
    BadImage
        As `load_image`, as far as the header shows it; a broken picture may still have a good one.
    """

    def kind(image: Image) -> str:
        return image.format if image.format in ENDINGS else "JPEG"  # MPO: a JPEG with more in it

    path = Path(path)
    with open_image_file(path, inside=inside) as file:
        return _with_image(file, path, max_pixels, kind)


def read_size(path: Path, *, inside: Path | None = None) -> tuple[int, int]:
    """Read width and height of an image as its file has it, not turned upright; raises as `read_kind`."""
    path = Path(path)
    with open_image_file(path, inside=inside) as file:
        return _with_image(file, path, MAX_PIXELS, lambda image: image.size)


class TooLarge(BadImage):
    """An image has more pixels than are allowed; none of them was decoded."""


def _with_image(
    file: BufferedReader, path: Path, max_pixels: int, use: Callable[[Image], _Result]
) -> _Result:
    from PIL import Image as images

    try:
        with images.open(file, formats=decodable()) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise TooLarge(path, f"{width} x {height} pixels, more than {max_pixels} allowed")
            return use(image)
    except BadImage:
        raise
    except Exception as error:  # decoders raise anything on a broken file; it is reported
        raise BadImage(path, _reason(error, file)) from None


def _reason(error: Exception, file: BufferedReader) -> str:
    from PIL import Image as images
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return _unknown_kind(file)
    if isinstance(error, images.DecompressionBombError | images.DecompressionBombWarning):
        # Pillow says how many first; it refuses some before we see their size.
        seen = re.search(r"\d+", str(error))
        return f"{seen[0] if seen else 'too many'} pixels, more than {MAX_PIXELS} allowed"
    return one_line(error)


def _unknown_kind(file: BufferedReader) -> str:
    file.seek(0)
    head = file.read(12)
    kind = BRANDS.get(head[8:]) if head[4:8] == b"ftyp" else None
    if kind is not None and kind not in decodable():
        return f"is {kind}, which is not read here; {NEEDED}"
    return f"not an image of a known kind ({', '.join(decodable())})"


def _upright_rgb(image: Image) -> Image:
    from PIL import Image as images
    from PIL import ImageChops, ImageOps

    kind = image.format  # what is transposed forgets it
    # A broken EXIF block says nothing about the picture itself, which is used as it is.
    with contextlib.suppress(Exception):
        image = ImageOps.exif_transpose(image)
    if image.mode[0] in "IF":
        image = _eight_bits(image, kind)
    if kind == "JPEG" and image.mode == "CMYK" and "adobe" not in image.info:
        # Pillow takes every CMYK JPEG for Adobe's, who stores inks inverted; browsers do not.
        image = ImageChops.invert(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = images.new("RGBA", image.size, (*PAPER, 255))
        image = images.alpha_composite(paper, image)
    return image.convert("RGB")


def _eight_bits(image: Image, kind: str | None) -> Image:
    """Scale 16-bit grey to 8 bits; a transparent shade of it becomes a mask."""
    import numpy as np
    from PIL import Image as images

    if image.mode in ("I", "F") and kind != "PPM":
        raise ValueError(
            f"its pixels are 32-bit numbers (mode {image.mode}) of unknown range; legal are 8 or "
            "16 bits a channel"
        )
    shades = np.asarray(image)
    grey = images.fromarray((shades.astype(np.uint32) >> 8).astype(np.uint8))
    hidden = image.info.get("transparency")
    if isinstance(hidden, int):
        grey.putalpha(images.fromarray((shades != hidden).astype(np.uint8) * 255))
    return grey


def grid(
    paths: Sequence[Path],
    flags_wrong: Sequence[bool],
    columns: int = 10,
    size: int = 96,
    read: Callable[[Path], Image] = load_image,
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
    read : callable
        Gives the image of a path, or raises BadImage: `load_image`, or thumbnails made before.

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
    sheet = images.new("RGB", (min(columns, max(1, len(paths))) * step + GAP, rows * step + GAP), PAPER)
    for index, (path, wrong) in enumerate(zip(paths, flags_wrong, strict=True)):
        corner = (GAP + index % columns * step, GAP + index // columns * step)
        sheet.paste(_cell(path, bool(wrong), size, read), corner)
    return sheet


def _cell(path: Path, wrong: bool, size: int, read: Callable[[Path], Image]) -> Image:
    from PIL import Image as images
    from PIL import ImageDraw

    cell = images.new("RGB", (size, size), PAPER)
    try:
        picture = read(path)
        picture = _scaled(picture, _fitted(picture.size, size))
        cell.paste(picture, ((size - picture.width) // 2, (size - picture.height) // 2))
    except BadImage:
        cell.paste(MISSING, (0, 0, size, size))
    if wrong:
        line = max(2, size // 24)
        fold = size // 4
        draw = ImageDraw.Draw(cell)
        draw.rectangle((0, 0, size - 1, size - 1), outline=WRONG, width=line)
        draw.polygon([(size - fold, 0), (size - 1, 0), (size - 1, fold)], fill=WRONG)
    return cell
