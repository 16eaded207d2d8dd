"""Labels of a pool that come back: the images become training images of a new data set, with its features."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clarify.data.labels import Answer
from clarify.data.manifest import Manifest
from clarify.data.names import check_name
from clarify.embed.imported import imported_folder
from clarify.embed.store import BadRow
from clarify.errors import InputError, nearest, shown
from clarify.track.records import collection_record
from clarify.workflow.collect.pools import OpenPool
from clarify.workflow.home.correlate import write_made
from clarify.workflow.model.models import Model
from clarify.workflow.model.project import Workspace, open_features, run_context

__all__ = ["Accepted", "accept"]

NOT_ANNOTATED = "not annotated"
"""The value that each annotated attribute has of a collected image: nobody was asked."""

LONGEST_SOURCE = 1_900


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """Labels that were taken in.

    Parameters
    ----------
    manifest : Manifest
        The data set that was made.
    images : mapping of class to int
        How many it has more than the one that it was made of.
    unlabelled : int
        Images that came back without a label.
    left_out : tuple of str
        What was not taken in, and why, a line each.
    """

    run: str
    manifest: Manifest
    toml: Path
    images: dict[str, int]
    unlabelled: int
    left_out: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "run": self.run,
            "data_set": self.manifest.name,
            "manifest": str(self.toml),
            "digest": self.manifest.digest,
            "images": self.images,
            "unlabelled": self.unlabelled,
            "left_out": list(self.left_out),
        }


def accept(
    project: Workspace,
    model: Model,
    pool: OpenPool,
    answers: Sequence[Answer],
    *,
    source: Path,
    out_name: str,
) -> Accepted:
    """Make a data set of the project's with the labelled images of a pool among its training images.

    Nothing is copied: its root is the folder that both have in common. Features, encoders and their
    settings are taken along, so that it can be trained at once. Ids that the pool has not, labels of no
    class, two labels of one image, and images that are there already are left out, each with its line.

    Parameters
    ----------
    source : Path
        Where the answers were read.
    out_name : str
        Of the new data set.

    Raises
    ------
    InputError
        If no label is left, or the name is another data set's; nothing is written then.
    ManifestError, StoreError
        If the name is not legal, or the home cannot be written.
    """
    check_name(out_name)
    labels, left_out = _sorted_out(project.manifest, pool, answers)
    unlabelled = sum(not each.label for each in answers)
    if not labels:
        first = f", such as: {left_out[0]}" if left_out else ""
        raise InputError(
            f"labels {source}: none of {len(answers):,} can be taken in ({unlabelled:,} are empty, "
            f"{len(left_out):,} left out{first}); mend the file, and give the command again"
        )
    rows = np.array(list(labels), dtype=np.int64)
    said = sorted({each.collection for each in answers if each.collection})
    manifest = _manifest(project, pool, rows, list(labels.values()), said, out_name)
    _take_along(project, pool, rows, manifest)
    toml = write_made(project.home, manifest)
    counts = {name: list(labels.values()).count(name) for name in project.manifest.classes}
    ids = pool.images.table["id"][rows]
    record = collection_record(
        run_context(project, "train"),
        action="accepted",
        pool={
            "pool": pool.called,
            "digest": pool.images.digest,
            "labels_sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
        },
        by=", ".join(said),
        made=f"{out_name} ({manifest.digest[:12]})",
        descriptions=(),
        counts={"images": len(rows), "unlabelled": unlabelled, "left_out": len(left_out)},
        images=pl.DataFrame({"id": ids, "label": list(labels.values())}),
        parent=model.run_id,
    )
    return Accepted(
        run=project.tracking.log(record),
        manifest=manifest,
        toml=toml,
        images=counts,
        unlabelled=unlabelled,
        left_out=tuple(left_out),
    )


def _sorted_out(
    manifest: Manifest, pool: OpenPool, answers: Sequence[Answer]
) -> tuple[dict[int, str], list[str]]:
    """Return the label by the pool's row, and a line for each answer that is not taken in."""
    number = {name: row for row, name in enumerate(pool.images.table["id"].to_list())}
    # A spreadsheet takes "=1.png" for a formula, so a table that is written for one says "'=1.png".
    number |= {f"'{name}": row for name, row in number.items() if name[:1] in "=+-@" and name}
    valid, given, lines = pool.valid, dict[int, list[str]](), list[str]()
    for each in answers:
        row = number.get(each.id)
        if row is None:
            lines.append(f"{each.id}: pool {pool.called} has no such id")
        elif each.label and each.label not in manifest.classes:
            lines.append(
                f"{each.id}: {shown(each.label)} is no class; {nearest(each.label, manifest.classes)}"
            )
        elif each.label:
            given.setdefault(row, []).append(each.label)
    labels = dict[int, str]()
    for row, said in given.items():
        name = pool.images.table["id"][row]
        if len(set(said)) > 1:
            lines.append(f"{name}: labels in conflict: {', '.join(dict.fromkeys(said))}")
        elif pool.there[row]:
            lines.append(f"{name}: is in data set {manifest.name} already")
        elif not valid[row]:
            lines.append(f"{name}: could not be read when the pool was embedded")
        else:
            labels[row] = said[0]
            if len(said) > 1:
                lines.append(f"{name}: labelled {len(said)} times, each time {said[0]}; taken in once")
    return labels, lines


def _manifest(
    project: Workspace,
    pool: OpenPool,
    rows: NDArray[np.int64],
    labels: list[str],
    collections: Sequence[str],
    out_name: str,
) -> Manifest:
    base, images = project.manifest, pool.images
    root = Path(os.path.commonpath([base.root, images.root]))

    def below(folder: Path) -> pl.Expr:
        before = "" if folder == root else f"{folder.relative_to(root).as_posix()}/"
        return pl.lit(before) + pl.col("path")

    known = set(base.table["id"].to_list())
    ids = [
        name if name not in known else f"{images.name}/{name}" for name in images.table["id"][rows].to_list()
    ]
    hashed = "content" in base.table.columns and "content" in images.table.columns
    kept = ["content"] if hashed else []
    old = base.table.select("id", below(base.root).alias("path"), "label", "split", *kept, *base.attributes)
    new = images.table[rows].select(
        pl.Series("id", ids, dtype=pl.String),
        below(images.root).alias("path"),
        pl.Series("label", labels, dtype=pl.String),
        pl.lit("train").alias("split"),
        *kept,
        *[pl.lit(NOT_ANNOTATED).alias(name) for name in base.attributes],
    )
    told = f" after rankings {', '.join(each[:8] for each in collections)}" if collections else ""
    return Manifest(
        name=out_name,
        title=f"{base.title}, with {len(rows):,} collected images",
        source=(
            f"data set {base.name} ({base.digest[:12]}) and {len(rows):,} images of pool {pool.called} "
            f"({images.digest[:12]}), labelled{told}, taken in by {project.reviewer}; {base.source}"
        )[:LONGEST_SOURCE],
        licence=base.licence,
        root=root,
        classes=base.classes,
        splits=base.splits,
        attributes={
            name: tuple(dict.fromkeys([*values, NOT_ANNOTATED])) for name, values in base.attributes.items()
        },
        table=pl.concat([old, new]),
    )


def _take_along(project: Workspace, pool: OpenPool, rows: NDArray[np.int64], manifest: Manifest) -> None:
    """Give the new data set its features, and the encoders that the old one has."""
    own, new = (imported_folder(project.home, each.name) for each in (project.manifest, manifest))
    if own.is_dir() and not new.exists():
        shutil.copytree(own, new)
    paths = manifest.table["path"]
    for encoder in project.encoders:
        found = open_features(project, encoder)
        added = pool.by(encoder).take(rows).astype(found.array.dtype)
        bad = [
            BadRow(row=each.row, id=each.id, path=paths[each.row], reason=each.reason) for each in found.bad
        ]
        project.store.save(manifest, encoder.identity, np.concatenate([found.array, added]), bad=bad)
