"""Take a bundle into a home: everything is checked first, the manifest is put in place last.

So a data set is there whole or not at all, and an import that was killed is done by the next one:
what is in place already is recognised by its content, a run by the tag ``original``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import filelock

from clarify.data.archive import unpack_archive
from clarify.data.captions import captions_file, kept_captions
from clarify.data.files import writing
from clarify.data.manifest import Manifest, find_manifests, open_manifest, read_manifest, write_again
from clarify.data.parallel import Progress
from clarify.embed.bridge import read_bridge
from clarify.embed.encoders import EncoderIdentity
from clarify.embed.store import FeatureStore
from clarify.errors import ClarifyError, InputError, StoreError, shown
from clarify.track.artifacts import Artifact
from clarify.track.carrying import known_runs, order_of, record_of
from clarify.track.mlflow import TrackingStore
from clarify.track.record import DatasetRef
from clarify.workflow.exchange.bundle import BRIDGE_FILES, BUNDLE, FEATURE_FILES, IMPORTED_FILES
from clarify.workflow.home.settling import SETTLED, settled

__all__ = ["ImportedBundle", "import_bundle"]

WORK = ".import"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ImportedBundle:
    """What an import brought.

    Parameters
    ----------
    name, images, features, encoders, bridges, runs
        See `Bundled`.
    known_runs : int
        Of the runs, those that were there already.
    """

    home: Path
    name: str
    images: int
    features: int
    encoders: int
    bridges: int
    runs: int
    known_runs: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Unpacked:
    """A bundle in a folder, checked."""

    folder: Path
    manifest: Manifest
    runs: tuple[dict[str, Any], ...]


def import_bundle(
    home: Path, path: Path, tracking: TrackingStore, *, progress: Callable[[Progress], None] | None = None
) -> ImportedBundle:
    """Take a bundle into a home, all of it or nothing that is seen.

    Parameters
    ----------
    home : Path
        Made if absent.
    path : Path
        What `export_bundle` wrote.
    tracking : TrackingStore
        Of the home; gets the runs.

    Raises
    ------
    InputError
        If the bundle is not whole or not legal, or the home has something else under the name of
        its data set, images or an imported encoder.
    StoreError
        If there is no room, another import is at work, or the store cannot be written.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}; give the .tar that clarify export made")
    with writing(home, hint="then give the same command again"), _working_folder(home) as folder:
        head, names = unpack_archive(path, folder, progress=progress)
        unpacked = _checked(path, folder, head, names)
        known = _check_home(home, unpacked, path)
        already = _log_runs(home, unpacked, tracking)
        _place(home, unpacked, known=known)
    return ImportedBundle(
        home=home,
        name=unpacked.manifest.name,
        images=sum(name.startswith("images/") for name in names),
        features=_count(names, "features", FEATURE_FILES),
        encoders=_count(names, "encoders", IMPORTED_FILES),
        bridges=_count(names, "encoders", BRIDGE_FILES),
        runs=len(unpacked.runs),
        known_runs=already,
    )


def _count(names: list[str], where: str, files: tuple[str, ...]) -> int:
    return sum(name.startswith(f"{where}/") and name.endswith(f"/{files[-1]}") for name in names)


@contextlib.contextmanager
def _working_folder(home: Path) -> Iterator[Path]:
    """Yield an empty hidden folder in the home, of which there is one; it is gone afterwards."""
    place = home / WORK
    place.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(place / "lock", timeout=0):
            folder = place / "unpacked"
            shutil.rmtree(folder, ignore_errors=True)  # of one that was killed
            folder.mkdir()
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except filelock.Timeout:
        raise StoreError(f"another import is at work in {home}; wait for it") from None


def _checked(path: Path, folder: Path, head: Mapping[str, Any], names: list[str]) -> _Unpacked:
    name = head.get("data_set")
    if head.get("kind") != BUNDLE or not isinstance(name, str):
        raise InputError(f"{path} is no bundle of a data set; give what clarify export --bundle made")
    try:
        manifest = open_manifest(folder, name)
    except ClarifyError as error:
        told = str(error).replace(f"{folder}/", "")
        raise InputError(f"bundle {path}: {told}") from None
    if manifest.digest != head.get("manifest"):
        raise InputError(f"bundle {path}: its manifest is not the one that its index means")
    if manifest.root != (folder / "images" / name).resolve():
        raise InputError(f"bundle {path}: the images' root is not images/{name} in the bundle")
    legal = _legal_names(folder, manifest)
    for each in names:
        if each not in legal and not _is_run_file(each):
            raise InputError(f"bundle {path} has a file that belongs to nothing: {shown(each)}")
    _check_features(path, folder, manifest, names)
    _check_own(path, folder, name, names)
    runs = _runs(path, folder, names, manifest)
    return _Unpacked(folder=folder, manifest=manifest, runs=runs)


def _legal_names(folder: Path, manifest: Manifest) -> set[str]:
    """Return the names that files of this data set may have, but for its runs'."""
    name, toml = manifest.name, find_manifests(folder)[manifest.name]
    legal = {f"images/{name}/{path}" for path in manifest.table["path"]}
    legal |= {
        f"data_manifests/{name}/{each.name}"
        for each in toml.parent.iterdir()
        if each.suffix in (".toml", ".parquet")
    }
    for place in folder.glob(f"features/{name}-{manifest.digest[:12]}/*"):
        legal |= {f"{place.relative_to(folder).as_posix()}/{each}" for each in FEATURE_FILES}
    for place in folder.glob(f"encoders/{name}/*"):
        files = (*IMPORTED_FILES, *BRIDGE_FILES)
        legal |= {f"{place.relative_to(folder).as_posix()}/{each}" for each in files}
    return legal | {f"encoders/{name}/{SETTLED}", captions_file(Path(), name).as_posix()}


def _is_run_file(name: str) -> bool:
    start, *rest = name.split("/")
    return start == "runs" and (rest[1:] == ["run.json"] or (len(rest) > 2 and rest[1] == "files"))


def _check_features(path: Path, folder: Path, manifest: Manifest, names: list[str]) -> None:
    """Open each set of features as the store will, and see that it lies where it belongs."""
    for name in names:
        if not (name.startswith("features/") and name.endswith(FEATURE_FILES[-1])):
            continue
        place = (folder / name).parent
        try:
            described = json.loads((folder / name).read_bytes())["encoder"]
            identity = EncoderIdentity.from_dict({**described, "template": ""})
            found = FeatureStore(folder).open(manifest, identity)
            if found is None or found.folder != place.absolute():
                raise InputError("they lie in another's folder")
            found.seal.check(found.array)
        except (ValueError, KeyError, TypeError, RecursionError, ClarifyError) as error:
            told = str(error).replace(f"{folder}/", "")
            raise InputError(f"bundle {path}: the features {name} are damaged: {told}") from None


def _check_own(path: Path, folder: Path, data_set: str, names: list[str]) -> None:
    """Open each bridge, what says which encoder is the data set's own, and its captions."""
    try:
        settled(folder, data_set)
        kept_captions(folder, data_set)
        for name in names:
            if name.startswith("encoders/") and name.endswith(BRIDGE_FILES):
                read_bridge((folder / name).parent)
    except ClarifyError as error:
        told = str(error).partition("; ")[0].replace(f"{folder}/", "")
        raise InputError(f"bundle {path}: {told}; make the bundle again") from None


def _runs(path: Path, folder: Path, names: list[str], manifest: Manifest) -> tuple[dict[str, Any], ...]:
    """Read the runs, first those that others stand on, the oldest first."""
    dataset = _dataset(manifest, Path())
    found = []
    listed: set[str] = set()
    for name in names:
        if not name.startswith("runs/"):
            continue
        if name.count("/") == 2 and name.endswith("/run.json"):
            try:
                run = json.loads((folder / name).read_bytes())
                ordered = order_of(run)
                record_of(run, dataset)  # all but its files
                if name != f"runs/{run['id']}/run.json":
                    raise ValueError("it has other keys, or another id")
                files = {f"runs/{run['id']}/files/{file}" for file in run["files"]}
            except (ValueError, KeyError, TypeError, RecursionError, ClarifyError) as error:
                why = " ".join(str(error).split())[:200]
                raise InputError(f"bundle {path}: {shown(name)} is no run: {why}") from None
            found.append((ordered, run))
            listed |= {name, *files}
    unpacked = {name for name in names if name.startswith("runs/")}
    if listed != unpacked:
        wrong = sorted(listed ^ unpacked)[0]
        raise InputError(f"bundle {path}: {shown(wrong)} is no file of a run, or one is missing")
    return tuple(run for _, run in sorted(found, key=lambda each: each[0]))


def _dataset(manifest: Manifest, root: Path) -> DatasetRef:
    return DatasetRef(
        name=manifest.name, digest=manifest.digest, source=str(root), table=manifest.rows("validation")
    )


def _check_home(home: Path, unpacked: _Unpacked, path: Path) -> bool:
    """Refuse what the home has otherwise under the same names; whether it has the data set."""
    name, folder = unpacked.manifest.name, unpacked.folder
    found = find_manifests(home)
    if name in found:
        here = read_manifest(found[name])
        if here.digest != unpacked.manifest.digest:
            raise InputError(
                f"data set {name} is in {home} with another content ({here.digest[:12]}, the "
                f"bundle has {unpacked.manifest.digest[:12]}); give another --home, or rename it"
            )
    places = [f"encoders/{name}"] + ([] if name in found else [f"images/{name}"])
    for place in places:
        for file in sorted((folder / place).rglob("*")):
            other = home / file.relative_to(folder)
            present = other.exists() if place.startswith("encoders") else (home / place).exists()
            # What the home has settled stays as it is.
            if file.is_file() and file.name != SETTLED and present and _hash(other) != _hash(file):
                raise InputError(
                    f"{other} is not the file of that name in the bundle {path}; move it away, or "
                    "give another --home"
                )
    return name in found


def _hash(path: Path) -> str:
    if not path.is_file():
        return ""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _log_runs(home: Path, unpacked: _Unpacked, tracking: TrackingStore) -> int:
    """Log the runs that the store has not; returns how many it had."""
    manifest = unpacked.manifest
    dataset = _dataset(manifest, home / "images" / manifest.name)
    known = known_runs(tracking, manifest.name)
    already = 0
    for run in unpacked.runs:
        if run["id"] in known:
            already += 1
            continue
        place = unpacked.folder / "runs" / run["id"] / "files"
        files = tuple(Artifact(path=file, content=(place / file).read_bytes()) for file in run["files"])
        record = record_of(run, dataset, artifacts=files, known=known)
        known[run["id"]] = tracking.adopt(record, delivery=run["id"], at=int(run["started"]))
    return already


def _place(home: Path, unpacked: _Unpacked, *, known: bool) -> None:
    """Move everything to where it belongs, the manifest last."""
    manifest, folder = unpacked.manifest, unpacked.folder
    images = home / "images" / manifest.name
    if not known and not images.exists():
        images.parent.mkdir(parents=True, exist_ok=True)
        (folder / "images" / manifest.name).mkdir(parents=True, exist_ok=True)
        os.replace(folder / "images" / manifest.name, images)
    for pattern, files in (
        (f"features/{manifest.name}-{manifest.digest[:12]}/*", FEATURE_FILES),
        (f"encoders/{manifest.name}/*", IMPORTED_FILES),
        (f"encoders/{manifest.name}/*", BRIDGE_FILES),
        (f"encoders/{manifest.name}", (SETTLED,)),
        ("captions", (captions_file(home, manifest.name).name,)),
    ):
        for last in sorted(folder.glob(f"{pattern}/{files[-1]}")):
            source, target = last.parent, home / last.parent.relative_to(folder)
            target.mkdir(parents=True, exist_ok=True)
            if not (target / files[-1]).exists():
                for name in files:
                    os.replace(source / name, target / name)
    if not known:
        root = f"../../images/{manifest.name}"
        write_again(manifest, home / "data_manifests" / manifest.name, root=root)
