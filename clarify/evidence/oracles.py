"""Methods that train on annotated groups: oracles, the bound that Clarify is held against.

All take `AnnotatedGroups` and nothing else: a run of theirs is labelled oracle. `baselines` lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clarify.errors import GroupError, InputError
from clarify.evidence.prepared import DECAYS, Candidate, Prepared, check_grid, checked
from clarify.method.arrays import generator
from clarify.method.fit.objectives import GroupDro, Reweight, Weighted
from clarify.method.fit.selection import ByAnnotatedWorstGroup, hold_out, select
from clarify.method.fit.training import sweep
from clarify.method.groups.groups import AnnotatedGroups

__all__ = ["balanced_subsample", "dfr_subsampled", "dfr_upsampled", "group_dro"]

Labels = NDArray[np.int64]
Settings: TypeAlias = Mapping[str, float | int | str]
Refit: TypeAlias = Callable[[Prepared, AnnotatedGroups, Sequence[float], Settings], list[Candidate]]


def group_dro(
    features: ArrayLike,
    labels: ArrayLike,
    class_names: Sequence[str],
    groups: AnnotatedGroups,
    *,
    adjustments: Sequence[float] = (1.0,),
    weight_decays: Sequence[float] = (1.0, 0.1, 0.01),
    steps: int = 100,
    tolerance: float = 1e-3,
) -> list[Candidate]:
    """Group DRO: the largest of the groups' mean losses plus C/sqrt(n_g). Oracle.

    Supervision: annotated groups of the training images. Source: "Distributionally Robust Neural
    Networks for Group Shifts" (Sagawa et al. 2020, arXiv 1911.08731). Departs: as `GroupDro`
    says, its steps see the whole split and go along a model of the curvature.

    Parameters
    ----------
    features, labels, class_names
        As in `rwy`.
    groups : AnnotatedGroups
        Of these N images, none empty.
    adjustments : sequence of float
        C, 0 or more, in nats.
    weight_decays : sequence of float
        Distinct, positive.
    steps : int
        At most so many a weight decay.
    tolerance : float
        Relative gap at which to stop before.

    Returns
    -------
    list of Candidate
        One an adjustment and weight decay; ``settings`` has ``adjustment``, ``steps`` (taken)
        and ``relative_gap`` (certified; it may be above the tolerance, as the method stops early).

    Raises
    ------
    FeatureError, GroupError, InputError
        As `sweep` does; for groups that are not annotated, or empty (says which).
    """
    _check_annotated(groups)
    found: list[Candidate] = []
    for adjustment in adjustments:
        objective = GroupDro(groups=groups, adjustment=adjustment, steps=steps)
        for fit in sweep(features, labels, class_names, objective, weight_decays, tolerance=tolerance):
            settings = {"adjustment": adjustment, "steps": fit.iterations, "relative_gap": fit.relative_gap}
            found.append(Candidate(head=fit.head, weight_decay=fit.weight_decay, settings=settings))
    return found


def dfr_subsampled(
    features: ArrayLike,
    labels: ArrayLike,
    class_names: Sequence[str],
    groups: AnnotatedGroups,
    *,
    weight_decays: Sequence[float] = DECAYS,
    subsamples: int = 10,
    seed: int = 0,
) -> list[Candidate]:
    """Deep Feature Reweighting: the mean head of group-balanced subsamples of validation. Oracle.

    Each subsample holds as many images of every group as the smallest group has, drawn without
    replacement. Weight decay: heads fitted to one half of the images are judged on the other by
    their worst group, then all images are fitted at the one chosen.

    Supervision: annotated groups of the validation images. Source: "Last Layer Re-Training is
    Sufficient for Robustness to Spurious Correlations" (Kirichenko et al. 2023, arXiv
    2204.02937). Departs: the paper's penalty is l1, ours l2, with a grid of its own; its halves
    are drawn from all images, ours group by group; it chooses by one subsample and standardises
    the last fit by the training images, here each choice is by as many subsamples as the fit, and
    the standardisation is that of the images fitted.

    Parameters
    ----------
    features, labels, class_names, weight_decays
        As in `rwy`, but of the validation images.
    groups : AnnotatedGroups
        Of these N images; at least 2 in each, one to fit to and one to judge by.
    subsamples : int
        How many heads to average, 1 or more.
    seed : int
        Of the halves and the subsamples.

    Returns
    -------
    list of Candidate
        The one; ``settings`` has ``half_worst_group`` (accuracy, in [0, 1], of the head chosen on
        the half it was judged by), ``subsamples`` and ``seed``.

    Raises
    ------
    FeatureError, InputError
        For features, labels or settings that are not legal.
    GroupError
        For groups of other images, or one with fewer than 2 (says which).
    SolverError
        Where an optimum was not reached.
    """
    if subsamples < 1:
        raise InputError(f"dfr: subsamples is {subsamples}; 1 or more is legal")

    def refit(
        prepared: Prepared, of: AnnotatedGroups, decays: Sequence[float], settings: Settings
    ) -> list[Candidate]:
        # Columns on one standardisation may be averaged; heads on several may not.
        drawn = [
            prepared.columns(Weighted(weights=balanced_subsample(of, number, seed)), decays)
            for number in range(subsamples)
        ]
        return [
            Candidate(
                head=prepared.head(np.mean([columns[decay] for columns in drawn], axis=0)),
                weight_decay=decay,
                settings={**settings, "subsamples": subsamples},
            )
            for decay in drawn[0]
        ]

    return _dfr(features, labels, class_names, groups, weight_decays, seed, refit)


def dfr_upsampled(
    features: ArrayLike,
    labels: ArrayLike,
    class_names: Sequence[str],
    groups: AnnotatedGroups,
    *,
    weight_decays: Sequence[float] = DECAYS,
    seed: int = 0,
) -> list[Candidate]:
    """Deep Feature Reweighting with groups balanced by weights in place of subsamples. Oracle.

    Supervision: annotated groups of the validation images. Source: as `dfr_subsampled`. Departs:
    as it does, and the paper's own method drops images where here every image counts, those of
    small groups the more (the expectation of drawing them again until groups are alike).

    Parameters
    ----------
    features, labels, class_names, groups, weight_decays
        As in `dfr_subsampled`.
    seed : int
        Of the halves.

    Returns
    -------
    list of Candidate
        The one; ``settings`` has ``half_worst_group`` and ``seed``.

    Raises
    ------
    FeatureError, GroupError, InputError, SolverError
        As `dfr_subsampled` does.
    """

    def refit(
        prepared: Prepared, of: AnnotatedGroups, decays: Sequence[float], settings: Settings
    ) -> list[Candidate]:
        return prepared.candidates(Reweight(groups=of), decays, settings)

    return _dfr(features, labels, class_names, groups, weight_decays, seed, refit)


def balanced_subsample(groups: AnnotatedGroups, number: int, seed: int) -> NDArray[np.float64]:
    """Return 1 for images drawn and 0 for others (N,): as many of each group as the smallest has.

    Parameters
    ----------
    groups : AnnotatedGroups
        None empty.
    number : int
        Which subsample.
    seed : int
        Same seed and number, same images.
    """
    rng = generator(seed, f"balanced subsample {number}")
    size = int(groups.counts.min())
    drawn = np.zeros(len(groups.index))
    for group in range(len(groups.names)):
        drawn[rng.choice(np.flatnonzero(groups.index == group), size=size, replace=False)] = 1.0
    return drawn


def _dfr(
    features: ArrayLike,
    labels: ArrayLike,
    class_names: Sequence[str],
    groups: AnnotatedGroups,
    weight_decays: Sequence[float],
    seed: int,
    refit: Refit,
) -> list[Candidate]:
    check_grid("weight decays", weight_decays)
    rows, truth, names = checked(features, labels, class_names)
    _check_filled(groups, len(truth))
    fitting, judging = hold_out(groups.index, share=0.5, seed=seed)
    half = refit(
        Prepared.of(rows[fitting], truth[fitting], names), _rows_of(groups, fitting), weight_decays, {}
    )
    chosen = select(
        half, rows[judging], truth[judging], ByAnnotatedWorstGroup(), groups=_rows_of(groups, judging)
    )
    decay = chosen.fit.weight_decay
    settings: Settings = {"half_worst_group": dict(chosen.table)[decay], "seed": seed}
    return refit(Prepared.of(rows, truth, names), groups, (decay,), settings)


def _rows_of(groups: AnnotatedGroups, rows: Labels) -> AnnotatedGroups:
    return AnnotatedGroups(index=groups.index[rows], names=groups.names)


def _check_annotated(groups: AnnotatedGroups) -> None:
    if not isinstance(groups, AnnotatedGroups):
        raise InputError(
            f"groups: a {type(groups).__name__} was given; AnnotatedGroups are legal, as the "
            "method is an oracle"
        )


def _check_filled(groups: AnnotatedGroups, count: int) -> None:
    _check_annotated(groups)
    if len(groups.index) != count:
        raise GroupError(
            f"dfr: groups of {len(groups.index)} images for {count} labels; give the groups of the "
            "same images"
        )
    few = np.flatnonzero(groups.counts < 2)
    if len(few):
        place = int(few[0])
        raise GroupError(
            f"dfr: group {groups.names[place]!r} has {groups.counts[place]} validation images; at "
            "least 2 are legal, so add some or merge the group"
        )
