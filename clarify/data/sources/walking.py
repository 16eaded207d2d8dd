"""Finding the image files of a big folder, each looked at once."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from clarify.data.images import ENDINGS, NEEDED, decodable
from clarify.errors import ManifestError, shown

__all__ = ["FoundImages", "folder_of", "refuse_links_out", "refuse_unread", "subfolders", "walk"]

IMAGE_ENDINGS = tuple(ending for endings in ENDINGS.values() for ending in endings)


@dataclasses.dataclass(slots=True, kw_only=True)
class FoundImages:
    """The images below a folder, by paths relative to the root in the order of their names.

    `others` are files whose ending is that of no image, `unread` images of formats that this
    installation does not decode; hidden ones are not counted.
    """

    paths: list[str] = dataclasses.field(default_factory=list)
    others: int = 0
    unread: list[str] = dataclasses.field(default_factory=list)


def folder_of(path: Path) -> Path:
    """Return an absolute path if it is a folder that can be listed.

    Raises
    ------
    ManifestError
        Otherwise.
    """
    path = Path(os.path.abspath(path))  # links in the root's own path are kept as given
    if not path.is_dir():
        what = "is a file, not a folder" if path.exists() else "does not exist"
        raise ManifestError(f"folder {path} {what}; give the folder of the images")
    return path


def subfolders(root: Path, below: str = "") -> list[str]:
    """Return the names of the folders in a folder of the root, sorted, without the hidden ones.

    Raises
    ------
    ManifestError
        If the folder cannot be listed.
    """
    return [e.name for e in _entries(root / below) if not e.name.startswith(".") and e.is_dir()]


def walk(root: Path, below: str, found: FoundImages | None = None) -> FoundImages:
    """Find the images in a folder and all folders in it, by their endings.

    Nothing but links is asked for its kind twice: a folder of a million files costs seconds.

    Parameters
    ----------
    root : Path
        Paths are relative to it. Links are followed, also out of it: see `refuse_links_out`.
    below : str
        The folder, relative to `root`.

    Raises
    ------
    ManifestError
        If a link leads to nothing or in a circle, an image's name belongs to a pipe or device, a name
        is not UTF-8, or a folder cannot be listed.
    """
    found = FoundImages() if found is None else found
    for entry in _entries(root / below):
        if entry.name.startswith("."):
            continue
        path = f"{below}/{entry.name}"
        if entry.is_symlink():
            _check_link(root, entry.path)
        if entry.is_dir():
            walk(root, path, found)
        elif not entry.name.lower().endswith(IMAGE_ENDINGS):
            found.others += 1
        elif entry.is_file():
            known = entry.name.lower().endswith(_decoded_endings())
            (found.paths if known else found.unread).append(_in_utf8(path))
        else:
            raise ManifestError(f"{entry.path} is a pipe or a device, not a file; remove it")
    return found


def refuse_unread(root: Path, unread: Sequence[str]) -> None:
    """Raise ManifestError if there are images of formats that this installation does not decode."""
    if unread:
        raise ManifestError(
            f"folder {root}: {len(unread):,} of its images are HEIC or AVIF, which are not read here, such "
            f"as {shown(unread[0])}; {NEEDED}, or take them out"
        )


@functools.cache
def _decoded_endings() -> tuple[str, ...]:
    return tuple(ending for kind in decodable() for ending in ENDINGS[kind])


def _entries(folder: Path) -> Sequence[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise ManifestError(f"folder {folder} cannot be listed: {error.strerror}") from None


def _check_link(root: Path, path: str) -> None:
    real = os.path.realpath(path)
    if not os.path.exists(real):
        raise ManifestError(f"{path} is a link to nothing ({real}); remove or mend it")
    # Each folder on the way here, for a link may leave the root and another come back.
    for parent in Path(path).parents if os.path.isdir(real) else ():
        if os.path.commonpath([real, os.path.realpath(parent)]) == real:
            raise ManifestError(f"{path} is a link that leads in a circle, to {real}; remove it")
        if parent == root:
            break


def refuse_links_out(root: Path, paths: Iterable[str]) -> None:
    """Refuse images that lie outside the root once all links are followed.

    Only links are followed, each folder listed once: a folder of a million files costs seconds.

    Raises
    ------
    ManifestError
        Tells the first.
    """
    home, wanted = os.path.realpath(root), set(paths)
    for below in sorted({os.path.dirname(path) for path in wanted}):
        links = [f"{below}/{e.name}".lstrip("/") for e in _entries(root / below) if e.is_symlink()]
        for path in (below, *(link for link in links if link in wanted)):
            real = os.path.realpath(root / path)
            if os.path.commonpath([real, home]) != home:
                raise ManifestError(
                    f"{root / path} leads out of the root {root}, to {real}; give --copy, which takes what "
                    "links lead to into the home, or import the folder that holds both"
                )


def _in_utf8(path: str) -> str:
    try:
        path.encode()
    except UnicodeEncodeError:
        raise ManifestError(f"the file name {shown(os.fsencode(path))} is not UTF-8; rename it") from None
    return path
