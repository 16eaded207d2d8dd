"""The methods that are compared, by name: what each needs to be told, and how its head is fitted.

`supervision` is what a method uses beside class labels: ``none``, ``words`` or ``groups``. A rule
that chooses by annotated groups makes any method one that uses groups.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from clarify.errors import InputError
from clarify.evidence import baselines, oracles, zero_shot
from clarify.evidence.grids import ChosenHead, GrowingGrid, edge, searched
from clarify.evidence.prepared import Candidate
from clarify.evidence.situation import Situation, told_the_truth, truth_of
from clarify.method.fit.selection import ByAnnotatedWorstGroup, Selection
from clarify.method.groups.groups import described_groups
from clarify.workflow.model.recipe import ERASURES, OBJECTIVES, Recipe
from clarify.workflow.retrain.heads import HeadFit, correct_head

__all__ = ["Method", "Supervision", "methods"]

Supervision = Literal["none", "words", "groups"]

Fit = Callable[["Situation", Sequence["Selection"]], "list[ChosenHead]"]


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
    oracle : str
        The method that does the same with the true groups: same objective, erasure and refit, same
        grid; empty where there is none.
    """

    name: str
    source: str
    supervision: Supervision
    rules: tuple[str, ...]
    fit: Fit = dataclasses.field(repr=False)
    oracle: str = ""

    def supervision_with(self, rule: str) -> Supervision:
        """Return what it uses together with a rule."""
        return "groups" if rule == ByAnnotatedWorstGroup.name else self.supervision


def _clarify(**choices: Any) -> Fit:
    """Correct as `clarify retrain` does; without any described class the base model stays."""

    def fit(at: Situation, rules: Sequence[Selection]) -> list[ChosenHead]:
        if not at.tried:
            return _base(at, rules)
        return [_of_core(at.corrected(Recipe(**choices, select=rule.name))) for rule in rules]

    return fit


def _told_groups(**choices: Any) -> Fit:
    """Correct as `clarify retrain` does, by the true groups in the place of those of phrases."""

    def fit(at: Situation, rules: Sequence[Selection]) -> list[ChosenHead]:
        project, splits, said = told_the_truth(at)
        groups = {name: truth_of(data) for name, data in splits.items()}
        return [
            _of_core(
                correct_head(project, splits, groups, Recipe(**choices, select=rule.name), descriptions=said)
            )
            for rule in rules
        ]

    return fit


def _of_core(found: HeadFit) -> ChosenHead:
    """Tell of a fit of the product's own, whose grid is not widened, whether it ends at its grid's edge."""
    decays, scores = zip(*found.table, strict=True)
    end = edge(decays, scores, decays)
    return ChosenHead(head=found.fit.head, edges=() if end is None else (f"weight_decay {end:g}",))


def _grown(
    method: Callable[..., Sequence[Candidate]],
    more: Callable[[Situation], tuple[tuple[Any, ...], dict[str, Any]]] = lambda _: ((), {}),
    **ends: tuple[str, float, float],
) -> Fit:
    """Search a method's grids; of each is given what candidates call it, and what it ends at."""
    defaults = inspect.signature(method).parameters
    axes = [
        GrowingGrid(argument=name, setting=setting, values=defaults[name].default, ends=(low, high))
        for name, (setting, low, high) in {**ends, "weight_decays": ("weight_decay", 1e-5, 1e4)}.items()
    ]

    def fit(at: Situation, rules: Sequence[Selection]) -> list[ChosenHead]:
        given, options = more(at)
        return searched(
            functools.partial(method, at.train.features, at.train.labels, at.classes, *given, **options),
            axes,
            at,
            rules,
        )

    return fit


def _balanced_refit(at: Situation, rules: Sequence[Selection]) -> list[ChosenHead]:
    """Balance the classes on training and validation images: a refit that no phrase is behind."""
    groups = {name: described_groups(data.labels, at.classes, {}) for name, data in at.splits.items()}
    return [
        _of_core(correct_head(at.project, at.splits, groups, Recipe(refit=True, select=rule.name)))
        for rule in rules
    ]


def _on_validation(method: Callable[..., Sequence[Candidate]]) -> Fit:
    grid = inspect.signature(method).parameters["weight_decays"].default

    def fit(at: Situation, _: Sequence[Selection]) -> list[ChosenHead]:
        given = at.validation
        (found,) = method(given.features, given.labels, at.classes, truth_of(given), seed=at.seed)
        end = found.weight_decay in (min(grid), max(grid))
        return [ChosenHead(head=found.head, edges=(f"weight_decay {found.weight_decay:g}",) if end else ())]

    return fit


def _base(at: Situation, rules: Sequence[Selection]) -> list[ChosenHead]:
    return [ChosenHead(head=at.base) for _ in rules or (None,)]


def _zero_shot(at: Situation, _: Sequence[Selection]) -> list[ChosenHead]:
    _same_space(at)
    prompts = list(at.encode(list(at.classes))[:, None, :])  # one prompt a class
    return [ChosenHead(head=zero_shot.zero_shot(prompts, at.classes))]


def _zero_shot_attributes(at: Situation, _: Sequence[Selection]) -> list[ChosenHead]:
    _same_space(at)
    prompts = [f"{name} {value}" for name in at.classes for value in at.values]
    embedded = at.encode(prompts)
    shape = (len(at.classes), len(at.values), embedded.shape[1])
    return [ChosenHead(head=zero_shot.zero_shot_with_attributes(embedded.reshape(shape), at.classes))]


def _same_space(at: Situation) -> None:
    if at.train.features.shape[1] != at.train.embeddings.shape[1]:
        raise InputError(f"zero-shot on {at.encoder}: its features hold no texts; use CLIP's own")


FREE = ("worst_class", "average", "annotated_worst_group")
SPOKEN = ("described_worst_group",)
ORACLE = ("annotated_worst_group",)


def _method(
    name: str, supervision: Supervision, rules: tuple[str, ...], fit: Fit, source: str, oracle: str = ""
) -> Method:
    return Method(name=name, source=source, supervision=supervision, rules=rules, fit=fit, oracle=oracle)


_RWY = _grown(baselines.rwy)
_CVAR = _grown(baselines.cvar_dro, alphas=("alpha", 0.01, 1.0))
_JTT = _grown(
    baselines.jtt,
    identification_decays=("identification_weight_decay", 0.01, 1e2),
    upweights=("upweight", 1.0, 500.0),
)
_AFR = _grown(
    baselines.afr,
    lambda at: ((), {"seed": at.seed}),
    gammas=("gamma", 0.0, 64.0),
    strengths=("strength", 3e-5, 30.0),
)
_GROUP_DRO = _grown(oracles.group_dro, lambda at: ((truth_of(at.train),), {}))

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
    _method("rwy", "none", FREE, _RWY, "Idrissi et al. 2022 (arXiv 2110.14503)"),
    _method("rwy_refit", "none", ("worst_class",), _balanced_refit, "the same, validation images fitted too"),
    _method("cvar_dro", "none", FREE, _CVAR, "Levy et al. 2020 (arXiv 2010.05893)"),
    _method("jtt", "none", FREE, _JTT, "Liu et al. 2021 (arXiv 2107.09044)"),
    _method("afr", "none", FREE, _AFR, "Qiu et al. 2023 (arXiv 2306.11074)"),
)

_TOLD_THE_GROUPS = (
    _method("group_dro", "groups", ORACLE, _GROUP_DRO, "Sagawa et al. 2020 (arXiv 1911.08731)"),
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


def _by_core() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield Clarify's own: name, source and choices of a method for each row of the table of corrections."""
    by_groups = [name for name, row in OBJECTIVES.items() if row.by_groups]
    for name in by_groups:
        yield f"clarify_{name}", "Clarify", {"objective": name}
    for name in by_groups:
        refitted = "Clarify, validation images fitted too"
        yield f"clarify_{name}_refit", refitted, {"objective": name, "refit": True}
    for name, row in ERASURES.items():
        if name != Recipe().erase:
            yield f"erase_{name}", row.source, {"objective": "erm", "erase": name}
    for name in ("worst_group", "reweight"):
        both = {"objective": name, "erase": "mean_difference"}
        ending = "" if name == "worst_group" else f"_{name}"
        yield f"erase_mean_difference_{name}", "Clarify, erasure before the objective", both
        yield (
            f"erase_mean_difference{ending}_refit",
            "Clarify, erasure, objective and refit",
            {**both, "refit": True},
        )


def _told_in_words() -> Iterator[Method]:
    """Yield Clarify's own, each with the name of its oracle."""
    for name, source, choices in _by_core():
        yield _method(name, "words", SPOKEN, _clarify(**choices), source, _oracle_of(name, choices))


def _same_told_the_groups() -> Iterator[Method]:
    """Yield the oracle of each of these: the same correction, told the true groups."""
    for name, _, choices in _by_core():
        if oracle := _oracle_of(name, choices):
            source = f"{name} with the true groups"
            yield _method(oracle, "groups", ORACLE, _told_groups(**choices), source)


def _oracle_of(name: str, choices: Mapping[str, Any]) -> str:
    """Return the name of a correction's oracle; `rwg` is that of Idrissi et al. 2022 (arXiv 2110.14503)."""
    if ERASURES[choices.get("erase", Recipe().erase)].by_text:
        return ""  # a text is no group
    known = {"clarify_reweight": "rwg", "clarify_reweight_refit": "rwg_refit"}
    return known.get(name, f"oracle_{name.removeprefix('clarify_')}")


def methods() -> dict[str, Method]:
    """Return every method by name, in the order of the tables."""
    every = (*_UNTOLD, *_told_in_words(), *_same_told_the_groups(), *_TOLD_THE_GROUPS)
    return {each.name: each for each in every}
