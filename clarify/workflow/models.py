"""Train the base model; retrain it so that the described halves count; read both back."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from clarify.errors import InputError, nearest
from clarify.method.groups import DescribedGroups, described_groups
from clarify.method.metrics import Accuracy, evaluate
from clarify.method.objectives import CvarDro, Erm, GroupDro, Reweight, WorstGroup
from clarify.method.training import (
    WEIGHT_DECAYS,
    ByAnnotatedWorstGroup,
    ByAverage,
    ByDescribedWorstGroup,
    fit_head,
    hold_out,
    select,
    sweep,
)
from clarify.workflow.grouping import groups_by_descriptions
from clarify.workflow.project import annotated_groups_of, split_data
from clarify.workflow.retraining_progress import Steps
from clarify.workflow.runs import Model
from clarify.workflow.trained import REPORTED, HalfResult, Trained, recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from clarify.method.descriptions import Description
    from clarify.method.groups import AnnotatedGroups
    from clarify.method.head import Head
    from clarify.method.metrics import Evaluation
    from clarify.method.objectives import Objective
    from clarify.method.training import Progress, Selection
    from clarify.workflow.project import Project, SplitData
    from clarify.workflow.retraining_progress import Report

__all__ = ["OBJECTIVES", "retrain", "retrain_oracle", "train"]

OBJECTIVES = ("worst_group", "reweight", "group_dro", "cvar")
CVAR_LEVEL = 0.1


def train(project: Project, *, seed: int = 0) -> Trained:
    """Train the base model: a linear head by ERM, the ordinary way, and record it.

    The weight decay is the one with the best average accuracy on a fifth of the training images,
    held out by class; the head is then fitted to all of them. Nothing of validation is used.

    Raises
    ------
    NotFoundError, GroupError, FeatureError, SolverError
        If there are no features, a class is empty, features are not finite.
    """
    classes = project.manifest.classes
    splits = _all_splits(project)
    data = splits["train"]
    fitted_on, held = hold_out(data.labels, seed=seed)
    fits = sweep(data.features[fitted_on], data.labels[fitted_on], classes, Erm(), WEIGHT_DECAYS)
    chosen = select(fits, data.features[held], data.labels[held], ByAverage())
    fit = fit_head(data.features, data.labels, classes, Erm(), chosen.fit.weight_decay)
    counts = np.bincount(data.labels, minlength=len(classes))
    return recorded(
        project,
        splits,
        Trained(
            model=Model(run_id="", name="base (erm)", head=fit.head),
            selected=dataclasses.replace(chosen, fit=fit),
            evaluations=_evaluations(project, splits, fit.head),
            group_counts=dict(zip(classes, counts.tolist(), strict=True)),
        ),
        objective=Erm(),
        descriptions=(),
        base=None,
        described={},
    )


def retrain(
    project: Project,
    base: Model,
    descriptions: Sequence[Description],
    *,
    objective: str = "worst_group",
    progress: Report | None = None,
    delivery: str = "",
) -> Trained:
    """Retrain the head so that the halves that the descriptions make count, and record it.

    Groups come from the descriptions alone; the weight decay is the one whose worst described
    group does best on validation.

    Parameters
    ----------
    project, base
        The data set, and the model that the descriptions were written about.
    descriptions : sequence of Description
        At least one, each by the project's encoder and template.
    objective : str
        One of `OBJECTIVES`.
    progress : callable, optional
        Told of every step; what it raises ends the retraining, and nothing is recorded. The last
        call comes right before recording.
    delivery : str
        Equal for every attempt at one retraining, so that it is recorded once; by default each
        is one of its own.

    Raises
    ------
    InputError
        Without descriptions, for one of another encoder or data set, or an unknown objective.
    GroupError
        If a description leaves one half of its class empty in training or validation.
    """
    steps = Steps(progress, WEIGHT_DECAYS)
    steps.read()
    splits = _all_splits(project)
    groups = groups_by_descriptions(project, descriptions, splits)
    asked = _objective(objective, groups["train"])
    phrases = ", ".join(f"{each.class_name}: {each.phrase}" for each in descriptions)
    return _retrained(
        project, base, splits, asked, ByDescribedWorstGroup(), groups,
        name=f"{objective} ({phrases})", descriptions=descriptions, steps=steps, delivery=delivery,
    )  # fmt: skip


def retrain_oracle(project: Project, base: Model) -> Trained:
    """Retrain by group DRO on the annotated groups: what true labels would give, for comparison.

    Raises
    ------
    InputError
        If the data set has no annotated attribute.
    """
    splits = _all_splits(project)
    groups = {name: _annotated(project, data) for name, data in splits.items()}
    known = {name: found for name, found in groups.items() if found is not None}
    if len(known) < len(groups):
        raise InputError(
            f"data set {project.manifest.name} has no annotated attribute, so no oracle; add one "
            "to the manifest's [attributes]"
        )
    asked = _objective("group_dro", known["train"])
    return _retrained(
        project, base, splits, asked, ByAnnotatedWorstGroup(), known,
        name="oracle (group_dro on true groups)", descriptions=(),
        steps=Steps(None, WEIGHT_DECAYS), delivery="",
    )  # fmt: skip


def _all_splits(project: Project) -> dict[str, SplitData]:
    return {split: split_data(project, split) for split in project.manifest.splits}


def _annotated(project: Project, data: SplitData) -> AnnotatedGroups | None:
    return annotated_groups_of(project.manifest, data.labels, data.attributes)


def _evaluations(
    project: Project, splits: Mapping[str, SplitData], head: Head
) -> dict[str, Evaluation]:
    """Evaluate on validation and test; annotated groups are for this report only."""
    in_training = _annotated(project, splits["train"])
    found = {}
    for name in REPORTED:
        if name not in splits:
            continue
        data = splits[name]
        found[name] = evaluate(
            head.predict(data.features),
            data.labels,
            project.manifest.classes,
            groups=_annotated(project, data),
            train_counts=None if in_training is None else in_training.counts,
        )
    return found


def _retrained(
    project: Project,
    base: Model,
    splits: Mapping[str, SplitData],
    objective: Objective,
    rule: Selection,
    groups: Mapping[str, DescribedGroups] | Mapping[str, AnnotatedGroups],
    *,
    name: str,
    descriptions: Sequence[Description],
    steps: Steps,
    delivery: str,
) -> Trained:
    data, validation = splits["train"], splits["validation"]
    fits = sweep(data.features, data.labels, project.manifest.classes, objective, WEIGHT_DECAYS,
                 progress=steps.fit(groups["train"]))  # fmt: skip
    chosen = select(fits, validation.features, validation.labels, rule, groups=groups["validation"])
    head = chosen.fit.head
    trained = Trained(
        model=Model(run_id="", name=name, head=head),
        selected=chosen,
        evaluations=_evaluations(project, splits, head),
        group_counts=dict(zip(groups["train"].names, groups["train"].counts.tolist(), strict=True)),
        merged=getattr(groups["train"], "merged", ()),
        halves=_half_results(
            {
                "base": base.predict(validation),
                "now": head.predict(validation.features),
                "control": _control(
                    project, splits, rule, groups["validation"], steps.control()
                ).predict(validation.features),
            },
            validation,
            groups["validation"],
        ),
        oracle=objective.uses_annotations or rule.oracle,
        another_model=base.head is None,
    )
    described = {
        name: evaluate(
            head.predict(splits[name].features),
            splits[name].labels,
            project.manifest.classes,
            groups=found,
        )
        for name, found in groups.items()
        if name in REPORTED and isinstance(found, DescribedGroups)
    }
    steps.record()
    return recorded(
        project, splits, trained, objective=objective, descriptions=descriptions, base=base,
        described=described, delivery=delivery,
    )  # fmt: skip


def _half_results(
    predicted: Mapping[str, NDArray[np.int64]],
    data: SplitData,
    groups: DescribedGroups | AnnotatedGroups,
) -> tuple[HalfResult, ...]:
    right = {name: found == data.labels for name, found in predicted.items()}
    return tuple(
        HalfResult(
            name=name,
            **{
                of: Accuracy(count=int(rows.sum()), correct=int(found[rows].sum()))
                for of, found in right.items()
            },
        )
        for name, rows in (
            (name, groups.index == number) for number, name in enumerate(groups.names)
        )
    )


def _control(
    project: Project,
    splits: Mapping[str, SplitData],
    rule: Selection,
    groups: DescribedGroups | AnnotatedGroups,
    progress: Callable[[Progress], None] | None,
) -> Head:
    """Retrain with the classes as groups, chosen by the same rule: what no phrase is needed for."""
    data, validation = splits["train"], splits["validation"]
    by_class = described_groups(data.labels, project.manifest.classes, {})
    objective = WorstGroup(groups=by_class)
    fits = sweep(data.features, data.labels, project.manifest.classes, objective, WEIGHT_DECAYS,
                 progress=progress)  # fmt: skip
    return select(fits, validation.features, validation.labels, rule, groups=groups).fit.head


def _objective(name: str, groups: DescribedGroups | AnnotatedGroups) -> Objective:
    if name == "worst_group":
        return WorstGroup(groups=groups)
    if name == "reweight":
        return Reweight(groups=groups)
    if name == "group_dro":
        return GroupDro(groups=groups)
    if name == "cvar":
        return CvarDro(alpha=CVAR_LEVEL)
    raise InputError(f"objective {name!r} is unknown; {nearest(name, OBJECTIVES)}")
