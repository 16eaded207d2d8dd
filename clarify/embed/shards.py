"""An extraction under way: finished parts of the features, each whole on the disk or absent.

A folder holds ``plan.json``, ``shard-00000.npy``, ``shard-00000.json`` ... and at the end
``features.npy`` and ``index.json``. A shard counts when its ``.json``, written last, is there.
Which rows share a batch depends on the plan alone, so an interrupted extraction ends with the
same bytes as one that never stopped.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify.data.files import write_atomically
from clarify.embed.seals import hash_of
from clarify.errors import FeatureError, InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DTYPES", "BadRow", "ShardLayout", "Shards", "as_json", "npy_parts"]

DTYPES = ("float16", "float32")
WRITTEN_AT_ONCE = 65_536


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """An image of the manifest that has no features.

    Parameters
    ----------
    row : int
        Its row in the manifest's table, from 0.
    id, path : str
        As in the table.
    reason : str
        Why it could not be read, one line.
    """

    row: int
    id: str
    path: str
    reason: str

    def to_dict(self) -> dict[str, str | int]:
        """Return it as plain values."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ShardLayout:
    """How rows are laid into shards and batches.

    Parameters
    ----------
    rows, width : int
        Shape (N, D) of the features.
    dtype : {"float16", "float32"}
        How they are kept.
    batch_size : int
        Images embedded at once, at least 1; a batch never reaches into the next shard.
    shard_rows : int
        Rows in a shard, at least 1; what an interruption can lose.

    Raises
    ------
    InputError
        If a value is not legal.
    """

    rows: int
    width: int
    dtype: str
    batch_size: int
    shard_rows: int

    def __post_init__(self) -> None:
        for name in ("rows", "width", "batch_size", "shard_rows"):
            if getattr(self, name) < 1:
                raise InputError(f"extraction: {name} is {getattr(self, name)}; legal is >= 1")
        if self.dtype not in DTYPES:
            raise InputError(f"extraction: dtype is {self.dtype!r}; legal are {', '.join(DTYPES)}")

    @property
    def shards(self) -> range:
        """Return the numbers of all shards."""
        return range(-(-self.rows // self.shard_rows))

    def rows_of(self, shard: int) -> range:
        """Return the rows of one shard."""
        start = shard * self.shard_rows
        return range(start, min(start + self.shard_rows, self.rows))


@dataclasses.dataclass(frozen=True, slots=True)
class Shards:
    """The shards in a folder, under one plan.

    Parameters
    ----------
    folder : Path
        Exists.
    """

    folder: Path
    plan: ShardLayout

    @classmethod
    def begin(cls, folder: Path, wanted: ShardLayout) -> Shards:
        """Go on with the shards in `folder`, or start anew.

        Shards made with another dtype or shape are removed. Those made with another
        `batch_size` or `shard_rows` are kept and their plan is followed.
        """
        with contextlib.suppress(OSError, ValueError, TypeError, InputError):  # absent or damaged: anew
            plan = ShardLayout(**json.loads((folder / "plan.json").read_bytes()))
            if plan == dataclasses.replace(wanted, batch_size=plan.batch_size, shard_rows=plan.shard_rows):
                return cls(folder, plan)
        shards = cls(folder, wanted)
        shards.remove()
        write_atomically(folder / "plan.json", [as_json(dataclasses.asdict(wanted))])
        return shards

    def is_done(self, shard: int) -> bool:
        """Tell whether a shard is whole on the disk; one that was cut short is made again."""
        file = self._file(shard, "npy")
        shape = (len(self.plan.rows_of(shard)), self.plan.width)
        kind = np.dtype(self.plan.dtype)
        size = len(_npy_header(kind, shape)) + math.prod(shape) * kind.itemsize
        return self._file(shard, "json").is_file() and file.is_file() and file.stat().st_size == size

    def write(self, shard: int, features: NDArray[Any], bad: Sequence[BadRow]) -> None:
        """Put a shard on the disk: rows of the plan's dtype, zeros where bad.

        Raises OSError as the system reports it; the shard does not count then.
        """
        write_atomically(self._file(shard, "npy"), npy_parts(features))
        said = {"bad": [row.to_dict() for row in bad], "hash": hash_of(features)}
        write_atomically(self._file(shard, "json"), [as_json(said)])

    def read_bad(self, shard: int) -> list[BadRow]:
        """Return the bad rows of a finished shard."""
        return [BadRow(**row) for row in self._said(shard)["bad"]]

    def join(self, path: Path) -> tuple[list[BadRow], list[str]]:
        """Write all shards as one array to `path`, atomically; return all bad rows, and the shards' hashes.

        Raises
        ------
        FeatureError
            If a shard is not as it was written; it is removed, so that it is made again.
        OSError
            As the system reports it; the shards stay.
        """
        hashes: list[str] = []
        write_atomically(path, self._joined(hashes))
        return [row for shard in self.plan.shards for row in self.read_bad(shard)], hashes

    def remove(self) -> None:
        """Remove the plan and every shard, finished or not."""
        for pattern in ("plan.json", "shard-*", ".*.tmp"):
            for path in self.folder.glob(pattern):
                path.unlink()

    def _said(self, shard: int) -> dict[str, Any]:
        """Return what is written beside a shard; before there were hashes it was the bad rows alone."""
        found = json.loads(self._file(shard, "json").read_bytes())
        return {"bad": found} if isinstance(found, list) else dict(found)

    def _joined(self, hashes: list[str]) -> Iterator[bytes]:
        yield _npy_header(np.dtype(self.plan.dtype), (self.plan.rows, self.plan.width))
        for shard in self.plan.shards:
            array = self._read(shard)
            hashes.append(hash_of(array))
            yield array.tobytes()

    def _read(self, shard: int) -> NDArray[Any]:
        path = self._file(shard, "npy")
        wanted = (len(self.plan.rows_of(shard)), self.plan.width)
        try:
            array: NDArray[Any] = np.load(path, allow_pickle=False)
            if array.shape != wanted or array.dtype != self.plan.dtype:
                raise ValueError(f"{array.shape} {array.dtype}")
            if self._said(shard).get("hash") not in (None, hash_of(array)):
                raise ValueError("it is not as it was written")
        except (ValueError, EOFError) as error:
            with contextlib.suppress(OSError):
                self._file(shard, "json").unlink()
            raise FeatureError(
                f"{path} is damaged ({error}); it was dropped: give the same command again"
            ) from None
        return array

    def _file(self, shard: int, ending: str) -> Path:
        return self.folder / f"shard-{shard:05d}.{ending}"


def as_json(value: object) -> bytes:
    """Return plain values as the JSON of these files."""
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True).encode()


def npy_parts(array: NDArray[Any]) -> Iterator[bytes]:
    """Yield a matrix as the content of an .npy file, a bounded part at a time."""
    yield _npy_header(array.dtype, array.shape)
    for start in range(0, len(array), WRITTEN_AT_ONCE):
        yield np.ascontiguousarray(array[start : start + WRITTEN_AT_ONCE]).tobytes()


def _npy_header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    header = io.BytesIO()
    said = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, said)
    return header.getvalue()
