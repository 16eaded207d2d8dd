"""The feature store: what is opened, and everything that is refused."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from clarify.data.files import locked
from clarify.data.manifest import Manifest
from clarify.embed.encoders import Encoder, EncoderIdentity
from clarify.embed.extract import extract
from clarify.embed.store import Features, FeatureStore
from clarify.errors import FeatureError, StoreError
from tests import warm

MakeManifest = Callable[..., Manifest]
OTHER = EncoderIdentity(architecture="other", weights="0" * 64, preprocessing="x")


@pytest.fixture
def made(make_manifest: MakeManifest, tiny: Encoder) -> tuple[FeatureStore, Manifest, Features]:
    manifest = make_manifest(10, {3: b"no image"})
    store = FeatureStore(manifest.root.parent)
    return store, manifest, extract(manifest, tiny, store, workers=1)


Made = tuple[FeatureStore, Manifest, Features]


def spoil(made: Made, **changes: object) -> None:
    path = made[2].folder / "index.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **changes}))


def refused(made: Made, tiny: Encoder) -> str:
    with pytest.raises(FeatureError) as caught:
        made[0].open(made[1], tiny.identity)
    message = str(caught.value)
    assert "\n" not in message
    assert "clarify embed noise" in message
    return message


def test_features_are_opened_with_their_bad_rows_left_out(made: Made, tiny: Encoder) -> None:
    opened = made[0].open(made[1], tiny.identity)
    assert opened is not None
    assert opened.array.shape == (10, 16)
    assert np.flatnonzero(~opened.valid).tolist() == [3]
    assert [(bad.row, bad.id, bad.path) for bad in opened.bad] == [(3, "n3", "3.png")]
    assert not opened.array[3].any()
    np.testing.assert_allclose(np.linalg.norm(opened.take(np.array([0, 9])), axis=1), 1, atol=1e-3)


def test_opened_features_cannot_be_written(made: Made) -> None:
    with pytest.raises(ValueError, match="read-only"):
        made[2].array[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        made[2].valid[0] = False


def test_nothing_is_opened_of_another_manifest_or_encoder(
    made: Made, make_manifest: MakeManifest, tiny: Encoder
) -> None:
    assert made[0].open(make_manifest(11), tiny.identity) is None
    assert made[0].open(made[1], OTHER) is None
    assert FeatureStore(made[1].root).open(made[1], tiny.identity) is None


def test_another_template_opens_the_same_features(made: Made, tiny: Encoder) -> None:
    values = {**tiny.identity.to_dict(), "template": "a photo of {}"}
    opened = made[0].open(made[1], EncoderIdentity.from_dict(values))
    assert opened is not None
    assert opened.folder == made[2].folder


def test_features_put_into_the_folder_of_another_manifest_are_refused(made: Made, tiny: Encoder) -> None:
    spoil(made, manifest="f" * 64)
    assert "of another manifest (ffffffffffff, wanted " in refused(made, tiny)


def test_features_put_into_the_folder_of_another_encoder_are_refused(made: Made, tiny: Encoder) -> None:
    image_part = {key: value for key, value in OTHER.to_dict().items() if key != "template"}
    spoil(made, encoder=image_part)
    assert "by another encoder than tiny@" in refused(made, tiny)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused_with_the_images_id(
    made: Made, tiny: Encoder, value: float
) -> None:
    path = made[2].folder / "features.npy"
    array = np.load(path)
    array[7, 2] = value
    np.save(path, array)
    opened = made[0].open(made[1], tiny.identity)
    assert opened is not None
    with pytest.raises(
        FeatureError, match=r"features of image 'n7' \(row 8\) of data set noise are not finite"
    ):
        opened.take(np.array([0]))  # of the same shard


def test_a_file_cut_short_or_of_another_shape_is_refused(made: Made, tiny: Encoder) -> None:
    path = made[2].folder / "features.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:200])
    assert "features.npy is damaged" in refused(made, tiny)
    path.write_bytes(b"")
    assert "features.npy is damaged" in refused(made, tiny)
    np.save(path, np.zeros((10, 15), dtype=np.float16))
    assert "its index says float16 of (10, 16)" in refused(made, tiny)
    path.unlink()
    assert "features.npy is damaged" in refused(made, tiny)


def test_a_damaged_index_is_refused(made: Made, tiny: Encoder) -> None:
    spoil(made, schema_version=9)
    assert "index.json cannot be used" in refused(made, tiny)
    (made[2].folder / "index.json").write_text("{")
    assert "index.json cannot be used" in refused(made, tiny)


def test_the_features_that_are_there_are_named_by_encoder_and_by_manifest(
    made: Made, make_manifest: MakeManifest
) -> None:
    store, manifest, features = made
    mine = features.identity.architecture
    assert store.others(manifest) == f"only by {mine}"
    store.save(manifest, OTHER, np.eye(10, dtype=np.float32))
    assert store.others(manifest) == "only by " + ", ".join(
        name for _, name in sorted([(features.identity.image_digest, mine), (OTHER.image_digest, "other")])
    )
    changed = dataclasses.replace(manifest, classes=manifest.classes[::-1])
    assert f"{mine} of manifest {manifest.digest[:12]}" in store.others(changed)
    assert FeatureStore(store.home / "empty").others(manifest) == "nor by another"


def zero(path: Path, *, row: int, width: int = 16) -> None:
    """Overwrite a row of float16 as a disk does that lost a page."""
    with open(path, "r+b") as file:
        file.seek(path.stat().st_size - (10 - row) * width * 2)
        file.write(bytes(width * 2))


def test_bytes_that_were_lost_are_seen_when_their_shard_is_first_used(
    make_manifest: MakeManifest, tiny: Encoder
) -> None:
    manifest = make_manifest(10)
    store = FeatureStore(manifest.root.parent)
    folder = extract(manifest, tiny, store, workers=1, batch_size=2, shard_rows=4).folder
    zero(folder / "features.npy", row=5)
    opened = store.open(manifest, tiny.identity)
    assert opened is not None
    assert opened.take(np.array([0, 3, 8])).any(axis=1).all()  # of shards that are whole
    with pytest.raises(FeatureError, match=r"rows 5 to 8 of .* are not as they were written") as caught:
        opened.take(np.array([4]))
    assert "clarify embed noise" in str(caught.value)
    with pytest.raises(FeatureError, match="rows 5 to 8"):
        opened.seal.check(opened.array)


def test_a_shard_is_hashed_once_in_a_process(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    made[2].take(np.array([0]))
    monkeypatch.setattr("clarify.embed.seals.hash_of", lambda rows: pytest.fail("it was hashed again"))
    made[2].take(np.array([1, 9]))


def test_features_made_elsewhere_are_hashed_too(made: Made) -> None:
    saved = made[0].save(made[1], OTHER, np.array(made[2].array))
    zero(saved.folder / "features.npy", row=0)
    with pytest.raises(FeatureError, match=r"rows 1 to 10 of .* are not as they were written"):
        saved.take(np.array([9]))


def test_features_of_before_there_were_hashes_open_and_get_them_with_the_next_embed(
    made: Made, tiny: Encoder
) -> None:
    store, manifest, features = made
    path = features.folder / "index.json"
    whole = json.loads(path.read_bytes())
    old = {key: value for key, value in whole.items() if key not in ("hashes", "ids", "shard_rows")}
    path.write_text(json.dumps(old))
    opened = store.open(manifest, tiny.identity)
    assert opened is not None
    assert opened.seal.hashes == ()
    np.testing.assert_array_equal(opened.take(np.array([0, 9])), features.take(np.array([0, 9])))
    assert extract(manifest, tiny, store, workers=1).seal.hashes == features.seal.hashes
    assert json.loads(path.read_bytes()) == whole


@pytest.mark.parametrize("hashes", [["ab"] * 2, "ab", 3])
def test_hashes_that_do_not_fit_the_shards_are_refused(made: Made, tiny: Encoder, hashes: object) -> None:
    spoil(made, hashes=hashes)
    assert "has not one hash a shard" in refused(made, tiny)


def test_rows_in_another_order_are_refused(made: Made, tiny: Encoder) -> None:
    store, manifest, _ = made
    turned = dataclasses.replace(manifest, table=manifest.table.reverse())
    assert turned.digest == manifest.digest
    with pytest.raises(FeatureError, match="stand in another order than when it was embedded"):
        store.open(turned, tiny.identity)


def test_a_label_that_was_edited_is_told_as_a_change(made: Made) -> None:
    store, manifest, _ = made
    assert store.changed(manifest) == ""
    labels = ["b", *manifest.table["label"].to_list()[1:]]
    edited = dataclasses.replace(manifest, table=manifest.table.with_columns(pl.Series("label", labels)))
    told = store.changed(edited)
    assert f"(manifest {manifest.digest[:12]} then, {edited.digest[:12]} now)" in told
    assert told.endswith("put the table back, or run: clarify embed noise")
    longer = dataclasses.replace(edited, name="noise-0")
    assert store.changed(longer) == ""


def test_features_that_are_not_finite_are_not_saved_and_what_was_there_stays(made: Made) -> None:
    store, manifest, _ = made
    array = np.eye(10, dtype=np.float32)
    store.save(manifest, OTHER, array)
    array[4, 4] = np.nan
    with pytest.raises(FeatureError, match=r"image 'n4' .* are not finite; nothing was written"):
        store.save(manifest, OTHER, array)
    opened = store.open(manifest, OTHER)
    assert opened is not None
    assert opened.take(np.array([4]))[0, 4] == 1


def test_a_disk_that_is_full_at_nine_tenths_loses_nothing(made: Made) -> None:
    store, manifest, _ = made
    kept = store.save(manifest, OTHER, np.eye(10, 4096, dtype=np.float32))
    script = (
        f"import resource, sys; sys.path[:0] = [{str(Path(__file__).parent)!r}]\n"
        "import numpy as np; from pathlib import Path\n"
        "from conftest import noise_manifest\n"
        "from clarify.embed.encoders import EncoderIdentity; from clarify.embed.store import FeatureStore\n"
        "from clarify.errors import StoreError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (147456, resource.RLIM_INFINITY))\n"
        "other = EncoderIdentity(architecture='other', weights='0' * 64, preprocessing='x')\n"
        "root = Path(sys.argv[1])\n"
        "try:\n"
        "    FeatureStore(root.parent).save(noise_manifest(root, 10), other,"
        " np.eye(10, 4096, dtype=np.float32))\n"
        "except StoreError as error:\n"
        "    print(error)\n"
    )
    found = warm.run("-c", script, str(manifest.root))
    assert "no room left to write" in found.stdout, found.stderr
    assert found.stdout.count("\n") == 1
    opened = store.open(manifest, OTHER)
    assert opened is not None
    opened.seal.check(opened.array)
    assert not list(kept.folder.glob(".*.tmp"))


def test_two_at_once_do_not_write_the_same_features(made: Made) -> None:
    store, manifest, _ = made
    array = np.eye(10, dtype=np.float32)
    with (
        locked(store.folder(manifest, OTHER), hint="", taken=""),
        pytest.raises(StoreError, match="another process is embedding data set noise"),
    ):
        store.save(manifest, OTHER, array)
    store.save(manifest, OTHER, array)


def test_more_rows_than_memory_is_free_are_refused_with_how_many_would_do(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clarify.embed.store.free_bytes", lambda: 16 * 4 * 7 + 3)
    assert len(made[2].take(np.arange(7))) == 7
    with pytest.raises(FeatureError, match=r"8 rows of .* GiB are free; 7 rows would do: ") as caught:
        made[2].take(np.arange(8))
    assert "\n" not in str(caught.value)


def test_features_of_another_version_are_told_with_both(made: Made, tiny: Encoder) -> None:
    spoil(made, schema_version=9)
    assert "(schema_version is 9; this Clarify reads 1)" in refused(made, tiny)
