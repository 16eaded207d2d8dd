"""Phrases and their scores: how well an image fits what a person said.

Similarities to different atoms have different origins and spreads, so they are neither averaged
nor compared. Each atom is calibrated into the log-odds that an image has it, by a mixture of two
Gaussians fitted to the similarities of reference images (the validation split); of what captions mention
(1 or 0) nothing is estimated, and `CERTAIN` says so. On log-odds, AND
is the minimum, OR the maximum, NOT the change of sign (Gödel's fuzzy logic): what is asked of an
image is then as likely as its least likely part, and no part can be outvoted. A plain phrase needs
no calibration: its score is its similarity, unchanged. (The paper has plain phrases only; its
reviewers asked for compound ones.)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clarify.errors import FeatureError, InputError, shown
from clarify.method.arrays import finite_vector
from clarify.method.phrases.grammar import And, Atom, Node, Not, Phrase, parse_phrase

__all__ = ["CERTAIN", "Calibration", "Phrase", "calibrate", "parse_phrase", "phrase_scores"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How one atom's similarity becomes the log-odds that an image has it.

    Parameters
    ----------
    threshold : float
        The similarity at which having it and not having it are equally likely.
    scale : float
        Similarity per unit of log-odds, above 0.
    """

    threshold: float
    scale: float

    def __post_init__(self) -> None:
        for name in ("threshold", "scale"):
            value = getattr(self, name)
            good = isinstance(value, float | int) and not isinstance(value, bool)
            if not good or not math.isfinite(value):
                raise InputError(f"calibration: {name} is {shown(value)}; a number is legal")
        if self.scale <= 0:
            raise InputError(f"calibration: scale is {self.scale}; a number above 0 is legal")

    def log_odds(self, similarity: ArrayLike) -> NDArray[np.float64]:
        """Return ``(similarity - threshold) / scale`` (N,): above 0 means "has it"."""
        values = finite_vector(similarity, what="similarity")
        return (values - self.threshold) / self.scale

    def to_dict(self) -> dict[str, float]:
        """Return the two numbers by name."""
        return {"threshold": self.threshold, "scale": self.scale}

    @classmethod
    def from_dict(cls, values: object) -> Calibration:
        """Return the calibration that `to_dict` wrote; InputError for anything else."""
        if not isinstance(values, Mapping) or set(values) != {"threshold", "scale"}:
            raise InputError(f"calibration: {shown(values)}; a table of threshold and scale is legal")
        return cls(threshold=values["threshold"], scale=values["scale"])


CERTAIN = Calibration(threshold=0.5, scale=2.0**-6)
"""Of an atom that captions mention or not: log-odds of 32 or -32, beyond what most similarities come to, so
that beside a similarity it decides alone, and finite, so that cuts and charts have ends."""


def calibrate(similarity: ArrayLike) -> Calibration:
    """Fit two Gaussians of equal variance to one atom's similarities on reference images.

    Parameters
    ----------
    similarity : array_like of float, (N,)
        To one atom; the whole validation split, all classes together, so that images with and
        without it are among them.

    Returns
    -------
    Calibration
        Strictly increasing in similarity. Where there is one hump rather than two, the mean and
        standard deviation are used: above average then counts as having it.

    Raises
    ------
    FeatureError
        Where there are fewer than two different similarities, or one is NaN or infinite.

    Notes
    -----
    Expectation-maximisation from fixed starts (the upper 1/2, 1/4, 1/10, 1/20 and 1/50 of the
    images), the likeliest end kept: no chance in it. On more than 4,096 images it looks at 4,096
    evenly spaced ones in the order of similarity. With equal variances the posterior of the upper
    part is ``sigmoid((s - threshold) / scale)`` exactly.
    """
    values = np.sort(finite_vector(similarity, what="similarity"))
    if len(values) == 0 or values[0] == values[-1]:
        raise FeatureError(
            f"calibration: the similarities of {len(values)} reference images are all equal; "
            "two different ones are needed, so use more images"
        )
    if len(values) > 4096:
        values = values[np.linspace(0, len(values) - 1, 4096).round().astype(np.int64)]
    centre, spread = float(values.mean()), float(values.std())
    if spread == 0:  # so close together that squares vanish
        spread = float(values[-1] - values[0])
    cut, scale = _two_gaussians((values - centre) / spread)
    return Calibration(threshold=centre + spread * cut, scale=spread * scale)


def phrase_scores(
    phrase: Phrase, atom_similarities: Mapping[str, ArrayLike], calibrations: Mapping[str, Calibration]
) -> NDArray[np.float64]:
    """Return how well each image fits a phrase.

    Parameters
    ----------
    phrase : Phrase
        From `parse_phrase`.
    atom_similarities : mapping from atom to array_like of float, (N,)
        In [-1, 1]; 0 or 1 of one that captions mention.
    calibrations : mapping from atom to Calibration
        Needed for every atom of a compound phrase; not looked at for a plain one.

    Returns
    -------
    ndarray of float64, (N,)
        Higher fits better. The similarity (or the 1 or 0) itself for a plain phrase, log-odds for a
        compound one.

    Raises
    ------
    InputError
        Where an atom has no similarities or no calibration.
    FeatureError
        Where similarities are not finite, or of different lengths.
    """
    found = {atom: _similarity_of(atom, phrase, atom_similarities) for atom in phrase.atoms}
    lengths = {atom: len(values) for atom, values in found.items()}
    if len(set(lengths.values())) > 1:
        raise FeatureError(
            f"phrase {shown(phrase.text)}: similarities of different lengths {lengths}; "
            "score all parts on the same images"
        )
    if isinstance(phrase.expression, Atom):
        return found[phrase.expression.text].copy()
    missing = [atom for atom in phrase.atoms if atom not in calibrations]
    if missing:
        raise InputError(
            f"phrase {shown(phrase.text)}: {shown(missing[0])} is not calibrated; "
            "calibrate every part of a compound phrase on the validation split"
        )
    odds = {atom: calibrations[atom].log_odds(values) for atom, values in found.items()}
    return _evaluated(phrase.expression, odds)


def _similarity_of(atom: str, phrase: Phrase, similarities: Mapping[str, ArrayLike]) -> NDArray[np.float64]:
    if atom not in similarities:
        raise InputError(
            f"phrase {shown(phrase.text)}: no similarities to {shown(atom)}; give those of every part"
        )
    return finite_vector(similarities[atom], what=f"similarities to {shown(atom)}")


def _evaluated(node: Node, odds: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    if isinstance(node, Atom):
        return odds[node.text]
    if isinstance(node, Not):
        return -_evaluated(node.part, odds)
    parts = np.stack([_evaluated(part, odds) for part in node.parts])
    lowest: NDArray[np.float64] = parts.min(axis=0)
    highest: NDArray[np.float64] = parts.max(axis=0)
    return lowest if isinstance(node, And) else highest


def _two_gaussians(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return threshold and scale of the mixture on sorted values of mean 0 and deviation 1."""
    ends = [_em(values, share) for share in (0.5, 0.25, 0.1, 0.05, 0.02)]
    likelihood, low, high, variance, share = max(ends)
    # One Gaussian alone has this likelihood; two must beat it by more than their two extra
    # parameters are worth (Schwarz's criterion), or the second hump is noise.
    alone = -0.5 * len(values) * (math.log(2 * math.pi) + 1.0)
    if likelihood - alone < math.log(len(values)) or high - low < 1e-6:
        return 0.0, 1.0
    scale = variance / (high - low)
    threshold = (low + high) / 2 - scale * math.log(share / (1.0 - share))
    return float(np.clip(threshold, values[0], values[-1])), scale


def _em(values: NDArray[np.float64], upper_share: float) -> tuple[float, float, float, float, float]:
    """Return (log-likelihood, lower mean, upper mean, variance, upper share) after 200 rounds."""
    count = len(values)
    upper = (np.arange(count) >= count - max(1, round(upper_share * count))).astype(np.float64)
    if upper.all():
        upper[0] = 0.0
    best = (-math.inf, 0.0, 0.0, 1.0, 0.5)
    for _ in range(200):
        mass = float(np.clip(upper.sum(), 1e-9, count - 1e-9))
        high = float(upper @ values) / mass
        low = float((1.0 - upper) @ values) / (count - mass)
        # Sum of squares is `count` because the deviation is 1; the floor keeps two points apart.
        within = 1.0 - (mass * high**2 + (count - mass) * low**2) / count
        variance, share = max(within, 1e-4), mass / count
        log_low = math.log1p(-share) - (values - low) ** 2 / (2 * variance)
        log_high = math.log(share) - (values - high) ** 2 / (2 * variance)
        both = np.logaddexp(log_low, log_high)
        likelihood = float(both.sum()) - 0.5 * count * math.log(2 * math.pi * variance)
        upper = np.exp(log_high - both)
        if likelihood < best[0] + 1e-9 * count:
            break
        best = (likelihood, low, high, variance, share)
    return best
