"""Opening the file of an image: a regular file, inside the root, or one line that says why not.

What it holds is told by a hash: the same picture under two names has the same content.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from io import BufferedReader
from pathlib import Path

from clarify.data.parallel import Progress, in_threads
from clarify.data.spelling import spelt_on_disk
from clarify.errors import InputError

__all__ = ["CONTENT_DIGITS", "BadImage", "check_inside", "contents", "full_content", "open_image_file"]

CONTENT_DIGITS = 32
"""Hexadecimal digits of a SHA-256 that a manifest's column ``content`` holds."""


class BadImage(InputError):
    """An image that cannot be used: its file, and in one line what is wrong with it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"image {path}: {reason}")
        self.path = path
        self.reason = reason


@contextlib.contextmanager
def open_image_file(path: Path, *, inside: Path | None = None) -> Iterator[BufferedReader]:
    """Open a regular file; anything else is refused without waiting for it.

    Parameters
    ----------
    path : Path
        The file.
    inside : Path, optional
        A folder that the file must lie in, once all links are followed. The folder itself may be
        a link, and links from one place in it to another are fine.

    Raises
    ------
    BadImage
        If it is absent, a folder, a pipe or a device, empty, leads out of `inside`, or the system
        refuses to read it.
    """
    if inside is not None:
        check_inside(path, inside)
    handle = _opened(path)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or a device, not a file"
            raise BadImage(path, f"is {kind}")
        if found.st_size == 0:
            raise BadImage(path, "the file is empty")
        with open(handle, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(handle)


def _opened(path: Path) -> int:
    try:
        # Opening a pipe that nobody writes to would wait for ever.
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        what = "is a link to nothing" if os.path.islink(path) else "there is no such file"
        if spelt_on_disk()(str(path)):  # not where: a server's folders are nobody's business
            what += ", only one in other Unicode letters (a Mac writes NFD, most others NFC); rename that"
        raise BadImage(path, what) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = getattr(error, "strerror", None) or str(error)
        raise BadImage(path, f"cannot be opened: {why}") from None


def check_inside(path: Path, root: Path) -> None:
    """Raise BadImage unless a path stays in a folder once all links are followed."""
    try:
        real, home = os.path.realpath(path), os.path.realpath(root)
    except (OSError, ValueError) as error:
        raise BadImage(path, f"cannot be opened: {error}") from None
    if os.path.commonpath([real, home]) != home:
        raise BadImage(path, f"leads out of the root {root}, to {real}; legal are files inside it")


def full_content(file: BufferedReader) -> str:
    """Return the SHA-256 of an open file's bytes, 64 hexadecimal digits; leaves it at its start."""
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    file.seek(0)
    return digest


def contents(
    paths: Sequence[Path],
    *,
    workers: int,
    inside: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> list[str | BadImage]:
    """Hash N files, by absolute paths, in so many threads; `inside` as in `open_image_file`.

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
