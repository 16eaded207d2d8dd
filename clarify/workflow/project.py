"""One data set with everything that works on it: manifest, encoder, features, tracking."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clarify.errors import FeatureError, GroupError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from clarify.data.manifest import Manifest
    from clarify.embed.encoders import Encoder
    from clarify.embed.extract import Progress
    from clarify.embed.store import Features, FeatureStore
    from clarify.method.groups import AnnotatedGroups
    from clarify.track.mlflow import TrackingStore
    from clarify.track.records import RunContext

__all__ = ["Project", "SplitData", "annotated_groups_of", "embed", "run_context", "split_data"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """The adapters that the workflow's functions work with, for one data set.

    Parameters
    ----------
    home : Path
        Absolute folder of data_manifests, images, features and mlruns.
    manifest : Manifest
        The data set.
    encoder : Encoder
        Embeds its images, and the phrases.
    store : FeatureStore
        Features on disk.
    tracking : TrackingStore
        Where every run is kept.
    reviewer : str
        Who is at work; goes into every record.
    """

    home: Path
    manifest: Manifest
    encoder: Encoder
    store: FeatureStore
    tracking: TrackingStore
    reviewer: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SplitData:
    """The images of one split that could be read, row by row in the manifest's order.

    Parameters
    ----------
    name : str
        The split.
    features : (N, D) float32, rows of unit length
    labels : (N,) int64, indices into the manifest's classes
    ids : (N,) str
    paths : tuple of N absolute paths
    attributes : mapping of attribute name to (N,) str
    """

    name: str
    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    ids: NDArray[np.str_]
    paths: tuple[Path, ...]
    attributes: dict[str, NDArray[np.str_]]

    def of_class(self, class_index: int) -> NDArray[np.int64]:
        """Return the rows of one class, shape (M,)."""
        return np.flatnonzero(self.labels == class_index)


def open_features(project: Project) -> Features:
    """Return the features of the project's data set and encoder.

    Raises
    ------
    NotFoundError
        If they were never extracted with this manifest and this encoder.
    """
    found = project.store.open(project.manifest, project.encoder.identity)
    if found is None:
        name = project.manifest.name
        raise NotFoundError(
            f"data set {name}: no features of manifest {project.manifest.digest[:12]} by encoder "
            f"{project.encoder.name} in {project.home / 'features'}; run: clarify embed {name}"
        )
    return found


def split_data(project: Project, split: str) -> SplitData:
    """Read one split: features, labels, ids, paths, attributes of its readable images.

    Raises
    ------
    NotFoundError
        If the split or its features do not exist.
    GroupError
        If a class has no readable image in it.
    FeatureError
        If a feature is not finite.
    """
    from clarify.method.similarity import normalised

    manifest = project.manifest
    features = open_features(project)
    rows = manifest.row_numbers(split)
    readable = features.valid[rows]
    kept = rows[readable]
    labels = manifest.labels(split)[readable]
    counts = np.bincount(labels, minlength=len(manifest.classes))
    if (counts == 0).any():
        missing = manifest.classes[int(np.argmin(counts))]
        raise GroupError(
            f"data set {manifest.name}, split {split}: class {missing!r} has no readable image; "
            "each class needs at least one in every split: mend the manifest's table"
        )
    values = features.take(kept)
    bad = ~np.isfinite(values).all(axis=1)
    ids = manifest.ids(split)[readable]
    if bad.any():
        raise FeatureError(
            f"data set {manifest.name}, split {split}, image {ids[int(np.argmax(bad))]!r}: its "
            f"features are not finite ({int(bad.sum())} such images); remove the folder "
            f"{features.folder} and run: clarify embed {manifest.name}"
        )
    paths = manifest.paths(split)
    return SplitData(
        name=split,
        features=normalised(values),
        labels=labels,
        ids=ids,
        paths=tuple(paths[index] for index in np.flatnonzero(readable)),
        attributes={
            name: manifest.attribute(split, name)[readable] for name in manifest.attributes
        },
    )


def run_context(project: Project, data: SplitData) -> RunContext:
    """Return what every record of the project shares; `data` is what the run looked at."""
    import clarify
    from clarify.track.records import DatasetRef, RunContext

    manifest, identity = project.manifest, project.encoder.identity
    return RunContext(
        dataset=DatasetRef(
            name=manifest.name,
            digest=manifest.digest,
            source=str(manifest.root),
            table=manifest.rows(data.name),
        ),
        encoder=identity.to_dict(),
        encoder_digest=identity.digest,
        reviewer=project.reviewer,
        code_version=clarify.__version__,
    )


def annotated_groups_of(
    manifest: Manifest, labels: NDArray[np.int64], attributes: Mapping[str, NDArray[np.str_]]
) -> AnnotatedGroups | None:
    """Return class x first attribute of the manifest as groups; None without attributes.

    Parameters
    ----------
    labels : (N,) int64
    attributes : mapping of attribute name to (N,) str
    """
    from clarify.method.groups import annotated_groups

    for name, values in manifest.attributes.items():
        return annotated_groups(labels, manifest.classes, attributes[name], name, values=values)
    return None


def embed(
    project: Project,
    *,
    workers: int,
    dtype: str = "float16",
    progress: Callable[[Progress], None] | None = None,
) -> Features:
    """Extract the features of the data set's images that have none yet; see `extract`."""
    from clarify.embed.extract import extract

    return extract(
        project.manifest,
        project.encoder,
        project.store,
        workers=workers,
        dtype=dtype,
        progress=progress,
    )
