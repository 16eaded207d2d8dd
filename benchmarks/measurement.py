"""One measured figure: what every benchmark returns."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A figure with its target.

    Parameters
    ----------
    name : str
        What was measured, unique in the project.
    figure : float
        The value seen.
    unit : str
        Its unit (``"s"``, ``"ratio"``, ``"points"`` ...).
    target : float or None
        What is asked; whether more or less is better follows from the name and `holds`.
    holds : bool or None
        Whether the target is met.
    ratio_to_peer : float or None
        Figure over the figure of the thing it is compared with, measured in the same run.
    ratio_to_limit : float or None
        Figure over the best that the machine could do, measured in the same run.
    """

    name: str
    figure: float
    unit: str
    target: float | None = None
    holds: bool | None = None
    ratio_to_peer: float | None = None
    ratio_to_limit: float | None = None

    def __post_init__(self) -> None:
        # Comparisons of numpy's numbers are numpy's booleans, which JSON does not know.
        object.__setattr__(self, "figure", float(self.figure))
        if self.holds is not None:
            object.__setattr__(self, "holds", bool(self.holds))
