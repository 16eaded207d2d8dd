"""One name of a file, spelt in several ways: with ``./``, through a link, in other Unicode letters."""

from __future__ import annotations

import contextlib
import functools
import os
import unicodedata
from collections.abc import Callable

__all__ = ["speller", "spelt_on_disk"]


def speller() -> Callable[[str], str]:
    """Return what spells names alike, and looks at each folder once.

    Without ``./`` and doubled slashes, in composed letters (Unicode's NFC; a Mac's disk has NFD), and of an
    absolute path where its folder really is, behind all links.
    """

    @functools.cache
    def folder_of(folder: str) -> str:
        return os.path.realpath(folder) if folder.startswith("/") and "\x00" not in folder else folder

    def plain(name: str) -> str:
        folder, slash, file = name.rpartition("/")
        return _composed(os.path.normpath(os.path.join(folder_of(folder + slash), file)))

    return plain


def spelt_on_disk() -> Callable[[str], str | None]:
    """Return what finds a path that is there in other Unicode letters only, and lists each folder once.

    It gives None where there is no such path, or more than one.
    """

    @functools.cache
    def names_in(folder: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                found.setdefault(_composed(name), []).append(name)
        return found

    @functools.cache
    def folder_of(folder: str) -> str | None:
        return folder if os.path.isdir(folder) else find(folder)

    def find(path: str) -> str | None:
        if path.isascii() or "\x00" in path:
            return None
        above, name = os.path.split(path)
        folder = folder_of(above) if above else None
        same = [] if folder is None else names_in(folder).get(_composed(name), [])
        return os.path.join(folder or "", same[0]) if len(same) == 1 else None

    return find


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)
