"""One data set with everything that works on it: manifest, encoder, features, tracking."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clarify.data.captions import kept_captions
from clarify.data.manifest import Manifest
from clarify.data.parallel import Progress
from clarify.data.pool import ImageTable
from clarify.data.thumbnails import Thumbnails
from clarify.embed.encoders import Encoder, ImageEncoder
from clarify.embed.extract import extract
from clarify.embed.store import Features, FeatureStore
from clarify.embed.work import ShardEngine, here
from clarify.errors import FeatureError, GroupError, NotFoundError
from clarify.method.groups.groups import AnnotatedGroups, annotated_groups
from clarify.method.phrases.similarity import normalised
from clarify.track.mlflow import TrackingStore
from clarify.track.promotion import Gate
from clarify.track.record import DatasetRef, RunContext
from clarify.track.registry import registered_name
from clarify.version import __version__

__all__ = [
    "SplitData",
    "Workspace",
    "annotated_groups_of",
    "embed",
    "model_name",
    "run_context",
    "split_data",
]


ROWS_AT_ONCE = 65_536


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """The adapters that the workflow's functions work with, for one data set.

    Parameters
    ----------
    home : Path
        Absolute folder of data_manifests, images, features and mlruns.
    manifest : Manifest
        The data set.
    encoder : Encoder
        Embeds its images and the phrases in one space, in which they are compared.
    backbone : ImageEncoder
        Embeds its images for the heads; the encoder itself unless another was chosen.
    store : FeatureStore
        Features on disk.
    tracking : TrackingStore
        Where every run is kept.
    thumbnails : Thumbnails
        Small pictures of its images.
    reviewer : str
        Who is at work; goes into every record.
    gate : Gate
        With the limits of ``clarify.toml``.
    leads : tuple of str
        Who may overrule it; empty is everybody.
    """

    home: Path
    manifest: Manifest
    encoder: Encoder
    backbone: ImageEncoder
    store: FeatureStore
    tracking: TrackingStore
    thumbnails: Thumbnails
    reviewer: str
    gate: Gate = dataclasses.field(default_factory=Gate)
    leads: tuple[str, ...] = ()

    @property
    def caution(self) -> str:
        """What is to be said before any score: the encoder does not know such images; else empty."""
        if not self.encoder.domain or self.manifest.drawn:
            return ""
        return (
            f"encoder {self.encoder.name} knows {self.encoder.domain}, and Clarify did not draw these "
            "images: what it says of them means nothing"
        )

    @property
    def doubts(self) -> tuple[str, ...]:
        """What is not known of the weights of its encoders, a line each."""
        return tuple(filter(None, (getattr(each, "doubt", "") for each in self.encoders)))

    @property
    def backbone_name(self) -> str:
        """The backbone's name; empty where it comes with the encoder."""
        own = getattr(self.encoder, "network", self.encoder)
        return "" if self.backbone is own else self.backbone.name

    @property
    def encoders(self) -> tuple[ImageEncoder, ...]:
        """Return whose features are needed: the encoder first, the backbone last, each once."""
        return (self.encoder,) if self.backbone is self.encoder else (self.encoder, self.backbone)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SplitData:
    """The images of one split that could be read, row by row in the manifest's order.

    Parameters
    ----------
    name : str
        The split.
    features : (N, D) float32
        By the backbone: what heads take, of unit length unless it is a trained network.
    embeddings : (N, E) float32, rows of unit length
        By the encoder: what phrases are compared with.
    labels : (N,) int64, indices into the manifest's classes
    table_rows : (N,) int64, where they stand in the manifest's table
    ids : (N,) str
    root : Path
        What the images' files lie body.
    files : (N,) str, their paths below it
    attributes : mapping of attribute name to (N,) str
    truth : AnnotatedGroups or None
        Class by the first of these: for reports, and for runs that are labelled oracle.
    backbone : str
        Digest of what the features were made by; empty of arrays that no backbone made.
    captions : mapping of id to texts
        What is written under those images that have captions, of other splits too.
    """

    name: str
    features: NDArray[np.float32]
    embeddings: NDArray[np.float32]
    labels: NDArray[np.int64]
    table_rows: NDArray[np.int64]
    ids: NDArray[np.str_]
    root: Path
    files: NDArray[np.str_]
    attributes: dict[str, NDArray[np.str_]]
    truth: AnnotatedGroups | None = None
    backbone: str = ""
    captions: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def of_class(self, class_index: int) -> NDArray[np.int64]:
        """Return the rows of one class, shape (M,)."""
        return np.flatnonzero(self.labels == class_index)

    def path(self, row: int) -> Path:
        """Return where the image of a row lies."""
        return self.root / str(self.files[row])

    def captions_of(self, rows: NDArray[np.int64] | slice) -> list[tuple[str, ...]]:
        """Return what is written under some images; an empty tuple where nothing is."""
        return [self.captions.get(name, ()) for name in self.ids[rows].tolist()]

    def take(self, rows: NDArray[np.int64]) -> SplitData:
        """Return some of its images, in the order given."""
        return dataclasses.replace(
            self,
            features=self.features[rows],
            embeddings=self.embeddings[rows],
            labels=self.labels[rows],
            table_rows=self.table_rows[rows],
            ids=self.ids[rows],
            files=self.files[rows],
            attributes={name: values[rows] for name, values in self.attributes.items()},
            truth=self.truth and dataclasses.replace(self.truth, index=self.truth.index[rows]),
        )


def model_name(project: Workspace) -> str:
    """Return the name that the data set's models have in the registry."""
    return registered_name(project.manifest.name)


def open_features(project: Workspace, encoder: ImageEncoder) -> Features:
    """Return the features of the project's data set by one of its encoders.

    Raises
    ------
    NotFoundError
        If they were never extracted with this manifest and this encoder.
    """
    found = project.store.open(project.manifest, encoder.identity)
    if found is None:
        name = project.manifest.name
        raise NotFoundError(
            project.store.changed(project.manifest)
            or f"data set {name}: no features of manifest {project.manifest.digest[:12]} by encoder "
            f"{encoder.name} in {project.home / 'features'}, {project.store.others(project.manifest)}; "
            f"run: clarify embed {name}"
        )
    return found


def split_data(project: Workspace, split: str, backbone: ImageEncoder | None = None) -> SplitData:
    """Read one split: features, embeddings, labels, ids, paths, attributes of readable images.

    Parameters
    ----------
    backbone : ImageEncoder, optional
        What the features are made by; the project's own unless given. `Model.data` gives a model's.

    Raises
    ------
    NotFoundError
        If the split or its features do not exist.
    GroupError
        If a class has no readable image in it.
    FeatureError
        If a feature is not finite.
    StoreError
        If the data set's captions are damaged.
    """
    manifest = project.manifest
    if backbone is not None:
        project = dataclasses.replace(project, backbone=backbone)
    rows = manifest.row_numbers(split)
    opened = [open_features(project, encoder) for encoder in project.encoders]
    readable = np.logical_and.reduce([found.valid[rows] for found in opened])
    labels = manifest.labels(split)[readable]
    counts = np.bincount(labels, minlength=len(manifest.classes))
    if (counts == 0).any():
        missing = manifest.classes[int(np.argmin(counts))]
        raise GroupError(
            f"data set {manifest.name}, split {split}: class {missing!r} has no readable image; "
            "each class needs at least one in every split: mend the manifest's table"
        )
    ids = manifest.ids(split)[readable]
    where = f"data set {manifest.name}, split {split}"
    read = [
        _read(found, rows[readable], ids, where, unit=encoder.unit)
        for encoder, found in zip(project.encoders, opened, strict=True)
    ]
    attributes = {name: manifest.attribute(split, name)[readable] for name in manifest.attributes}
    return SplitData(
        name=split,
        features=read[-1],
        embeddings=read[0],
        labels=labels,
        table_rows=rows[readable],
        ids=ids,
        root=manifest.root,
        files=np.array(manifest.rows(split)["path"].to_list(), dtype=np.str_)[readable],
        attributes=attributes,
        truth=annotated_groups_of(manifest, labels, attributes),
        backbone=project.backbone.identity.image_digest,
        captions=kept_captions(project.home, manifest.name),
    )


def _read(
    features: Features, rows: NDArray[np.int64], ids: NDArray[np.str_], where: str, *, unit: bool
) -> NDArray[np.float32]:
    """Read some rows, brought to unit length or not.

    `where` begins the message about one that is not finite.
    """
    values = features.take(rows)
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        raise FeatureError(
            f"{where}, image {ids[int(np.argmax(bad))]!r}: its features are not finite "
            f"({int(bad.sum())} such images); remove the folder {features.folder} and embed again"
        )
    return normalised(values) if unit else np.asarray(values, dtype=np.float32)


def run_context(project: Workspace, split: str, backbone: ImageEncoder | None = None) -> RunContext:
    """Return what every record of the project shares.

    Parameters
    ----------
    split : str
        What the run looked at.
    backbone : ImageEncoder, optional
        What the run's model stands on; the project's own unless given.
    """
    manifest, encoder = project.manifest, project.encoder.identity
    stands_on = backbone or project.backbone
    body = stands_on.identity
    return RunContext(
        dataset=DatasetRef(
            name=manifest.name, digest=manifest.digest, source=str(manifest.root), table=manifest.rows(split)
        ),
        encoder={"name": project.encoder.name, **encoder.to_dict()},
        encoder_digest=encoder.digest,
        backbone={"name": stands_on.name, **body.to_dict()},
        backbone_digest=body.image_digest,
        reviewer=project.reviewer,
        code_version=__version__,
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
    for name, values in manifest.attributes.items():
        return annotated_groups(labels, manifest.classes, attributes[name], name, values=values)
    return None


def embed(
    project: Workspace,
    encoder: ImageEncoder,
    *,
    workers: int,
    dtype: str = "float16",
    engine: ShardEngine = here,
    progress: Callable[[Progress], None] | None = None,
    pool: ImageTable | None = None,
) -> Features:
    """Extract an encoder's features of the images that have none yet; see `extract`.

    Those by a bridge are its network's, times its matrix: the network sees each image once. With a pool,
    they are of its images.
    """
    from clarify.embed.bridge import BridgeEncoder

    store, manifest = project.store, pool or project.manifest
    if not isinstance(encoder, BridgeEncoder):
        return extract(
            manifest, encoder, store, workers=workers, dtype=dtype, engine=engine, progress=progress
        )
    known = store.open(manifest, encoder.identity)
    if known is not None and not known.bad:
        return store.sealed(manifest, known)
    by_network = store.open(manifest, encoder.network.identity)
    if by_network is None or by_network.bad:
        by_network = embed(
            project,
            encoder.network,
            workers=workers,
            dtype=dtype,
            engine=engine,
            progress=progress,
            pool=pool,
        )
    lies = np.zeros((len(by_network.array), encoder.width), dtype=dtype)
    valid = np.flatnonzero(by_network.valid)
    for start in range(0, len(valid), ROWS_AT_ONCE):
        rows = valid[start : start + ROWS_AT_ONCE]
        lies[rows] = encoder.bridge.of_features(by_network.take(rows))
    return store.save(manifest, encoder.identity, lies, bad=by_network.bad)
