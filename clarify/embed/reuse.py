"""Features that the home has already: of the same bytes, by the same encoder, whatever the data set.

Beside features lies ``contents.npy``, the hash of each image's file as the manifest has it. A data set that
grew, shrank, got other labels, or was put together from others has another manifest, and so a folder of its
own; but only images whose bytes were never embedded are embedded for it.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify.data.files import write_atomically
from clarify.embed.seals import hash_of
from clarify.embed.shards import npy_parts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clarify.data.pool import ImageTable

__all__ = ["CONTENTS", "Known", "known_elsewhere", "write_contents"]

CONTENTS = "contents.npy"
BYTES = 16


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Known:
    """Which of N images have features elsewhere, and where.

    Parameters
    ----------
    arrays : tuple of (n, D)
        On disk.
    place, row : (N,) int64
        Which of them, or -1, and which row of it.
    """

    arrays: tuple[NDArray[Any], ...]
    place: NDArray[np.int64]
    row: NDArray[np.int64]

    def missing(self, rows: range) -> list[int]:
        """Return those of some rows that have none."""
        return (rows.start + np.flatnonzero(self.place[rows.start : rows.stop] < 0)).tolist()

    def fill(self, features: NDArray[Any], rows: range) -> None:
        """Write what is known of some rows into their features (M, D)."""
        for number, array in enumerate(self.arrays):
            here = np.flatnonzero(self.place[rows.start : rows.stop] == number)
            features[here] = array[self.row[rows.start + here]]


def write_contents(folder: Path, manifest: ImageTable) -> None:
    """Write what a manifest says of the bytes of its images, if it does, beside their features."""
    contents = _contents(manifest)
    if contents is not None:
        write_atomically(folder / CONTENTS, npy_parts(contents))


def known_elsewhere(folder: Path, manifest: ImageTable, encoder: dict[str, Any], dtype: str) -> Known:
    """Look through the home for features of a data set's images by the same encoder.

    Parameters
    ----------
    folder : Path
        Where those of the data set are going to be; others are found by its place.
    encoder : dict
        As an ``index.json`` has it.
    dtype : {"float16", "float32"}
        What they must be kept as.
    """
    place = np.full(manifest.table.height, -1)
    row, arrays = np.zeros_like(place), list[Any]()
    contents = _contents(manifest)
    beside = sorted(folder.parent.parent.glob(f"*/{folder.name}/{CONTENTS}"), reverse=True)
    for path in beside if contents is not None else ():
        source = _opened(path, encoder, dtype) if path.parent != folder else None
        if source is not None and contents is not None:
            array, usable, of_source = source
            wanted = np.flatnonzero(place < 0)
            found = _matched(contents[wanted], of_source)
            here = np.flatnonzero(found >= 0)
            here = here[usable(found[here])]
            place[wanted[here]], row[wanted[here]] = len(arrays), found[here]
            arrays.append(array)
    return Known(arrays=tuple(arrays), place=place, row=row)


def _contents(manifest: ImageTable) -> NDArray[np.uint8] | None:
    if "content" not in manifest.table.columns:
        return None
    digits: str = manifest.table["content"].str.join("").item()
    return np.frombuffer(bytes.fromhex(digits), dtype=np.uint8).reshape(-1, BYTES)


def _matched(wanted: NDArray[np.uint8], known: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the row in `known` of each content, -1 where it is not there."""
    firsts, sought = (np.ascontiguousarray(each).view(np.uint64)[:, 0] for each in (known, wanted))
    order = np.argsort(firsts, kind="stable")
    at = order[np.minimum(np.searchsorted(firsts, sought, sorter=order), len(order) - 1)]
    return np.where((known[at] == wanted).all(axis=1), at, -1)


def _opened(path: Path, encoder: dict[str, Any], dtype: str) -> tuple[Any, Any, NDArray[np.uint8]] | None:
    """Open features with a test of which rows may be used; None where they are not as they should be."""
    try:
        index = json.loads((path.parent / "index.json").read_bytes())
        contents = np.load(path, mmap_mode="r", allow_pickle=False)
        array = np.load(path.parent / "features.npy", mmap_mode="r", allow_pickle=False)
        hashes, step = index["hashes"], index["shard_rows"]
        bad = [each["row"] for each in index["bad"]]
        fits = index["encoder"] == encoder and len(hashes) == -(-len(array) // step)
        if not fits or array.dtype != dtype or contents.shape != (len(array), BYTES) or not len(array):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    whole: dict[int, bool] = {}

    def usable(rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        for shard in np.unique(rows // step).tolist():
            whole[shard] = hash_of(array[shard * step : (shard + 1) * step]) == hashes[shard]
        return np.array([whole[shard] for shard in (rows // step).tolist()], dtype=np.bool_) & ~np.isin(
            rows, bad
        )

    return array, usable, contents
