"""ImageNet as ILSVRC unpacks: ``train/nXXXXXXXX/*.JPEG`` and ``val/nXXXXXXXX/*.JPEG``."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

from clarify.data.sources.folder import list_tree
from clarify.data.sources.listing import Listing
from clarify.data.sources.walking import folder_of, subfolders, walk
from clarify.errors import ManifestError, shown

__all__ = ["list_imagenet"]

WNID = re.compile(r"n\d{8}")


def list_imagenet(path: Path, names_of: Callable[[list[str]], Mapping[str, str]]) -> Listing:
    """List ImageNet, or some of its classes, by the names of the classes.

    Papers report on ImageNet's ``val`` as test images, since the true test labels are secret. So
    it becomes the split test, and validation is to be taken from train; unless there is a
    ``test/`` with folders by class too: then ``val`` is validation.

    Parameters
    ----------
    path : Path
        Folder with ``train`` and ``val``, each with one folder a class named by its WordNet id.
    names_of : callable
        Gives different names for a list of WordNet ids; raises on an unknown one.

    Raises
    ------
    ManifestError
        If the folders are not so.
    """
    root = folder_of(path)
    for needed in ("train", "val"):
        if not (root / needed).is_dir():
            raise ManifestError(
                f"folder {root} has no folder {needed!r}; ImageNet has train and val, with one "
                "folder a class in each"
            )
    if not subfolders(root, "val") and walk(root, "val").paths:
        raise ManifestError(
            f"folder {root / 'val'} holds images without folders by class, so their labels are "
            "not known; move each into the folder of its class (n01440764, ...), as "
            "valprep.sh does from the development kit"
        )
    has_test = (root / "test").is_dir() and bool(subfolders(root, "test"))
    tops = {"train": "train", "val": "validation" if has_test else "test"}
    listing = list_tree(root, {**tops, **({"test": "test"} if has_test else {})}, {})
    odd = [name for name in listing.classes if not WNID.fullmatch(name)]
    if odd:
        raise ManifestError(
            f"folder {root}: {shown(odd[0])} is no WordNet id such as n01440764 ({len(odd)} such "
            "folders); folders by other names are read by: clarify data import folder"
        )
    return _named(listing, names_of(list(listing.classes)), has_test)


def _named(listing: Listing, names: Mapping[str, str], has_test: bool) -> Listing:
    label = listing.table["label"].replace_strict(dict(names), return_dtype=pl.String)
    note = (
        "val is validation, test is test"
        if has_test
        else "val is the split test, as is usual for ImageNet; validation comes from train"
    )
    return dataclasses.replace(
        listing,
        classes=tuple(names[wnid] for wnid in listing.classes),
        table=listing.table.with_columns(label),
        notes=(*listing.notes, note),
    )
