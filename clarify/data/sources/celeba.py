"""CelebA as its authors, or Kaggle, give it: two lists and a folder of aligned faces."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from clarify.data.reading import read_table
from clarify.data.sources.listing import NUMBERED_SPLITS, Listing, translated, unknown_rows
from clarify.data.sources.places import check_places
from clarify.data.sources.walking import folder_of
from clarify.errors import ManifestError, nearest, shown

__all__ = ["list_celeba"]

FACES = "img_align_celeba"


def list_celeba(path: Path, *, target: str, attributes: tuple[str, ...]) -> Listing:
    """List CelebA with one of its 40 annotations as the class and others as attributes.

    Parameters
    ----------
    path : Path
        Folder with ``list_attr_celeba.txt`` or ``.csv``, ``list_eval_partition.txt`` or ``.csv``,
        and ``img_align_celeba/``.
    target : str
        The classes are ``not TARGET`` (0) and ``TARGET`` (1).
    attributes : tuple of str
        Each has the values ``not NAME`` and ``NAME``.

    Raises
    ------
    ManifestError
        If a file is missing or broken, an annotation is unknown, or images are absent.
    """
    root = folder_of(path)
    faces = root / FACES
    if (faces / FACES).is_dir():  # as Kaggle's archive unpacks
        faces = faces / FACES
    where, table = _read(root, "list_attr_celeba")
    _, splits = _read(root, "list_eval_partition")
    for name in (target, *attributes):
        if name not in table.columns[1:]:
            raise ManifestError(
                f"table {where} has no annotation {shown(name)}; {nearest(name, table.columns[1:])}"
            )
    if target in attributes:
        raise ManifestError(f"{target} is the target; give another --attribute")
    file = table.columns[0]
    joined = table.join(splits.select(pl.nth(0).alias(file), pl.nth(1).alias("split")), on=file, how="left")
    made = {
        name: translated(
            joined[name], {"1": name, "-1": f"not {name}", "0": f"not {name}"}, where, legal="are 1 and -1"
        )
        for name in (target, *attributes)
    }
    below = faces.relative_to(root).as_posix()
    names = joined[file].fill_null("")
    paths = (below + "/" + names).alias("path")
    paths = check_places(root, paths, where)
    frame = pl.DataFrame(
        [names.alias("id"), paths, made[target].alias("label"), _splits(joined, file, root)]
        + [made[name] for name in attributes]
    )
    return Listing(
        root=root,
        classes=(f"not {target}", target),
        table=frame,
        attributes={name: (f"not {name}", name) for name in attributes},
    )


def _read(root: Path, name: str) -> tuple[Path, pl.DataFrame]:
    """Read a list from its CSV, or from the authors' text in columns of spaces."""
    csv, text = root / f"{name}.csv", root / f"{name}.txt"
    if csv.is_file():
        table, where = read_table(csv), csv
    elif text.is_file():
        table, where = _read_text(text), text
    else:
        raise ManifestError(f"folder {root} has neither {name}.txt nor {name}.csv; put it there")
    if table.width < 2 or table.height == 0:
        raise ManifestError(f"table {where} has no rows or no columns; it needs a file and a value")
    return where, table


def _read_text(path: Path) -> pl.DataFrame:
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"table {path} cannot be read as text: {error}") from None
    lines = [cells for cells in lines if cells]
    if lines and len(lines[0]) == 1:  # how many rows follow
        header, rows = ["image_id", *lines[1]] if len(lines) > 1 else [], lines[2:]
    else:
        header, rows = ["image_id", "partition"], lines
    for number, cells in enumerate(rows, start=1):
        if len(cells) != len(header):
            raise ManifestError(f"table {path} row {number} has {len(cells)} cells; legal are {len(header)}")
    return pl.DataFrame(rows, schema=dict.fromkeys(header, pl.String), orient="row")


def _splits(joined: pl.DataFrame, file: str, root: Path) -> pl.Series:
    unknown = unknown_rows(joined["split"], NUMBERED_SPLITS)
    if unknown.len():
        row = unknown[0]
        raise ManifestError(
            f"list_eval_partition of {root}: {shown(joined[file][row])} has the split "
            f"{shown(joined['split'][row])}; legal are 0 (train), 1 (validation), 2 (test)"
        )
    return joined["split"].replace_strict(NUMBERED_SPLITS, return_dtype=pl.String)
