"""Train the base model; retrain it so that the described halves count: heads, solved exactly."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

import numpy as np

from clarify.errors import InputError
from clarify.method.arrays import generator
from clarify.method.fit.correction import Corrected, Images, correct
from clarify.method.fit.objectives import CvarDro, Erm, GroupDro, Reweight, WorstGroup
from clarify.method.fit.training import (
    WEIGHT_DECAYS,
    ByAnnotatedWorstGroup,
    ByAverage,
    ByDescribedWorstGroup,
    ByWorstClass,
    fit_head,
    hold_out,
    select,
    sweep,
)
from clarify.method.groups.groups import DescribedGroups, described_groups
from clarify.workflow.describe.grouping import groups_by_descriptions
from clarify.workflow.model.backbones import IN_PARENT, PLACE
from clarify.workflow.model.evaluating import (
    all_splits,
    annotated,
    described_evaluations,
    evaluations_of,
    half_results,
)
from clarify.workflow.model.models import Model
from clarify.workflow.model.progress import Steps
from clarify.workflow.model.recipe import Recipe
from clarify.workflow.model.trained import Cost, Trained, recorded
from clarify.workflow.retrain.erasing import concepts_of, eraser_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from clarify.method.fit.correction import Eraser
    from clarify.method.fit.erasure import Concept
    from clarify.method.fit.head import Head
    from clarify.method.fit.objectives import Objective
    from clarify.method.fit.solver import SolverProgress
    from clarify.method.fit.training import Fit, Selection
    from clarify.method.groups.groups import AnnotatedGroups
    from clarify.method.phrases.descriptions import Description
    from clarify.workflow.model.progress import Report
    from clarify.workflow.model.project import Project, SplitData

__all__ = ["retrain", "retrain_oracle", "train"]

CVAR_LEVEL = 0.1
RULES = {rule.name: rule for rule in (ByDescribedWorstGroup, ByWorstClass, ByAverage, ByAnnotatedWorstGroup)}


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
    rule = RULES[chosen.select]()
    asked = _Asked(
        name=f"{chosen.words} ({phrases})",
        objective=chosen.objective,
        rule=rule,
        groups=groups,
        chosen_by=_annotated(project, splits)["validation"] if rule.oracle else None,
        concepts={
            name: concepts_of(
                project,
                descriptions,
                splits[name],
                opposites=chosen.opposites,
                unlabelled=chosen.erase.endswith("_unlabelled"),
            )
            for name in ("train", "validation")
            if chosen.erase not in ("none", "text")
        },
        eraser=eraser_of(project, chosen.erase, descriptions),
        refit=chosen.refit,
        settings={
            "recipe": chosen.digest(base.run_id, descriptions),
            "erase": chosen.erase,
            "refit": str(chosen.refit).lower(),
        },
    )
    found = [_fitted(project, base, splits, asked, seed=seed, steps=steps) for seed in range(chosen.seeds)]
    steps.record()
    logged = [
        recorded(
            project,
            splits,
            each,
            descriptions=descriptions,
            base=base,
            described=described_evaluations(project, splits, groups, each.model, each.held_out),
            delivery=f"{delivery}-{each.seed}" if delivery and each.seed else delivery,
        )
        # The one of seed 0 comes last: it is the newest, which later commands take by default.
        for each in reversed(found)
    ]
    return dataclasses.replace(logged[-1], repeats=tuple(reversed(logged[:-1])))


def retrain_oracle(project: Project, base: Model) -> Trained:
    """Retrain by group DRO on the annotated groups: what true labels would give, for comparison.

    Raises
    ------
    InputError
        If the data set has no annotated attribute.
    """
    splits = all_splits(project)
    asked = _Asked(
        name="oracle (group_dro on true groups)",
        objective="group_dro",
        rule=ByAnnotatedWorstGroup(),
        groups=_annotated(project, splits),
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
    chosen_by: AnnotatedGroups | None = None
    concepts: Mapping[str, tuple[Concept, ...]] = dataclasses.field(default_factory=dict)
    eraser: Eraser | None = None
    refit: bool = False
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)


def _fitted(
    project: Project, base: Model, splits: Mapping[str, SplitData], asked: _Asked, *, seed: int, steps: Steps
) -> Trained:
    classes = project.manifest.classes
    began = time.monotonic()
    train, validation = (
        Images(
            features=splits[name].features,
            labels=splits[name].labels,
            groups=asked.groups[name],
            concepts=asked.concepts.get(name, ()),
        )
        for name in ("train", "validation")
    )
    train = train.take(_resampled(train.groups.index, seed))
    found = correct(
        train,
        validation,
        classes,
        lambda images: _objective(asked.objective, images.groups),
        asked.rule,
        chosen_by=asked.chosen_by,
        eraser=asked.eraser,
        refit=asked.refit,
        progress=steps.fit(train.groups, seed),
    )
    cost = _cost(began, found.fit.head)
    model = Model(run_id="", name=asked.name, head=found.fit.head, backbone=base.backbone)
    control = _without_phrases(
        train,
        validation,
        classes,
        asked.rule,
        chosen_by=asked.chosen_by,
        refit=asked.refit,
        progress=steps.control(seed),
    )
    now = found.held_out.argmax(axis=1)
    objective = _objective(asked.objective, train.groups)
    return Trained(
        model=model,
        settings={
            **_settings(found.fit, objective),
            **asked.settings,
            PLACE: IN_PARENT if base.backbone is not None else "",
        },
        rule=asked.rule.name,
        table=found.table,
        evaluations=evaluations_of(project, splits, model, found.held_out),
        group_counts=dict(zip(train.groups.names, asked.groups["train"].counts.tolist(), strict=True)),
        cost=cost,
        merged=getattr(train.groups, "merged", ()),
        halves=half_results(
            {
                "base": base.predict(splits["validation"]),
                "now": now,
                "control": control.held_out.argmax(axis=1),
            },
            splits["validation"],
            asked.groups["validation"],
        ),
        oracle=objective.uses_annotations or asked.rule.oracle,
        another_model=base.head is None,
        seed=seed,
        held_out=found.held_out if asked.refit else None,
    )


def _without_phrases(
    train: Images,
    validation: Images,
    classes: Sequence[str],
    rule: Selection,
    *,
    chosen_by: AnnotatedGroups | None = None,
    refit: bool = False,
    progress: Callable[[SolverProgress], None] | None = None,
) -> Corrected:
    """Retrain with the classes as groups, chosen by the same rule: what no phrase is needed for.

    Parameters are those of `correct`.
    """
    return correct(
        train,
        validation,
        classes,
        lambda images: WorstGroup(groups=described_groups(images.labels, classes, {})),
        rule,
        chosen_by=chosen_by,
        refit=refit,
        progress=progress,
    )


def _annotated(project: Project, splits: Mapping[str, SplitData]) -> dict[str, AnnotatedGroups]:
    groups = {name: annotated(project, data) for name, data in splits.items()}
    known = {name: found for name, found in groups.items() if found is not None}
    if len(known) < len(groups):
        raise InputError(
            f"data set {project.manifest.name} has no annotated attribute, so no oracle; add one "
            "to the manifest's [attributes]"
        )
    return known


def _resampled(groups: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return every row for seed 0, else as many of each group, drawn with replacement."""
    if seed == 0:
        return np.arange(len(groups))
    rng = generator(seed, "resample")
    drawn = [
        rng.choice(np.flatnonzero(groups == group), int((groups == group).sum()))
        for group in np.unique(groups)
    ]
    return np.sort(np.concatenate(drawn))


def _objective(name: str, groups: DescribedGroups | AnnotatedGroups) -> Objective:
    if name == "worst_group":
        return WorstGroup(groups=groups)
    if name == "reweight":
        return Reweight(groups=groups)
    if name == "group_dro":
        return GroupDro(groups=groups)
    if name == "erm":
        return Erm()
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
