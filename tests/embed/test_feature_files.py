"""Features as other tools write them: read by name, checked, nothing pickled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from clarify.embed.feature_files import read_bank_file, read_feature_file, unit_rows
from clarify.errors import FeatureError

ARRAY = np.arange(12, dtype=np.float32).reshape(4, 3) + 1
IDS = ("a", "b", "c", "d")


def test_an_npz_is_read_by_the_names_of_its_arrays(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "clip.npz",
        image_features=ARRAY,
        ids=np.array(IDS),
        labels=np.arange(4),
        words=np.array(["x", "y"]),
        text_features=ARRAY[:2],
    )
    images, bank = read_feature_file(tmp_path / "clip.npz"), read_bank_file(tmp_path / "clip.npz")
    assert (images.names, bank.names) == (IDS, ("x", "y"))
    assert np.array_equal(images.array, ARRAY)
    assert np.array_equal(bank.array, ARRAY[:2])


def test_an_npy_has_its_ids_beside_it_or_none(tmp_path: Path) -> None:
    np.save(tmp_path / "clip.npy", ARRAY)
    assert read_feature_file(tmp_path / "clip.npy").names is None
    (tmp_path / "clip.ids.txt").write_text("a\nb\nc\nd\n")
    assert read_feature_file(tmp_path / "clip.npy").names == IDS


@pytest.mark.parametrize("kind", [pl.List(pl.Float32), pl.Array(pl.Float32, 3)])
def test_parquet_holds_a_vector_in_each_row(tmp_path: Path, kind: pl.DataType) -> None:
    table = pl.DataFrame({"id": IDS, "embedding": pl.Series(ARRAY.tolist(), dtype=kind)})
    table.write_parquet(tmp_path / "clip.parquet")
    found = read_feature_file(tmp_path / "clip.parquet")
    assert found.names == IDS
    assert np.array_equal(found.array, ARRAY)


def test_a_folder_of_clip_retrieval_is_read_part_by_part_in_order(tmp_path: Path) -> None:
    for folder in ("img_emb", "text_emb", "metadata"):
        (tmp_path / folder).mkdir()
    for part in range(11):  # so that an order by text would put 10 before 2
        for folder in ("img_emb", "text_emb"):
            np.save(tmp_path / folder / f"{folder}_{part}.npy", ARRAY + part)
        table = pl.DataFrame(
            {
                "image_path": [f"{part}/{name}.jpg" for name in IDS],
                "caption": [f"{part} {name}" for name in IDS],
            }
        )
        table.write_parquet(tmp_path / "metadata" / f"metadata_{part}.parquet")
    images, texts = read_feature_file(tmp_path), read_bank_file(tmp_path)
    assert images.names is not None
    assert images.names[8] == "2/a.jpg"
    assert np.array_equal(images.array[8:12], ARRAY + 2)
    assert texts.names is not None
    assert texts.names[-1] == "10 d"


def test_rows_are_brought_to_unit_length_however_large_or_small() -> None:
    array = np.array([[3.0, 4.0], [3e-30, 4e-30], [3e30, 4e30]], dtype=np.float32)
    found, (low, high) = unit_rows(array, np.array([2, 0, 1]), ("c", "a", "b"), "image")
    assert np.allclose(found, [[0.6, 0.8]] * 3)
    assert (low, high) == pytest.approx((5e-30, 5e30))


@pytest.mark.parametrize(("value", "seen"), [(0, "are all zero"), (np.nan, "NaN"), (np.inf, "NaN")])
def test_a_row_that_is_zero_or_not_finite_is_refused_by_its_name(value: float, seen: str) -> None:
    array = ARRAY.copy()
    array[2] = value
    with pytest.raises(FeatureError, match=f"image 'c' .*{seen}"):
        unit_rows(array, np.arange(4), IDS, "image")


def test_ids_that_were_written_as_bytes_are_text(tmp_path: Path) -> None:
    names = ("ä", "b", "c", "d")
    np.savez(tmp_path / "clip.npz", image_features=ARRAY, ids=np.array([name.encode() for name in names]))
    assert read_feature_file(tmp_path / "clip.npz").names == names
    table = {"id": [name.encode() for name in names], "embedding": ARRAY.tolist()}
    pl.DataFrame(table).write_parquet(tmp_path / "clip.parquet")
    assert read_feature_file(tmp_path / "clip.parquet").names == names


def test_phrases_that_differ_by_case_or_blanks_are_told_as_one(tmp_path: Path) -> None:
    np.savez(tmp_path / "bank.npz", phrases=np.array(["Deep  water", "deep water "]), text_features=ARRAY[:2])
    told = r"'deep water ' is named twice, also as 'Deep  water' \(case and blanks do not count\)"
    with pytest.raises(FeatureError, match=told):
        read_bank_file(tmp_path / "bank.npz")
