"""Train the base model; retrain it so that the described halves count: heads, solved exactly."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

import numpy as np

from clarify.errors import InputError
from clarify.method.arrays import generator
from clarify.method.groups import DescribedGroups, described_groups
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
from clarify.workflow.backbones import IN_PARENT, PLACE
from clarify.workflow.evaluating import (
    all_splits,
    annotated,
    described_evaluations,
    evaluations_of,
    half_results,
)
from clarify.workflow.grouping import groups_by_descriptions
from clarify.workflow.recipe import Recipe
from clarify.workflow.retraining_progress import Steps
from clarify.workflow.runs import Model
from clarify.workflow.trained import Cost, Trained, recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from clarify.method.descriptions import Description
    from clarify.method.groups import AnnotatedGroups
    from clarify.method.head import Head
    from clarify.method.objectives import Objective
    from clarify.method.training import Fit, Progress, Selection
    from clarify.workflow.project import Project, SplitData
    from clarify.workflow.retraining_progress import Report

__all__ = ["control_head", "retrain", "retrain_oracle", "train"]

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
    splits = all_splits(project)
    data = splits["train"]
    began = time.monotonic()
    fitted_on, held = hold_out(data.labels, seed=seed)
    fits = sweep(data.features[fitted_on], data.labels[fitted_on], classes, Erm(), WEIGHT_DECAYS)
    chosen = select(fits, data.features[held], data.labels[held], ByAverage())
    fit = fit_head(data.features, data.labels, classes, Erm(), chosen.fit.weight_decay)
    model = Model(run_id="", name="base (erm)", head=fit.head)
    counts = np.bincount(data.labels, minlength=len(classes))
    trained = Trained(
        model=model,
        settings=_settings(fit, Erm()),
        rule=chosen.rule.name,
        table=chosen.table,
        evaluations=evaluations_of(project, splits, model),
        group_counts=dict(zip(classes, counts.tolist(), strict=True)),
        cost=_cost(began, fit.head),
        seed=seed,
    )
    return recorded(project, splits, trained, descriptions=(), base=None, described={})


def retrain(
    project: Project,
    base: Model,
    descriptions: Sequence[Description],
    *,
    recipe: Recipe | None = None,
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
    recipe : Recipe, optional
    progress : callable, optional
        Told of every step; what it raises ends the retraining, and nothing is recorded. The last
        call comes right before recording.
    delivery : str
        Equal for every attempt at one retraining, so that it is recorded once; by default each
        is one of its own.

    Returns
    -------
    Trained
        Of seed 0; those of the others are its ``repeats``.

    Raises
    ------
    InputError
        Without descriptions, or for one of another encoder or data set.
    GroupError
        If a description leaves one half of its class empty in training or validation.
    """
    chosen = recipe or Recipe()
    steps = Steps(progress, WEIGHT_DECAYS, seeds=chosen.seeds)
    steps.read()
    splits = all_splits(project)
    groups = groups_by_descriptions(project, descriptions, splits)
    phrases = ", ".join(f"{each.class_name}: {each.phrase}" for each in descriptions)
    asked = _Asked(
        name=f"{chosen.objective} ({phrases})",
        objective=chosen.objective,
        rule=ByDescribedWorstGroup(),
        groups=groups,
        settings={"recipe": chosen.digest(base.run_id, descriptions)},
    )
    found = [
        _fitted(project, base, splits, asked, seed=seed, steps=steps)
        for seed in range(chosen.seeds)
    ]
    steps.record()
    logged = [
        recorded(
            project, splits, each, descriptions=descriptions, base=base,
            described=described_evaluations(project, splits, groups, each.model),
            delivery=f"{delivery}-{each.seed}" if delivery and each.seed else delivery,
        )
        # The one of seed 0 comes last: it is the newest, which later commands take by default.
        for each in reversed(found)
    ]  # fmt: skip
    return dataclasses.replace(logged[-1], repeats=tuple(reversed(logged[:-1])))


def retrain_oracle(project: Project, base: Model) -> Trained:
    """Retrain by group DRO on the annotated groups: what true labels would give, for comparison.

    Raises
    ------
    InputError
        If the data set has no annotated attribute.
    """
    splits = all_splits(project)
    groups = {name: annotated(project, data) for name, data in splits.items()}
    known = {name: found for name, found in groups.items() if found is not None}
    if len(known) < len(groups):
        raise InputError(
            f"data set {project.manifest.name} has no annotated attribute, so no oracle; add one "
            "to the manifest's [attributes]"
        )
    asked = _Asked(
        name="oracle (group_dro on true groups)",
        objective="group_dro",
        rule=ByAnnotatedWorstGroup(),
        groups=known,
    )
    found = _fitted(project, base, splits, asked, seed=0, steps=Steps(None, WEIGHT_DECAYS))
    return recorded(project, splits, found, descriptions=(), base=base, described={})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Asked:
    """What is to be retrained: what counts, by which groups, chosen by which rule."""

    name: str
    objective: str
    rule: Selection
    groups: Mapping[str, DescribedGroups] | Mapping[str, AnnotatedGroups]
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)


def _fitted(
    project: Project,
    base: Model,
    splits: Mapping[str, SplitData],
    asked: _Asked,
    *,
    seed: int,
    steps: Steps,
) -> Trained:
    data, validation = splits["train"], splits["validation"]
    rule, groups, classes = asked.rule, asked.groups, project.manifest.classes
    began = time.monotonic()
    rows = _resampled(groups["train"].index, seed)
    fitted_on, of_train = data.take(rows), _taken(groups["train"], rows)
    objective = _objective(asked.objective, of_train)
    fits = sweep(fitted_on.features, fitted_on.labels, classes, objective, WEIGHT_DECAYS,
                 progress=steps.fit(of_train, seed))  # fmt: skip
    chosen = select(fits, validation.features, validation.labels, rule, groups=groups["validation"])
    cost = _cost(began, chosen.fit.head)
    model = Model(run_id="", name=asked.name, head=chosen.fit.head, backbone=base.backbone)
    control = control_head(classes, fitted_on, validation, rule, groups["validation"],
                           progress=steps.control(seed))  # fmt: skip
    return Trained(
        model=model,
        settings={
            **_settings(chosen.fit, objective),
            **asked.settings,
            PLACE: IN_PARENT if base.backbone is not None else "",
        },
        rule=rule.name,
        table=chosen.table,
        evaluations=evaluations_of(project, splits, model),
        group_counts=dict(zip(groups["train"].names, groups["train"].counts.tolist(), strict=True)),
        cost=cost,
        merged=getattr(groups["train"], "merged", ()),
        halves=half_results(
            {
                "base": base.predict(validation),
                "now": model.predict(validation),
                "control": control.predict(validation.features),
            },
            validation,
            groups["validation"],
        ),
        oracle=objective.uses_annotations or rule.oracle,
        another_model=base.head is None,
        seed=seed,
    )


def control_head(
    classes: Sequence[str],
    data: SplitData,
    validation: SplitData,
    rule: Selection,
    groups: DescribedGroups | AnnotatedGroups,
    *,
    progress: Callable[[Progress], None] | None = None,
) -> Head:
    """Retrain with the classes as groups, chosen by the same rule: what no phrase is needed for.

    Parameters
    ----------
    classes : sequence of str
    data, validation : SplitData
        What is fitted on, and what is chosen by.
    rule : Selection
    groups : DescribedGroups or AnnotatedGroups
        Of validation.
    progress : callable, optional
    """
    objective = WorstGroup(groups=described_groups(data.labels, classes, {}))
    fits = sweep(data.features, data.labels, classes, objective, WEIGHT_DECAYS, progress=progress)
    return select(fits, validation.features, validation.labels, rule, groups=groups).fit.head


def _resampled(groups: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return every row for seed 0, else as many of each group, drawn with replacement."""
    if seed == 0:
        return np.arange(len(groups))
    rng = generator(seed, "resample")
    drawn = [rng.choice(np.flatnonzero(groups == group), int((groups == group).sum()))
             for group in np.unique(groups)]  # fmt: skip
    return np.sort(np.concatenate(drawn))


def _taken(
    groups: DescribedGroups | AnnotatedGroups, rows: NDArray[np.int64]
) -> DescribedGroups | AnnotatedGroups:
    return dataclasses.replace(groups, index=groups.index[rows])


def _objective(name: str, groups: DescribedGroups | AnnotatedGroups) -> Objective:
    if name == "worst_group":
        return WorstGroup(groups=groups)
    if name == "reweight":
        return Reweight(groups=groups)
    if name == "group_dro":
        return GroupDro(groups=groups)
    return CvarDro(alpha=CVAR_LEVEL)


def _settings(fit: Fit, objective: Objective) -> dict[str, str | float | int]:
    """Return what is logged of a fit: what was minimised, with its own settings, and how far."""
    own = {
        field.name: getattr(objective, field.name)
        for field in dataclasses.fields(objective)  # type: ignore[arg-type]
        if field.name != "groups"
    }
    return {
        "objective": objective.name,
        **{f"{objective.name}_{name}": value for name, value in own.items()},
        "part": "head",
        "weight_decay": fit.weight_decay,
        "relative_gap": fit.relative_gap,
        "iterations": fit.iterations,
    }


def _cost(began: float, head: Head) -> Cost:
    seconds = time.monotonic() - began
    return Cost.now(seconds=seconds, parameters=head.weight.size + head.bias.size)
