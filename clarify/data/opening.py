"""Opening the file of an image: a regular file, inside the root, or one line that says why not."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from clarify.errors import InputError

__all__ = ["BadImage", "check_inside", "open_image_file"]


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
        raise BadImage(path, what) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = getattr(error, "strerror", None) or str(error)
        raise BadImage(path, f"cannot be opened: {why}") from None


def check_inside(path: Path, root: Path) -> None:
    """Check that a path stays in a folder once all links are followed.

    Raises
    ------
    BadImage
        If it does not.
    """
    try:
        real, home = os.path.realpath(path), os.path.realpath(root)
    except (OSError, ValueError) as error:
        raise BadImage(path, f"cannot be opened: {error}") from None
    if os.path.commonpath([real, home]) != home:
        raise BadImage(path, f"leads out of the root {root}, to {real}; legal are files inside it")
