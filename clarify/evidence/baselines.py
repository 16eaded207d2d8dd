"""The methods that Clarify is compared with, for a linear head on fixed features.

| function | supervision | source |
|---|---|---|
| `zero_shot`, `zero_shot_with_attributes` | names, no image | CLIP, arXiv 2103.00020 |
| `rwy` | class labels | Idrissi et al. 2022, arXiv 2110.14503 |
| `cvar_dro` | class labels | Levy et al. 2020, arXiv 2010.05893 |
| `jtt` | class labels | Just Train Twice, arXiv 2107.09044 |
| `afr` | class labels | Automatic Feature Reweighting, arXiv 2306.11074 |
| `group_dro` | annotated groups of training images | Sagawa et al. 2020, arXiv 1911.08731 |
| `dfr_subsampled`, `dfr_upsampled` | annotated groups of validation images | arXiv 2204.02937 |

The last two rows are oracles, and take `AnnotatedGroups`. Each function but those of zero-shot
returns its whole grid of hyper-parameters; a named rule chooses among them elsewhere (see
`selection`), so all methods can be tuned alike. The papers of JTT and AFR tune on annotated
validation groups: what they publish is reached by `ByAnnotatedWorstGroup`, which makes the run an
oracle. DFR chooses by itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from clarify.evidence.afr import afr
from clarify.evidence.oracles import dfr_subsampled, dfr_upsampled, group_dro
from clarify.evidence.prepared import DECAYS, Candidate, Prepared, check_grid, checked
from clarify.evidence.zero_shot import zero_shot, zero_shot_with_attributes
from clarify.method.fit.objectives import CvarDro, Erm, Reweight, Weighted
from clarify.method.fit.training import sweep
from clarify.method.groups.groups import DescribedGroups

__all__ = [
    "Candidate",
    "afr",
    "cvar_dro",
    "dfr_subsampled",
    "dfr_upsampled",
    "group_dro",
    "jtt",
    "rwy",
    "zero_shot",
    "zero_shot_with_attributes",
]


def rwy(
    features: ArrayLike,
    labels: ArrayLike,
    class_names: Sequence[str],
    *,
    weight_decays: Sequence[float] = DECAYS,
) -> list[Candidate]:
    """Reweight the classes: mean over classes of each class's mean loss.

    Supervision: class labels. Source: "Simple data balancing achieves competitive worst-group
    accuracy" (Idrissi et al. 2022, arXiv 2110.14503), RWY. Departs: the paper draws class-balanced
    batches for a whole network and stops early; here their expected loss is solved to its
    optimum for the last layer, and the weight decay takes the place of stopping.

    Parameters
    ----------
    features : array_like of float, (N, D)
        Raw features of the training images.
    labels : array_like of int, (N,)
        In [0, K), every class present.
    class_names : sequence of str, (K,)
    weight_decays : sequence of float
        Distinct, positive.

    Returns
    -------
    list of Candidate
        One a weight decay.

    Raises
    ------
    FeatureError, GroupError, InputError, SolverError
        As `sweep` does.
    """
    rows, truth, names = checked(features, labels, class_names)
    objective = Reweight(groups=DescribedGroups(index=truth, names=names))
    return [
        Candidate(head=fit.head, weight_decay=fit.weight_decay, settings={})
        for fit in sweep(rows, truth, names, objective, weight_decays)
    ]


def cvar_dro(
    features: ArrayLike,
    labels: ArrayLike,
    class_names: Sequence[str],
    *,
    alphas: Sequence[float] = (0.1, 0.2, 0.5),
    weight_decays: Sequence[float] = (1.0, 0.1),
) -> list[Candidate]:
    """Minimise the mean loss of the worst share alpha of the images.

    Supervision: class labels. Source: "Large-Scale Methods for Distributionally Robust
    Optimization" (Levy et al. 2020, arXiv 2010.05893). Departs: the paper's subject is how to
    estimate gradients from batches for networks; here the whole split is one batch, and the
    optimum for the last layer, weight decay added, is certified.

    Parameters
    ----------
    features, labels, class_names
        As in `rwy`.
    alphas : sequence of float
        Shares in (0, 1], distinct.
    weight_decays : sequence of float
        Distinct, positive.

    Returns
    -------
    list of Candidate
        One a share and weight decay; ``settings`` has ``alpha``.

    Raises
    ------
    FeatureError, GroupError, InputError, SolverError
        As `sweep` does.
    """
    check_grid("alphas", alphas)
    objectives = [CvarDro(alpha=alpha) for alpha in alphas]
    prepared = Prepared.of(features, labels, class_names)
    found = (prepared.candidates(each, weight_decays, {"alpha": each.alpha}) for each in objectives)
    return list(itertools.chain.from_iterable(found))


def jtt(
    features: ArrayLike,
    labels: ArrayLike,
    class_names: Sequence[str],
    *,
    identification_decays: Sequence[float] = (10.0, 1.0),
    upweights: Sequence[float] = (5.0, 20.0, 100.0),
    weight_decays: Sequence[float] = (1.0, 0.1, 0.01),
) -> list[Candidate]:
    """Just Train Twice: give the images that a first model gets wrong more weight in a second.

    Supervision: class labels. Source: "Just Train Twice: Improving Group Robustness without
    Training Group Information" (Liu et al. 2021, arXiv 2107.09044). Departs: the paper's first
    network is kept from fitting everything by few epochs, here the first head is by its own,
    strong weight decay; both are last layers on the same fixed features, solved to their optimum.
    An image repeated lambda times, as in the paper, is one of weight lambda.

    Parameters
    ----------
    features, labels, class_names
        As in `rwy`.
    identification_decays : sequence of float
        Of the first head; distinct, positive. The larger, the more it gets wrong.
    upweights : sequence of float
        The paper's lambda: weight of a wrong image where a right one has 1. Distinct, positive.
    weight_decays : sequence of float
        Of the second head; distinct, positive.

    Returns
    -------
    list of Candidate
        One an identification decay, upweight and weight decay; ``settings`` has
        ``identification_weight_decay``, ``errors`` (images that the first head got wrong) and
        ``upweight``. Where there are no errors, ERM's heads once for all upweights, and
        ``second_stage`` is ``"erm: the error set is empty"`` in place of ``"weighted"``.

    Raises
    ------
    FeatureError, GroupError, InputError
        For features, labels or settings that are not legal.
    SolverError
        Where an optimum was not reached.
    """
    for name, grid in (("identification decays", identification_decays), ("upweights", upweights)):
        check_grid(name, grid)
    prepared = Prepared.of(features, labels, class_names)
    found: list[Candidate] = []
    for first in sorted(identification_decays, reverse=True):
        (identification,) = prepared.candidates(Erm(), (first,), {})
        wrong = identification.head.predict(features) != prepared.labels
        for upweight in upweights if wrong.any() else (1.0,):
            settings = {
                "identification_weight_decay": first,
                "errors": int(wrong.sum()),
                "upweight": upweight,
                "second_stage": "weighted" if wrong.any() else "erm: the error set is empty",
            }
            second = Weighted(weights=np.where(wrong, float(upweight), 1.0))
            found += prepared.candidates(second, weight_decays, settings)
    return found
