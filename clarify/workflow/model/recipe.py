"""How a retraining is done, but for the phrases: what a person chooses beside them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clarify.errors import InputError, nearest

if TYPE_CHECKING:
    from clarify.method.phrases.descriptions import Description

__all__ = ["ERASURES", "MOST_SEEDS", "OBJECTIVES", "SELECTIONS", "Recipe"]

OBJECTIVES = ("worst_group", "reweight", "group_dro", "cvar", "erm")
ERASURES = ("none", "mean_difference", "regression", "regression_unlabelled", "leace", "text")
SELECTIONS = ("described_worst_group", "worst_class", "average", "annotated_worst_group")
AS_USUAL = ("none", False, "described_worst_group")
MOST_SEEDS = 20


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What is done with the described groups; by default what wins in docs/evidence.md.

    Parameters
    ----------
    objective : str
        One of `OBJECTIVES`.
    seeds : int
        How many times, 1 to `MOST_SEEDS`. Seed 0 trains on every image, and its model is the one
        that can be promoted. Fitting a head draws nothing, so each other seed trains on images
        drawn anew, with replacement, from each group: how far the figures lie apart tells how
        much hangs on which images happened to be there. Of a network each seed is a training of
        its own.
    part : str
        What changes: ``head``, the last layer, solved exactly; ``whole``, all of a network; or
        ``last-N``, its last N layers.
    erase : str
        What is taken out of the features first: one of `ERASURES`; see `clarify.method.fit.erasure`.
        ``regression_unlabelled`` takes all images as one class.
    opposites : mapping of class name to phrase
        What stands against the class's phrase in a regression: "woman" to "man".
    refit : bool
        Whether the images that people looked at are fitted as well. It wins some more, but what it
        wins is not the phrases' alone: the gate's control is refitted, too.
    select : str
        What chooses the weight decay: one of `SELECTIONS`; the last one makes it an oracle.

    Raises
    ------
    InputError
        For a choice that is not legal.
    """

    objective: str = "reweight"
    seeds: int = 1
    part: str = "head"
    erase: str = "none"
    opposites: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)
    refit: bool = False
    select: str = "described_worst_group"

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise InputError(
                f"objective {self.objective!r} is unknown; {nearest(self.objective, OBJECTIVES)}"
            )
        for what, legal in (("erase", ERASURES), ("select", SELECTIONS)):
            value = getattr(self, what)
            if value not in legal:
                raise InputError(f"{what} {value!r} is unknown; {nearest(value, legal)}")
        if self.objective == "erm" and self.erase == "none" and not self.refit:
            raise InputError(
                "objective erm alone is the base model again; erase something, refit, or choose "
                "another objective"
            )
        if self.opposites and not self.erase.startswith("regression"):
            raise InputError(f"opposites are for a regression, erase is {self.erase!r}; regression is legal")
        if self.part != "head" and (self.erase, self.refit, self.select) != AS_USUAL:
            raise InputError(
                f"erase, refit and select are for the last layer, part is {self.part!r}; leave "
                "them out, or choose head"
            )
        if not re.fullmatch(r"head|whole|last-[1-9]\d{0,2}", self.part):
            raise InputError(f"part is {self.part!r}; head, whole and last-N are legal")
        if not 1 <= self.seeds <= MOST_SEEDS:
            raise InputError(f"seeds is {self.seeds}; 1 to {MOST_SEEDS} is legal")

    @property
    def words(self) -> str:
        """What is done, in a few words."""
        erased = "" if self.erase == "none" else f"{self.erase} erased, "
        return f"{erased}{self.objective}{', refitted' if self.refit else ''}"

    def digest(self, base: str, descriptions: Sequence[Description]) -> str:
        """Return what is equal for all seeds of one retraining, and for nothing else.

        Parameters
        ----------
        base : str
            The base model's run.
        descriptions : sequence of Description
        """
        values = {**dataclasses.asdict(self), "seeds": 0}
        cuts = sorted([each.class_name, each.phrase, each.threshold] for each in descriptions)
        text = json.dumps([values, base, cuts], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Return the recipe of which `to_dict` gave these values.

        Raises
        ------
        InputError
            For a choice that is not legal.
        TypeError
            For unknown names.
        """
        return cls(**values)
