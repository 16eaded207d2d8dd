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

__all__ = ["Artifact", "arrays_artifact", "json_artifact", "parquet_artifact", "png_artifact", "read_arrays"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One file of a run: its path in the run's folder, and its bytes."""

    path: str
    content: bytes


def json_artifact(path: str, value: object) -> Artifact:
    """Return a value as readable JSON."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
    return Artifact(path=path, content=(text + "\n").encode())


def parquet_artifact(path: str, table: pl.DataFrame) -> Artifact:
    """Return a table as Parquet."""
    content = io.BytesIO()
    table.write_parquet(content)
    return Artifact(path=path, content=content.getvalue())


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
