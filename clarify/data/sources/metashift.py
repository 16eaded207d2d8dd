"""MetaShift as its scripts write it: folders of contexts, as in ``train/cat/cat(indoor)/1.jpg``."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import polars as pl

from clarify.data.sources.folder import list_folder
from clarify.data.sources.listing import Listing, in_order
from clarify.data.sources.walking import folder_of, subfolders
from clarify.errors import ManifestError, shown

__all__ = ["list_metashift"]

ARCHIVE = "MetaShift-Cat-Dog-indoor-outdoor"  # the folder that subpopulation benchmarks unpack
MIXED = "val_out_of_domain"


def list_metashift(path: Path, *, pool: bool = False) -> Listing:
    """List a data set of MetaShift with the attribute ``context``.

    Source: Liang and Zou 2022, arXiv 2202.06523, and the scripts beside it: its data sets for
    domain generalisation and subpopulation shift have ``train`` and ``test``, the full one has
    classes only. Subpopulation benchmarks take train and test together and split anew.

    Parameters
    ----------
    path : Path
        Holds ``train`` and ``test`` with folders by class in each, or folders by class; each class
        has folders ``CLASS(CONTEXT)``. May also hold these in ``MetaShift-Cat-Dog-indoor-outdoor``.
    pool : bool
        Forget the folders' splits.

    Returns
    -------
    Listing
        An image that lies in several contexts is listed in each.

    Raises
    ------
    ManifestError
        If the folders are not so, or are the mixed version, whose contexts are in a pickle.
    """
    root = folder_of(path)
    if (root / ARCHIVE).is_dir():
        root = root / ARCHIVE
    if MIXED in subfolders(root):
        raise ManifestError(_mixed(root, f"has a folder {MIXED}"))
    listing = list_folder(root)
    depth = 1 if listing.splits else 0
    pairs = zip(listing.table["path"], listing.table["label"], strict=True)
    contexts = [_context(root, path, label, depth) for path, label in pairs]
    table = listing.table.with_columns(pl.Series("context", contexts, dtype=pl.String))
    notes, guesses = [*listing.notes, *_several(table)], listing.guesses
    if pool and listing.splits:
        notes.append(f"{' and '.join(listing.splits)} are taken together and split anew")
        table, guesses = table.drop("split"), {}
    return dataclasses.replace(
        listing, table=table, attributes={"context": in_order(contexts)}, guesses=guesses, notes=tuple(notes)
    )


def _context(root: Path, path: str, label: str, depth: int) -> str:
    inside = path.split("/")[depth + 1 : -1]
    if not inside:
        raise ManifestError(_mixed(root, f"holds {shown(path)}, outside a context"))
    name = inside[0]
    context = name.removeprefix(f"{label}(").removesuffix(")")
    if name != f"{label}({context})" or not context.strip():
        raise ManifestError(
            f"folder {root}: class {shown(label)} has a folder {shown(name)}; legal is "
            f"{label}(CONTEXT), as in {label}(indoor)"
        )
    return context


def _mixed(root: Path, why: str) -> str:
    return (
        f"folder {root} {why}: that is MetaShift's mixed version, whose contexts are in a pickle "
        "that Clarify does not read; import the unmixed version, with folders such as "
        "train/cat/cat(indoor)"
    )


def _several(table: pl.DataFrame) -> tuple[str, ...]:
    """Tell how many images lie in several contexts of their class, by their names."""
    names = table.select("label", pl.col("path").str.extract(r"([^/]*)$").alias("file"))
    count = names.group_by("label", "file").len().filter(pl.col("len") > 1).height
    if not count:
        return ()
    return (f"file names in several contexts of a class: {count:,}; each place counts as an image",)
