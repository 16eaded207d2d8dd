"""What a file holds, as a hash: the same picture under two names has the same content."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from io import BufferedReader
from pathlib import Path

from clarify.data.opening import BadImage, open_image_file
from clarify.data.parallel import Progress, in_threads

__all__ = ["CONTENT_DIGITS", "contents", "full_content"]

CONTENT_DIGITS = 32
"""Hexadecimal digits of a SHA-256 that a manifest's column ``content`` holds."""


def full_content(file: BufferedReader) -> str:
    """Return the SHA-256 of an open file's bytes, 64 hexadecimal digits; leaves it at its start."""
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    file.seek(0)
    return digest


def contents(
    paths: Sequence[Path], *, inside: Path, workers: int, progress: Callable[[Progress], None] | None = None
) -> list[str | BadImage]:
    """Hash files in parallel.

    Parameters
    ----------
    paths : sequence of N absolute paths
    inside : Path
        The root that no link may lead out of.
    workers : int
        Threads.
    progress : callable, optional
        Called now and then.

    Returns
    -------
    list of N
        The first 32 digits of each file's SHA-256, or why it cannot be read.
    """

    def one(path: Path) -> str | BadImage:
        try:
            with open_image_file(path, inside=inside) as file:
                return full_content(file)[:CONTENT_DIGITS]
        except BadImage as bad:
            return bad
        except OSError as error:
            return BadImage(path, f"cannot be read: {error.strerror or error}")

    return list(in_threads(one, paths, workers=workers, progress=progress))
