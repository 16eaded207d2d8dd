"""Bundles: a data set with all that was made of it goes to another machine, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from clarify.data.captions import captions_file, kept_captions
from clarify.data.manifest import open_manifest
from clarify.track.mlflow import TrackingStore
from tests.conftest import DATA_SET, Done, captioned_by_place, run_clarify
from tests.warm import Warm

pytestmark = pytest.mark.slow

Clarify = Callable[..., Done]
IMPORT = "import sys; from clarify.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture(scope="module")
def origin(made_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first machine's home: with a retraining."""
    home = tmp_path_factory.mktemp("origin") / "home"
    shutil.copytree(made_home, home)
    assert run_clarify("relocate", home=home).status == 0
    assert run_clarify("retrain", DATA_SET, "--objective", "reweight", home=home).status == 0
    return home


@pytest.fixture(scope="module")
def bundle(origin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "birds.tar"
    done = run_clarify("export", DATA_SET, "--bundle", str(path), "--json", home=origin)
    assert done.result["bundle"]["images"] == 848
    return path


@pytest.fixture(scope="module")
def received(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The second machine's home, with what came; tests leave it as it is."""
    home = tmp_path_factory.mktemp("received") / "home"
    done = run_clarify("import", str(bundle), "--json", home=home)
    assert done.status == 0, done.err
    assert (done.result["runs"], done.result["known_runs"]) == (4, 0)
    return home


def files(home: Path) -> dict[str, str]:
    return {
        path.relative_to(home).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(home.rglob("*"))
        if path.is_file()
    }


def test_images_and_features_arrive_byte_for_byte(origin: Path, received: Path) -> None:
    def kept(home: Path) -> dict[str, str]:
        return {
            name: digest
            for name, digest in files(home).items()
            if name.startswith("images/") or name.endswith(("features.npy", "index.json"))
        }

    assert kept(received) == {
        name: digest
        for name, digest in kept(origin).items()
        if name.startswith((f"images/{DATA_SET}/", "features/"))
    }


def test_runs_arrive_with_their_figures_files_order_and_parents(origin: Path, received: Path) -> None:
    before, after = TrackingStore(origin), TrackingStore(received)
    ids: dict[str, str] = {}
    for kind in ("base", "description", "retraining"):
        old, new = before.stored(DATA_SET, kind=kind), after.stored(DATA_SET, kind=kind)
        assert [run.tags["original"] for run in new] == [run.id for run in old]
        for was, now in zip(old, new, strict=True):
            ids[was.id] = now.id
            assert now.id != was.id
            assert (now.params, now.metrics) == (was.params, was.metrics)
            assert (now.name, now.started) == (was.name, was.started)
            assert now.tags["parent"] == ids.get(was.tags["parent"], "")
            differ = {"parent", "original"}
            assert {k: v for k, v in now.tags.items() if k not in differ} == {
                k: v for k, v in was.tags.items() if k not in differ
            }
            assert after.files(now.id) == before.files(was.id) != []
            for path in before.files(was.id):
                assert after.artifact(now.id, path) == before.artifact(was.id, path)


def test_the_other_machine_goes_on_where_the_first_stopped(
    origin: Path, received: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(received, home)
    assert run_clarify("relocate", home=home).status == 0

    def figures(place: Path) -> Any:
        rows = run_clarify("compare", DATA_SET, "--split", "test", "--json", home=place)
        own = {"run", "cost"}  # differ from one fit to the next
        return [{k: v for k, v in row.items() if k not in own} for row in rows.result["models"]]

    assert figures(home) == figures(origin)
    again = run_clarify("retrain", DATA_SET, "--objective", "reweight", "--json", home=home)
    rows = figures(home)
    assert rows[1] == rows[2]  # retrained from the kept descriptions, to the same figures
    assert again.status == 0
    overruled = ("--overrule", "few images")
    assert run_clarify("promote", DATA_SET, again.result["run"], *overruled, home=home).status == 0
    image = next((home / "images" / DATA_SET).rglob("*.png"))
    assert run_clarify("predict", DATA_SET, str(image), home=home).status == 0
    out = tmp_path / "described.csv"
    assert run_clarify("export", DATA_SET, "--out", str(out), home=home).status == 0
    assert str(origin) not in out.read_text()
    again_out = tmp_path / "again.tar"  # the registered model stays: it is made by promoting
    assert run_clarify("export", DATA_SET, "--bundle", str(again_out), home=home).status == 0
    with tarfile.open(again_out, "r:") as tar:
        assert [name for name in tar.getnames() if "model-" in name] == []


def test_the_same_bundle_again_changes_nothing(received: Path, bundle: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(received, home)
    assert run_clarify("relocate", home=home).status == 0
    before = {name: each for name, each in files(home).items() if "mlflow.db" not in name}
    done = run_clarify("import", str(bundle), "--json", home=home)
    assert (done.result["runs"], done.result["known_runs"]) == (4, 4)
    assert {name: each for name, each in files(home).items() if "mlflow.db" not in name} == before


def test_the_same_home_exports_the_same_bytes(origin: Path, bundle: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.tar"
    assert run_clarify("export", DATA_SET, "--bundle", str(again), home=origin).status == 0
    assert again.read_bytes() == bundle.read_bytes()


def test_a_bundle_that_comes_back_home_brings_nothing_new(
    origin: Path, received: Path, tmp_path: Path
) -> None:
    back = tmp_path / "back.tar"
    assert run_clarify("export", DATA_SET, "--bundle", str(back), home=received).status == 0
    home = tmp_path / "home"
    shutil.copytree(origin, home)
    assert run_clarify("relocate", home=home).status == 0
    done = run_clarify("import", str(back), "--json", home=home)
    assert (done.result["runs"], done.result["known_runs"]) == (4, 4)
    for kind in ("base", "description", "retraining"):
        runs, before = (TrackingStore(place).stored(DATA_SET, kind=kind) for place in (home, origin))
        assert [run.id for run in runs] == [run.id for run in before]


def test_a_bundle_is_a_plain_tar_of_files_in_an_index(bundle: Path) -> None:
    with tarfile.open(bundle, "r:") as tar:
        members = tar.getmembers()
        index = json.load(tar.extractfile(members[0]))  # type: ignore[arg-type]
    assert members[0].name == "index.json"
    assert all(member.isreg() for member in members)
    assert [each["path"] for each in index["files"]] == [member.name for member in members[1:]]


def test_a_data_set_of_that_name_with_another_content_stays(
    received: Path, bundle: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(received / "data_manifests", home / "data_manifests")
    toml = home / "data_manifests" / DATA_SET / "manifest.toml"
    classes = '["landbird", "waterbird"]'
    toml.write_text(toml.read_text().replace(classes, '["waterbird", "landbird"]'))
    before = files(home)
    done = run_clarify("import", str(bundle), home=home)
    assert "is in" in done.refusal
    assert "with another content" in done.refusal
    assert {name for name in files(home) if ".import" not in name} == set(before)


def test_images_of_another_data_set_in_the_way_are_not_touched(bundle: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    other = home / "images" / DATA_SET / "test" / "000001.png"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"mine")
    done = run_clarify("import", str(bundle), home=home)
    assert "is not the file of that name in the bundle" in done.refusal
    assert other.read_bytes() == b"mine"
    assert not (home / "data_manifests").exists()


def test_an_image_that_is_not_the_one_meant_is_not_bundled(clarify: Clarify, home: Path) -> None:
    import polars as pl

    from clarify.data.manifest import open_manifest, write_manifest

    manifest = open_manifest(home, DATA_SET)
    digests = [
        hashlib.sha256((manifest.root / path).read_bytes()).hexdigest()[:32]
        for path in manifest.table["path"]
    ]
    write_manifest(
        home / "data_manifests" / DATA_SET,
        root=f"../../images/{DATA_SET}",
        table=manifest.table.with_columns(content=pl.Series(digests)),
        **{
            key: getattr(manifest, key)
            for key in ("name", "title", "source", "licence", "classes", "splits", "attributes")
        },
    )
    out = str(home.parent / "b.tar")
    assert clarify("export", DATA_SET, "--bundle", out).status == 0
    image = next((home / "images" / DATA_SET).rglob("*.png"))
    changed = image.read_bytes() + b" "
    image.unlink()
    image.write_bytes(changed)
    assert "has other bytes" in clarify("export", DATA_SET, "--bundle", out).refusal


def test_images_that_cannot_be_read_are_listed_and_left_out(clarify: Clarify, home: Path) -> None:
    first, second, *_ = sorted((home / "images" / DATA_SET).rglob("*.png"))
    first.unlink()
    second.unlink()
    second.symlink_to("/etc/hostname")
    out = home.parent / "b.tar"
    done = clarify("export", DATA_SET, "--bundle", str(out), "--json").result["bundle"]
    assert done["images"] == 846
    assert len(done["left_out"]) == 2
    assert "leads out of the root" in " ".join(done["left_out"])
    other = home.parent / "other"
    assert run_clarify("import", str(out), home=other).status == 0
    assert run_clarify("compare", DATA_SET, home=other).status == 0


def test_imported_encoders_travel(clarify: Clarify, home: Path, tmp_path: Path) -> None:
    from clarify.data.manifest import open_manifest

    manifest = open_manifest(home, DATA_SET)
    rng = np.random.default_rng(0)
    ids = manifest.table["id"].to_list()
    features = rng.normal(size=(len(ids), 8))
    features[:, 0] += 3 * (manifest.table["label"] == "landbird").to_numpy()
    np.savez(tmp_path / "f.npz", image_features=features, ids=ids)
    np.savez(tmp_path / "b.npz", text_features=rng.normal(size=(2, 8)), phrases=["water", "land"])
    done = clarify(
        "features",
        "import",
        DATA_SET,
        str(tmp_path / "f.npz"),
        "--bank",
        str(tmp_path / "b.npz"),
        "--label",
        "theirs",
    )
    assert done.status == 0, done.err
    assert clarify("train", DATA_SET, "--encoder", "imported:theirs").status == 0
    out = home.parent / "b.tar"
    made = clarify("export", DATA_SET, "--bundle", str(out), "--encoder", "imported:theirs", "--json")
    assert (made.result["bundle"]["encoders"], made.result["bundle"]["features"]) == (1, 2)
    other = home.parent / "other"
    assert run_clarify("import", str(out), home=other).status == 0
    scored = run_clarify(
        "score", DATA_SET, "landbird", "water", "--encoder", "imported:theirs", "--json", home=other
    )
    assert scored.status == 0, scored.err


def rewritten(bundle: Path, path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Write a bundle anew with other files, its index made to fit."""
    with tarfile.open(bundle, "r:") as tar:
        content = {each.name: tar.extractfile(each).read() for each in tar}  # type: ignore[union-attr]
    index = json.loads(content.pop("index.json"))
    change(content)
    index["files"] = [
        {"path": name, "size": len(each), "sha256": hashlib.sha256(each).hexdigest()}
        for name, each in content.items()
    ]
    with tarfile.open(path, "w:") as tar:
        for name, each in {"index.json": json.dumps(index).encode(), **content}.items():
            info = tarfile.TarInfo(name)
            info.size = len(each)
            tar.addfile(info, io.BytesIO(each))
    return path


def test_a_manifest_in_a_bundle_cannot_point_to_other_folders(bundle: Path, tmp_path: Path) -> None:
    def point_away(content: dict[str, bytes]) -> None:
        name = f"data_manifests/{DATA_SET}/manifest.toml"
        content[name] = content[name].replace(b"../../images/tiny-birds", b"/etc")

    evil = rewritten(bundle, tmp_path / "evil.tar", point_away)
    done = run_clarify("import", str(evil), home=tmp_path / "home")
    assert "root is not images/tiny-birds in the bundle" in done.refusal


@pytest.mark.parametrize("at", ["images", "runs", "manifest"])
def test_an_import_that_is_killed_is_done_by_the_next(
    bundle: Path, received: Path, tmp_path: Path, at: str
) -> None:
    """The process is killed when the images are unpacked, a run is there, the images are placed."""
    home = tmp_path / "home"
    signs = {
        "images": lambda: (home / ".import/unpacked/images").exists(),
        "runs": lambda: any((home / "mlruns/artifacts").glob("*/*/artifacts/*")),
        "manifest": lambda: (home / "images" / DATA_SET).exists(),
    }
    process = Warm(
        *("-c", IMPORT, "import", str(bundle), "--home", str(home)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + 60
        while process.poll() is None and not signs[at]() and time.monotonic() < until:
            time.sleep(0.0005)
    finally:
        with_signal(process, signal.SIGKILL)
    assert signs[at]()
    done = run_clarify("import", str(bundle), home=home)
    assert done.status == 0, done.err
    kept = {name: each for name, each in files(home).items() if "mlruns" not in name}
    expected = {name: each for name, each in files(received).items() if "mlruns" not in name}
    assert kept == expected
    store, whole = TrackingStore(home), TrackingStore(received)
    for kind in ("base", "description", "retraining"):
        assert [run.tags["original"] for run in store.stored(DATA_SET, kind=kind)] == [
            run.tags["original"] for run in whole.stored(DATA_SET, kind=kind)
        ]


def with_signal(process: Warm, number: int) -> None:
    if process.poll() is None:
        os.killpg(process.pid, number)
    process.wait()


def test_captions_go_along_whole_and_stand_back_behind_those_that_are_there(
    home: Path, clarify: Clarify, tmp_path: Path
) -> None:
    captioned_by_place(open_manifest(home, DATA_SET)).write_csv(tmp_path / "captions.csv")
    assert clarify("suggest", DATA_SET, "waterbird", "--captions", str(tmp_path / "captions.csv")).status == 0
    told = kept_captions(home, DATA_SET)
    assert clarify("export", DATA_SET, "--bundle", str(tmp_path / "birds.tar")).status == 0
    other = tmp_path / "other"
    assert run_clarify("import", str(tmp_path / "birds.tar"), home=other).status == 0
    assert kept_captions(other, DATA_SET) == told
    one = {"id": [next(iter(told))], "caption": ["of one"]}
    pl.DataFrame(one).write_parquet(captions_file(other, DATA_SET))
    assert run_clarify("import", str(tmp_path / "birds.tar"), home=other).status == 0
    assert kept_captions(other, DATA_SET) == {one["id"][0]: ("of one",)}

    def damage(content: dict[str, bytes]) -> None:
        content[captions_file(Path(), DATA_SET).as_posix()] = b"no table"

    broken = rewritten(tmp_path / "birds.tar", tmp_path / "broken.tar", damage)
    refusals = [run_clarify("import", str(broken), home=tmp_path / "third").refusal]
    captions_file(home, DATA_SET).write_bytes(b"no table")
    refusals.append(clarify("export", DATA_SET, "--bundle", str(tmp_path / "mine.tar")).refusal)
    for refusal in refusals:
        assert "captions" in refusal
        assert "is damaged" in refusal
    assert not (tmp_path / "mine.tar").exists()
