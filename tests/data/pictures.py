"""Pictures made in code, each different, and folders of them."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["chunk", "picture", "png", "save_tree"]


def picture(number: int, size: tuple[int, int] = (24, 16)) -> Image.Image:
    """Clouds of colour that differ for each number, and look different."""
    rng = np.random.default_rng(number)
    clouds = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return clouds.resize(size, Image.Resampling.BICUBIC)


def save_tree(root: Path, tree: dict[str, int], ending: str = "png") -> Path:
    """Save so many pictures in each folder, all of them different."""
    number = 0
    for folder, count in tree.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for _ in range(count):
            picture(number).save(root / folder / f"{number}.{ending}")
            number += 1
    return root


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(colour: int, depth: int, width: int, height: int, rows: bytes, more: bytes = b"") -> bytes:
    """Return a PNG of any colour type and depth; Pillow writes only some."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + more
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
