"""Judge a retrained model by the gate; register it; make it the champion if the gate passes."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from clarify.errors import InputError
from clarify.track.promotion import Gate, GateHalf, Verdict
from clarify.workflow.runs import find_run, open_model

if TYPE_CHECKING:
    from clarify.workflow.project import Project

__all__ = ["Promotion", "judge", "promote"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """What a promotion came to.

    Parameters
    ----------
    model_name, version : str
        The version in the registry; made whether or not the gate passes, with the verdict on it.
    run_id : str
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


def judge(project: Project, run: str | None, *, gate: Gate | None = None) -> Verdict:
    """Return what the gate says of a retrained model, by its described halves on validation.

    Raises
    ------
    NotFoundError
        For an unknown run.
    InputError
        For an oracle: it was made with annotated groups, which may not decide.
    """
    found = find_run(project, run, kind="retraining")
    if found.tags["oracle"] == "true":
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


def promote(
    project: Project, run: str | None, *, note: str = "", gate: Gate | None = None
) -> Promotion:
    """Register a retrained model, and make it the champion if the gate passes.

    Raises
    ------
    NotFoundError, InputError
        As `judge`.
    """
    from clarify.track.registry import crown, register

    verdict = judge(project, run, gate=gate)
    model = open_model(project, run, kind="retraining")
    version = register(
        project.tracking,
        model_name=project.manifest.name.replace(".", "-"),
        run_id=model.run_id,
        head=model.head,
        encoder=project.encoder.identity.to_dict(),
        verdict=verdict,
        by=project.reviewer,
        note=note,
    )
    if verdict.passed:
        crown(project.tracking, version)
    return Promotion(
        model_name=version.model_name,
        version=version.version,
        run_id=model.run_id,
        verdict=verdict,
    )
