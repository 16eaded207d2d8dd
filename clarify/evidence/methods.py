"""The methods that are compared, by name: what each needs to be told, and how its head is fitted.

`supervision` is what a method uses beside class labels: ``none``, ``words`` or ``groups``. A rule
that chooses by annotated groups makes any method one that uses groups.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from clarify.errors import InputError
from clarify.evidence import baselines, oracles, zero_shot
from clarify.evidence.situation import Situation, truth_of
from clarify.method.fit.head import Head
from clarify.method.fit.selection import ByAnnotatedWorstGroup, FittedHead, Selection, select
from clarify.method.groups.groups import described_groups
from clarify.workflow.model.recipe import ERASURES, OBJECTIVES, Recipe
from clarify.workflow.retrain.heads import correct_head

__all__ = ["Method", "Supervision", "methods"]

Supervision = Literal["none", "words", "groups"]

Fit = Callable[["Situation", Sequence["Selection"]], "list[Head]"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A way to get a head.

    Parameters
    ----------
    source : str
        Whose it is.
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


def _clarify(**choices: Any) -> Fit:
    """Correct as `clarify retrain` does; without any described class the base model stays."""

    def fit(at: Situation, rules: Sequence[Selection]) -> list[Head]:
        if not at.tried:
            return [at.base for _ in rules]
        return [at.corrected(Recipe(**choices, select=rule.name)).fit.head for rule in rules]

    return fit


def _plain(method: Callable[..., Sequence[FittedHead]]) -> Fit:
    return _chosen(lambda at: method(at.train.features, at.train.labels, at.classes))


def _grouped(method: Callable[..., Sequence[FittedHead]]) -> Fit:
    return _chosen(lambda at: method(at.train.features, at.train.labels, at.classes, truth_of(at.train)))


def _afr(at: Situation) -> Sequence[FittedHead]:
    return baselines.afr(at.train.features, at.train.labels, at.classes, seed=at.seed)


def _balanced_refit(at: Situation, rules: Sequence[Selection]) -> list[Head]:
    """Balance the classes on training and validation images: a refit that no phrase is behind."""
    groups = {name: described_groups(data.labels, at.classes, {}) for name, data in at.splits.items()}
    return [
        correct_head(at.project, at.splits, groups, Recipe(refit=True, select=rule.name)).fit.head
        for rule in rules
    ]


def _on_validation(method: Callable[..., Sequence[FittedHead]]) -> Fit:
    def fit(at: Situation, _: Sequence[Selection]) -> list[Head]:
        given = at.validation
        (found,) = method(given.features, given.labels, at.classes, truth_of(given), seed=at.seed)
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


FREE = ("worst_class", "average", "annotated_worst_group")
SPOKEN = ("described_worst_group",)
ORACLE = ("annotated_worst_group",)


def _method(name: str, supervision: Supervision, rules: tuple[str, ...], fit: Fit, source: str) -> Method:
    return Method(name=name, source=source, supervision=supervision, rules=rules, fit=fit)


_UNTOLD = (
    _method("zero_shot", "none", (), _zero_shot, "Radford et al. 2021 (arXiv 2103.00020)"),
    _method(
        "zero_shot_attributes",
        "words",
        (),
        _zero_shot_attributes,
        "the same, prompts naming class and attribute",
    ),
    _method("erm", "none", (), _base, "the base model"),
    _method("rwy", "none", FREE, _plain(baselines.rwy), "Idrissi et al. 2022 (arXiv 2110.14503)"),
    _method("rwy_refit", "none", ("worst_class",), _balanced_refit, "the same, validation images fitted too"),
    _method("cvar_dro", "none", FREE, _plain(baselines.cvar_dro), "Levy et al. 2020 (arXiv 2010.05893)"),
    _method("jtt", "none", FREE, _plain(baselines.jtt), "Liu et al. 2021 (arXiv 2107.09044)"),
    _method("afr", "none", FREE, _chosen(_afr), "Qiu et al. 2023 (arXiv 2306.11074)"),
)

_TOLD_THE_GROUPS = (
    _method("rwg", "groups", ORACLE, _grouped(oracles.rwg), "Idrissi et al. 2022 (arXiv 2110.14503)"),
    _method(
        "group_dro", "groups", ORACLE, _grouped(oracles.group_dro), "Sagawa et al. 2020 (arXiv 1911.08731)"
    ),
    _method(
        "dfr_subsampled",
        "groups",
        (),
        _on_validation(oracles.dfr_subsampled),
        "Kirichenko et al. 2023 (arXiv 2204.02937)",
    ),
    _method(
        "dfr_upsampled",
        "groups",
        (),
        _on_validation(oracles.dfr_upsampled),
        "the same, groups weighted instead",
    ),
)


def _told_in_words() -> Iterator[Method]:
    """Yield Clarify's own: a method for each row of the table of corrections."""

    def method(name: str, source: str, **choices: Any) -> Method:
        return _method(name, "words", SPOKEN, _clarify(**choices), source)

    by_groups = [name for name, row in OBJECTIVES.items() if row.by_groups]
    for name in by_groups:
        yield method(f"clarify_{name}", "Clarify", objective=name)
    for name in by_groups:
        refitted = "Clarify, validation images fitted too"
        yield method(f"clarify_{name}_refit", refitted, objective=name, refit=True)
    for name, row in ERASURES.items():
        if name != Recipe().erase:
            yield method(f"erase_{name}", row.source, objective="erm", erase=name)
    both = {"objective": "worst_group", "erase": "mean_difference"}
    yield method("erase_mean_difference_worst_group", "Clarify, erasure before the objective", **both)
    together = "Clarify, erasure, objective and refit"
    yield method("erase_mean_difference_refit", together, **both, refit=True)


def methods() -> dict[str, Method]:
    """Return every method by name, in the order of the tables."""
    return {each.name: each for each in (*_UNTOLD, *_told_in_words(), *_TOLD_THE_GROUPS)}
