"""The gate asked of a model that was trained elsewhere: kept descriptions are its regression tests.

Of such a model only predictions are known. Each failure that people described of another model is looked
for in it: it must have become better where that one failed, beyond chance, and nobody may pay for it. There
is no control, since nobody knows how it was trained.
"""

from __future__ import annotations

from clarify.errors import InputError
from clarify.track.promotion import Gate
from clarify.track.runs import BaseRun, DescriptionRun
from clarify.track.verdict import Verdict
from clarify.workflow.describe.grouping import groups_by_descriptions, in_force
from clarify.workflow.describe.recording import kept_descriptions
from clarify.workflow.model.models import Model, open_model, usable_runs
from clarify.workflow.model.project import Workspace, split_data
from clarify.workflow.retrain.judged import Predicted, gate_evidence

__all__ = ["imported_run", "judge_elsewhere"]


def imported_run(project: Workspace, run: str | None) -> BaseRun | None:
    """Return the model trained elsewhere that `run` begins; None if it begins none."""
    runs = project.tracking.runs(project.manifest.name, BaseRun) if run else []
    found = [each for each in runs if each.imported and each.id.startswith(run or "")]
    return found[0] if len(found) == 1 else None


def judge_elsewhere(project: Workspace, run: BaseRun, gate: Gate) -> Verdict:
    """Return what the gate says of a model of which only predictions are known.

    Raises
    ------
    InputError
        Where no failure of another model is described.
    GroupError
        If a description leaves one half of its class empty.
    """
    model = open_model(project, run.id)
    described = _described(project, run)
    descriptions = kept_descriptions(project, described)
    splits = {name: split_data(project, name) for name in ("train", "validation")}
    groups = groups_by_descriptions(project, in_force(project, descriptions, splits), splits)
    base = described.predict(splits["validation"])
    now = model.predict(splits["validation"])
    seen = gate_evidence(
        project,
        splits,
        groups,
        {each.class_name for each in descriptions},
        Predicted(base=base, now=now, control=base),
    )
    return Verdict(reasons=tuple(each for each in gate.judge(seen).reasons if each.name != "gain_by_phrases"))


def _described(project: Workspace, run: BaseRun) -> Model:
    """Return the newest other model that a description is kept of."""
    name = project.manifest.name
    kept = {each.parent for each in project.tracking.runs(name, DescriptionRun) if each.kept}
    others = [each for each in usable_runs(project, project.tracking.runs(name, BaseRun)) if each.id in kept]
    for other in others:
        if other.id != run.id:
            return open_model(project, other.id)
    raise InputError(
        f"run {run.id[:8]} was trained elsewhere, and no failure of another model is kept that it could "
        f"be checked for; describe one: clarify describe {name} CLASS PHRASE"
    )
