"""A data set that changed: only images whose bytes were never embedded are embedded for it."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from clarify.data.manifest import Manifest
from clarify.embed.encoders import Encoder
from clarify.embed.extract import extract
from clarify.embed.store import FeatureStore
from tests.embed.test_extract import Changed, small

MakeManifest = Callable[..., Manifest]


def hashed(manifest: Manifest) -> Manifest:
    """Add the hashes of the images' files, as importers do."""
    found = [
        hashlib.sha256((manifest.root / path).read_bytes()).hexdigest()[:32]
        for path in manifest.table["path"]
    ]
    return dataclasses.replace(manifest, table=manifest.table.with_columns(pl.Series("content", found)))


@pytest.fixture
def whole(make_manifest: MakeManifest) -> Manifest:
    return hashed(make_manifest(20))


def part(manifest: Manifest, rows: list[int], name: str) -> Manifest:
    return dataclasses.replace(manifest, name=name, table=manifest.table[rows])


def test_what_was_embedded_in_other_data_sets_is_merged_and_only_the_rest_embedded(
    whole: Manifest, tiny: Encoder
) -> None:
    home = whole.root.parent
    small(part(whole, [*range(1, 8), 13], "one"), tiny, home)
    small(part(whole, [*range(8, 13), 0], "two"), tiny, home)
    counting = Changed(tiny, lambda found: found)
    merged = small(whole, counting, home)  # type: ignore[arg-type]
    assert sum(counting.batches) == 6
    alone = small(whole, tiny, home / "elsewhere")
    np.testing.assert_allclose(
        merged.array.astype(np.float32), alone.array.astype(np.float32), atol=1e-3
    )  # other batches round otherwise
    merged.seal.check(merged.array)


def test_a_label_that_changed_costs_no_embedding(whole: Manifest, tiny: Encoder) -> None:
    home = whole.root.parent
    before = small(whole, tiny, home)
    labels = ["b", *whole.table["label"].to_list()[1:]]
    edited = dataclasses.replace(whole, table=whole.table.with_columns(pl.Series("label", labels)))
    counting = Changed(tiny, lambda found: found)
    after = small(edited, counting, home)  # type: ignore[arg-type]
    assert counting.batches == []
    assert after.folder != before.folder
    assert after.array.tobytes() == before.array.tobytes()


def test_damaged_rows_and_those_of_another_dtype_or_other_bytes_are_embedded(
    whole: Manifest, tiny: Encoder
) -> None:
    home = whole.root.parent
    before = small(whole, tiny, home)
    path = before.folder / "features.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # in the last shard, rows 16 to 19
    path.write_bytes(content)
    renamed = dataclasses.replace(whole, name="renamed")
    counting = Changed(tiny, lambda found: found)
    after = small(renamed, counting, home)  # type: ignore[arg-type]
    assert sum(counting.batches) == 4
    assert after.seal.hashes == before.seal.hashes
    other = Changed(tiny, lambda found: found)
    small(dataclasses.replace(whole, name="single"), other, home, dtype="float32")  # type: ignore[arg-type]
    assert sum(other.batches) == 20


def test_features_of_before_there_were_contents_get_them_with_the_next_embed(
    whole: Manifest, tiny: Encoder
) -> None:
    store = FeatureStore(whole.root.parent)
    before = extract(whole, tiny, store, workers=1)
    (before.folder / "contents.npy").unlink()
    extract(whole, tiny, store, workers=1)
    assert np.load(before.folder / "contents.npy").shape == (20, 16)
