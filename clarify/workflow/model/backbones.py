"""The body of a network that was trained here: kept in the run that trained it, found by others.

A model's run says where the body is that its head stands on: in its own files, in its parent's, or
nowhere there, and then it is the backbone of the settings.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path

from clarify.data.files import write_atomically, writing
from clarify.embed.encoders import ImageEncoder
from clarify.embed.packing import FILES, pack, unpack
from clarify.errors import NotFoundError, StoreError
from clarify.track.artifacts import Artifact
from clarify.track.mlflow import TrackingStore
from clarify.track.runs import IN_PARENT, IN_RUN, PLACE, BaseRun, ModelRun, TrainedRun
from clarify.workflow.model.project import Workspace

__all__ = ["IN_PARENT", "IN_RUN", "PLACE", "backbone_of", "bodies_without_features", "packed"]

FOLDER = "backbone"


def packed(encoder: ImageEncoder) -> tuple[Artifact, ...]:
    """Return a body as files of a run."""
    with tempfile.TemporaryDirectory() as folder:
        pack(encoder, Path(folder))
        return tuple(
            Artifact(path=f"{FOLDER}/{name}", content=Path(folder, name).read_bytes()) for name in FILES
        )


def backbone_of(project: Workspace, run: TrainedRun) -> ImageEncoder | None:
    """Return the body that a model stands on; None where it is the backbone of the settings.

    Raises
    ------
    NotFoundError
        If the run that has it is gone, or its files are.
    """
    if not run.body:
        return None
    return body_of_run(project.home, project.tracking, run.id if run.body == IN_RUN else run.parent)


def body_of_run(home: Path, tracking: TrackingStore, run: str) -> ImageEncoder:
    """Return the body that a run's own files hold.

    Raises NotFoundError if the run, or its files, are gone.
    """
    return _unpacked(_folder(home, tracking, run))


def bodies_without_features(project: Workspace) -> Iterator[ImageEncoder]:
    """Yield each body that was trained here and whose features of the data set are gone."""
    manifest = project.manifest
    seen = set()
    bases, models = (project.tracking.runs(manifest.name, kind) for kind in (BaseRun, ModelRun))
    for run in (*bases, *models):
        if run.manifest != manifest.digest or run.body != IN_RUN:
            continue
        body = backbone_of(project, run)
        if body is None or body.identity.image_digest in seen:
            continue
        seen.add(body.identity.image_digest)
        if project.store.open(manifest, body.identity) is None:
            yield body


def _folder(home: Path, tracking: TrackingStore, holder: str) -> Path:
    """Return the folder of the files, copied here if the store is elsewhere."""
    try:
        place = tracking.artifact_folder(holder) / FOLDER
    except StoreError:
        place = home / "cache" / "backbones" / holder
        with writing(place, hint="then give the same command again"):
            place.mkdir(parents=True, exist_ok=True)
            for name in FILES:
                if not (place / name).is_file():
                    content = tracking.artifact(holder, f"{FOLDER}/{name}")
                    write_atomically(place / name, [content])
    if not all((place / name).is_file() for name in FILES):
        raise NotFoundError(
            f"run {holder[:8]}: the network's body is not in {place} any more; restore it, or train it again"
        )
    return place


@functools.lru_cache(maxsize=4)
def _unpacked(folder: Path) -> ImageEncoder:
    return unpack(folder)
