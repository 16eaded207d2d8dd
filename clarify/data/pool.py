"""Images that nobody labelled: a folder of pictures, or a list of them."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import polars as pl

from clarify.data.images import BadImage
from clarify.data.opening import contents
from clarify.data.parallel import Progress
from clarify.data.reading import read_table
from clarify.data.sources.walking import folder_of, refuse_unread, walk
from clarify.errors import InputError, NotFoundError, named

__all__ = ["ImageTable", "Pool", "read_pool"]

LISTS = (".csv", ".txt")


class ImageTable(Protocol):
    """What features are made and kept of: a `Manifest`, or a `Pool`; ``id, path`` and perhaps ``content``."""

    @property
    def name(self) -> str:
        """What it is called, in folders too."""

    @property
    def root(self) -> Path:
        """Folder that the paths are relative to."""

    @property
    def table(self) -> pl.DataFrame:
        """A row an image."""

    @property
    def digest(self) -> str:
        """Hash of what it says."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Images without labels.

    Parameters
    ----------
    name, root, table, digest
        As of `ImageTable`.
    bad : tuple of BadImage
        Files that cannot be read, which are not in the table.
    """

    name: str
    root: Path
    table: pl.DataFrame
    bad: tuple[BadImage, ...] = ()
    digest: str = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        for column in ("id", "path"):
            if twice := self.table[column].filter(self.table[column].is_duplicated()).head(1).to_list():
                raise InputError(
                    f"pool {self.name}: {column} {twice[0]!r} is there twice; each may stand once"
                )
        rows = self.table.select(pl.concat_str(pl.all(), separator="\x1f")).to_series()
        text: str = rows.str.join("\x1e").item()
        object.__setattr__(self, "digest", hashlib.sha256(text.encode()).hexdigest())


def read_pool(place: Path, *, workers: int, progress: Callable[[Progress], None] | None = None) -> Pool:
    """Read a pool of pictures, and hash each.

    Parameters
    ----------
    place : Path
        A folder, all pictures below it; or a list of them, relative to its folder: ``.txt`` with a path a
        line, ``.csv`` with a column ``path`` and perhaps ``id``.
    workers : int
        Threads that read.

    Raises
    ------
    NotFoundError, ManifestError, InputError
        If there is no such place, or no picture in it that can be read.
    """
    if place.is_dir():
        root = folder_of(place)
        found = walk(root, "")
        refuse_unread(root, found.unread)
        table = pl.DataFrame({"path": [path.lstrip("/") for path in found.paths]}, schema={"path": pl.String})
    else:
        root, table = Path(os.path.abspath(place.parent)), _listed(place)
    if "id" not in table.columns:
        table = table.with_columns(pl.col("path").alias("id"))
    seen = contents([root / path for path in table["path"]], workers=workers, inside=root, progress=progress)
    good = [not isinstance(each, BadImage) for each in seen]
    kept = table.select("id", "path").filter(pl.Series(good, dtype=pl.Boolean))
    bad = tuple(each for each in seen if isinstance(each, BadImage))
    if not kept.height:
        first = f"; the first is {bad[0].path}: {bad[0].reason}" if bad else ""
        raise InputError(f"pool {place} has no picture that can be read, of {len(seen)}{first}")
    read = pl.Series("content", [each for each in seen if isinstance(each, str)], dtype=pl.String)
    name = f"pool-{hashlib.sha256(str(root).encode()).hexdigest()[:8]}"
    return Pool(name=name, root=root, table=kept.with_columns(read), bad=bad)


def _listed(place: Path) -> pl.DataFrame:
    if not place.is_file():
        raise NotFoundError(
            f"there is no pool {place}; legal are a data set of the home, a folder of pictures, a list of "
            f"them ({', '.join(LISTS)}), or their features (.npz, .npy, .parquet)"
        )
    if place.suffix == ".csv":
        table = read_table(place)
        if "path" not in table.columns:
            raise InputError(f"pool {place} has the columns {named(table.columns)}; path is needed")
        return table
    try:
        lines = place.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"pool {place} is no text in UTF-8; legal is one path a line") from None
    paths = [line.strip() for line in lines if line.strip()]
    return pl.DataFrame({"path": paths}, schema={"path": pl.String})
