"""Files that say little and would take much: refused by their own table of contents."""

from __future__ import annotations

import io
import resource
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clarify.data.sizes import free_bytes, refusal
from tests.conftest import DATA_SET, Done


def parquet_bomb(path: Path, rows: int = 100_000_000) -> Path:
    """One name, a hundred million times, in a few hundred kilobytes."""
    part = pa.table(
        {
            name: pa.DictionaryArray.from_arrays(np.zeros(1_000_000, dtype=np.int8), ["a"])
            for name in ("file", "label", "split")
        }
    )
    with pq.ParquetWriter(path, part.schema, compression="zstd") as writer:
        for _ in range(rows // len(part)):
            writer.write_table(part)
    return path


def npz_bomb(path: Path, shape: tuple[int, int] = (1 << 20, 2_048)) -> Path:
    """An array of 8 GiB by its header, with a kilobyte behind it."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("image_features.npy", header.getvalue() + bytes(1_024))
    return path


@pytest.mark.parametrize("make", [parquet_bomb, npz_bomb])
def test_a_bomb_is_refused_unread(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    path = make(tmp_path / f"bomb.{make.__name__.partition('_')[0]}")
    assert path.stat().st_size < 2_000_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refusal(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def test_what_is_honest_is_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table, arrays = tmp_path / "t.parquet", tmp_path / "a.npz"
    pl.DataFrame({"id": [f"{n}" for n in range(100_000)], "label": ["a"] * 100_000}).write_parquet(table)
    np.savez_compressed(arrays, image_features=rng.normal(size=(2_000, 512)).astype(np.float32))
    zeros = tmp_path / "zeros.npz"
    np.savez_compressed(zeros, image_features=np.zeros((50_000, 512), dtype=np.float32))
    for path in (table, arrays, zeros):
        assert refusal(path) == "", path


def test_what_is_broken_is_left_to_its_reader(tmp_path: Path) -> None:
    for name in ("t.parquet", "a.npz", "t.csv"):
        (tmp_path / name).write_bytes(b"no such thing")
        assert refusal(tmp_path / name) == ""


def test_more_than_half_of_what_is_free_is_refused_however_honest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 0 < free_bytes() < 1 << 50
    path = tmp_path / "a.npz"
    np.savez(path, image_features=np.ones((1_000, 100), dtype=np.float32))
    monkeypatch.setattr("clarify.data.sizes.free_bytes", lambda: 800_001)
    assert refusal(path) == ""
    monkeypatch.setattr("clarify.data.sizes.free_bytes", lambda: 799_999)
    assert "of memory that are free" in refusal(path)


def test_the_commands_say_so_in_one_line(clarify: Callable[..., Done], tmp_path: Path) -> None:
    table = parquet_bomb(tmp_path / "images.parquet")
    assert "is not read: " in clarify("data", "import", "table", str(table), "--name", "new").refusal
    features = npz_bomb(tmp_path / "clip.npz")
    assert "is not read: " in clarify("features", "import", DATA_SET, str(features)).refusal
