"""Waterbirds as its authors give it: ``metadata.csv`` and a folder of images a species."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from clarify.data.reading import read_table
from clarify.data.sources.listing import NUMBERED_SPLITS, Listing, translated
from clarify.data.sources.places import check_places
from clarify.data.sources.walking import folder_of
from clarify.errors import ManifestError

__all__ = ["list_waterbirds"]

# Sagawa et al. 2020 number them so.
MEANINGS = {
    "y": {"0": "landbird", "1": "waterbird"},
    "split": NUMBERED_SPLITS,
    "place": {"0": "land", "1": "water"},
}


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
    paths = check_places(root, table["img_filename"].fill_null(""), where)
    made = [translated(table[name], meanings, where) for name, meanings in MEANINGS.items()]
    columns = {"img_id": "id", "img_filename": "path", "y": "label"}
    frame = pl.DataFrame([table["img_id"], paths, *made]).rename(columns)
    classes, places = (tuple(MEANINGS[name].values()) for name in ("y", "place"))
    return Listing(root=root, classes=classes, table=frame, attributes={"place": places})
