"""Waterbirds as its authors give it: ``metadata.csv`` and a folder of images a species."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from clarify.data.reading import read_table
from clarify.data.sources.listing import Listing
from clarify.data.sources.places import check_places
from clarify.data.sources.walking import folder_of
from clarify.errors import ManifestError, shown

__all__ = ["list_waterbirds"]

# Sagawa et al. 2020 number them so.
MEANINGS = {
    "y": {"0": "landbird", "1": "waterbird"},
    "split": {"0": "train", "1": "validation", "2": "test"},
    "place": {"0": "land", "1": "water"},
}
CLASSES = ("landbird", "waterbird")
PLACES = ("land", "water")


def list_waterbirds(path: Path) -> Listing:
    """List Waterbirds, with the attribute ``place``.

    Parameters
    ----------
    path : Path
        Folder with ``metadata.csv``: ``img_id, img_filename, y, split, place``.

    Raises
    ------
    ManifestError
        If the file or a column is missing, a value is not one of the known, or images are absent.
    """
    root = folder_of(path)
    where = root / "metadata.csv"
    table = read_table(where)
    for name in ("img_id", "img_filename", *MEANINGS):
        if name not in table.columns:
            raise ManifestError(
                f"table {where} has no column {name!r}; Waterbirds has img_id, img_filename, y, "
                f"split, place; other tables are read by: clarify data import table {where}"
            )
    check_places(root, table["img_filename"].fill_null(""), where)
    made = {name: _translated(table[name], name, where) for name in MEANINGS}
    frame = pl.DataFrame(
        [
            table["img_id"].alias("id"),
            table["img_filename"].alias("path"),
            made["y"].alias("label"),
            made["split"],
            made["place"],
        ]
    )
    return Listing(root=root, classes=CLASSES, table=frame, attributes={"place": PLACES})


def _translated(column: pl.Series, name: str, where: Path) -> pl.Series:
    known = MEANINGS[name]
    unknown = (~column.is_in(list(known)).fill_null(False)).arg_true()
    if unknown.len():
        raise ManifestError(
            f"table {where} row {unknown[0] + 1}: {name} is {shown(column[unknown[0]])}; legal are "
            + ", ".join(f"{key} ({meaning})" for key, meaning in known.items())
        )
    return column.replace_strict(known, return_dtype=pl.String).alias(name)
