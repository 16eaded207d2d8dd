"""Estimates with their 95 % intervals."""

from __future__ import annotations

import dataclasses
import math

from clarify.errors import InputError

__all__ = ["Interval", "wilson"]

NORMAL = 1.959963984540054
"""97.5 % of a normal distribution lie below."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate with its 95 % interval: ``low <= estimate <= high``, all in its unit."""

    estimate: float
    low: float
    high: float

    @property
    def words(self) -> str:
        """Its ends in whole percent: ``82–89``."""
        return f"{100 * self.low:.0f}–{100 * self.high:.0f}"


def wilson(share: float, count: float) -> Interval:
    """Return a share of independent images with its interval, after Wilson 1927.

    It stays within [0, 1], and has width where all images are right, unlike an interval that is drawn from
    the images again.

    Parameters
    ----------
    share : float
        In [0, 1].
    count : float
        Of how many images, above 0; of a weighted mean as many as tell as much.

    Raises
    ------
    InputError
        For another share or count.
    """
    if not 0 <= share <= 1 or not count > 0:
        raise InputError(f"interval: {share} of {count} images; a share of 0 to 1, of more than 0, is legal")
    extra = NORMAL**2 / count
    middle = (share + extra / 2) / (1 + extra)
    half = NORMAL * math.sqrt(share * (1 - share) / count + extra / (4 * count)) / (1 + extra)
    # Rounding must not put the estimate outside.
    low, high = max(middle - half, 0.0), min(middle + half, 1.0)
    return Interval(estimate=share, low=min(low, share), high=max(high, share))
