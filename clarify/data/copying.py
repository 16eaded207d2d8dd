"""Copying the images of a data set into the home, so that it can be stopped at any moment."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from clarify.data.files import writing
from clarify.data.opening import open_image_file
from clarify.data.parallel import Progress, in_threads

__all__ = ["copy_images"]


def copy_images(
    root: Path,
    paths: Sequence[str],
    target: Path,
    *,
    workers: int,
    progress: Callable[[Progress], None] | None = None,
) -> int:
    """Copy files that are not there yet; links are copied as what they lead to.

    A file is under its name only when it is whole. One with the size and time of the original is
    taken for done, so that the same call goes on where another was stopped.

    Parameters
    ----------
    root : Path
        Of the originals; links may lead out of it.
    paths : sequence of str
        Relative to `root`, and then to `target`.
    target : Path
        Made if absent.
    workers : int
        Threads.

    Returns
    -------
    int
        How many were copied by this call.

    Raises
    ------
    BadImage
        If an original cannot be read.
    StoreError
        If there is no room or no right to write.
    """

    def one(path: str) -> bool:
        return _copy(root / path, target / path)

    hint = "what is copied is kept: give the same command again"
    with writing(target, hint=hint):
        target.mkdir(parents=True, exist_ok=True)
        for folder in {os.path.dirname(path) for path in paths}:
            (target / folder).mkdir(parents=True, exist_ok=True)
        return sum(in_threads(one, paths, workers=workers, progress=progress))


def _copy(original: Path, copy: Path) -> bool:
    with open_image_file(original) as file:
        found = os.fstat(file.fileno())
        try:
            kept = copy.stat()
            if (kept.st_size, kept.st_mtime_ns) == (found.st_size, found.st_mtime_ns):
                return False
        except FileNotFoundError:
            pass
        # One name for every attempt: what a killed one left is overwritten.
        temporary = copy.with_name(f".{copy.name[:200]}.copying")
        with open(temporary, "wb") as half:
            shutil.copyfileobj(file, half, 1 << 20)
        os.utime(temporary, ns=(found.st_atime_ns, found.st_mtime_ns))
        os.replace(temporary, copy)
        return True
