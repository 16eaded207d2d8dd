"""The files of a run, as bytes: JSON, Parquet, pages, pictures, arrays."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify.errors import StoreError

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = [
    "TABLE",
    "Artifact",
    "arrays_artifact",
    "json_artifact",
    "parquet_artifact",
    "png_artifact",
    "read_arrays",
    "table_artifacts",
]

TABLE = ".table.json"
"""How the names end of tables that MLflow's page shows."""

SHOWN = 200
"""Rows of a longer table that its page shows: all of them would be megabytes."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One file of a run: its path in the run's folder, and its bytes."""

    path: str
    content: bytes


def json_artifact(path: str, value: object, *, indent: int | None = 2) -> Artifact:
    """Return a value as JSON, which people can read unless `indent` is None."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False)
    return Artifact(path=path, content=(text + "\n").encode())


def parquet_artifact(path: str, table: pl.DataFrame) -> Artifact:
    """Return a table as Parquet."""
    content = io.BytesIO()
    table.write_parquet(content)
    return Artifact(path=path, content=content.getvalue())


def table_artifacts(name: str, table: pl.DataFrame) -> tuple[Artifact, Artifact]:
    """Return a table as Parquet, and its rows, of a long one the first, as MLflow's page shows tables."""
    shown = table.head(SHOWN)
    rows = [[_legal(cell) for cell in row] for row in shown.rows()]
    part = "" if table.height <= SHOWN else f".first-{SHOWN}"
    return (
        parquet_artifact(f"{name}.parquet", table),
        json_artifact(f"{name}{part}{TABLE}", {"columns": table.columns, "data": rows}, indent=None),
    )


def _legal(cell: Any) -> Any:
    """Return a cell as JSON can hold it: a number that is none is nothing."""
    return None if isinstance(cell, float) and not np.isfinite(cell) else cell


def png_artifact(path: str, image: Image) -> Artifact:
    """Return a picture as PNG."""
    content = io.BytesIO()
    image.save(content, "PNG", compress_level=1)
    return Artifact(path=path, content=content.getvalue())


def arrays_artifact(path: str, arrays: Mapping[str, NDArray[Any]]) -> Artifact:
    """Return named arrays as safetensors."""
    from safetensors.numpy import save

    return Artifact(path=path, content=save({k: np.ascontiguousarray(v) for k, v in arrays.items()}))


def read_arrays(content: bytes) -> dict[str, NDArray[Any]]:
    """Read what `arrays_artifact` wrote; StoreError if it is damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        found: dict[str, NDArray[Any]] = load(content)
    except SafetensorError as error:
        raise StoreError(f"a run's weights are damaged: {error}; train it again") from None
    return found
