"""Splitting by content: the same picture never falls on both sides, whatever it is called."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping

import polars as pl

from clarify.data.opening import BadImage, contents
from clarify.data.parallel import Progress
from clarify.data.sources.listing import Listing
from clarify.errors import ManifestError, few, shown

__all__ = ["split_by_content", "with_content", "with_splits"]

SHARES = {"train": 0.70, "validation": 0.15, "test": 0.15}
CARVED = {"train": 0.85, "validation": 0.15}


def with_splits(
    listing: Listing,
    *,
    seed: int,
    workers: int,
    progress: Callable[[Progress], None] | None = None,
    leave_out_rare: bool = False,
) -> Listing:
    """Give every image a split, as far as it has none.

    Parameters
    ----------
    listing : Listing
        With no splits: all images are split 70/15/15 into train, validation and test. With train
        and no validation: 15 percent of train becomes validation. Otherwise returned as it is.
    seed : int
        Another seed, another split; the same images and seed, the same split.
    workers : int
        Threads that hash; the hashes are kept as the column ``content``.
    leave_out_rare : bool
        Leave out the classes that do not have an image in every split.

    Raises
    ------
    ManifestError
        If there is no train, a file cannot be read, or a class has too few different images.
    """
    found = _with_splits(listing, seed, workers, progress, leave_out_rare)
    return _without_rare(found) if leave_out_rare else found


def _with_splits(
    listing: Listing,
    seed: int,
    workers: int,
    progress: Callable[[Progress], None] | None,
    leave_out_rare: bool,
) -> Listing:
    known = listing.splits
    if "train" in known and "validation" in known:
        return listing
    if known and "train" not in known:
        raise ManifestError(
            f"{listing.root} has images of {', '.join(known)} but none of train; legal are splits "
            "with train among them, or none at all"
        )
    hashed = with_content(listing, workers=workers, progress=progress)
    table = hashed.table
    if not known:
        shares, rows = SHARES, table
        note = f"split by content, seed {seed}: 70 % train, 15 % validation, 15 % test"
    else:
        shares, rows = CARVED, table.filter(pl.col("split") == "train")
        note = f"no validation given: 15 % of train were taken by content, seed {seed}"
    split = split_by_content(
        rows["content"].to_list(), rows["label"].to_list(), shares, seed, allow_rare=leave_out_rare
    )
    chosen = pl.col("content").replace_strict(split, default=None, return_dtype=pl.String)
    if known:
        chosen = pl.when(pl.col("split") == "train").then(chosen).otherwise(pl.col("split"))
    return dataclasses.replace(
        hashed, table=table.with_columns(chosen.alias("split")), notes=(*hashed.notes, note)
    )


def _without_rare(listing: Listing) -> Listing:
    table = listing.table
    splits = dict(table.group_by("label").agg(pl.col("split").n_unique()).iter_rows())
    rare = [label for label in listing.classes if splits.get(label, 0) < len(listing.splits)]
    if not rare:
        return listing
    kept = table.filter(~pl.col("label").is_in(rare))
    note = (
        f"left out for want of an image in every split: {len(rare):,} of {len(listing.classes):,} classes "
        f"with {table.height - kept.height:,} images: {few(rare)}"
    )
    return dataclasses.replace(
        listing,
        table=kept,
        classes=tuple(label for label in listing.classes if label not in rare),
        attributes={
            name: tuple(value for value in values if value in set(kept[name]))
            for name, values in listing.attributes.items()
        },
        notes=(*listing.notes, note),
    )


def split_by_content(
    content: list[str], labels: list[str], shares: Mapping[str, float], seed: int, *, allow_rare: bool = False
) -> dict[str, str]:
    """Assign each different content to a split, class by class.

    Parameters
    ----------
    content, labels : lists of N
        A content that stands under several classes is counted with the first of them by name.
    shares : mapping of split to float
        Sum 1; the first gets what rounding leaves. Every other gets at least one of each class.
    allow_rare : bool
        Leave classes with fewer different contents than there are splits to the first.

    Returns
    -------
    dict of content to split

    Raises
    ------
    ManifestError
        If a class has fewer different contents than there are splits; lists all such classes.
    """
    class_of: dict[str, str] = {}
    for key, label in zip(content, labels, strict=True):
        class_of[key] = min(label, class_of.get(key, label))
    members: defaultdict[str, list[str]] = defaultdict(list)
    for key, label in class_of.items():
        members[label].append(key)
    rare = {label: count for label in sorted(set(labels)) if (count := len(members[label])) < len(shares)}
    if rare and not allow_rare:
        told = ", ".join(f"{shown(label)} has {count}" for label, count in list(rare.items())[:5])
        more = f" and {len(rare) - 5} more classes" if len(rare) > 5 else ""
        raise ManifestError(
            f"too few different images to split into {', '.join(shares)}: {told}{more}; each "
            f"class needs at least {len(shares)}: add some, or leave such classes out (--leave-out-rare)"
        )
    first, *rest = shares
    chosen = dict.fromkeys(class_of, first)
    for label, keys in members.items():
        if label in rare:
            continue
        shuffled = sorted(keys, key=lambda key: hashlib.sha256(f"{seed}:{key}".encode()).digest())
        for split in rest:
            count = max(1, round(shares[split] * len(keys)))
            chosen.update(dict.fromkeys((shuffled.pop() for _ in range(count)), split))
    return chosen


def with_content(
    listing: Listing, *, workers: int, progress: Callable[[Progress], None] | None = None
) -> Listing:
    """Hash every file into the column ``content``.

    Raises
    ------
    ManifestError
        If a file cannot be read; tells the first and how many.
    """
    paths = [listing.root / path for path in listing.table["path"]]
    found = contents(paths, workers=workers, progress=progress)
    bad = [each for each in found if isinstance(each, BadImage)]
    if bad:
        more = f" (and {len(bad) - 1} more files)" if len(bad) > 1 else ""
        raise ManifestError(f"{bad[0]}{more}; mend or remove it, and import again")
    column = pl.Series("content", found, dtype=pl.String)
    return dataclasses.replace(listing, table=listing.table.with_columns(column))
