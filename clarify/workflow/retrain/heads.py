"""Heads: the last layer, solved exactly to a certified gap. No store, no files: arrays in, a fit out.

What `clarify retrain` does with a head is here once. Previews, the tutorial, the evidence and
`clarify.diagnose` call the same functions with the same settings.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from clarify.method.arrays import generator
from clarify.method.fit.correction import Eraser, Images, correct, cross_fitted
from clarify.method.fit.head import Head
from clarify.method.fit.objectives import Erm, Objective
from clarify.method.fit.selection import ByAverage, hold_out, select
from clarify.method.fit.training import WEIGHT_DECAYS, Fit, fit_head, sweep
from clarify.method.groups.groups import AnnotatedGroups, DescribedGroups, described_groups
from clarify.method.phrases.descriptions import Description
from clarify.track.runs import PLACE
from clarify.workflow.describe.grouping import explored_of
from clarify.workflow.model.arrays import DataSet
from clarify.workflow.model.models import Model
from clarify.workflow.model.progress import Steps
from clarify.workflow.model.project import SplitData
from clarify.workflow.model.recipe import OBJECTIVES, Recipe
from clarify.workflow.model.trained import REPORTED, Cost
from clarify.workflow.retrain.concepts import concepts_of, eraser_of
from clarify.workflow.retrain.engine import BasePlan, Fitting, Means, Training
from clarify.workflow.retrain.judged import Predicted, classes_of, is_thin

__all__ = ["HeadFit", "Heads", "correct_head", "crossed_heads", "fit_base"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeadFit:
    """A head, and what was seen of it on validation.

    Parameters
    ----------
    objective : Objective
        With its own settings.
    rule : str
        What chose the weight decay.
    table : tuple of (float, float)
        Each weight decay with its score by the rule.
    held_out : ndarray of float64, (N, K), or None
        Probabilities of the validation images, each by a head that was not fitted to it; None of a
        base model, for which nothing of validation is used.
    """

    fit: Fit
    objective: Objective
    rule: str
    table: tuple[tuple[float, float], ...]
    held_out: NDArray[np.float64] | None = None

    @property
    def predicted(self) -> NDArray[np.int64]:
        """The class (N,) of each validation image, by a head that was not fitted to it."""
        assert self.held_out is not None
        return np.asarray(self.held_out.argmax(axis=1), dtype=np.int64)


def fit_base(train: SplitData, classes: Sequence[str], *, seed: int = 0) -> HeadFit:
    """Fit a base model's head by ERM, the ordinary way.

    The weight decay is the one with the best average accuracy on a fifth of the training images,
    held out by class; the head is then fitted to all of them. Nothing of validation is used.

    Raises
    ------
    GroupError, FeatureError, SolverError
        If a class is empty, or features are not finite.
    """
    fitted_on, held = hold_out(train.labels, seed=seed)
    fits = sweep(train.features[fitted_on], train.labels[fitted_on], classes, Erm(), WEIGHT_DECAYS)
    chosen = select(fits, train.features[held], train.labels[held], ByAverage())
    found = chosen.fit
    fit = fit_head(train.features, train.labels, classes, Erm(), found.weight_decay, start=found.head)
    return HeadFit(fit=fit, objective=Erm(), rule=chosen.rule.name, table=chosen.table)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Correction:
    """What a head is fitted to, and by what: with the phrases, or as the control."""

    train: Images
    validation: Images
    objective: Callable[[Images], Objective]
    eraser: Eraser | None

    @classmethod
    def of(
        cls,
        project: DataSet,
        splits: Mapping[str, SplitData],
        groups: Mapping[str, DescribedGroups] | Mapping[str, AnnotatedGroups],
        recipe: Recipe,
        descriptions: Sequence[Description],
        *,
        control: bool,
    ) -> _Correction:
        """Put it together; the control has the classes as groups, and nothing erased."""
        classes, row = project.manifest.classes, OBJECTIVES[recipe.objective]
        train, validation = (
            Images(
                features=splits[name].features,
                labels=splits[name].labels,
                groups=groups[name],
                concepts=() if control else concepts_of(project, descriptions, splits[name], recipe),
            )
            for name in ("train", "validation")
        )

        def objective(images: Images) -> Objective:
            return row.head(described_groups(images.labels, classes, {}) if control else images.groups)

        return cls(
            train=train,
            validation=validation,
            objective=objective,
            eraser=None if control else eraser_of(project, descriptions, splits["train"], recipe),
        )


def correct_head(
    project: DataSet,
    splits: Mapping[str, SplitData],
    groups: Mapping[str, DescribedGroups] | Mapping[str, AnnotatedGroups],
    recipe: Recipe,
    *,
    descriptions: Sequence[Description] = (),
    control: bool = False,
    seed: int = 0,
    base: tuple[Head, float] | None = None,
    steps: Steps | None = None,
) -> HeadFit:
    """Fit a head as a recipe says, and choose its weight decay on validation. Deterministic.

    Parameters
    ----------
    splits : mapping of split to SplitData
        With ``train`` and ``validation``.
    groups : mapping of split to DescribedGroups or AnnotatedGroups
        Of these splits; annotated ones make an oracle.
    recipe : Recipe
        Its part is the head.
    descriptions : sequence of Description
        What an erasure takes out.
    control : bool
        Whether it is fitted without the phrases: the classes are the groups, and nothing is erased.
        All else is as the recipe says: what is left of a gain is the phrases'.
    seed : int
        0 fits every training image; others as many of each group, drawn with replacement.
    base : (Head, float), optional
        The base model's head with its weight decay: where a large problem starts, see `correct`.
    steps : Steps, optional
        Told how far it is.

    Raises
    ------
    FeatureError, GroupError, InputError, SolverError
        As `correct`.
    """
    told = steps or Steps(None, WEIGHT_DECAYS)
    fitted = _Correction.of(project, splits, groups, recipe, descriptions, control=control)
    train = fitted.train.take(_resampled(fitted.train.groups.index, seed))
    found = correct(
        train,
        fitted.validation,
        project.manifest.classes,
        fitted.objective,
        recipe.rule,
        chosen_by=splits["validation"].truth if recipe.rule.oracle else None,
        eraser=fitted.eraser,
        refit=recipe.refit,
        base=base,
        progress=told.control() if control else told.fit(train.groups),
    )
    return HeadFit(
        fit=found.fit,
        objective=fitted.objective(train),
        rule=recipe.rule.name,
        table=found.table,
        held_out=found.held_out,
    )


def crossed_heads(
    project: DataSet,
    splits: Mapping[str, SplitData],
    groups: Mapping[str, DescribedGroups],
    recipe: Recipe,
    *,
    base: tuple[Head, float],
    found: HeadFit,
    control: HeadFit,
    descriptions: Sequence[Description] = (),
) -> Predicted | None:
    """Predict each training image by heads that were fitted to the others, for the gate.

    None where validation holds enough of every part of a class: the gate needs no training images then. Nor
    where training has a single image of one and no refit adds more: no head that is fitted to the others can
    weigh that part.

    Parameters
    ----------
    base : (Head, float)
        The base model's head with its weight decay; it is fitted anew by ERM.
    found, control : HeadFit
        What `correct_head` came to with the same arguments.

    Raises
    ------
    FeatureError, GroupError, InputError, SolverError
        As `cross_fitted`.
    """
    classes, validation = project.manifest.classes, splits["validation"]
    described = {each.class_name for each in descriptions}
    explored = explored_of(project, validation, base[0].predict(validation.features), described)
    single = not recipe.refit and bool((groups["train"].counts == 1).any())
    of = classes_of(groups["train"], splits["train"].labels)
    if single or not is_thin(groups["validation"], of, explored):
        return None

    def predicted(of: HeadFit, *, without_phrases: bool) -> NDArray[np.int64]:
        fitted = _Correction.of(project, splits, groups, recipe, descriptions, control=without_phrases)
        return cross_fitted(
            fitted.train,
            classes,
            fitted.objective,
            of.fit.weight_decay,
            start=of.fit.head,
            beside=fitted.validation if recipe.refit else None,
            eraser=fitted.eraser,
        )

    head, weight_decay = base
    train = Images(features=splits["train"].features, labels=splits["train"].labels, groups=groups["train"])
    return Predicted(
        base=cross_fitted(train, classes, lambda _: Erm(), weight_decay, start=head),
        now=predicted(found, without_phrases=False),
        control=predicted(control, without_phrases=True),
    )


class Heads:
    """The engine that solves heads."""

    resumes = False

    def __init__(self, means: Means, *, seeds: int = 1) -> None:
        self._is_first = means.processes.is_first
        self._steps = Steps(means.report, WEIGHT_DECAYS, seeds=seeds)

    def __enter__(self) -> Heads:
        """Begin: nothing is held."""
        return self

    def __exit__(self, *error: object) -> None:
        """End."""

    def base(self, training: Training, plan: BasePlan) -> Fitting | None:
        """Fit a base model's head."""
        if not self._is_first:
            return None
        train, began = training.splits["train"], time.monotonic()
        found = fit_base(train, training.project.manifest.classes, seed=plan.schedule.seed)
        return _fitting(training, found, time.monotonic() - began)

    def corrected(self, training: Training, seed: int) -> Fitting | None:
        """Fit a corrected head, and its control."""
        if not self._is_first or training.base is None:
            return None
        self._steps.read()
        splits, groups, began = training.splits, training.groups, time.monotonic()

        def fit(*, control: bool) -> HeadFit:
            return correct_head(
                training.project,
                splits,
                groups,
                training.recipe,
                descriptions=training.in_force,
                control=control,
                seed=seed,
                base=_head_of(training.base),
                steps=self._steps,
            )

        found = fit(control=False)
        seconds = time.monotonic() - began
        control = fit(control=True)
        return dataclasses.replace(
            _fitting(training, found, seconds),
            control={
                name: control.predicted
                if name == "validation"
                else control.fit.head.predict(splits[name].features)
                for name in REPORTED
                if name in splits
            },
            held_out=found.held_out if training.recipe.refit else None,
            crossed=_crossed(training, found, control) if seed == 0 else None,
        )

    def recording(self) -> None:
        """Tell that what was fitted is about to be recorded."""
        self._steps.record()


def _crossed(training: Training, found: HeadFit, control: HeadFit) -> Predicted | None:
    """Predict training images for the gate, if it needs them and the base can be fitted anew.

    The features of a network that was trained on these images tell too well which they are.
    """
    base = None if training.is_oracle else _head_of(training.base)
    if base is None:
        return None
    return crossed_heads(
        training.project,
        training.splits,
        cast(Mapping[str, DescribedGroups], training.groups),
        training.recipe,
        base=base,
        found=found,
        control=control,
        descriptions=training.in_force,
    )


def _head_of(base: Model | None) -> tuple[Head, float] | None:
    """Return a base's head with its weight decay; None of a network, and where either is not known."""
    if base is None or base.is_network or base.head is None or base.weight_decay is None:
        return None
    return base.head, base.weight_decay


def _fitting(training: Training, found: HeadFit, seconds: float) -> Fitting:
    head, base, recipe = found.fit.head, training.base, training.recipe
    chosen = {}
    if base is not None:
        refit = str(recipe.refit).lower()
        chosen = {"objective": recipe.objective, "erase": recipe.erase, "refit": refit, PLACE: ""}
    return Fitting(
        model=Model(
            run_id="",
            name=training.name,
            head=head,
            backbone=training.project.backbone if base is None else base.body(training.project),
            is_network=base is not None and base.is_network,
        ),
        splits=training.splits,
        settings={**_settings(found), **chosen, "part": "head"},
        rule=found.rule,
        table=found.table,
        cost=Cost.now(seconds=seconds, parameters=head.weight.size + head.bias.size),
    )


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


def _settings(found: HeadFit) -> dict[str, str | float | int]:
    """Return what is logged of a fit: what was minimised, with its own settings, and how far."""
    name, fit = found.objective.name, found.fit
    own = {
        f"{name}_{field.name}": getattr(found.objective, field.name)
        for field in dataclasses.fields(found.objective)  # type: ignore[arg-type]
        if field.name != "groups"
    }
    return {
        "objective": name,
        **own,
        "weight_decay": fit.weight_decay,
        "relative_gap": fit.relative_gap,
        "iterations": fit.iterations,
    }
