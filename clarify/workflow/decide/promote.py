"""Judge a retrained model by the gate; register it; make it the champion if the gate passes."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
from collections.abc import Iterator
from typing import Any

from filelock import FileLock, Timeout

from clarify.embed.encoders import ImageEncoder
from clarify.embed.packing import can_pack, pack
from clarify.errors import InputError, StoreError
from clarify.track.model_folder import ModelEncoder
from clarify.track.promotion import Gate, GateHalf, Verdict
from clarify.track.registry import crown, register
from clarify.workflow.model.models import find_run, open_model
from clarify.workflow.model.project import Workspace, run_context

__all__ = ["Promotion", "judge", "model_name", "promote", "turn"]

TURN_S = 60.0
"""How long one change of the champion waits for another; each takes well under a second."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """What a promotion came to.

    Parameters
    ----------
    model_name, version : str
        The version in the registry; made whether or not the gate passes, with the verdict on it.
    verdict : Verdict
        It is the champion if this passed.
    """

    model_name: str
    version: str
    run_id: str
    verdict: Verdict

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "model": self.model_name,
            "version": self.version,
            "run": self.run_id,
            "champion": self.verdict.passed,
            "verdict": self.verdict.to_dict(),
        }


def judge(project: Workspace, run: str | None, *, gate: Gate | None = None) -> Verdict:
    """Return what the gate says of a retrained model, by its described halves on validation.

    Raises
    ------
    NotFoundError
        For an unknown run.
    InputError
        For an oracle: it was made with annotated groups, which may not decide.
    """
    found = find_run(project, run, kind="retraining")
    if found.oracle:
        raise InputError(
            f"run {found.id[:8]} is an oracle: it used annotated groups, so it is for comparison "
            "only; promote a model that was retrained with descriptions"
        )
    seen = json.loads(project.tracking.artifact(found.id, "gate.json"))
    return (gate or Gate()).judge(
        [GateHalf(**half) for half in seen["halves"]],
        base_average=seen["base_average"],
        now_average=seen["now_average"],
    )


def model_name(project: Workspace) -> str:
    """Return the name that the data set's models have in the registry."""
    return project.manifest.name.replace(".", "-")


def promote(
    project: Workspace, run: str | None, *, note: str = "", gate: Gate | None = None, by_hash: bool = False
) -> Promotion:
    """Register a retrained model, and make it the champion if the gate passes.

    The registered model takes images; of a backbone that was imported it takes features.

    Parameters
    ----------
    by_hash : bool
        Leave the backbone out of the registered model, which then looks for it by its name and
        refuses other weights.

    Raises
    ------
    NotFoundError, InputError
        As `judge`; and `by_hash` of a backbone that was imported, or trained here.
    """
    model = open_model(project, run, kind="retraining")
    if by_hash and model.is_network:
        raise InputError(
            f"{model.name}: its network was trained here, so nobody could look for it elsewhere; "
            "promote without --encoder-by-hash"
        )
    verdict = judge(project, run, gate=gate)
    backbone = model.body(project)
    version = register(
        project.tracking,
        model_name=model_name(project),
        run_id=model.run_id,
        head=model.own_head(),
        encoder=backbone.identity.to_dict(),
        verdict=verdict,
        by=project.reviewer,
        note=note,
        images_by=_images_by(backbone, by_hash=by_hash),
    )
    if verdict.passed:
        with turn(project):
            context = run_context(project, "validation", backbone)
            crown(project.tracking, version, context, note=note)
    return Promotion(
        model_name=version.model_name, version=version.version, run_id=model.run_id, verdict=verdict
    )


@contextlib.contextmanager
def turn(project: Workspace) -> Iterator[None]:
    """Let one change of the champion happen at a time, among all processes of a home.

    Raises
    ------
    StoreError
        If another does not come to an end.
    """
    place = project.home / "mlruns"
    place.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(place / f".{model_name(project)}.lock", timeout=TURN_S):
            yield
    except Timeout:
        raise StoreError(
            f"the champion of {project.manifest.name} is being changed by another process for "
            f"{TURN_S:.0f} seconds already; look who, then try again"
        ) from None


def _images_by(backbone: ImageEncoder, *, by_hash: bool) -> ModelEncoder | None:
    """Return what the registered model embeds images with; None if only features are known."""
    if not can_pack(backbone):
        if by_hash:
            raise InputError(
                f"encoder {backbone.name} was imported and embeds no images, so a model cannot "
                "look for it; promote without --encoder-by-hash"
            )
        return None
    return ModelEncoder(
        spec=backbone.name,
        identity=backbone.identity.to_dict(),
        pack=None if by_hash else functools.partial(pack, backbone),
    )
