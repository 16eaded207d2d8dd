"""Which image of a data set a name means that another tool wrote: its id, its path, or its absolute path."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from clarify.data.manifest import Manifest
from clarify.data.spelling import speller
from clarify.errors import InputError, shown

__all__ = ["check_distinct", "rows_named"]


def rows_named(manifest: Manifest, names: Sequence[str]) -> list[int | None]:
    """Return the row of the manifest's table that each of N names means, or None.

    Names are ids, paths as in the table, or absolute paths: whichever knows most of them. One that is not
    there as it stands may be spelt otherwise (see `speller`), if only one image is spelt so.
    """
    paths = manifest.table["path"].to_list()
    absolute = [f"{manifest.root}/{path}" for path in paths]
    plain = speller()
    found = [_rows(names, known, plain) for known in (manifest.table["id"].to_list(), paths, absolute)]
    return max(found, key=lambda rows: len(rows) - rows.count(None))


def _rows(names: Sequence[str], known: list[str], plain: Callable[[str], str]) -> list[int | None]:
    exact = {name: row for row, name in enumerate(known)}
    if all(name in exact for name in names):
        return [exact[name] for name in names]
    spelt: dict[str, int | None] = {}
    for row, name in enumerate(known):
        spelt[plain(name)] = None if plain(name) in spelt else row
    return [exact[name] if name in exact else spelt.get(plain(name)) for name in names]


def check_distinct(where: object, names: Sequence[str], rows: Sequence[int | None]) -> None:
    """Raise InputError if two names of a file mean one image."""
    first: dict[int, str] = {}
    for name, row in zip(names, rows, strict=True):
        if row is not None and first.setdefault(row, name) != name:
            raise InputError(
                f"{where}: {shown(first[row])} and {shown(name)} are one image, spelt in two ways; "
                "each may stand once"
            )
