"""Embedding on Ray: two workers on this machine give the same bytes, also when one of them is killed."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from clarify.data.manifest import Manifest
from clarify.data.parallel import Progress
from clarify.embed.cluster import OnRay
from clarify.embed.encoders import Encoder
from clarify.embed.extract import extract
from clarify.embed.store import Features, FeatureStore
from clarify.errors import InputError, StoreError
from tests.conftest import DATA_SET, run_clarify

MakeManifest = Callable[..., Manifest]

HAS_RAY = importlib.util.find_spec("ray") is not None
with_ray = pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed: pip install 'clarify[ray]'")


def embedded(manifest: Manifest, encoder: Encoder, home: Path, **options: object) -> Features:
    options = {"batch_size": 4, "shard_rows": 8, "workers": 2, **options}
    return extract(manifest, encoder, FeatureStore(home), **options)  # type: ignore[arg-type]


def content(features: Features) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in features.folder.iterdir() if path.name != "lock"}


def workers_of(driver: int) -> list[int]:
    """Return the processes of this test's workers: descendants of this one that Ray calls so."""
    import psutil

    found = psutil.Process(driver).children(recursive=True)
    return [each.pid for each in found if "_Worker" in " ".join(each.cmdline())]


# Before Ray runs in this process: it would be taken as it is.
@pytest.mark.slow
@with_ray
def test_an_address_where_nothing_answers_is_told_in_one_line(
    make_manifest: MakeManifest, light: Encoder, tmp_path: Path
) -> None:
    for address in ("127.0.0.1:9", "ray://127.0.0.1:9"):
        with pytest.raises(StoreError, match=f"no Ray cluster answers at {address}"):
            embedded(make_manifest(8), light, tmp_path, engine=OnRay(address=address))
    with pytest.raises(InputError, match="address 'somewhere'; HOST:PORT is legal"):
        embedded(make_manifest(8), light, tmp_path, engine=OnRay(address="somewhere"))


@pytest.fixture(scope="module")
def two_workers() -> Iterator[None]:
    """Ray on this machine, started once for several extractions: that takes longer than they do."""
    import ray

    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.slow
@with_ray
@pytest.mark.usefixtures("two_workers")
@pytest.mark.filterwarnings("default")
def test_two_workers_make_the_same_bytes_also_when_one_is_killed(
    make_manifest: MakeManifest, tiny: Encoder, tmp_path: Path
) -> None:
    manifest = make_manifest(61, broken={5: b"no image"})
    alone = content(embedded(manifest, tiny, tmp_path / "here"))
    assert content(embedded(manifest, tiny, tmp_path / "ray", engine=OnRay())) == alone

    killed: list[int] = []

    def kill_once(progress: Progress) -> None:
        if not killed:
            killed.append(workers_of(os.getpid())[0])
            os.kill(killed[0], signal.SIGKILL)

    again = embedded(manifest, tiny, tmp_path / "killed", engine=OnRay(), progress=kill_once)
    assert content(again) == alone
    assert killed


@pytest.mark.slow
@with_ray
@pytest.mark.usefixtures("two_workers")
@pytest.mark.filterwarnings("default")
def test_a_picture_that_takes_too_long_is_named_and_the_others_are_embedded(
    make_manifest: MakeManifest, light: Encoder, tmp_path: Path
) -> None:
    manifest = make_manifest(20)
    Image.new("RGB", (9_400, 9_400)).save(manifest.root / "17.png", "WEBP", lossless=True)
    # Seconds to decode on any machine; the others take milliseconds.
    found = embedded(manifest, light, tmp_path / "slow", engine=OnRay(image_seconds=3))
    assert [(bad.id, bad.reason) for bad in found.bad] == [
        ("n17", "takes longer than 3 seconds; it was left out")
    ]
    assert found.array[found.valid].any(axis=1).all()


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_without_ray_the_extra_is_named(make_manifest: MakeManifest, light: Encoder, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"pip install 'clarify\[ray\]'"):
        embedded(make_manifest(8), light, tmp_path, engine=OnRay())


def test_an_address_without_ray_is_refused(made_home: Path) -> None:
    done = run_clarify("embed", DATA_SET, "--address", "node:6379", home=made_home)
    assert done.refusal == "--address node:6379 is of a Ray cluster; give --engine ray with it"
