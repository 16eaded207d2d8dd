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
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify.data.files import write_atomically
from clarify.errors import FeatureError, InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DTYPES", "BadRow", "ShardLayout", "Shards"]

DTYPES = ("float16", "float32")


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

    def batches_of(self, shard: int) -> Iterator[range]:
        """Cut the rows of one shard into batches."""
        rows = self.rows_of(shard)
        for start in range(rows.start, rows.stop, self.batch_size):
            yield range(start, min(start + self.batch_size, rows.stop))


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
        plan = _recorded_plan(folder)
        same = (
            plan is not None
            and dataclasses.replace(wanted, batch_size=plan.batch_size, shard_rows=plan.shard_rows) == plan
        )
        if plan is not None and same:
            return cls(folder, plan)
        shards = cls(folder, wanted)
        shards.remove()
        write_atomically(folder / "plan.json", [_json(dataclasses.asdict(wanted))])
        return shards

    def is_done(self, shard: int) -> bool:
        """Tell whether a shard is whole on the disk."""
        return self._file(shard, "json").is_file() and self._file(shard, "npy").is_file()

    def write(self, shard: int, features: NDArray[Any], bad: Sequence[BadRow]) -> None:
        """Put a shard on the disk: rows of the plan's dtype, zeros where bad.

        Raises
        ------
        OSError
            As the system reports it; the shard does not count then.
        """
        content = io.BytesIO()
        np.lib.format.write_array(content, np.ascontiguousarray(features), allow_pickle=False)
        write_atomically(self._file(shard, "npy"), [content.getbuffer()])
        write_atomically(self._file(shard, "json"), [_json([row.to_dict() for row in bad])])

    def read_bad(self, shard: int) -> list[BadRow]:
        """Return the bad rows of a finished shard."""
        return [BadRow(**row) for row in json.loads(self._file(shard, "json").read_bytes())]

    def join(self, path: Path) -> list[BadRow]:
        """Write all shards as one array to `path`, atomically; return all bad rows.

        Raises
        ------
        FeatureError
            If a shard is not as it was written; it is removed, so that it is made again.
        OSError
            As the system reports it; the shards stay.
        """
        write_atomically(path, self._joined())
        return [row for shard in self.plan.shards for row in self.read_bad(shard)]

    def remove(self) -> None:
        """Remove the plan and every shard, finished or not."""
        for pattern in ("plan.json", "shard-*", ".*.tmp"):
            for path in self.folder.glob(pattern):
                path.unlink()

    def left_over(self) -> bool:
        """Tell whether there are shards on the disk."""
        return next(self.folder.glob("shard-*"), None) is not None

    def _joined(self) -> Iterator[bytes | memoryview]:
        header = io.BytesIO()
        kind = np.lib.format.dtype_to_descr(np.dtype(self.plan.dtype))
        shape = (self.plan.rows, self.plan.width)
        np.lib.format.write_array_header_1_0(header, {"descr": kind, "fortran_order": False, "shape": shape})
        yield header.getvalue()
        for shard in self.plan.shards:
            yield self._read(shard).tobytes()

    def _read(self, shard: int) -> NDArray[Any]:
        path = self._file(shard, "npy")
        wanted = (len(self.plan.rows_of(shard)), self.plan.width)
        try:
            array: NDArray[Any] = np.load(path, allow_pickle=False)
            if array.shape != wanted or array.dtype != self.plan.dtype:
                raise ValueError(f"{array.shape} {array.dtype}")
        except (ValueError, EOFError) as error:
            with contextlib.suppress(OSError):
                self._file(shard, "json").unlink()
            raise FeatureError(
                f"{path} is damaged ({error}); it was dropped: give the same command again"
            ) from None
        return array

    def _file(self, shard: int, ending: str) -> Path:
        return self.folder / f"shard-{shard:05d}.{ending}"


def _recorded_plan(folder: Path) -> ShardLayout | None:
    try:
        return ShardLayout(**json.loads((folder / "plan.json").read_bytes()))
    except (OSError, ValueError, TypeError, InputError):
        return None  # absent or damaged: whatever is there is made again


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True).encode()
