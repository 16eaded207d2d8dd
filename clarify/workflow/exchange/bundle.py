"""A data set with all that was made of it in one file, for another machine.

A bundle unpacks to a small home: ``data_manifests/NAME``, ``images/NAME``, ``features/...``,
``encoders/NAME``, ``captions/NAME.parquet``; and ``runs/ID/run.json`` with the run's files beside it,
which go into the tracking store. Runs keep the id of the machine that made them first as the tag
``original``. Of a bridge the network and the text model stay behind: it names both by their hashes.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from clarify.data.archive import Member, write_archive
from clarify.data.captions import captions_file, kept_captions
from clarify.data.images import BadImage
from clarify.data.manifest import Manifest, write_again
from clarify.data.opening import CONTENT_DIGITS, full_content, open_image_file
from clarify.data.parallel import Progress
from clarify.embed.bridge import FILES
from clarify.embed.imported import imported_folder
from clarify.errors import InputError
from clarify.track.carrying import run_values, runs_to_carry
from clarify.track.run import StoredRun
from clarify.workflow.exchange.predict import output_file
from clarify.workflow.home.settling import SETTLED
from clarify.workflow.model.project import Workspace

__all__ = ["BRIDGE_FILES", "BUNDLE", "ENDINGS", "FEATURE_FILES", "IMPORTED_FILES", "Bundled", "export_bundle"]

BUNDLE = "clarify-bundle"
ENDINGS = (".tar",)
# Of each the last file says that the others are whole.
FEATURE_FILES = ("features.npy", "index.json")
IMPORTED_FILES = ("phrases.npy", "phrases.json", "encoder.json")
BRIDGE_FILES = FILES


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bundled:
    """What a bundle holds.

    Parameters
    ----------
    name : str
        The data set.
    size : int
        Bytes.
    images, features, encoders, bridges, runs : int
        How many there are: images, sets of features, imported encoders, bridges, runs.
    left_out : tuple of str
        Images that cannot be read, and why.
    """

    path: Path
    name: str
    size: int
    images: int
    features: int
    encoders: int
    bridges: int
    runs: int
    left_out: tuple[str, ...]


def export_bundle(
    project: Workspace, path: Path, *, progress: Callable[[Progress], None] | None = None
) -> Bundled:
    """Write a data set, its images, captions, features, own encoders and runs into one file.

    Runs of other contents of the manifest stay behind, and so do registered models: promote again
    where the bundle is imported.

    Parameters
    ----------
    path : Path
        Ends in ``.tar``; replaced if it is there.

    Raises
    ------
    InputError
        For another ending, or an image whose bytes are not those that the manifest means.
    StoreError, AwayError, NotFoundError
        If something cannot be read or written.
    """
    output_file(path, ENDINGS)
    manifest = project.manifest
    images, left_out = _images(manifest)
    features = list(_whole(project.home, project.store.of_data_set(manifest), FEATURE_FILES))
    own = imported_folder(project.home, manifest.name)
    encoders = list(_whole(project.home, own, IMPORTED_FILES))
    bridges = list(_whole(project.home, own, BRIDGE_FILES))
    kept_captions(project.home, manifest.name)  # refuses a damaged file
    single = [each for each in (own / SETTLED, captions_file(project.home, manifest.name)) if each.exists()]
    runs = runs_to_carry(project.tracking, manifest.name, manifest.digest)
    # Runs' files are fetched once, into a folder: from a server they come slowly.
    with tempfile.TemporaryDirectory(prefix="clarify-") as folder:
        toml, of_runs = _manifest(manifest, Path(folder)), _run_members(project, runs, Path(folder))
        alone = [Member(name=each.relative_to(project.home).as_posix(), source=each) for each in single]
        members = [*toml, *images, *features, *encoders, *bridges, *alone, *of_runs]
        head = {"kind": BUNDLE, "data_set": manifest.name, "manifest": manifest.digest}
        size = write_archive(path, head, members, progress=progress)
    return Bundled(
        path=path,
        name=manifest.name,
        size=size,
        images=len(images),
        features=len(features) // len(FEATURE_FILES),
        encoders=len(encoders) // len(IMPORTED_FILES),
        bridges=len(bridges) // len(BRIDGE_FILES),
        runs=len(runs),
        left_out=tuple(left_out),
    )


def _manifest(manifest: Manifest, folder: Path) -> Iterator[Member]:
    """Write the manifest anew, its root being the bundle's own images."""
    write_again(manifest, folder / "manifest", root=f"../../images/{manifest.name}")
    for path in sorted((folder / "manifest").iterdir()):
        yield Member(name=f"data_manifests/{manifest.name}/{path.name}", source=path)


def _images(manifest: Manifest) -> tuple[list[Member], list[str]]:
    """Return the images that can be read, and a line for each of the others."""
    table = manifest.table
    meant = table["content"] if "content" in table.columns else [None] * table.height
    found: dict[str, Member] = {}
    left_out = []
    for path, content in zip(table["path"], meant, strict=True):
        place = manifest.root / path
        try:
            with open_image_file(place, inside=manifest.root) as file:
                seen = full_content(file)[:CONTENT_DIGITS] if content else content
        except BadImage as bad:
            left_out.append(f"{path}: {bad.reason}")
            continue
        if seen != content:
            raise InputError(
                f"image {place} has other bytes (SHA-256 {seen}) than the manifest means "
                f"({content}); restore it, or make the manifest again"
            )
        found[path] = Member(name=f"images/{manifest.name}/{path}", source=place.resolve())
    return list(found.values()), left_out


def _whole(home: Path, place: Path, files: tuple[str, ...]) -> Iterator[Member]:
    """Yield these files of each folder in a place that has the last of them."""
    for last in sorted(place.glob(f"*/{files[-1]}")):
        for name in files:
            source = last.with_name(name)
            yield Member(name=source.relative_to(home).as_posix(), source=source)


def _run_members(project: Workspace, runs: list[StoredRun], folder: Path) -> Iterator[Member]:
    origins = {run.id: run.origin for run in runs}
    for run in runs:
        place = folder / "runs" / origins[run.id]
        files = project.tracking.files(run.id)
        content = json.dumps(run_values(run, files, origins), ensure_ascii=False, indent=1).encode()
        yield Member(name=f"runs/{origins[run.id]}/run.json", source=content)
        for path in files:
            copy = place / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(project.tracking.artifact(run.id, path))
            yield Member(name=f"runs/{origins[run.id]}/files/{path}", source=copy)
