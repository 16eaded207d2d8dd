"""The body of a network that was trained here: kept in the run that trained it, found by others.

A model's run says where the body is that its head stands on: in its own files, in its parent's, or
nowhere there, and then it is the backbone of the settings.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from clarify.data.files import write_atomically, writing
from clarify.embed.packing import FILES, pack, unpack
from clarify.errors import NotFoundError, StoreError
from clarify.track.artifacts import Artifact

if TYPE_CHECKING:
    from clarify.embed.encoders import ImageEncoder
    from clarify.track.records import Kind
    from clarify.track.run import Run
    from clarify.workflow.model.project import Project

__all__ = [
    "IN_PARENT",
    "IN_RUN",
    "PLACE",
    "backbone_of",
    "bodies_without_features",
    "packed",
    "stands_on_its_own",
]

PLACE = "backbone_in"
IN_RUN, IN_PARENT = "run", "parent"
"""Values of the param `PLACE` of a model's run."""

FOLDER = "backbone"


def stands_on_its_own(run: Run) -> bool:
    """Whether a model stands on a body that was trained here, so that any settings will do."""
    return run.params.get(PLACE, "") in (IN_RUN, IN_PARENT)


def packed(encoder: ImageEncoder) -> tuple[Artifact, ...]:
    """Return a body as files of a run."""
    with tempfile.TemporaryDirectory() as folder:
        pack(encoder, Path(folder))
        return tuple(
            Artifact(path=f"{FOLDER}/{name}", content=Path(folder, name).read_bytes()) for name in FILES
        )


def backbone_of(project: Project, run: Run) -> ImageEncoder | None:
    """Return the body that a model stands on; None where it is the backbone of the settings.

    Raises
    ------
    NotFoundError
        If the run that has it is gone, or its files are.
    """
    if not stands_on_its_own(run):
        return None
    holder = run.id if run.params[PLACE] == IN_RUN else run.tags["parent"]
    return _unpacked(_folder(project, holder))


MODELS: tuple[Kind, ...] = ("base", "retraining")


def bodies_without_features(project: Project) -> Iterator[ImageEncoder]:
    """Yield each body that was trained here and whose features of the data set are gone."""
    manifest = project.manifest
    seen = set()
    for kind in MODELS:
        for run in project.tracking.runs(manifest.name, kind=kind):
            if run.tags["manifest"] != manifest.digest or not stands_on_its_own(run):
                continue
            body = None if run.params[PLACE] == IN_PARENT else backbone_of(project, run)
            if body is None or body.identity.image_digest in seen:
                continue
            seen.add(body.identity.image_digest)
            if project.store.open(manifest, body.identity) is None:
                yield body


def _folder(project: Project, holder: str) -> Path:
    """Return the folder of the files, copied here if the store is elsewhere."""
    tracking = project.tracking
    try:
        place = tracking.artifact_folder(holder) / FOLDER
    except StoreError:
        place = project.home / "cache" / "backbones" / holder
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
