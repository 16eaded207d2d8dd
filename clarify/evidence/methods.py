"""The methods that are compared, by name: what each needs to be told, and how its head is fitted.

`supervision` is what a method uses beside class labels: ``none``, ``words`` or ``groups``. A rule
that chooses by annotated groups makes any method one that uses groups.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from clarify.errors import InputError
from clarify.evidence import baselines, zero_shot
from clarify.evidence import oracles as oracle_baselines
from clarify.evidence.situation import DECAYS, GAP
from clarify.method.fit import erasure
from clarify.method.fit.correction import Images, correct
from clarify.method.fit.head import Head, Standardisation
from clarify.method.fit.objectives import Erm, GroupDro, Reweight, WorstGroup
from clarify.method.fit.selection import (
    ByAnnotatedWorstGroup,
    ByAverage,
    ByDescribedWorstGroup,
    ByWorstClass,
    select,
)
from clarify.method.groups.groups import described_groups

if TYPE_CHECKING:
    from clarify.evidence.situation import Situation
    from clarify.method.fit.correction import Eraser
    from clarify.method.fit.objectives import Objective
    from clarify.method.fit.selection import FittedHead, Selection

__all__ = ["METHODS", "RULES", "Method", "Supervision"]

Supervision = Literal["none", "words", "groups"]

Fit = Callable[["Situation", Sequence["Selection"]], list[Head]]

RULES: dict[str, Selection] = {
    rule.name: rule
    for rule in (ByDescribedWorstGroup(), ByWorstClass(), ByAverage(), ByAnnotatedWorstGroup())
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A way to get a head.

    Parameters
    ----------
    name : str
    source : str
        Whose it is.
    supervision : {"none", "words", "groups"}
    rules : tuple of str
        The selections that it is shown with, the first one being its own; empty for a method
        that chooses nothing, or by itself.
    fit : callable
        Of a situation and some rules, the head that each rule chooses.
    """

    name: str
    source: str
    supervision: Supervision
    rules: tuple[str, ...]
    fit: Fit = dataclasses.field(repr=False)

    def supervision_with(self, rule: str) -> Supervision:
        """Return what it uses together with a rule."""
        return "groups" if rule == ByAnnotatedWorstGroup.name else self.supervision


def _chosen(candidates: Callable[[Situation], Sequence[FittedHead]]) -> Fit:
    """Choose among candidates on validation."""

    def fit(at: Situation, rules: Sequence[Selection]) -> list[Head]:
        found, seen = candidates(at), at.validation
        return [
            select(
                found, seen.features, seen.labels, rule, groups=seen.truth if rule.oracle else None
            ).fit.head
            for rule in rules
        ]

    return fit


def _clarify(objective: str, erase: str = "none", *, refit: bool = False) -> Fit:
    """Correct by the described groups; without any described class the base model stays."""

    def fit(at: Situation, rules: Sequence[Selection]) -> list[Head]:
        if not at.described.scores:
            return [at.base for _ in rules]
        train, validation = at.images("train"), at.images("validation")
        if erase == "regression_unlabelled":
            train, validation = _unlabelled(train), _unlabelled(validation)
        return [
            correct(
                train,
                validation,
                at.classes,
                lambda images: _objective(objective, images),
                rule,
                chosen_by=at.validation.truth if rule.oracle else None,
                eraser=_eraser(at, erase),
                refit=refit,
                tolerance=GAP,
                weight_decays=STEPPED_DECAYS if objective == "group_dro" else DECAYS,
            ).fit.head
            for rule in rules
        ]

    return fit


def _unlabelled(images: Images) -> Images:
    everything = np.ones(len(images.labels), dtype=np.bool_)
    return dataclasses.replace(
        images, concepts=tuple(dataclasses.replace(each, rows=everything) for each in images.concepts)
    )


def _objective(name: str, images: Images) -> Objective:
    if name == "erm":
        return Erm()
    if name == "reweight":
        return Reweight(groups=images.groups)
    if name == "group_dro":
        return GroupDro(groups=images.groups, steps=100)
    return WorstGroup(groups=images.groups)


def _eraser(at: Situation, name: str) -> Eraser | None:
    if name == "none":
        return None
    if name == "text":
        embeddings = at.encode([at.phrases[each] for each in at.described.scores])
        return lambda _, standardisation: erasure.text(embeddings, standardisation)
    estimate = getattr(erasure, name.removesuffix("_unlabelled"))

    def found(images: Images, standardisation: Standardisation) -> erasure.Erasure:
        taken: erasure.Erasure = estimate(standardisation.apply(images.features), images.concepts)
        return taken

    return found


def _plain(method: Callable[..., Sequence[FittedHead]]) -> Callable[[Situation], Sequence[FittedHead]]:
    return lambda at: method(at.train.features, at.train.labels, at.classes)


def _grouped(method: Callable[..., Sequence[FittedHead]]) -> Callable[[Situation], Sequence[FittedHead]]:
    return lambda at: method(at.train.features, at.train.labels, at.classes, at.train.truth)


def _balanced_refit(at: Situation, rules: Sequence[Selection]) -> list[Head]:
    """Balance the classes on training and validation images: a refit that no phrase is behind."""
    train, validation = (
        Images(
            features=view.features, labels=view.labels, groups=described_groups(view.labels, at.classes, {})
        )
        for view in (at.train, at.validation)
    )
    return [
        correct(
            train,
            validation,
            at.classes,
            lambda images: Reweight(groups=images.groups),
            rule,
            refit=True,
            weight_decays=DECAYS,
            tolerance=GAP,
        ).fit.head
        for rule in rules
    ]


def _on_validation(method: Callable[..., Sequence[FittedHead]]) -> Fit:
    def fit(at: Situation, _: Sequence[Selection]) -> list[Head]:
        given = at.validation
        (found,) = method(given.features, given.labels, at.classes, given.truth, seed=at.seed)
        return [found.head]

    return fit


def _base(at: Situation, _: Sequence[Selection]) -> list[Head]:
    return [at.base]


def _zero_shot(at: Situation, _: Sequence[Selection]) -> list[Head]:
    _same_space(at)
    prompts = list(at.encode(list(at.classes))[:, None, :])  # one prompt a class
    return [zero_shot.zero_shot(prompts, at.classes)]


def _zero_shot_attributes(at: Situation, _: Sequence[Selection]) -> list[Head]:
    _same_space(at)
    prompts = [f"{name} {value}" for name in at.classes for value in at.values]
    embedded = at.encode(prompts)
    shape = (len(at.classes), len(at.values), embedded.shape[1])
    return [zero_shot.zero_shot_with_attributes(embedded.reshape(shape), at.classes)]


def _same_space(at: Situation) -> None:
    if at.train.features.shape[1] != at.train.embeddings.shape[1]:
        raise InputError(f"zero-shot on {at.encoder}: its features hold no texts; use CLIP's own")


STEPPED_DECAYS = (1.0, 0.1, 0.01)
"""Of group DRO, which goes its steps for each."""

FREE = ("worst_class", "average", "annotated_worst_group")
SPOKEN = ("described_worst_group",)
ORACLE = ("annotated_worst_group",)

_LIST = (
    Method(
        name="zero_shot",
        source="Radford et al. 2021 (arXiv 2103.00020)",
        supervision="none",
        rules=(),
        fit=_zero_shot,
    ),
    Method(
        name="zero_shot_attributes",
        source="the same, prompts naming class and attribute",
        supervision="words",
        rules=(),
        fit=_zero_shot_attributes,
    ),
    Method(name="erm", source="the base model", supervision="none", rules=(), fit=_base),
    Method(
        name="rwy",
        source="Idrissi et al. 2022 (arXiv 2110.14503)",
        supervision="none",
        rules=FREE,
        fit=_chosen(_plain(baselines.rwy)),
    ),
    Method(
        name="rwy_refit",
        source="the same, validation images fitted too",
        supervision="none",
        rules=("worst_class",),
        fit=_balanced_refit,
    ),
    Method(
        name="cvar_dro",
        source="Levy et al. 2020 (arXiv 2010.05893)",
        supervision="none",
        rules=FREE,
        fit=_chosen(_plain(baselines.cvar_dro)),
    ),
    Method(
        name="jtt",
        source="Liu et al. 2021 (arXiv 2107.09044)",
        supervision="none",
        rules=FREE,
        fit=_chosen(_plain(baselines.jtt)),
    ),
    Method(
        name="afr",
        source="Qiu et al. 2023 (arXiv 2306.11074)",
        supervision="none",
        rules=FREE,
        fit=_chosen(lambda at: baselines.afr(at.train.features, at.train.labels, at.classes, seed=at.seed)),
    ),
    *(
        Method(
            name=f"clarify_{objective}",
            source="Clarify",
            supervision="words",
            rules=SPOKEN,
            fit=_clarify(objective),
        )
        for objective in ("worst_group", "reweight", "group_dro")
    ),
    *(
        Method(
            name=f"clarify_{objective}_refit",
            source="Clarify, validation images fitted too",
            supervision="words",
            rules=SPOKEN,
            fit=_clarify(objective, refit=True),
        )
        for objective in ("worst_group", "reweight")
    ),
    *(
        Method(
            name=f"erase_{way}",
            source="Clarify, by erasure alone",
            supervision="words",
            rules=SPOKEN,
            fit=_clarify("erm", way),
        )
        for way in ("mean_difference", "regression", "regression_unlabelled")
    ),
    Method(
        name="erase_leace",
        source="Belrose et al. 2023 (arXiv 2306.03819)",
        supervision="words",
        rules=SPOKEN,
        fit=_clarify("erm", "leace"),
    ),
    Method(
        name="erase_text",
        source="after Adila et al. 2024 (RoboShot, arXiv 2309.04344)",
        supervision="words",
        rules=SPOKEN,
        fit=_clarify("erm", "text"),
    ),
    Method(
        name="erase_mean_difference_worst_group",
        source="Clarify, erasure before the objective",
        supervision="words",
        rules=SPOKEN,
        fit=_clarify("worst_group", "mean_difference"),
    ),
    Method(
        name="erase_mean_difference_refit",
        source="Clarify, erasure, objective and refit",
        supervision="words",
        rules=SPOKEN,
        fit=_clarify("worst_group", "mean_difference", refit=True),
    ),
    Method(
        name="rwg",
        source="Idrissi et al. 2022 (arXiv 2110.14503)",
        supervision="groups",
        rules=ORACLE,
        fit=_chosen(_grouped(oracle_baselines.rwg)),
    ),
    Method(
        name="group_dro",
        source="Sagawa et al. 2020 (arXiv 1911.08731)",
        supervision="groups",
        rules=ORACLE,
        fit=_chosen(_grouped(oracle_baselines.group_dro)),
    ),
    Method(
        name="dfr_subsampled",
        source="Kirichenko et al. 2023 (arXiv 2204.02937)",
        supervision="groups",
        rules=(),
        fit=_on_validation(oracle_baselines.dfr_subsampled),
    ),
    Method(
        name="dfr_upsampled",
        source="the same, groups weighted instead",
        supervision="groups",
        rules=(),
        fit=_on_validation(oracle_baselines.dfr_upsampled),
    ),
)

METHODS = {method.name: method for method in _LIST}
"""Every method by name, in the order of the tables."""
