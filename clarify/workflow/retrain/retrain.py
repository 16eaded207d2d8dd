"""Train a base model; retrain one so that the described halves count. Heads and networks alike.

What differs between them is in their engines: `heads` solves, `networks` steps. Here is what does not:
one loop over seeds, one evaluation, one way to record, once however often it is tried.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from clarify.method.groups.groups import DescribedGroups
from clarify.method.groups.metrics import Evaluation
from clarify.method.phrases.descriptions import Description
from clarify.track.gate_evidence import GateEvidence
from clarify.track.runs import IN_PARENT, IN_RUN, PLACE, BaseRun, ModelRun
from clarify.workflow.model.evaluating import all_splits, described_evaluations, evaluations_of, half_results
from clarify.workflow.model.models import Model, find_run, open_model
from clarify.workflow.model.project import SplitData, Workspace
from clarify.workflow.model.recipe import PARTS, Recipe
from clarify.workflow.model.trained import REPORTED, Cost, Trained, recorded
from clarify.workflow.retrain.engine import BasePlan, Engine, Fitting, Means, Training
from clarify.workflow.retrain.heads import Heads
from clarify.workflow.retrain.judged import Predicted, gate_evidence
from clarify.workflow.retrain.networks import Networks

__all__ = ["alone", "retrain", "retrain_oracle", "train"]


def train(project: Workspace, plan: BasePlan | None = None, *, means: Means | None = None) -> Trained | None:
    """Train a base model by ERM, the ordinary way, and record it.

    Parameters
    ----------
    plan : BasePlan, optional
        A head on the backbone's features unless it names a network.

    Returns
    -------
    Trained or None
        None for other processes than the first.

    Raises
    ------
    InputError, NotFoundError, GroupError, FeatureError, SolverError, TrainingError, StoreError
        If the plan, the data or the machine will not do; says which.
    """
    plan, means = plan or BasePlan(), means or Means()
    with _engine(bool(plan.model), means, seeds=1) as engine:
        training = Training(
            project=project,
            name=f"{plan.model or 'base'} (erm)",
            delivery=_delivery(project, engine, {"train": dataclasses.asdict(plan)}),
        )
        known, done = _done(training, means, BaseRun.kind, 0)
        if known:
            return done
        fitting = engine.base(training, plan)
        return None if fitting is None else _recorded(training, fitting, engine, plan.schedule.seed)


def retrain(
    project: Workspace,
    base: Model,
    descriptions: Sequence[Description],
    *,
    recipe: Recipe | None = None,
    means: Means | None = None,
    delivery: str = "",
) -> Trained | None:
    """Retrain a model so that the halves that the descriptions make count, and record it.

    Groups come from the descriptions alone. Each seed is recorded when it is done, the first one
    last: it is the newest, which later commands take by default.

    Parameters
    ----------
    project, base
        The data set, and the model that the descriptions were written about.
    descriptions : sequence of Description
        At least one, each by the project's encoder and template.
    means : Means, optional
        What its report raises ends the retraining.
    delivery : str
        Equal for every attempt at one retraining, so that it is recorded once. By default a network
        is known by what it consists of, and a head each time is a retraining of its own.

    Returns
    -------
    Trained or None
        Of seed 0; those of the others are its ``repeats``. None for other processes.

    Raises
    ------
    InputError
        Without descriptions, or for one of another encoder or data set.
    GroupError
        If a description leaves one half of its class empty in training or validation.
    TrainingError, StoreError
        If the machine will not do.
    """
    recipe, means = recipe or Recipe(), means or Means()
    phrases = ", ".join(f"{each.class_name}: {each.phrase}" for each in descriptions)
    with _engine(PARTS[recipe.part].network, means, seeds=recipe.seeds) as engine:
        training = Training(
            project=project,
            name=f"{recipe.words} ({phrases})",
            delivery=delivery
            or _delivery(project, engine, {"retrain": recipe.digest(base.run_id, descriptions)}),
            base=base,
            descriptions=descriptions,
            recipe=recipe,
        )
        return _seeds(training, engine, means)


def retrain_oracle(project: Workspace, base: Model) -> Trained:
    """Retrain by group DRO on the annotated groups: what true labels would give, for comparison.

    Raises
    ------
    InputError
        If the data set has no annotated attribute.
    """
    with Heads(Means()) as engine:
        training = Training(
            project=project,
            name="oracle (group_dro on true groups)",
            delivery=uuid.uuid4().hex,
            base=base,
            recipe=Recipe(objective="group_dro", select="annotated_worst_group"),
            by_annotations=True,
        )
        found = _seeds(training, engine, Means())
    return alone(found)


def alone(found: Trained | None) -> Trained:
    """Return what a training came to, of the only process there is."""
    assert found is not None
    return found


def _engine(network: bool, means: Means, *, seeds: int) -> Engine:
    if not network:
        return Heads(means, seeds=seeds)
    return Networks(means, seeds=seeds)


def _seeds(training: Training, engine: Engine, means: Means) -> Trained | None:
    found: list[Trained | None] = []
    for seed in reversed(range(training.recipe.seeds)):
        known, done = _done(training, means, ModelRun.kind, seed)
        if not known:
            fitting = engine.corrected(training, seed)
            done = None if fitting is None else _recorded(training, fitting, engine, seed)
        found.append(done)
    first, repeats = found[-1], tuple(each for each in reversed(found[:-1]) if each is not None)
    return None if first is None else dataclasses.replace(first, repeats=repeats)


def _recorded(training: Training, fitting: Fitting, engine: Engine, seed: int) -> Trained:
    """Evaluate what was fitted, and record it."""
    engine.recording()
    project, splits = training.project, fitting.splits
    model, held_out = fitting.model, fitting.held_out
    settings = dict(fitting.settings)
    if model.is_network:
        settings[PLACE] = IN_RUN if fitting.files else IN_PARENT
    trained = Trained(
        model=model,
        settings=settings,
        rule=fitting.rule,
        table=fitting.table,
        evaluations=evaluations_of(project, splits, model, held_out),
        group_counts=_by_class(project, splits["train"]),
        cost=fitting.cost,
        seed=seed,
        files=fitting.files,
        history=fitting.history,
        notes=fitting.notes,
        held_out=held_out,
    )
    described: list[dict[str, Evaluation]] = [{}, {}]
    if training.base is not None:
        before = _before(training, training.base)
        trained = _corrected(training, training.base, fitting, trained, before["validation"])
        if not training.by_annotations:
            now = {name: trained.answers(splits[name])[0] for name in before}
            described = [
                described_evaluations(project, splits, training.groups, said) for said in (now, before)
            ]
    found = recorded(
        project,
        splits,
        trained,
        descriptions=training.in_force,
        base=training.base,
        described=described[0],
        base_described=described[1],
        beside=_beside(training, fitting),
        delivery=training.delivery_of(seed),
    )
    fitting.finish()
    return found


def _before(training: Training, base: Model) -> dict[str, NDArray[np.int64]]:
    """Return what the base model says of the reported splits; an imported one need not know test."""
    splits = {name: training.splits[name] for name in REPORTED if name in training.splits}
    return {name: base.predict(data) for name, data in splits.items() if base.knows(data)}


def _beside(training: Training, fitting: Fitting) -> dict[str, dict[str, NDArray[np.str_]]]:
    """Return by split what is kept beside a correction's predictions: the control's, and described groups."""
    classes = np.array(training.project.manifest.classes)
    found = {name: {"control": classes[said]} for name, said in fitting.control.items()}
    if found and not training.by_annotations:
        for name, groups in training.groups.items():
            if name in found:
                found[name]["group"] = np.array(groups.names)[groups.index]
    return found


def _corrected(
    training: Training, base: Model, fitting: Fitting, trained: Trained, before: NDArray[np.int64]
) -> Trained:
    """Add what only a correction has: the groups that counted, and what they came to."""
    groups, validation = training.groups["train"], fitting.splits["validation"]
    predicted = Predicted(
        base=before, now=trained.answers(validation)[0], control=fitting.control["validation"]
    )
    evidence = _gate_evidence(training, fitting, predicted)
    unchanged = "" if evidence is None else evidence.not_corrected
    return dataclasses.replace(
        trained,
        settings={**trained.settings, "recipe": training.recipe.digest(base.run_id, training.descriptions)},
        group_counts=dict(zip(groups.names, groups.counts.tolist(), strict=True)),
        halves=half_results(
            {"base": predicted.base, "now": predicted.now, "control": predicted.control},
            validation,
            training.groups["validation"],
        ),
        oracle=training.is_oracle,
        gate=evidence,
        notes=(*trained.notes, *filter(None, [unchanged])),
        another_model=base.head is None,
    )


def _gate_evidence(training: Training, fitting: Fitting, predicted: Predicted) -> GateEvidence | None:
    """Return what the gate will look at; None for an oracle, which it does not judge."""
    if training.is_oracle:
        return None
    return gate_evidence(
        training.project,
        fitting.splits,
        cast(Mapping[str, DescribedGroups], training.groups),
        {each.class_name for each in training.in_force},
        predicted,
        fitting.crossed,
    )


def _by_class(project: Workspace, data: SplitData) -> dict[str, int]:
    classes = project.manifest.classes
    counts = np.bincount(data.labels, minlength=len(classes))
    return dict(zip(classes, counts.tolist(), strict=True))


def _done(training: Training, means: Means, kind: str, seed: int) -> tuple[bool, Trained | None]:
    """Return whether the same training was done before, and to the first process what it came to."""
    project, run = training.project, None
    if means.processes.is_first:
        run = project.tracking.delivered(training.delivery_of(seed))
    known = means.processes.agreed(run is not None)
    return known, None if run is None else _as_before(project, run, kind)


def _as_before(project: Workspace, run_id: str, kind: str) -> Trained:
    run = find_run(project, run_id, kind=kind)
    model = open_model(project, run.id, kind=kind)
    groups = json.loads(project.tracking.artifact(run.id, "training.json"))["groups"]
    cost = run.cost
    return Trained(
        model=model,
        settings=run.settings,
        rule=run.selection,
        table=(),
        evaluations=evaluations_of(project, all_splits(project, model.body(project)), model),
        group_counts=groups,
        cost=Cost(
            seconds=cost["seconds"],
            peak_memory_mib=cost["peak_memory_mib"],
            parameters=int(cost["parameters"]),
        ),
        seed=run.seed,
        notes=("the same training was done before, and nothing is drawn anew in it",),
    )


def _delivery(project: Workspace, engine: Engine, values: Mapping[str, Any]) -> str:
    """Return what names a training: equal for what is the same, if it goes on where it was cut short."""
    if not engine.resumes:
        return uuid.uuid4().hex
    text = json.dumps([project.manifest.digest, project.encoder.identity.digest, values])
    return f"training-{hashlib.sha256(text.encode()).hexdigest()[:24]}"
