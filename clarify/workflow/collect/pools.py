"""A pool without labels, opened for a data set: its images, their features, and which are there already."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clarify.data.images import BadImage
from clarify.data.manifest import find_manifests, open_manifest
from clarify.data.opening import contents
from clarify.data.parallel import Progress
from clarify.data.pool import ImageTable, Pool, read_pool
from clarify.embed.encoders import ImageEncoder
from clarify.embed.feature_files import read_feature_file
from clarify.embed.store import Features
from clarify.errors import FeatureError, InputError, NotFoundError, few
from clarify.workflow.model.project import Workspace, embed

__all__ = ["OpenPool", "open_pool", "refuse_test_images"]

FEATURES = (".npz", ".npy", ".parquet")
HELD_OUT = "test"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PoolFeatures:
    """Features (N, D) of a pool by one encoder; those of the store are looked at before they are used."""

    array: NDArray[Any]
    valid: NDArray[np.bool_]
    kept: Features | None = None

    def runs(self) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield the stretches of rows that have features, as they lie on the disk."""
        if self.kept is not None:
            shards = np.arange(0, len(self.array), self.kept.seal.shard_rows)
            self.kept.seal.check(self.array, shards)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], self.valid, [False]]).astype(np.int8)))
        for start, stop in edges.reshape(-1, 2).tolist():
            yield slice(start, stop), self.array[start:stop]

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Copy some rows into memory."""
        if self.kept is not None:
            return self.kept.take(rows)
        return np.asarray(self.array[rows], dtype=np.float32)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenPool:
    """A pool of N images with their features.

    Parameters
    ----------
    called : str
        As it was named.
    images : ImageTable
        ``id, path`` and perhaps ``content``; labels that it may have are not read.
    features : mapping of digest to PoolFeatures
        By the encoders that it was opened for.
    bad : tuple of BadImage
        Files that cannot be read.
    there : (N,) bool
        Which are in the data set already, by the bytes of their files, else by their place, else by their id.
    """

    called: str
    images: ImageTable
    features: Mapping[str, PoolFeatures]
    bad: tuple[BadImage, ...]
    there: NDArray[np.bool_]

    def by(self, encoder: ImageEncoder) -> PoolFeatures:
        """Return its features by an encoder."""
        return self.features[encoder.identity.image_digest]

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Return which images have features by every encoder, shape (N,)."""
        every = np.ones(self.images.table.height, dtype=np.bool_)
        for each in self.features.values():
            every &= each.valid
        return every

    def paths(self) -> pl.Series:
        """Return the absolute paths."""
        return _places(self.images)


def open_pool(
    project: Workspace,
    place: str,
    encoders: Sequence[ImageEncoder],
    *,
    workers: int,
    progress: Callable[[Progress], None] | None = None,
) -> OpenPool:
    """Open a pool, embedded where it is pictures that nobody embedded yet.

    Parameters
    ----------
    place : str
        Another data set of the home, a folder of pictures or a list of them (see `read_pool`), or their
        features by the data set's encoder (see `read_feature_file`), whose ids are the pictures' paths below
        the file's folder.
    encoders : sequence of ImageEncoder
        By which its features are needed.

    Raises
    ------
    NotFoundError
        If there is no such pool, or it has features of other encoders only.
    InputError
        If it has images of the test split, or it is the data set itself.
    FeatureError, ManifestError, StoreError
        If it cannot be read or embedded.
    """
    images: ImageTable
    if place == project.manifest.name:
        raise InputError(f"pool {place} is the data set itself; give images that are not in it")
    if place in find_manifests(project.home):
        images = open_manifest(project.home, place)
        kept = {each.identity.image_digest: _kept(project, images, each) for each in encoders}
    elif (path := Path(place)).suffix in FEATURES or (path / "img_emb").is_dir():
        images, kept = _read(path, encoders)
    else:
        images = read_pool(path, workers=workers)
        kept = {
            each.identity.image_digest: _of(
                embed(project, each, workers=workers, progress=progress, pool=images)
            )
            for each in encoders
        }
    refuse_test_images(project, images, place, workers=workers)
    return OpenPool(
        called=place,
        images=images,
        features=kept,
        bad=getattr(images, "bad", ()),
        there=_among(images, project.manifest, project.manifest.table),
    )


def _of(found: Features) -> PoolFeatures:
    return PoolFeatures(array=found.array, valid=found.valid, kept=found)


def _kept(project: Workspace, images: ImageTable, encoder: ImageEncoder) -> PoolFeatures:
    found = project.store.open(images, encoder.identity)
    if found is None:
        raise NotFoundError(
            f"pool {images.name} has no features by {encoder.name}, the encoder of data set "
            f"{project.manifest.name}, {project.store.others(images)}; run: clarify embed {images.name} "
            f"--encoder {encoder.name}"
        )
    return _of(found)


def _read(path: Path, encoders: Sequence[ImageEncoder]) -> tuple[Pool, dict[str, PoolFeatures]]:
    """Open a file of features, which says itself nothing of the encoder but the width."""
    found, (encoder, *others) = read_feature_file(path), encoders
    if found.names is None:
        raise FeatureError(f"pool {path} has no ids; they say which picture each row is of")
    if found.array.shape[1] != (width := getattr(encoder, "width", found.array.shape[1])):
        raise FeatureError(
            f"pool {path} has features of width {found.array.shape[1]}, encoder {encoder.name} makes "
            f"{width}: they are by another one; give features by that encoder, or the pictures"
        )
    if others:
        raise FeatureError(
            f"pool {path} has features by one encoder, and the models stand on {others[0].name} beside "
            f"{encoder.name}; give a data set of the home that has both, or the pictures"
        )
    table = pl.DataFrame({"id": found.names, "path": found.names})
    images = Pool(name=path.stem, root=path.absolute().parent, table=table)
    every = np.ones(len(found.array), dtype=np.bool_)
    return images, {encoder.identity.image_digest: PoolFeatures(array=found.array, valid=every)}


def refuse_test_images(project: Workspace, images: ImageTable, called: str, *, workers: int) -> None:
    """Refuse a pool that holds images of the test split: to train on them would make every figure a lie.

    Raises
    ------
    InputError
        If there is one; names the first.
    """
    manifest = project.manifest
    if HELD_OUT not in manifest.splits:
        return
    test = manifest.rows(HELD_OUT)
    if "content" in images.table.columns and "content" not in test.columns:
        seen = contents([manifest.root / path for path in test["path"]], workers=workers)
        hashes = [None if isinstance(each, BadImage) else each for each in seen]
        test = test.with_columns(pl.Series("content", hashes, dtype=pl.String))
    leaked = images.table["id"].filter(pl.Series(_among(images, manifest, test)))
    if len(leaked):
        raise InputError(
            f"pool {called} has {len(leaked):,} images of the test split of data set {manifest.name} "
            f"({few(leaked.to_list())}): whoever trains on them measures nothing; take them out of the pool"
        )


def _among(images: ImageTable, manifest: ImageTable, known: pl.DataFrame) -> NDArray[np.bool_]:
    """Return which images of a pool are among some rows of a data set, shape (N,)."""
    found = _places(images).is_in(_places(manifest, known).implode())
    if "content" not in images.table.columns:
        found |= images.table["id"].is_in(known["id"].implode())
    elif "content" in known.columns:
        found |= images.table["content"].is_in(known["content"].drop_nulls().implode())
    return found.to_numpy()


def _places(images: ImageTable, table: pl.DataFrame | None = None) -> pl.Series:
    rows = images.table if table is None else table
    return rows.select(pl.lit(f"{images.root}/") + pl.col("path")).to_series()
