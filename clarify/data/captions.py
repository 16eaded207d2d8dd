"""Captions of a data set's images: read from a table, every row checked, and kept in the home.

``<home>/captions/<data set>.parquet`` has a row a caption: the image's id, and what is written under it.
By id, so that a later version of the manifest finds them as well.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from clarify.data.files import write_atomically, writing
from clarify.data.manifest import Manifest
from clarify.data.matching import rows_named
from clarify.data.predictions import ID_COLUMNS, refuse_rows, which_column
from clarify.data.reading import as_text, read_typed_table
from clarify.errors import InputError, StoreError, one_line, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "CAPTION_COLUMNS",
    "Captions",
    "captions_file",
    "count_captioned",
    "keep_captions",
    "kept_captions",
    "read_captions",
]

SCHEMA = pl.Schema({"id": pl.String, "caption": pl.String})
CAPTION_COLUMNS = ("caption", "captions", "text", "description", "sentence")
MOST_CHARACTERS = 2_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Captions:
    """What people, or a machine, wrote under images.

    Parameters
    ----------
    texts : tuple of M str
        In the order of the images' rows.
    rows : (M,) int64
        The row of the manifest's table that each is of, ascending; an image may have several.
    splits : mapping of split to int
        How many captioned images each has.
    digest : str
        SHA-256 of ids and texts, 64 hexadecimal digits.
    """

    texts: tuple[str, ...]
    rows: NDArray[np.int64]
    splits: Mapping[str, int]
    digest: str

    def to_dict(self) -> dict[str, Any]:
        """Return what is recorded of them."""
        return {"sha256": self.digest, "captions": len(self.texts), "images": dict(self.splits)}


def read_captions(path: Path, manifest: Manifest, *, with_test: bool = False) -> Captions:
    """Read captions.

    Parameters
    ----------
    path : Path
        A .csv, .tsv, .parquet or .jsonl with a column of ids, or paths as in the data set's table, and
        one of captions (`CAPTION_COLUMNS`).
    with_test : bool
        Whether captions of images of the split test are read as well: what is learned from them has seen
        the images that models are reported on.

    Raises
    ------
    ManifestError
        If a column is missing, or a caption is empty or longer than 2,000 characters.
    InputError
        For images that the data set does not have, and for images of test.
    """
    table = read_typed_table(path)
    id_column = which_column(path, table, ID_COLUMNS)
    column = which_column(path, table, CAPTION_COLUMNS)
    texts = as_text(table, column, path).str.strip_chars().str.replace_all(r"\s+", " ")
    refuse_rows(path, (texts.fill_null("") == ""), f"{column} is empty; each row needs a caption")
    long = texts.str.len_chars() > MOST_CHARACTERS
    refuse_rows(path, long, f"{column} has more than {MOST_CHARACTERS:,} characters; fewer are legal")
    rows = _rows(path, manifest, as_text(table, id_column, path).fill_null("").to_list())
    splits = manifest.table["split"].gather(rows)
    if "test" in splits and not with_test:
        count = int((splits == "test").sum())
        raise InputError(
            f"{path}: {count:,} captions are of images of split test, which stays untouched so that reports "
            "mean something; leave them out, or give --with-test"
        )
    order = np.argsort(rows, kind="stable")
    ids = manifest.table["id"].to_list()
    kept = [(ids[rows[number]], texts[int(number)]) for number in order]
    images = pl.DataFrame({"row": rows, "split": splits}).unique("row").group_by("split").len()
    return Captions(
        texts=tuple(text for _, text in kept),
        rows=rows[order],
        splits=dict(sorted(images.iter_rows())),
        digest=hashlib.sha256(json.dumps(sorted(kept), ensure_ascii=False).encode()).hexdigest(),
    )


def captions_file(home: Path, data_set: str) -> Path:
    """Return where a data set's captions are kept."""
    return home / "captions" / f"{data_set}.parquet"


def keep_captions(home: Path, manifest: Manifest, captions: Captions) -> int:
    """Keep captions with their data set, in place of those before; returns of how many images these were.

    Raises
    ------
    StoreError
        If they cannot be written; those before are then as they were.
    """
    path, replaced = captions_file(home, manifest.name), count_captioned(home, manifest.name)
    content = io.BytesIO()
    columns = {"id": manifest.table["id"].gather(captions.rows), "caption": captions.texts}
    pl.DataFrame(columns, schema=SCHEMA).write_parquet(content)
    with writing(path.parent, hint="then give the same command again"):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, [content.getbuffer()])
    return replaced


def count_captioned(home: Path, data_set: str) -> int:
    """Return how many images have captions that can be read."""
    with contextlib.suppress(StoreError):  # what is damaged may be replaced
        return len(kept_captions(home, data_set))
    return 0


def kept_captions(home: Path, data_set: str) -> dict[str, tuple[str, ...]]:
    """Return the captions of a data set by image id; none where nobody gave any.

    Raises
    ------
    StoreError
        If their file is damaged.
    """
    path = captions_file(home, data_set)
    if not path.exists():
        return {}
    try:
        table = pl.read_parquet(path)
        if table.schema != SCHEMA or table.null_count().sum_horizontal().item():
            raise ValueError(f"columns {dict(table.schema)}")
    except Exception as error:  # polars has several kinds
        raise StoreError(
            f"{path} is damaged ({one_line(error)}); give the captions again (--captions FILE), or remove it"
        ) from None
    images = table.group_by("id", maintain_order=True).agg("caption")
    return {name: tuple(texts) for name, texts in images.iter_rows()}


def _rows(path: Path, manifest: Manifest, names: list[str]) -> NDArray[np.int64]:
    """Return which row of the data set's table each caption is of."""
    rows = rows_named(manifest, names)
    known = [row for row in rows if row is not None]
    missing = [name for name, row in zip(names, rows, strict=True) if row is None]
    if missing:
        raise InputError(
            f"{path}: {len(missing):,} of {len(names):,} captions are of no image of data set "
            f"{manifest.name}, such as {shown(missing[0])}; ids or paths as in its table are legal"
        )
    return np.array(known, dtype=np.int64)
