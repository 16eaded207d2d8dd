"""Find a run of this manifest and encoder, and read its model back."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from clarify.errors import NotFoundError, nearest
from clarify.method.head import Head
from clarify.track.records import read_arrays

if TYPE_CHECKING:
    from clarify.track.mlflow import Run
    from clarify.workflow.project import Project

__all__ = ["Model", "find_run", "open_model"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A head with the run that made it.

    Parameters
    ----------
    run_id : str
    name : str
        For people: the objective and the phrases.
    head : Head
    """

    run_id: str
    name: str
    head: Head


def open_model(project: Project, run: str | None = None, *, kind: str = "base") -> Model:
    """Read a model back from its run: the newest of its kind, or the one whose id begins so.

    Raises
    ------
    NotFoundError
        If there is none for this manifest and encoder.
    """
    found = find_run(project, run, kind=kind)
    content = project.tracking.artifact(found.id, "head.safetensors")
    head = Head.from_arrays(read_arrays(content), class_names=project.manifest.classes)
    return Model(run_id=found.id, name=found.name, head=head)


def find_run(project: Project, run: str | None, *, kind: str) -> Run:
    """Return the newest run of a kind for this manifest and encoder, or the one that `run` begins.

    Raises
    ------
    NotFoundError
        If there is none, or `run` begins several.
    """
    manifest, encoder = project.manifest, project.encoder.identity.digest
    of_kind = project.tracking.runs(manifest.name, kind=kind)
    usable = [
        each
        for each in of_kind
        if each.tags["manifest"] == manifest.digest and each.tags["encoder"] == encoder
    ]
    if run is not None:
        return _only(usable, of_kind, run, kind)
    if usable:
        return usable[0]
    next_step = {"base": "train", "retraining": "retrain"}.get(kind, "describe")
    others = f" ({len(of_kind)} of other manifests or encoders)" if of_kind else ""
    raise NotFoundError(
        f"data set {manifest.name}: no {kind} run for manifest {manifest.digest[:12]} and encoder "
        f"{encoder}{others}; run: clarify {next_step} {manifest.name}"
    )


def _only(usable: list[Run], of_kind: list[Run], run: str, kind: str) -> Run:
    begun = [each for each in usable if each.id.startswith(run)]
    if len(begun) == 1:
        return begun[0]
    if len(begun) > 1:
        raise NotFoundError(f"run {run!r} begins {len(begun)} {kind} runs; give more characters")
    if any(each.id.startswith(run) for each in of_kind):
        raise NotFoundError(
            f"{kind} run {run!r} was made with another manifest or encoder; give --encoder as it "
            "was then, or train again"
        )
    raise NotFoundError(f"no {kind} run {run!r}; {nearest(run, [each.id[:8] for each in usable])}")
