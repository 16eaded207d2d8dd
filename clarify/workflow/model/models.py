"""Find a run of this manifest and its encoders, and read its model back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clarify.embed.encoders import ImageEncoder
from clarify.errors import FeatureError, InputError, NotFoundError, nearest
from clarify.method.fit.head import Head
from clarify.track.artifacts import read_arrays
from clarify.track.runs import BaseRun, ModelRun, TrainedRun
from clarify.workflow.model.backbones import backbone_of
from clarify.workflow.model.project import SplitData, Workspace, split_data

__all__ = ["Model", "find_run", "open_model", "usable_runs"]

Trained = TypeVar("Trained", bound="TrainedRun")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What predicts: a head, or predictions that were imported; with the run that records it.

    Parameters
    ----------
    name : str
        For people: the objective and the phrases.
    head : Head or None
        None for a model of which only predictions are known.
    imported : mapping of image id to class number
        The predictions of such a model; empty otherwise.
    backbone : ImageEncoder or None
        Whose features the head takes; None of a model that was made from arrays.
    is_network : bool
        Whether the backbone is the body of a network that was trained here, not the one of the
        settings.
    weight_decay : float or None
        That its head was fitted with; None where nobody can say.
    """

    run_id: str
    name: str
    head: Head | None
    imported: Mapping[str, int] = dataclasses.field(default_factory=dict, repr=False)
    backbone: ImageEncoder | None = None
    is_network: bool = False
    weight_decay: float | None = None

    def body(self, project: Workspace) -> ImageEncoder:
        """Return the backbone; of a model that was made from arrays the project's."""
        return self.backbone or project.backbone

    def data(self, project: Workspace, split: str) -> SplitData:
        """Read a split with the features that the head takes.

        Raises
        ------
        NotFoundError, GroupError, FeatureError
            As `split_data`.
        """
        return split_data(project, split, self.body(project))

    def predict(self, data: SplitData) -> NDArray[np.int64]:
        """Return the predicted class of each image of a split, shape (N,).

        Raises
        ------
        FeatureError
            If the head takes features of another backbone, or of another width.
        NotFoundError
            If predictions were imported, and an image has none.
        """
        if self.head is not None:
            self._check(data)
            return self.head.predict(data.features)
        missing = [name for name in data.ids.tolist() if name not in self.imported]
        if missing:
            raise NotFoundError(
                f"{self.name} (run {self.run_id[:8]}) has no prediction of {len(missing)} of "
                f"{len(data.ids)} images of split {data.name}, such as {missing[0]!r}; import "
                "predictions of all of them"
            )
        return np.array([self.imported[name] for name in data.ids.tolist()], dtype=np.int64)

    def knows(self, data: SplitData) -> bool:
        """Whether it predicts every image of a split: imported predictions need not have all."""
        return self.head is not None or all(name in self.imported for name in data.ids.tolist())

    def _check(self, data: SplitData) -> None:
        """Refuse features of another backbone: of the same width, nothing else would tell."""
        if self.backbone is None or not data.backbone:
            return
        own = self.backbone.identity.image_digest
        if data.backbone != own:
            raise FeatureError(
                f"{self.name} (run {self.run_id[:8]}) takes features by {self.backbone.name} ({own}), "
                f"split {data.name} has those of backbone {data.backbone}; read it by Model.data"
            )

    def own_head(self) -> Head:
        """Return the head.

        Raises
        ------
        InputError
            If there is none.
        """
        if self.head is None:
            raise InputError(
                f"{self.name} (run {self.run_id[:8]}): only its predictions are known, so it "
                "cannot predict other images; choose a model that Clarify trained"
            )
        return self.head


def open_model(project: Workspace, run: str | None = None, *, kind: str = "base") -> Model:
    """Read a model back from its run: the newest of its kind, or the one whose id begins so.

    Raises
    ------
    NotFoundError
        If there is none for this manifest and backbone.
    """
    found = find_run(project, run, kind=kind)
    if found.imported:
        return _imported(project, found)
    content = project.tracking.artifact(found.id, "head.safetensors")
    head = Head.from_arrays(read_arrays(content), class_names=project.manifest.classes)
    body = backbone_of(project, found)
    return Model(
        run_id=found.id,
        name=found.name,
        head=head,
        backbone=body or project.backbone,
        is_network=body is not None,
        weight_decay=_weight_decay(found),
    )


def _weight_decay(run: TrainedRun) -> float | None:
    value = run.settings.get("weight_decay")
    return value if isinstance(value, float) else None


def _imported(project: Workspace, run: TrainedRun) -> Model:
    table = pl.read_parquet(project.tracking.artifact(run.id, "predictions.parquet"))
    numbers = {name: number for number, name in enumerate(project.manifest.classes)}
    predicted = zip(table["id"], table["predicted"], strict=True)
    imported = {name: numbers[label] for name, label in predicted}
    return Model(run_id=run.id, name=run.name, head=None, imported=imported, backbone=project.backbone)


def find_run(project: Workspace, run: str | None, *, kind: str) -> TrainedRun:
    """Return a model's run for this manifest and backbone: the newest, or the one `run` begins.

    The newest that is no oracle, where there is one: nothing that follows from annotated groups is taken
    unless somebody names it.

    Raises
    ------
    NotFoundError
        If there is none, or `run` begins several.
    """
    manifest = project.manifest
    of_kind: Sequence[TrainedRun] = project.tracking.runs(
        manifest.name, BaseRun if kind == "base" else ModelRun
    )
    usable = usable_runs(project, of_kind)
    if run is not None:
        return _only(usable, of_kind, run, kind)
    if usable:
        return next((each for each in usable if not each.oracle), usable[0])
    next_step = "train" if kind == "base" else "retrain"
    others = f" ({len(of_kind)} of other manifests or backbones)" if of_kind else ""
    changed = project.store.changed(manifest) if of_kind else ""
    raise NotFoundError(
        changed
        or f"data set {manifest.name}: no {kind} run for manifest {manifest.digest[:12]} and backbone "
        f"{project.backbone.name}{others}; run: clarify {next_step} {manifest.name}"
    )


def usable_runs(project: Workspace, runs: Sequence[Trained]) -> list[Trained]:
    """Return which models are of the project's manifest, and stand on its backbone, in order."""
    return [each for each in runs if _fits(project, each)]


def _fits(project: Workspace, run: TrainedRun) -> bool:
    """Whether a model's run is of this manifest, and its head finds the features that it takes."""
    backbone = project.backbone.identity.image_digest
    # Of any other model only predictions are known, or it brings its own body.
    any_will_do = run.imported or bool(run.body)
    return run.manifest == project.manifest.digest and (any_will_do or run.backbone == backbone)


def _only(usable: Sequence[TrainedRun], of_kind: Sequence[TrainedRun], run: str, kind: str) -> TrainedRun:
    begun = [each for each in usable if each.id.startswith(run)]
    if len(begun) == 1:
        return begun[0]
    if len(begun) > 1:
        raise NotFoundError(f"run {run!r} begins {len(begun)} {kind} runs; give more characters")
    if any(each.id.startswith(run) for each in of_kind):
        raise NotFoundError(
            f"{kind} run {run!r} was made with another manifest or backbone; give --backbone as "
            "it was then, or train again"
        )
    raise NotFoundError(f"no {kind} run {run!r}; {nearest(run, [each.id[:8] for each in usable])}")
