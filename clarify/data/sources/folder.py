"""A folder tree: ``PATH/train/class/x.jpg``, or ``PATH/class/x.jpg``."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from pathlib import Path

import polars as pl

from clarify.data.sources.listing import SPLIT_NAMES, Listing, check_left_out
from clarify.data.sources.walking import folder_of, refuse_unread, subfolders, walk
from clarify.errors import ManifestError, is_name, shown

__all__ = ["check_classes", "list_folder", "list_tree", "others_note"]


def list_folder(path: Path, leave_out: Collection[str] = ()) -> Listing:
    """List a folder of images whose class is the folder they lie in.

    Parameters
    ----------
    path : Path
        Holds folders named after splits (train, val, test, ...) with one folder a class in each,
        or one folder a class. Deeper folders belong to their class; hidden files do not count.
    leave_out : collection of str
        Names of folders of splits and of classes that are not looked into.

    Returns
    -------
    Listing
        Without splits in the second case.

    Raises
    ------
    ManifestError
        If it is neither, or holds no images.
    """
    root = folder_of(path)
    every = subfolders(root)
    names = [name for name in every if name.strip() not in leave_out]
    splits = {name: SPLIT_NAMES[name.lower()] for name in names if name.lower() in SPLIT_NAMES}
    if leave_out:
        there = {name.strip() for top in ("", *splits) for name in subfolders(root, top)}
        check_left_out(leave_out, there, root)
    if not splits:
        return list_tree(root, {"": None}, {}, leave_out)
    classes = [name for name in names if name not in splits]
    if classes:
        raise ManifestError(
            f"folder {root} has folders named after splits ({', '.join(splits)}) and others "
            f"({', '.join(classes[:5])}); keep one kind only, or leave some out: --leave-out {classes[0]}"
        )
    guessed = {f"folder {name}": f"split {split}" for name, split in splits.items()}
    return list_tree(root, dict(splits), guessed, leave_out)


def list_tree(
    root: Path, tops: dict[str, str | None], guesses: dict[str, str], leave_out: Collection[str] = ()
) -> Listing:
    """List class folders below some folders of the root.

    Parameters
    ----------
    tops : dict of str to (str or None)
        A folder of class folders, relative to the root, and its split; ``""`` is the root.
    guesses : dict of str to str
        Handed on.
    leave_out : collection of str
        Classes that are not looked into.
    """
    splits = [split for split in tops.values() if split is not None]
    twice = next((split for split in splits if splits.count(split) > 1), None)
    if twice is not None:
        both = ", ".join(top for top, split in tops.items() if split == twice)
        raise ManifestError(f"folder {root}: {both} all mean the split {twice!r}; keep one")
    parts, others, unread = [], 0, []
    for top, split in tops.items():
        folder = root / top
        names = [name for name in subfolders(root, top) if name.strip() not in leave_out]
        if not names:
            raise ManifestError(
                f"folder {folder} has no folders in it; legal is one folder a class, as in "
                f"{folder.name}/cat/1.jpg"
            )
        for name in names:
            found = walk(root, f"{top}/{name}" if top else name)
            others += found.others
            unread += found.unread
            parts.append(_rows(found.paths, name.strip(), split))
    refuse_unread(root, unread)
    table = pl.concat(parts)
    classes = tuple(sorted(table["label"].unique()))
    check_classes(root, classes)
    return Listing(root=root, classes=classes, table=table, guesses=guesses, notes=others_note(others))


def check_classes(root: Path, classes: tuple[str, ...]) -> None:
    """Raise ManifestError unless there are two classes or more, each with a printable name."""
    if len(classes) < 2:
        have = f"only the class {shown(classes[0])}" if classes else "no image"
        raise ManifestError(
            f"folder {root} holds {have}; legal are at least two folders with images, one a class"
        )
    for name in classes:
        if not is_name(name):
            raise ManifestError(
                f"folder {root}: a class is called {shown(name)}; legal are 1 to 100 printable "
                "characters: rename its folder"
            )


def others_note(others: int) -> tuple[str, ...]:
    """Say how many files were no images by their ending."""
    if not others:
        return ()
    what = "file has" if others == 1 else "files have"
    return (f"{others:,} {what} no ending of an image and {'is' if others == 1 else 'are'} not in",)


def _rows(paths: list[str], label: str, split: str | None) -> pl.DataFrame:
    columns = [pl.Series("path", paths, dtype=pl.String)]
    table = pl.DataFrame(columns).with_columns(pl.lit(unicodedata.normalize("NFC", label)).alias("label"))
    return table if split is None else table.with_columns(pl.lit(split).alias("split"))
