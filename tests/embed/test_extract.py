"""Extraction: bad images, stops at any moment, full and read-only disks, two at once."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from clarify.data.manifest import Manifest
from clarify.data.parallel import Progress
from clarify.embed.encoders import Encoder
from clarify.embed.extract import extract
from clarify.embed.identity import EncoderIdentity
from clarify.embed.store import Features, FeatureStore
from clarify.errors import FeatureError, InputError, ManifestError, StoreError
from tests.warm import Warm

MakeManifest = Callable[..., Manifest]

# Run in its own process, so that it can be killed or refused room: argv is the home, the
# number of images, seconds to wait after each batch, bytes that a file may have (0: any).
SCRIPT = """
import resource, sys, time
from pathlib import Path
sys.path[:0] = [{tests!r}]
from conftest import Projection, noise_manifest
from clarify.embed.extract import extract
from clarify.embed.store import FeatureStore
from clarify.errors import StoreError
home, n, pause, limit = Path(sys.argv[1]), *map(float, sys.argv[2:5])
encoder = Projection()
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
print("ready", flush=True)
def wait(progress):
    print(progress.done, flush=True)
    time.sleep(pause)
try:
    extract(noise_manifest(home / "images", int(n)), encoder, FeatureStore(home),
            batch_size=4, shard_rows=8, workers=1, progress=wait)
except StoreError as error:
    print("StoreError:", error)
"""


def start(home: Path, n: int, pause: float = 0, limit: int = 0) -> Warm:
    script = SCRIPT.format(tests=str(Path(__file__).parent))
    arguments = [str(home), str(n), str(pause), str(limit)]
    return Warm("-c", script, *arguments, stdout=subprocess.PIPE)


def small(manifest: Manifest, encoder: Encoder, home: Path, **options: object) -> Features:
    options = {"batch_size": 4, "shard_rows": 8, "workers": 1, **options}
    return extract(manifest, encoder, FeatureStore(home), **options)  # type: ignore[arg-type]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "lock"}


class Changed:
    """An encoder with one method replaced: of real embeddings, by a function of the batch."""

    def __init__(self, encoder: Encoder, change: Callable[[np.ndarray], np.ndarray]) -> None:
        self.encoder, self.change = encoder, change
        self.batches: list[int] = []

    name = "changed"
    domain = ""
    identity: EncoderIdentity = property(lambda self: self.encoder.identity)  # type: ignore
    width: int = property(lambda self: self.encoder.width)  # type: ignore

    def preprocess(self, image: Image.Image) -> torch.Tensor:
        return self.encoder.preprocess(image)

    def encode_images(self, batch: torch.Tensor) -> np.ndarray:
        self.batches.append(len(batch))
        return self.change(self.encoder.encode_images(batch))

    def encode_phrases(self, phrases: Sequence[str]) -> np.ndarray:
        return self.encoder.encode_phrases(phrases)

    def unknown_words(self, phrases: Sequence[str]) -> list[tuple[str, ...]]:
        return [() for _ in phrases]


def test_each_row_is_the_embedding_of_its_image(
    make_manifest: MakeManifest, tiny: Encoder, tmp_path: Path
) -> None:
    manifest = make_manifest(21)
    features = small(manifest, tiny, tmp_path, dtype="float32", workers=3)
    for row in (0, 7, 8, 20):
        with Image.open(manifest.root / f"{row}.png") as image:
            alone = tiny.encode_images(tiny.preprocess(image.convert("RGB"))[None])[0]
        np.testing.assert_allclose(features.array[row], alone, atol=1e-5)
    assert features.bad == ()
    assert features.valid.all()


def test_features_are_kept_as_float16_unless_asked_otherwise(
    make_manifest: MakeManifest, tiny: Encoder, tmp_path: Path
) -> None:
    manifest = make_manifest(5)
    half = small(manifest, tiny, tmp_path / "half").array
    full = small(manifest, tiny, tmp_path / "full", dtype="float32").array
    assert (half.dtype, full.dtype) == (np.float16, np.float32)
    assert np.array_equal(full.astype(np.float16), half)


def test_bad_images_are_listed_with_their_reason_and_left_out(
    make_manifest: MakeManifest, tiny: Encoder, tmp_path: Path
) -> None:
    manifest = make_manifest(16, {1: b"", 2: b"only text", 9: b"\x89PNG\r\n\x1a\n cut"})
    whole = (manifest.root / "4.png").read_bytes()
    (manifest.root / "4.png").write_bytes(whole[: len(whole) // 2])
    (manifest.root / "5.png").unlink()
    (manifest.root / "6.png").unlink()
    (manifest.root / "6.png").mkdir()
    Image.new("1", (20_000, 20_000)).save(manifest.root / "12.png")
    features = small(manifest, tiny, tmp_path)
    reasons = {bad.row: bad.reason for bad in features.bad}
    assert list(reasons) == [1, 2, 4, 5, 6, 9, 12]
    assert reasons[1] == "the file is empty"
    assert "not an image" in reasons[2]
    assert "truncated" in reasons[4]
    assert reasons[5] == "there is no such file"
    assert reasons[6] == "is a folder"
    assert "more than 89478485" in reasons[12]
    assert not features.array[list(reasons)].any()
    assert features.array[features.valid].any(axis=1).all()


def test_a_batch_of_bad_images_only_is_no_trouble(
    make_manifest: MakeManifest, tiny: Encoder, tmp_path: Path
) -> None:
    features = small(make_manifest(9, dict.fromkeys(range(4), b"x")), tiny, tmp_path)
    assert np.flatnonzero(features.valid).tolist() == [4, 5, 6, 7, 8]


def test_no_readable_image_at_all_is_an_error_that_leaves_nothing(
    make_manifest: MakeManifest, tiny: Encoder, tmp_path: Path
) -> None:
    manifest = make_manifest(9, dict.fromkeys(range(9), b"x"))
    with pytest.raises(ManifestError, match=r"none of its 9 images can be read; .*/0.png: not an"):
        small(manifest, tiny, tmp_path)
    assert FeatureStore(tmp_path).open(manifest, tiny.identity) is None
    make_manifest(9)
    assert small(manifest, tiny, tmp_path).valid.all()


def test_a_root_that_does_not_exist_is_told_before_anything_is_read(
    make_manifest: MakeManifest, tiny: Encoder, tmp_path: Path
) -> None:
    manifest = make_manifest(4)
    shutil.rmtree(manifest.root)
    with pytest.raises(ManifestError, match=r"its root folder .*images does not exist"):
        small(manifest, tiny, tmp_path)
    assert not (tmp_path / "features").exists()


def test_images_mended_later_are_embedded_by_the_same_command_and_only_their_shards(
    make_manifest: MakeManifest, tiny: Encoder, tmp_path: Path
) -> None:
    manifest = make_manifest(24, {9: b"", 20: b""})
    small(manifest, tiny, tmp_path / "mended")
    make_manifest(24, {20: b""})
    counted = Changed(tiny, lambda embeddings: embeddings)
    mended = small(manifest, counted, tmp_path / "mended")
    assert [bad.row for bad in mended.bad] == [20]
    assert counted.batches == [4, 4]
    fresh = small(manifest, tiny, tmp_path / "fresh")
    assert content(mended.folder) == content(fresh.folder)


def test_complete_features_are_not_made_again(
    make_manifest: MakeManifest, tiny: Encoder, tmp_path: Path
) -> None:
    manifest = make_manifest(5, {2: b""})
    small(manifest, tiny, tmp_path)
    counted = Changed(tiny, lambda embeddings: embeddings)
    small(manifest, counted, tmp_path)
    assert counted.batches == []


def test_progress_counts_images_and_bad_ones_up_to_the_total(
    make_manifest: MakeManifest, tiny: Encoder, tmp_path: Path
) -> None:
    seen: list[Progress] = []
    small(make_manifest(18, {5: b""}), tiny, tmp_path, progress=seen.append)
    assert [(one.done, one.total, one.bad) for one in seen] == [
        (4, 18, 0),
        (8, 18, 1),
        (12, 18, 1),
        (16, 18, 1),
        (18, 18, 1),
    ]


def test_the_number_of_decoding_threads_changes_no_byte(
    make_manifest: MakeManifest, tiny: Encoder, tmp_path: Path
) -> None:
    manifest = make_manifest(30, {3: b""})
    folders = [small(manifest, tiny, tmp_path / f"{n}", workers=n).folder for n in (1, 4)]
    assert content(folders[0]) == content(folders[1])


def test_an_error_in_the_middle_keeps_finished_shards_and_the_command_goes_on(
    make_manifest: MakeManifest, tiny: Encoder, tmp_path: Path
) -> None:
    manifest = make_manifest(24)

    def stop(progress: Progress) -> None:
        if progress.done == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small(manifest, tiny, tmp_path / "stopped", progress=stop)
    assert FeatureStore(tmp_path / "stopped").open(manifest, tiny.identity) is None
    counted = Changed(tiny, lambda embeddings: embeddings)
    seen: list[Progress] = []
    resumed = small(manifest, counted, tmp_path / "stopped", progress=seen.append)
    assert counted.batches == [4, 4, 4, 4]
    assert seen[0].done == 12
    assert content(resumed.folder) == content(small(manifest, tiny, tmp_path / "whole").folder)


def test_resuming_with_other_sizes_follows_the_plan_that_was_begun(
    make_manifest: MakeManifest, tiny: Encoder, tmp_path: Path
) -> None:
    manifest = make_manifest(24)

    def stop(progress: Progress) -> None:
        if progress.done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small(manifest, tiny, tmp_path / "stopped", progress=stop)
    resumed = small(manifest, tiny, tmp_path / "stopped", batch_size=5, shard_rows=11)
    assert content(resumed.folder) == content(small(manifest, tiny, tmp_path / "whole").folder)


@pytest.mark.parametrize("damage", [lambda whole: b"\x93NUMPY", lambda whole: whole[:-100] + bytes(100)])
def test_a_damaged_shard_is_dropped_and_made_again(
    make_manifest: MakeManifest, tiny: Encoder, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    manifest = make_manifest(24)

    def spoil(progress: Progress) -> None:
        if progress.done == 20:
            folder = FeatureStore(tmp_path / "spoilt").folder(manifest, tiny.identity)
            shard = folder / "shard-00001.npy"
            shard.write_bytes(damage(shard.read_bytes()))

    with pytest.raises(FeatureError, match=r"shard-00001.npy is damaged .* same command again"):
        small(manifest, tiny, tmp_path / "spoilt", progress=spoil)
    again = small(manifest, tiny, tmp_path / "spoilt")
    assert content(again.folder) == content(small(manifest, tiny, tmp_path / "whole").folder)


@pytest.mark.slow
def test_killed_at_any_moment_and_resumed_it_ends_with_the_same_bytes(
    make_manifest: MakeManifest, light: Encoder, tmp_path: Path
) -> None:
    n = 40
    manifest = make_manifest(n, {7: b"", 19: b"text"})
    wait_for_end(start(link_images(manifest, tmp_path / "whole"), n))
    home = link_images(manifest, tmp_path / "killed")
    moments = random.Random(0)
    killed = 0
    for _ in range(4):
        process = start(home, n, pause=0.05)
        assert process.stdout is not None
        process.stdout.readline()  # it is about to begin
        time.sleep(moments.uniform(0.05, 0.25))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
    assert killed >= 3
    wait_for_end(start(home, n))
    folders = [FeatureStore(tmp_path / name).folder(manifest, light.identity) for name in ("whole", "killed")]
    assert content(folders[0]) == content(folders[1])
    assert set(content(folders[1])) == {"features.npy", "index.json"}


def link_images(manifest: Manifest, home: Path) -> Path:
    home.mkdir()
    (home / "images").symlink_to(manifest.root)
    return home


def wait_for_end(process: Warm) -> str:
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return output


def test_a_full_disk_gives_one_clear_error_and_loses_nothing(
    make_manifest: MakeManifest, light: Encoder, tmp_path: Path
) -> None:
    manifest = make_manifest(40)
    # The room for one file is 600 bytes: enough for a shard of 8 rows, not for all 40 together.
    output = wait_for_end(start(tmp_path, 40, limit=600))
    [message] = [line for line in output.splitlines() if line.startswith("StoreError")]
    assert "no room left to write in" in message
    assert "all 40 embedded images are kept; then run: clarify embed noise" in message
    counted = Changed(light, lambda embeddings: embeddings)
    resumed = small(manifest, counted, tmp_path)
    assert counted.batches == []
    assert content(resumed.folder) == content(small(manifest, light, tmp_path / "whole").folder)


def test_a_disk_without_room_for_a_shard_says_how_much_is_kept(
    make_manifest: MakeManifest, light: Encoder, tmp_path: Path
) -> None:
    manifest = make_manifest(40)
    output = wait_for_end(start(tmp_path, 40, limit=300))
    assert "0 of 40 images are embedded and kept; then run: clarify embed noise" in output
    folder = FeatureStore(tmp_path).folder(manifest, light.identity)
    assert set(content(folder)) == {"plan.json"}
    assert small(manifest, light, tmp_path).valid.all()


@pytest.mark.parametrize("home", ["/proc", "file"])
def test_a_home_that_cannot_be_written_gives_one_clear_error(
    make_manifest: MakeManifest, tiny: Encoder, tmp_path: Path, home: str
) -> None:
    (tmp_path / "file").write_text("a file where a folder should be")
    with pytest.raises(StoreError, match=r"cannot write in .* make it writable or give another"):
        small(make_manifest(4), tiny, tmp_path / home)


def test_a_second_process_at_the_same_extraction_is_refused(
    make_manifest: MakeManifest, tiny: Encoder, tmp_path: Path
) -> None:
    manifest = make_manifest(8)

    def second(progress: Progress) -> None:
        with pytest.raises(StoreError, match="another process is embedding data set noise"):
            small(manifest, tiny, tmp_path)

    assert small(manifest, tiny, tmp_path, progress=second).valid.all()


def test_an_encoder_that_gives_nan_is_refused_with_the_images_id(
    make_manifest: MakeManifest, tiny: Encoder, tmp_path: Path
) -> None:
    def spoil(embeddings: np.ndarray) -> np.ndarray:
        embeddings = embeddings.copy()
        embeddings[2, 3] = np.nan
        return embeddings

    with pytest.raises(FeatureError, match=r"not finite for image 'n2' \(row 3, 2.png\)"):
        small(make_manifest(8), Changed(tiny, spoil), tmp_path)


def test_an_encoder_of_another_width_than_it_says_is_refused(
    make_manifest: MakeManifest, tiny: Encoder, tmp_path: Path
) -> None:
    narrow = Changed(tiny, lambda embeddings: embeddings[:, :5])
    with pytest.raises(FeatureError, match=r"shape \(4, 5\) for 4 images; its width is 16"):
        small(make_manifest(8), narrow, tmp_path)


@pytest.mark.parametrize("options", [{"workers": 0}, {"batch_size": 0}, {"shard_rows": 0}, {"dtype": "int8"}])
def test_numbers_that_are_not_legal_are_refused(
    make_manifest: MakeManifest, tiny: Encoder, tmp_path: Path, options: dict[str, object]
) -> None:
    with pytest.raises(InputError, match="extraction: "):
        small(make_manifest(4), tiny, tmp_path, **options)


def test_what_is_written_down_says_whose_features_they_are(
    make_manifest: MakeManifest, tiny: Encoder, tmp_path: Path
) -> None:
    manifest = make_manifest(4)
    features = small(manifest, tiny, tmp_path)
    expected = f"features/noise-{manifest.digest[:12]}/{tiny.identity.image_digest}"
    assert features.folder == tmp_path / expected
    index = json.loads((features.folder / "index.json").read_bytes())
    assert index["manifest"] == manifest.digest
    assert index["encoder"]["weights"] == tiny.identity.weights
    assert (index["rows"], index["width"], index["dtype"]) == (4, 16, "float16")
    assert index["complete"] is True
    assert os.listdir(features.folder / "..") == [tiny.identity.image_digest]


def test_a_shard_that_was_cut_short_is_made_again_unasked(
    make_manifest: MakeManifest, tiny: Encoder, tmp_path: Path
) -> None:
    manifest = make_manifest(30)
    calls = iter(range(100))

    def stop(found: np.ndarray) -> np.ndarray:
        if next(calls) == 6:
            raise KeyboardInterrupt
        return found

    with pytest.raises(KeyboardInterrupt):
        small(manifest, Changed(tiny, stop), tmp_path)  # type: ignore[arg-type]
    folder = FeatureStore(tmp_path).folder(manifest, tiny.identity)
    for shard in (0, 1):
        path = folder / f"shard-{shard:05d}.npy"
        path.write_bytes(path.read_bytes()[:-5])
    found = small(manifest, tiny, tmp_path)
    whole = small(manifest, tiny, tmp_path / "whole")
    assert content(found.folder) == content(whole.folder)


def test_numbers_too_large_for_float16_are_refused_as_they_are_embedded(
    make_manifest: MakeManifest, tiny: Encoder, tmp_path: Path
) -> None:
    large = Changed(tiny, lambda found: found * 1e6)
    with pytest.raises(FeatureError, match="not finite for image 'n0'"):
        small(make_manifest(4), large, tmp_path)  # type: ignore[arg-type]
    assert small(make_manifest(4), large, tmp_path, dtype="float32").array.max() > 65_504  # type: ignore[arg-type]
