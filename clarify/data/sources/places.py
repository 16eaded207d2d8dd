"""Where a table says its images are: inside one root, and there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import polars as pl

from clarify.errors import ManifestError, shown

__all__ = ["check_places", "relative_paths"]


def relative_paths(given: pl.Series, where: Path, root: Path | None) -> tuple[Path, pl.Series]:
    """Make paths relative to one root.

    Parameters
    ----------
    given : Series of str
        Paths relative to the root, or absolute ones in it.
    where : Path
        The table's file, for messages; its folder is the root if nothing else is.
    root : Path, optional
        Folder of the images. Without it, absolute paths have their common folder as root.

    Returns
    -------
    Path, Series
        The absolute root, and the paths relative to it.

    Raises
    ------
    ManifestError
        If a path is empty or outside the root.
    """
    empty = (given.is_null() | (given == "")).arg_true()
    if empty.len():
        raise ManifestError(f"table {where} row {empty[0] + 1}: path is empty; each row needs one")
    absolute = given.str.starts_with("/")
    if root is not None:
        root = Path(os.path.abspath(root))
        if not root.is_dir():
            raise ManifestError(f"--root {root} is no folder; give the folder of the images")
    elif absolute.all():
        root = Path(os.path.commonpath([os.path.dirname(path) for path in given.unique()]))
    else:
        root = where.parent
    if absolute.any():
        given = given.str.strip_prefix(f"{root}/".replace("//", "/"))
    # "./a.jpg" is what `find` writes.
    given = given.str.replace(r"^(\./+)+", "")
    outside = given.str.contains(r"^/|(^|/)\.\.(/|$)").arg_true()
    if outside.len():
        raise ManifestError(
            f"table {where} row {outside[0] + 1}: path {shown(given[outside[0]])} is not inside "
            f"the root {root}; give --root FOLDER that holds all images"
        )
    return root, given


def check_places(root: Path, paths: pl.Series, where: Path) -> None:
    """Check that every path is a file in the root.

    Raises
    ------
    ManifestError
        Tells the first that is absent, no file, or a link out of the root, and how many more.
    """
    home = os.path.realpath(root)
    inside: dict[str, bool] = {}
    wrong: list[tuple[int, str]] = []
    for row, path in enumerate(paths, start=1):
        why = _wrong_place(os.path.join(root, path), home, inside)
        if why is not None:
            wrong.append((row, f"{shown(path, most=200)} {why}"))
    if wrong:
        row, text = wrong[0]
        more = f" (and {len(wrong) - 1:,} more rows)" if len(wrong) > 1 else ""
        raise ManifestError(
            f"table {where} row {row}: path {text}{more}; paths are relative to the root {root}: "
            "give --root FOLDER, or mend the table"
        )


def _wrong_place(path: str, home: str, inside: dict[str, bool]) -> str | None:
    """Say what is wrong with a path; `inside` remembers which folders are in the root."""
    try:
        found = os.lstat(path)
        linked = stat.S_ISLNK(found.st_mode)
        found = os.stat(path) if linked else found
    except FileNotFoundError:
        return "does not exist"
    except (OSError, ValueError) as error:
        return f"cannot be reached: {getattr(error, 'strerror', None) or error}"
    if not stat.S_ISREG(found.st_mode):
        return "is a folder" if stat.S_ISDIR(found.st_mode) else "is a pipe or a device, not a file"
    folder = os.path.dirname(path)
    if folder not in inside:
        inside[folder] = _is_inside(os.path.realpath(folder), home)
    if not inside[folder] or (linked and not _is_inside(os.path.realpath(path), home)):
        return f"leads out of the root, to {os.path.realpath(path)}"
    return None


def _is_inside(real: str, home: str) -> bool:
    return os.path.commonpath([real, home]) == home
