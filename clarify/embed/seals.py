"""What features were when they were written: a SHA-256 a shard of rows, looked at on first use.

A disk that loses a page leaves zeros, which are finite and of the right shape: only a hash tells. That
all numbers are finite is seen at the same look, so that opening features reads none of them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import mmap
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify.errors import FeatureError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clarify.data.pool import ImageTable

__all__ = ["SHARD_ROWS", "Seal", "check_finite", "hash_of", "hashes_of"]

SHARD_ROWS = 2048
EXPONENT = {"float16": (np.uint16, 0x7C00), "float32": (np.uint32, 0x7F800000)}

_SEEN: set[tuple[int, int, int, int]] = set()
"""Shards that this process found as they were written: the file's place, time and size, and the shard."""


def hash_of(rows: NDArray[Any]) -> str:
    """Return the SHA-256 of rows, 64 hexadecimal digits."""
    return hashlib.sha256(np.ascontiguousarray(rows).data).hexdigest()


def hashes_of(array: NDArray[Any], shard_rows: int = SHARD_ROWS) -> list[str]:
    """Return the hashes of all shards of some features."""
    return [hash_of(array[start : start + shard_rows]) for start in range(0, len(array), shard_rows)]


def check_finite(rows: NDArray[Any], manifest: ImageTable, way_out: str, *, first: int = 0) -> None:
    """Look for NaN and infinity in rows of which the first is that of an image's number.

    Raises
    ------
    FeatureError
        If there is one; names the image.
    """
    kind, exponent = EXPONENT[str(rows.dtype)]
    for start in range(0, len(rows), SHARD_ROWS):
        # The values whose exponent bits are all set: far cheaper to see so than by arithmetic on float16.
        bits = rows[start : start + SHARD_ROWS].view(kind) & exponent
        wrong = (bits == exponent).any(axis=1)
        if wrong.any():
            row = first + start + int(np.argmax(wrong))
            raise FeatureError(
                f"the features of image {manifest.table['id'][row]!r} (row {row + 1}) of data set "
                f"{manifest.name} are not finite; {way_out}"
            )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """The hashes of a file of features.

    Parameters
    ----------
    manifest : ImageTable
        Of the images.
    path : Path
        The file.
    file : tuple of int
        Its place on the disk, time and size, when it was opened.
    shard_rows : int
        Rows in a shard.
    hashes : tuple of str
        One a shard; none of features that were written before there were hashes.
    way_out : str
        What to do about damage; ends the message.
    """

    manifest: ImageTable
    path: Path
    file: tuple[int, int, int]
    shard_rows: int
    hashes: tuple[str, ...]
    way_out: str

    @classmethod
    def of_index(cls, index: Mapping[str, Any], path: Path, manifest: ImageTable, way_out: str) -> Seal:
        """Read what an index says; FeatureError if it is not one hash a shard."""
        hashes, shard_rows = index.get("hashes", []), index.get("shard_rows", SHARD_ROWS)
        fits = isinstance(hashes, list) and isinstance(shard_rows, int) and shard_rows > 0
        if not fits or (hashes and len(hashes) != -(-manifest.table.height // shard_rows)):
            raise FeatureError(f"{path.with_name('index.json')} has not one hash a shard; {way_out}")
        seen = os.stat(path)
        file = (seen.st_ino, seen.st_mtime_ns, seen.st_size)
        return cls(
            manifest=manifest,
            path=path,
            file=file,
            shard_rows=shard_rows,
            hashes=tuple(map(str, hashes)),
            way_out=way_out,
        )

    def check(self, array: NDArray[Any], rows: NDArray[np.int64] | None = None) -> None:
        """Look at the shards that hold some rows, or at all of them, unless this process did so before.

        Raises
        ------
        FeatureError
            If one is not as it was written, or not finite.
        """
        every = range(-(-len(array) // self.shard_rows))
        for shard in every if rows is None else np.unique(np.asarray(rows) // self.shard_rows).tolist():
            key = (*self.file, shard)
            if rows is not None and key in _SEEN:
                continue
            start = shard * self.shard_rows
            part = array[start : start + self.shard_rows]
            check_finite(part, self.manifest, self.way_out, first=start)
            if self.hashes and hash_of(part) != self.hashes[shard]:
                raise FeatureError(
                    f"rows {start + 1:,} to {start + len(part):,} of {self.path} are not as they were "
                    f"written: the disk lost something, or somebody changed them; {self.way_out}"
                )
            _SEEN.add(key)
            _let_go(array)


def _let_go(array: NDArray[Any]) -> None:
    """Give back the memory of what was read of a file: it stays in the system's cache alone."""
    file: Any = array.base
    if isinstance(file, mmap.mmap):
        with contextlib.suppress(AttributeError, OSError):  # systems that cannot be told
            file.madvise(mmap.MADV_DONTNEED)
