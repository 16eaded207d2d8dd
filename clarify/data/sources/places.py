"""Where a table says its images are: inside one root, and there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import polars as pl

from clarify.data.spelling import speller, spelt_on_disk
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
    # "./a.jpg" is what `find` writes, "a//b.jpg" what comes of joining texts.
    given = given.str.replace_all(r"/(\.?/)+", "/").str.replace(r"^(\./)+", "")
    if absolute.any():
        given = _below(root, given)
    outside = given.str.contains(r"^/|(^|/)\.\.(/|$)").arg_true()
    if outside.len():
        raise ManifestError(
            f"table {where} row {outside[0] + 1}: path {shown(given[outside[0]])} is not inside "
            f"the root {root}; give --root FOLDER that holds all images"
        )
    return root, given


def _below(root: Path, given: pl.Series) -> pl.Series:
    """Take the root off absolute paths, also where they or it lead there through a link."""
    plain, prefix = speller(), f"{root}/".replace("//", "/")
    given = given.str.strip_prefix(prefix)
    if not given.str.starts_with("/").any():
        return given
    real = f"{os.path.realpath(root)}/".replace("//", "/")
    return pl.Series(
        given.name, [plain(path).removeprefix(real) if path.startswith("/") else path for path in given]
    )


def check_places(root: Path, paths: pl.Series, where: Path) -> pl.Series:
    """Return paths as the disk spells them, each of which is a file.

    Raises
    ------
    ManifestError
        Tells the first that is absent or no file, and how many more.
    """
    on_disk, found = spelt_on_disk(), []
    wrong: list[tuple[int, str]] = []
    for row, path in enumerate(paths, start=1):
        place = os.path.join(root, path)
        why = _wrong_place(place)
        if why is not None and (other := on_disk(place)):
            path, why = os.path.relpath(other, root), _wrong_place(other)
        found.append(path)
        if why is not None:
            wrong.append((row, f"{shown(path, most=200)} {why}"))
    if wrong:
        row, text = wrong[0]
        more = f" (and {len(wrong) - 1:,} more rows)" if len(wrong) > 1 else ""
        raise ManifestError(
            f"table {where} row {row}: path {text}{more}; paths are relative to the root {root}: "
            "give --root FOLDER, or mend the table"
        )
    return pl.Series(paths.name, found, dtype=pl.String)


def _wrong_place(path: str) -> str | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return "does not exist"
    except (OSError, ValueError) as error:
        return f"cannot be reached: {getattr(error, 'strerror', None) or error}"
    if not stat.S_ISREG(found.st_mode):
        return "is a folder" if stat.S_ISDIR(found.st_mode) else "is a pipe or a device, not a file"
    return None
