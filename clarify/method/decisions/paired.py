"""Two models on the same images: by how much one is better, and how sure that is.

An image that both get right, or both get wrong, says nothing of which is better. What counts are those
that they differ on: `Paired` holds no more than that.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from clarify.errors import InputError
from clarify.method.arrays import bool_vector

__all__ = ["MeanChange", "Paired", "mean_change", "paired", "surely_worse"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """How a model changed on some images.

    Parameters
    ----------
    count : int
        Images, at least `better` + `worse`.
    better, worse : int
        Those that only the new model gets right, and those that only the old one does.
    """

    count: int
    better: int
    worse: int

    def __post_init__(self) -> None:
        if min(self.better, self.worse) < 0 or self.better + self.worse > self.count:
            raise InputError(f"paired outcomes {self}: at least 0, and no more than the images, are legal")

    @property
    def change(self) -> float:
        """Change of accuracy, in [-1, 1]; 0 of no images. Above 0 the new model is better."""
        return (self.better - self.worse) / self.count if self.count else 0.0

    @property
    def p_worse(self) -> float:
        """Chance of so many worse ones, or more, if neither model were better: in [0, 1].

        One-sided exact McNemar test: of the images that the models differ on, each is as likely
        better as worse.
        """
        from scipy.stats import binom

        return float(binom.sf(self.worse - 1, self.better + self.worse, 0.5))

    def plus(self, other: Paired) -> Paired:
        """Return both together, of different images."""
        return Paired(
            count=self.count + other.count, better=self.better + other.better, worse=self.worse + other.worse
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MeanChange:
    """The mean of several changes of accuracy, and its one-sided lower confidence bound."""

    estimate: float
    lower: float


def paired(old: ArrayLike, new: ArrayLike) -> Paired:
    """Compare two models on the same images.

    Parameters
    ----------
    old, new : array_like of bool, (N,)
        Which images either model gets right.

    Raises
    ------
    InputError
        For unlike lengths.
    """
    before = bool_vector(old, what="old")
    after = bool_vector(new, what="new", length=len(before))
    return Paired(count=len(before), better=int((after & ~before).sum()), worse=int((before & ~after).sum()))


def surely_worse(pair: Paired, *, confidence: float) -> float:
    """Return by how much the new model is surely worse: the lower bound of the fall of accuracy.

    Wald's bound, one-sided, with one better and one worse image added (see `mean_change`), which does not
    understate a large fall.
    """
    from scipy.stats import norm

    size = pair.count + 2
    fall, differing = (pair.worse - pair.better) / size, (pair.worse + pair.better + 2) / size
    return fall - float(norm.ppf(confidence)) * math.sqrt((differing - fall**2) / size)


def mean_change(pairs: Sequence[Paired], *, confidence: float = 0.95) -> MeanChange:
    """Return the mean change of accuracy over several sets of images, each counting alike.

    Parameters
    ----------
    pairs : sequence of Paired
        Of different images, at least one set.
    confidence : float
        Of the lower bound, one-sided, in [0.5, 1).

    Raises
    ------
    InputError
        For no sets, or another confidence.

    Notes
    -----
    The bound of paired proportions with one better and one worse image added to each set, after Agresti
    and Min 2005 (who add a half to each of the four outcomes), and with the variance that there is if
    neither model is better. So with one set of images it is above 0 at 95 % where the exact McNemar test
    says so, too (p at most .0625): five better and none worse, not four. Of a large gain it is too low.
    """
    from scipy.stats import norm

    if not pairs:
        raise InputError("mean change: there are no images; give at least one set")
    if not 0.5 <= confidence < 1:
        raise InputError(f"mean change: confidence is {confidence}; 0.5 to under 1 is legal")
    estimates, variances = [], []
    for each in pairs:
        size, differing = each.count + 2, each.better + each.worse + 2
        estimates.append((each.better - each.worse) / size)
        variances.append(differing / size**2)
    deviation = math.sqrt(sum(variances)) / len(pairs)
    lower = float(np.mean(estimates)) - float(norm.ppf(confidence)) * deviation
    return MeanChange(estimate=float(np.mean([each.change for each in pairs])), lower=lower)
